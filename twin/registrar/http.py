"""The registrar's HTTP side: `/healthz`, `/readyz`, `/metrics`."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final, NamedTuple, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from twin.errors import InfrastructureError, UsageError
from twin.registrar.metrics import CONTENT_TYPE, RegistrarMetrics

__all__ = ["Address", "HttpServer", "make_app"]

POLL_S: Final = 0.01


class Address(NamedTuple):
    """Where to listen; port 0 leaves the choice to the system."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `HOST:PORT`."""
        host, colon, port = text.rpartition(":")
        if not (colon and host and port.isdigit() and int(port) < 65_536):
            raise UsageError(f"'{text}' is no address; write for example 127.0.0.1:9100")
        return cls(host.strip("[]"), int(port))


def make_app(waits_for: Callable[[], str], metrics: RegistrarMetrics, version: str) -> Starlette:
    """Return the application. Healthy means: it runs; ready: it consumes, waits for nothing."""

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok", "version": version})

    async def readyz(_request: Request) -> Response:
        if lacking := waits_for():
            found = {"status": "not ready", "waits_for": lacking, "version": version}
            return JSONResponse(found, 503)
        return JSONResponse({"status": "ready", "version": version})

    async def exposition(_request: Request) -> Response:
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE})

    routes = {"/healthz": healthz, "/readyz": readyz, "/metrics": exposition}
    return Starlette(routes=[Route(path, endpoint) for path, endpoint in routes.items()])


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the service has its own way to end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


class HttpServer:
    """Serves an application while its context is open; `url` says where."""

    def __init__(self, app: Starlette, address: Address) -> None:
        self._address = address
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self._address.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(self._address)
        except OSError as error:
            listener.close()
            host, port = self._address
            raise InfrastructureError(f"cannot listen on {host}:{port}: {error}") from error
        host, port = listener.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._task = asyncio.create_task(self._server.serve([listener]), name="registrar-http")
        while not (self._server.started or self._task.done()):  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(POLL_S)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        if self._task is not None:
            await self._task
