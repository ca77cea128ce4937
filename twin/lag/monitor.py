"""The lag monitor as a thing to open: a connection, the advisories, a sampler, a page."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from threading import Thread
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.registry import Collector

from twin.errors import InfrastructureError
from twin.events.topology import ConsumerDecl
from twin.jetstream.advisories import Advisories
from twin.jetstream.connection import BrokerOptions, connect
from twin.lag.metrics import LagCollector
from twin.lag.sampler import LagSampler
from twin.lag.status import StatusRules

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["open_sampler", "serve_page", "serve_pages"]


@asynccontextmanager
async def open_sampler(
    broker: BrokerOptions, patterns: Sequence[str], interval_s: float, *, forever: bool = False
) -> AsyncIterator[LagSampler]:
    """Connect and give a sampler of all consumers on the streams that match `patterns`.

    Raises BrokerUnreachable, unless `forever` says to wait for the broker.
    """
    anyone = ConsumerDecl("", "*", "*")
    async with (
        await connect(broker, name="twin-lag", forever=forever) as connection,
        Advisories(connection, [anyone]) as advisories,
    ):
        sampler = LagSampler(
            connection,
            [],
            advisories.given_up,
            naks=advisories.naks,
            evicted=advisories.evicted,
            heard=lambda: advisories.complete,
            patterns=patterns,
            rules=StatusRules.every(interval_s),
        )
        with connection.listening(error=sampler.complain):
            yield sampler


def serve_page(
    sampler: LagSampler, host: str, port: int, *others: Collector
) -> AbstractContextManager[str]:
    """Serve what the sampler found last, and `others` beside it; see `serve_pages`."""
    return serve_pages(host, port, LagCollector(sampler), *others)


@contextmanager
def serve_pages(host: str, port: int, *collectors: Collector) -> Iterator[str]:
    """Serve collectors at `/metrics`; gives the URL. Port 0 takes a free one.

    `/healthz` says that the service runs, whether or not it reaches its broker. Raises
    InfrastructureError when the address cannot be had.
    """
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    try:
        server = make_server(
            host, port, _pages(make_wsgi_app(registry)), ThreadingWSGIServer, _Quiet
        )
    except OSError as error:
        raise InfrastructureError(f"{host}:{port} cannot be served: {error.strerror}") from error
    thread = Thread(target=server.serve_forever, name="lag-pages", daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Quiet(WSGIRequestHandler):
    """A handler that does not log every scrape."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


def _pages(metrics: "WSGIApplication") -> "WSGIApplication":
    """Return an application with `/healthz` beside the exposition."""

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ.get("PATH_INFO") != "/healthz":
            return metrics(environ, start_response)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [b'{"status":"ok"}']

    return app
