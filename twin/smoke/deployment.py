"""The list of checks, and a deployment of our own to run them on."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from twin.errors import ProcessFailed
from twin.events.topology import Topology
from twin.jetstream.connection import connect
from twin.jetstream.options import BrokerOptions
from twin.jetstream.reconcile import reconcile
from twin.jetstream.server import NatsServer
from twin.processes import ChildProcess, tail
from twin.smoke import broker, permissions, probe, services
from twin.smoke.check import Check
from twin.smoke.leftovers import leftovers
from twin.smoke.site import Site

__all__ = ["CHECKS", "Embedded", "embedded"]

OWN_STREAM: Final = ("jetstream", "round-trip")
"""What has to work before a check makes a stream of its own."""
CHECKS: Final[tuple[Check[Site], ...]] = (
    Check("jetstream", "JetStream is on, recent and has room", broker.jetstream),
    Check(
        "topology", "Streams and consumers are as the spec says", broker.topology, ("jetstream",)
    ),
    Check(
        "round-trip",
        "Publish, store and consume",
        broker.round_trip,
        ("jetstream",),
        "let this user make streams named TWIN_* on subjects twin.> that nothing maps or takes "
        "away: `twin doctor` tries what that needs; or use the role smoke with --name smoke",
    ),
    Check("duplicates", "A repeated message id is stored once", broker.duplicates, OWN_STREAM),
    Check("clock", "Clocks agree", broker.clock, OWN_STREAM),
    Check(
        "leftovers",
        "Nothing is left of checks that were killed",
        leftovers,
        ("jetstream",),
        "let this user ask $JS.API.STREAM.NAMES",
    ),
    Check(
        "cloudevents",
        "Stored messages are conforming CloudEvents",
        probe.cloudevents,
        (*OWN_STREAM, "topology"),
    ),
    Check("registrar-pages", "The registrar is healthy", services.registrar_pages),
    Check(
        "registrar",
        "A probing bot is audited in 2 s",
        probe.registrar,
        ("jetstream", "topology", "registrar-pages"),
    ),
    Check("monitor-pages", "The lag monitor is healthy", services.monitor_pages),
    Check(
        "monitor",
        "A backlog is seen, and its end",
        services.monitor,
        (*OWN_STREAM, "monitor-pages"),
    ),
    Check("configs", "Generated files are current", services.configs),
    Check(
        "permissions",
        "Credentials are neither wide nor narrow",
        permissions.permissions,
        ("jetstream",),
    ),
)

READY_S = 20.0


@dataclass(frozen=True, slots=True)
class Embedded:
    """Where a deployment of our own listens."""

    url: str
    registrar: str
    monitor: str


@asynccontextmanager
async def embedded(
    folder: Path, topology: Topology, *, config: str = "", login: BrokerOptions | None = None
) -> AsyncIterator[Embedded]:
    """Run broker, registrar and lag monitor on this machine, in `folder`, meanwhile.

    `config` is added to the server's; `login` is then who the services are.
    """
    login = login or BrokerOptions()
    async with NatsServer(
        folder / "nats", log=folder / "nats-server.log", extra_config=config, probe=login
    ) as server:
        options = replace(login, url=server.url)
        async with await connect(options, name="twin-smoke") as connection:
            await reconcile(connection, topology)
        store = ("--store", str(folder / "registrar"), "--attach")
        page = ("--interval", "0.5", "--http", "127.0.0.1:0")
        started = [
            _Service("registrar", folder, options, ("registrar", "serve", *store)),
            _Service("lag", folder, options, ("lag", "serve", *page)),
        ]
        try:
            urls = await asyncio.gather(*(service.ready() for service in started))
            yield Embedded(server.url, *urls)
        finally:
            await asyncio.gather(*(service.stop() for service in started))


class _Service:
    """One of our services as a process of its own."""

    def __init__(
        self, name: str, folder: Path, broker: BrokerOptions, arguments: tuple[str, ...]
    ) -> None:
        self._log = folder / f"{name}.log"
        self._announce = folder / f"{name}.json"
        command = [sys.executable, "-m", "twin", *arguments, "--announce", str(self._announce)]
        self._child = ChildProcess.start(command, env=broker.environment(), log_path=self._log)

    async def ready(self) -> str:
        """Return the base URL once it serves; raises ProcessFailed with its log."""
        try:
            async with asyncio.timeout(READY_S):
                while not self._announce.exists():
                    if self._child.returncode is not None:
                        raise ProcessFailed(f"{self._log.stem} ended.\n{tail(self._log)}")
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise ProcessFailed(f"{self._log.stem} was not ready.\n{tail(self._log)}") from None
        return str(json.loads(self._announce.read_text())["http"]).removesuffix("/metrics")

    async def stop(self) -> None:
        """Let it drain and end."""
        await self._child.terminate(grace_s=10.0)
