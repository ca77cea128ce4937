"""The broker of a run: somebody's server, or a nats-server of the run's own."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from twin.chaos.disk import BrokerDisk, SmallDisk
from twin.jetstream.connection import BrokerOptions, Connection, connect
from twin.jetstream.server import NatsServer
from twin.scenario.evidence.folder import RunFolder
from twin.scenario.faults.fault_runner import DISK, Victim
from twin.scenario.language.model import ScheduledEvent
from twin.scenario.language.process_actions import BrokerDiskFull, BrokerKill, BrokerLameDuck
from twin.scenario.plan import Plan
from twin.verdict.manifest import ServiceFacts

__all__ = ["Broker"]

LEAST_DISK = 1 << 30
DISK_SHARE = 2
"""How much larger a disk is than what streams reserve; nats-server takes three quarters of it."""


@dataclass(frozen=True, slots=True)
class Broker:
    """The harness's connection, and the server with its disk if they are the run's own."""

    connection: Connection
    options: BrokerOptions
    server: NatsServer | None = None
    disk: SmallDisk | None = None

    @classmethod
    async def theirs(cls, options: BrokerOptions, stack: AsyncExitStack) -> "Broker":
        """Connect to somebody's server, for as long as `stack` is open."""
        connection = await connect(options, name="twin-run")
        return cls(await stack.enter_async_context(connection), options)

    @classmethod
    async def own(cls, plan: Plan, folder: RunFolder, stack: AsyncExitStack) -> "Broker":
        """Start a nats-server with its files in the run folder, for as long as `stack` is open."""
        disk = await _disk(plan, folder, stack)
        server = NatsServer(folder.broker, log=folder.nats_log, entry=disk.entry if disk else ())
        await stack.enter_async_context(server)
        options = BrokerOptions(url=server.url)
        connection = await connect(options, name="twin-run")
        entered = await stack.enter_async_context(connection)
        return cls(entered, BrokerOptions(url=entered.options.url), server, disk)

    @property
    def alive(self) -> bool:
        """Whether it runs, as far as we can know."""
        return self.server is None or self.server.running

    def victims(self) -> dict[str, Victim]:
        """Return what faults may act on: nothing of a server that is somebody's."""
        if self.server is None:
            return {}
        found: dict[str, Victim] = {"broker": self.server}
        if self.disk is not None:
            found[DISK] = BrokerDisk(self.server, self.disk)
        return found

    def facts(self, events: Sequence[ScheduledEvent]) -> tuple[ServiceFacts, ...]:
        """Say how a server of our own ended, if it did before the run was over."""
        if self.server is None or self.server.running:
            return ()
        killed = any(
            isinstance(event.do, BrokerKill | BrokerLameDuck) and event.do.restart_after is None
            for event in events
        )
        code = self.server.returncode
        return (ServiceFacts(name="nats-server", exit_code=code, expected=killed),)


async def _disk(plan: Plan, folder: RunFolder, stack: AsyncExitStack) -> SmallDisk | None:
    """Return a disk of the broker's own, if a fault is to fill it."""
    if not any(isinstance(event.do, BrokerDiskFull) for event in plan.scenario.events):
        return None
    reserved = sum(max(0, stream.max_bytes or 0) for stream in plan.topology.streams)
    size = max(LEAST_DISK, DISK_SHARE * reserved)
    disk = SmallDisk(folder.broker / "jetstream", size, folder.disk_log)
    return await stack.enter_async_context(disk)
