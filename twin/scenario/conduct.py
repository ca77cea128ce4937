"""Conducts one run: topology, services, the fleet's life, the drain, and the evidence of all."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

from twin.chaos.consumer import SimulatedConsumer
from twin.errors import InfrastructureError, TopologyConflict
from twin.events.event import SourceTable
from twin.events.topology import ConsumerDecl
from twin.jetstream.api import StreamState, consumer_info
from twin.jetstream.connection import Connection
from twin.jetstream.reconcile import reconcile, remove
from twin.scenario.broker import Broker
from twin.scenario.evidence.facts import versions
from twin.scenario.evidence.folder import RunFolder
from twin.scenario.evidence.hearing import Hearing
from twin.scenario.evidence.monitors import LagMonitor
from twin.scenario.evidence.publish_metrics import PublishCollector
from twin.scenario.evidence.scan import StreamScan, states
from twin.scenario.faults.fault_runner import Victim
from twin.scenario.fleet.fleet_life import FleetLife, Past
from twin.scenario.fleet.live import Watch
from twin.scenario.language.load import LoadedScenario
from twin.scenario.language.rollback import Rollbacks
from twin.scenario.options import RunOptions
from twin.scenario.plan import Plan
from twin.scenario.processes.access import Access
from twin.scenario.processes.crew import Crew
from twin.scenario.processes.own_registrar import export_recorded, own_registrar, stop_registrar
from twin.scenario.processes.registrar_process import RegistrarProcess
from twin.scenario.room import with_room
from twin.scenario.watched import Watched
from twin.verdict.manifest import (
    Clocks,
    Manifest,
    ObserverFacts,
    ServiceFacts,
    StreamFacts,
    WatchedConsumer,
)

__all__ = ["Conduct"]

CLOCK_TOLERANCE_NS = 200_000_000
"""More than this between wall and monotonic clock over a run means that a clock was set."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was found when the fleet had lived, while the services still ran."""

    consumers: tuple[WatchedConsumer, ...]
    streams: tuple[StreamFacts, ...]
    observers: tuple[ObserverFacts, ...]
    unsettled: dict[str, str]
    registrar: ServiceFacts | None


@dataclass(slots=True)
class Conduct:
    """One run while it lasts; `bots` is the fleet's connection."""

    loaded: LoadedScenario
    plan: Plan
    options: RunOptions
    folder: RunFolder
    broker: Broker
    access: Access
    bots: Connection
    watch: Watch
    published: PublishCollector = field(default_factory=PublishCollector)

    @property
    def connection(self) -> Connection:
        """The harness's own connection."""
        return self.broker.connection

    async def carry_out(self, manifest: Manifest, stack: AsyncExitStack) -> Manifest:
        """Do everything from topology to evidence; return the manifest, ready to be sealed."""
        await self._make_topology()
        before = await states(self.connection, self.plan.recorded)
        cwd = self.loaded.file.parent
        crew = Crew(self.plan, self.folder, self.connection, cwd, self.access)
        rollbacks = self._rollbacks()
        stack.push_async_callback(rollbacks.run)
        consumers = self.plan.topology.consumers + await crew.start(stack)
        watched = await self._begin_to_watch(consumers, stack)
        registrar = await self._start_registrar(stack)
        hearing = Hearing(self.connection, self.plan.space, self.plan.scenario.expect)
        await hearing.start()
        started = (time.time_ns(), time.monotonic_ns())
        others: dict[str, Victim] = {**crew.processes}
        if registrar is not None:
            others["registrar"] = registrar
        async with self._reading(stack) as readers, _background(watched.monitor.run(), "lag"):
            past = await self._life(watched.monitor, {**others, **readers}).run()
            seen = await self._look(
                past,
                before=before,
                crew=crew,
                watched=watched,
                hearing=hearing,
                registrar=registrar,
            )
        ended, observers = await self._end(past, crew, seen)
        return manifest.model_copy(
            update={
                "phases": past.lived.phases,
                "streams": seen.streams,
                "consumers": seen.consumers,
                "observers": observers,
                "publish": past.counts,
                "services": (*ended, *self.broker.facts(self.plan.scenario.events)),
                "rollbacks": await rollbacks.run(),
                "steady": past.lived.steady,
                "clocks": _clocks(started),
                "ended_ns": time.time_ns(),
                "digest": past.digest,
                "versions": versions(self.connection.server_version),
            }
        )

    async def _make_topology(self) -> None:
        """Make the run's streams and consumers; those of others are as they are."""
        if self.plan.shared:
            return
        wanted = await with_room(self.connection, self.plan.topology)
        shrink = self.options.settings.allow_shrink
        await reconcile(self.connection, wanted, allow_shrink=shrink)
        await self._refuse_company()

    async def _refuse_company(self) -> None:
        """Raise TopologyConflict when somebody already reads what our registrar has to read."""
        for one in self.plan.topology.consumers:
            info = await consumer_info(self.connection, one.stream, one.name)
            if info is not None and info.num_waiting:
                raise TopologyConflict(
                    f"Somebody already pulls from {one.stream}/{one.name}: another run or a "
                    "registrar uses this prefix. Choose another --prefix, or none."
                )

    def _rollbacks(self) -> Rollbacks:
        """Return the commands that are run at the end, however it comes."""
        return Rollbacks(
            self.plan.scenario.rollbacks,
            env=self.access.env() | {"TWIN_RUN_ID": self.plan.run_id},
            cwd=self.loaded.file.parent,
            log=self.folder.rollbacks_log,
        )

    async def _start_registrar(self, stack: AsyncExitStack) -> RegistrarProcess | None:
        command = self.options.registrar_command
        registrar = own_registrar(self.plan, self.folder, self.access, command)
        if registrar is not None:
            await registrar.start()
            stack.push_async_callback(registrar.stop)
        return registrar

    async def _begin_to_watch(
        self, consumers: Sequence[ConsumerDecl], stack: AsyncExitStack
    ) -> Watched:
        return await Watched.start(
            self.connection,
            consumers,
            self.folder,
            stack,
            sampled={role for role, one in self.plan.scenario.watch.items() if one.ack_latency},
            ours=self.broker.server is not None,
            reads=self.options.monitor_reads,
            published=self.published,
        )

    @asynccontextmanager
    async def _reading(self, stack: AsyncExitStack) -> AsyncIterator[dict[str, SimulatedConsumer]]:
        """Meanwhile let the scenario's own consumers read; their durables go with them."""
        readers = {}
        for one in self.plan.topology.consumers:
            if declared := self.plan.scenario.consumers.get(one.role):
                connection = await self.access.connection(one.role, stack, self.connection)
                readers[one.role] = SimulatedConsumer(connection, one, declared.rate)
        async with AsyncExitStack() as beside:
            for name, reader in readers.items():
                await beside.enter_async_context(_background(reader.run(), name))
            yield readers
        with suppress(InfrastructureError):  # without the server there is nothing to tidy
            await remove(self.connection, [one.declared for one in readers.values()])

    def _life(self, monitor: LagMonitor, others: Mapping[str, Victim]) -> FleetLife:
        return FleetLife(
            loaded=self.loaded,
            plan=self.plan,
            folder=self.folder,
            broker=self.broker,
            access=self.access,
            bots=self.bots,
            monitor=monitor,
            published=self.published,
            watch=self.watch,
            others=others,
        )

    async def _look(
        self,
        past: Past,
        *,
        before: Mapping[str, StreamState],
        crew: Crew,
        watched: Watched,
        hearing: Hearing,
        registrar: RegistrarProcess | None,
    ) -> _Seen:
        """Wait until all have read what there is; then collect what the living can tell."""
        past.tell("drain")
        drained = await watched.drain(self.plan.scenario.drain_timeout)
        unsettled = await crew.settle()
        await hearing.rest(past.lived.phases[-1].end_wall_ns or 0)
        await hearing.write(self.folder.path)
        own = await stop_registrar(registrar) if registrar else None
        streams = await self._scan(past.sources, before, crew).write(self.folder)
        observers = await crew.collect(past.sources, unsettled, alive=True)
        return _Seen(drained, streams, observers, unsettled, own)

    def _scan(
        self, sources: SourceTable, before: Mapping[str, StreamState], crew: Crew
    ) -> StreamScan:
        """Return what reads the streams from where they ended `before` the run."""
        return StreamScan(
            self.connection,
            self.plan.space,
            sources,
            self.plan.run_id,
            before,
            {one.name: one.subjects for one in self.plan.topology.streams},
            tuple(crew.indexes.values()),
        )

    async def _end(
        self, past: Past, crew: Crew, seen: _Seen
    ) -> tuple[tuple[ServiceFacts, ...], tuple[ObserverFacts, ...]]:
        """End the services; return how each ended, and what all observers have recorded."""
        ended = await crew.stop()
        observers = seen.observers + await crew.collect(past.sources, seen.unsettled, alive=False)
        if seen.registrar is None:
            return ended, observers
        exported = export_recorded(self.plan, self.folder, past.sources, seen.registrar)
        return (seen.registrar, *ended), (exported, *observers)


@asynccontextmanager
async def _background(work: Coroutine[None, None, None], name: str) -> AsyncIterator[None]:
    """Meanwhile let `work` run; what it raises is raised at the end."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _clocks(started: tuple[int, int]) -> Clocks:
    wall = time.time_ns() - started[0]
    steady = time.monotonic_ns() - started[1]
    if abs(wall - steady) <= CLOCK_TOLERANCE_NS:
        return Clocks()
    return Clocks(
        wall_backwards=True,
        detail=f"the wall clock was set by {(wall - steady) / 1e9:+.3f} s during the run",
    )
