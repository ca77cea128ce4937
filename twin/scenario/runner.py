"""Carries a scenario out on a real broker and leaves a sealed run folder; judges nothing.

Reading order: `run_scenario` opens the folder and the broker, `_Run.carry_out` the topology,
the registrar and the monitors, `Live.run` lets simulated time pass; then the evidence is
drained, scanned and sealed.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias

from twin.chaos.consumer import SimulatedConsumer
from twin.chaos.disk import BrokerDisk, SmallDisk
from twin.chaos.messages import Injector
from twin.chaos.stream import BreakableStream
from twin.errors import InfrastructureError, StoreError, TopologyConflict
from twin.events.event import Event, SourceTable
from twin.events.subjects import covers
from twin.events.topology import ConsumerDecl
from twin.jetstream.advisories import Advisories
from twin.jetstream.api import StreamState, consumer_info
from twin.jetstream.connection import BrokerOptions, Connection, connect
from twin.jetstream.publisher import PublishCounts as Counts
from twin.jetstream.publisher import Publisher
from twin.jetstream.reconcile import reconcile, remove, remove_streams
from twin.jetstream.sampling import AckSampling
from twin.jetstream.server import NatsServer
from twin.registrar.export import export_observed, recorded_per_subject
from twin.scenario.access import Access
from twin.scenario.commands import Commands
from twin.scenario.crew import Crew
from twin.scenario.drain import deliveries, drain
from twin.scenario.facts import machine, versions
from twin.scenario.faults import DISK, INJECTOR, Victim, network_of
from twin.scenario.folder import RunFolder
from twin.scenario.gate import Gate, publisher_settings
from twin.scenario.hearing import Hearing
from twin.scenario.live import Live, Lived, Watch
from twin.scenario.load import LoadedScenario
from twin.scenario.message_actions import MessageFault
from twin.scenario.model import HeaderPrefix
from twin.scenario.monitors import LagMonitor, Reads, faithfully, metrics_page
from twin.scenario.net_actions import BOTS
from twin.scenario.outside import Role
from twin.scenario.plan import Plan, Settings
from twin.scenario.process_actions import BrokerDiskFull, BrokerKill, BrokerLameDuck
from twin.scenario.publish_metrics import PublishCollector
from twin.scenario.rollback import Rollbacks
from twin.scenario.room import with_room
from twin.scenario.run_state import run_state
from twin.scenario.scan import StreamScan, states
from twin.scenario.services import DEFAULT_COMMAND, RegistrarProcess
from twin.scenario.shed import ShedLog
from twin.simulation.world import World
from twin.verdict.journal import FileJournal
from twin.verdict.manifest import (
    Clocks,
    Manifest,
    ObserverFacts,
    PublishCounts,
    ScenarioFacts,
    ServiceFacts,
)

__all__ = ["RunOptions", "run_scenario"]

Taker: TypeAlias = Callable[[list[Event]], None]
FLUSH_DEAD_S = 0.5
LEAST_DISK = 1 << 30
DISK_SHARE = 2
"""How much larger a disk is than what streams reserve; nats-server takes three quarters of it."""
FLUSH_S = 30.0
"""How long after the last event the publisher still tries; what is open then is unknown."""
CLOCK_TOLERANCE_NS = 200_000_000
"""More than this between wall and monotonic clock over a run means that a clock was set."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Where and how a scenario runs; `broker` None is a nats-server of the run's own.

    `reproduce` is the command line that would run the same again.
    """

    out: Path
    settings: Settings = field(default_factory=Settings)
    broker: BrokerOptions | None = None
    registrar_command: Sequence[str] = DEFAULT_COMMAND
    reproduce: str = ""
    monitor_reads: Reads = faithfully


async def run_scenario(loaded: LoadedScenario, options: RunOptions, watch: Watch) -> Path:
    """Run to the end and return the sealed run folder.

    Raises TwinError when the run cannot be carried out; the folder then stays unsealed, as
    it does when the process is killed, and `judge` calls it INVALID.
    """
    plan = Plan.make(loaded, options.settings)
    async with AsyncExitStack() as stack:
        if options.broker is not None:
            connection = await stack.enter_async_context(
                await connect(options.broker, name="twin-run")
            )
            if plan.shared:
                plan = await plan.attach(connection)
        folder = RunFolder.create(options.out, plan.run_id)
        folder.write_inputs(loaded)
        folder.mark_last()
        manifest = _opening(plan, options)
        manifest.save(folder.path)
        server, disk = None, None
        if options.broker is None:
            disk = await _disk(plan, folder, stack)
            server = NatsServer(
                folder.broker, log=folder.nats_log, entry=disk.entry if disk else ()
            )
            await stack.enter_async_context(server)
            connection = await stack.enter_async_context(
                await connect(BrokerOptions(url=server.url), name="twin-run")
            )
        broker = options.broker or BrokerOptions(url=connection.options.url)
        access = Access(plan.scenario, broker)
        await access.start(stack, connection)
        bots = await access.connection(BOTS, stack, connection)
        run = _Run(loaded, plan, options, folder, connection, server, watch, access, bots, disk)
        try:
            manifest = await run.carry_out(manifest, stack)
        except asyncio.CancelledError:
            manifest.model_copy(update={"state": "interrupted"}).save(folder.path)
            raise
        finally:
            if plan.owns_streams:
                with suppress(InfrastructureError):  # without the server there is nothing to tidy
                    await remove_streams(connection, [s.name for s in plan.topology.streams])
    manifest.sealed(folder.path).save(folder.path)
    return folder.path


def _opening(plan: Plan, options: RunOptions) -> Manifest:
    return Manifest(
        run_id=plan.run_id,
        state="running",
        scenario=ScenarioFacts(name=plan.scenario.name, description=plan.scenario.description),
        seed=plan.seed,
        epoch_ns=plan.epoch_ns,
        pace=plan.pace.value,
        layout=plan.space.layout.value,
        prefix=plan.space.prefix,
        started_ns=time.time_ns(),
        phases=plan.phases,
        predicted=plan.predicted,
        faults_declared=len(plan.scenario.events),
        external=plan.external,
        machine=machine(),
        criteria=plan.criteria,
        reproduce=options.reproduce,
    )


async def _disk(plan: Plan, folder: RunFolder, stack: AsyncExitStack) -> SmallDisk | None:
    """Return a disk of the broker's own, if a fault is to fill it."""
    if not any(isinstance(event.do, BrokerDiskFull) for event in plan.scenario.events):
        return None
    reserved = sum(max(0, stream.max_bytes or 0) for stream in plan.topology.streams)
    size = max(LEAST_DISK, DISK_SHARE * reserved)
    disk = SmallDisk(folder.broker / "jetstream", size, folder.disk_log)
    return await stack.enter_async_context(disk)


@dataclass(slots=True)
class _Run:
    """One run while it lasts."""

    loaded: LoadedScenario
    plan: Plan
    options: RunOptions
    folder: RunFolder
    connection: Connection
    server: NatsServer | None
    watch: Watch
    access: Access
    bots: Connection
    disk: SmallDisk | None
    published: PublishCollector = field(default_factory=PublishCollector)

    async def carry_out(self, manifest: Manifest, stack: AsyncExitStack) -> Manifest:
        """Do everything from topology to evidence; return the manifest, ready to be sealed."""
        if not self.plan.shared:
            wanted = await with_room(self.connection, self.plan.topology)
            shrink = self.options.settings.allow_shrink
            await reconcile(self.connection, wanted, allow_shrink=shrink)
            await self.refuse_company()
        before = await states(self.connection, self.plan.recorded)
        crew = Crew(self.plan, self.folder, self.connection, self.loaded.file.parent, self.access)
        rollbacks = self.rollbacks()
        stack.push_async_callback(rollbacks.run)
        consumers = self.plan.topology.consumers + await crew.start(stack)
        delivered = await deliveries(self.connection, consumers)
        await stack.enter_async_context(self.sampling(consumers))
        advisories = await stack.enter_async_context(
            Advisories(self.connection, consumers, self.folder.advisories)
        )
        registrar = self.registrar()
        if registrar is not None:
            await registrar.start()
            stack.push_async_callback(registrar.stop)
        monitor = LagMonitor(
            self.connection, consumers, advisories, self.folder.lag, self.options.monitor_reads
        )
        stack.enter_context(metrics_page(monitor, self.published, self.folder.metrics_url))
        hearing = Hearing(self.connection, self.plan.space, self.plan.scenario.expect)
        await hearing.start()
        started = (time.time_ns(), time.monotonic_ns())
        readers = await self.readers(stack)
        async with AsyncExitStack() as beside:
            await beside.enter_async_context(_background(monitor.run(), "lag-monitor"))
            for name, reader in readers.items():
                await beside.enter_async_context(_background(reader.run(), name))
            past = await self.live(registrar, monitor, {**crew.processes, **readers})
            past.tell("drain")
            watched = await drain(
                self.connection,
                consumers,
                advisories,
                self.plan.scenario.drain_timeout,
                delivered,
            )
            unsettled = await crew.settle()
            await hearing.rest(past.lived.phases[-1].end_wall_ns or 0)
            await hearing.write(self.folder.path)
            own = await _stop(registrar) if registrar else None
            streams = await self.scan(past.sources, before, crew).write(self.folder)
            seen = await crew.collect(past.sources, unsettled, alive=True)
        with suppress(InfrastructureError):  # without the server there is nothing to tidy
            await remove(self.connection, [one.declared for one in readers.values()])
        ended = await crew.stop()
        seen += await crew.collect(past.sources, unsettled, alive=False)
        if own is not None:
            ended = (own, *ended)
            seen = (self.export(past.sources, own), *seen)
        return manifest.model_copy(
            update={
                "phases": past.lived.phases,
                "streams": streams,
                "consumers": watched,
                "observers": seen,
                "publish": past.counts,
                "services": (*ended, *self.broker_facts()),
                "rollbacks": await rollbacks.run(),
                "steady": past.lived.steady,
                "clocks": _clocks(started),
                "ended_ns": time.time_ns(),
                "digest": past.digest,
                "versions": versions(self.connection.server_version),
            }
        )

    def sampling(self, consumers: Sequence[ConsumerDecl]) -> AckSampling:
        """Return what samples acknowledgements, of the consumers that scenarios agree to."""
        agreed = {role for role, one in self.plan.scenario.watch.items() if one.ack_latency}
        chosen = [(n, one) for n, one in enumerate(consumers) if one.role in agreed]
        ours = self.server is not None
        return AckSampling(self.connection, chosen, self.folder.acks, ours=ours)

    async def refuse_company(self) -> None:
        """Raise TopologyConflict when somebody already reads what our registrar has to read."""
        for one in self.plan.topology.consumers:
            info = await consumer_info(self.connection, one.stream, one.name)
            if info is not None and info.num_waiting:
                raise TopologyConflict(
                    f"Somebody already pulls from {one.stream}/{one.name}: another run or a "
                    "registrar uses this prefix. Choose another --prefix, or none."
                )

    def scan(
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

    async def live(
        self,
        registrar: RegistrarProcess | None,
        monitor: LagMonitor,
        others: Mapping[str, Victim],
    ) -> "_Past":
        """Let the fleet live and publish, until every event has an outcome."""
        sources = SourceTable()
        with FileJournal(self.folder.journal) as journal:
            shed = ShedLog(journal)
            emitted: list[Event] = []
            commands = Commands(self.bots, self.plan.space, sources)
            heard = partial(_heard, emitted, sources, self.plan.external)
            shared = self.plan.shared
            settings = publisher_settings(self.plan.duplicate_window_s) if shared else None
            publishing = Publisher(self.bots, sources, self.plan.space, journal, settings)
            async with publishing as publisher, AsyncExitStack() as stack:
                self.published.read = lambda: publisher.counts
                gate = Gate(publisher, sources, shared) if shared else None
                answer: Taker = commands.answer
                if gate is not None:
                    stack.callback(gate.close)
                    answer = gate.answering(commands.answer)
                world = self.world(sources, heard, shed, answer)
                injectors = await stack.enter_async_context(self.injecting(sources))
                live = Live(
                    plan=self.plan,
                    folder=self.folder,
                    world=world,
                    emitted=emitted,
                    publisher=publisher,
                    outlet=gate or publisher,
                    targets={**self.targets(registrar, publisher), **injectors, **others},
                    backlog=partial(monitor.backlog, self.shown_role()),
                    around=partial(self.around, monitor),
                    connected=lambda: self.bots.up,
                    watch=self.watch,
                    commands=commands,
                )
                lived = await live.run()
                live.tell("flush")
                if gate is not None:
                    await gate.empty()
                alive = self.server is None or self.server.running
                await publisher.flush(FLUSH_S if alive else FLUSH_DEAD_S)
                counts = _publish_counts(publisher.counts, shed.count, world)
        self.folder.write_sources(sources)
        lived.faults.save(self.folder.faults)
        return _Past(sources, lived, counts, world.digest(), live.tell)

    @asynccontextmanager
    async def injecting(self, sources: SourceTable) -> AsyncIterator[dict[str, Victim]]:
        """Meanwhile have a connection for messages that faults inject, if any do."""
        if not any(isinstance(event.do, MessageFault) for event in self.plan.scenario.events):
            yield {}
            return
        async with await connect(self.access.options("chaos"), name="twin-chaos") as connection:
            space, run_id = self.plan.space, self.plan.run_id
            injector = Injector(connection, self.connection, space, sources, run_id)
            yield {INJECTOR: injector}
        injector.save(self.folder.injected)

    def world(self, sources: SourceTable, sink: Taker, shed: ShedLog, answer: Taker) -> World:
        """Return the fleet in its simulated world, before its first instant."""
        return World(
            self.loaded.groups,
            seed=self.plan.seed,
            epoch_ns=self.plan.epoch_ns,
            run_id=self.plan.run_id,
            space=self.plan.space,
            sources=sources,
            sink=sink,
            shed=shed,
            answer=answer,
            underscore=self.plan.scenario.header_prefix is HeaderPrefix.UNDERSCORE,
        )

    def around(self, monitor: LagMonitor, counts: Counts) -> dict[str, float]:
        """Return what conditions can watch beside the fleet."""
        sampler = monitor.sampler
        return run_state(
            self.connection.up,
            counts,
            sampler.latest.values(),
            sampler.latest_streams,
            self.plan.space,
        )

    def shown_role(self) -> str:
        """Return whose backlog is shown while the run lasts."""
        return next(iter(self.plan.scenario.watch), "") if self.external else "registrar"

    @property
    def external(self) -> bool:
        """Whether somebody else is the registrar."""
        return Role.REGISTRAR in self.plan.scenario.external

    def rollbacks(self) -> Rollbacks:
        """Return the commands that are run at the end, however it comes."""
        return Rollbacks(
            self.plan.scenario.rollbacks,
            env=self.access.env() | {"TWIN_RUN_ID": self.plan.run_id},
            cwd=self.loaded.file.parent,
            log=self.folder.rollbacks_log,
        )

    def registrar(self) -> RegistrarProcess | None:
        """Return the registrar of this run, not started yet; None if it is external."""
        if self.external:
            return None
        plan, folder = self.plan, self.folder
        arguments = [
            "--attach",
            *("--store", str(folder.registrar_store)),
            *("--layout", plan.space.layout.value),
            *("--http", "127.0.0.1:0"),
            *("--announce", str(folder.announce)),
            *(("--prefix", plan.space.prefix) if plan.space.prefix else ()),
        ]
        for consumer in plan.topology.consumers:
            if consumer.role != "registrar":
                continue
            arguments += ["--consume", f"{consumer.stream}:{consumer.name}"]
        return RegistrarProcess(
            arguments,
            self.access.env("registrar"),
            folder.registrar_log,
            folder.announce,
            self.options.registrar_command,
        )

    async def readers(self, stack: AsyncExitStack) -> dict[str, SimulatedConsumer]:
        """Return the scenario's own consumers by name; they do not read yet."""
        scenario = self.plan.scenario
        return {
            one.role: SimulatedConsumer(
                await self.access.connection(one.role, stack, self.connection),
                one,
                scenario.consumers[one.role].rate,
            )
            for one in self.plan.topology.consumers
            if one.role in scenario.consumers
        }

    def targets(
        self, registrar: RegistrarProcess | None, publisher: Publisher
    ) -> dict[str, Victim]:
        """Return what faults may act on: only what this run has started or made."""
        found: dict[str, Victim] = {"registrar": registrar} if registrar else {}
        found |= {network_of(name): proxy for name, proxy in self.access.proxies.items()}
        for name in () if self.plan.shared else self.plan.recorded:
            logical = name.removeprefix(self.plan.space.stream(""))
            refusals = partial(_refused, publisher) if self.publishes_into(name) else None
            found[logical] = BreakableStream(self.connection, name, refusals)
        if self.server is not None:
            found["broker"] = self.server
            if self.disk is not None:
                found[DISK] = BrokerDisk(self.server, self.disk)
        return found

    def publishes_into(self, stream: str) -> bool:
        """Tell whether the run itself publishes what a stream holds."""
        [subjects] = [one.subjects for one in self.plan.topology.streams if one.name == stream]
        published = map(self.plan.space.wire, self.plan.predicted.by_subject)
        return any(covers(one, subject) for subject in published for one in subjects)

    def broker_facts(self) -> tuple[ServiceFacts, ...]:
        """Say how the broker of our own ended, if it did before the run was over."""
        if self.server is None or self.server.running:
            return ()
        killed = any(
            isinstance(event.do, BrokerKill | BrokerLameDuck) and event.do.restart_after is None
            for event in self.plan.scenario.events
        )
        code = self.server.returncode
        return (ServiceFacts(name="nats-server", exit_code=code, expected=killed),)

    def export(self, sources: SourceTable, service: ServiceFacts) -> ObserverFacts:
        """Write what the registrar has recorded as evidence."""
        store, streams = self.folder.registrar_store, self.plan.recorded
        try:
            exported = export_observed(
                store, sources, streams, self.folder.observed, self.plan.run_id
            )
            per_subject = recorded_per_subject(store)
        except (StoreError, ValueError, LookupError) as error:  # rows that no registrar writes
            return ObserverFacts(
                name="registrar", rows_total=0, per_subject={}, finished=False, detail=str(error)
            )
        return ObserverFacts(
            name="registrar",
            rows_total=exported.copies,
            per_subject=per_subject,
            finished=service.exit_code is None,
        )


@dataclass(frozen=True, slots=True)
class _Past:
    """What is left of a fleet's life, beside its files."""

    sources: SourceTable
    lived: Lived
    counts: PublishCounts
    digest: str
    tell: Callable[[str], None]


def _heard(
    emitted: list[Event], sources: SourceTable, external: Sequence[str], events: list[Event]
) -> None:
    """Append what is the twin's to publish."""
    if external:
        events = [
            event
            for event in events
            if not any(covers(one, sources[event.source].subject) for one in external)
        ]
    emitted.extend(events)


def _refused(publisher: Publisher) -> int:
    return publisher.counts.refused


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


async def _stop(registrar: RegistrarProcess) -> ServiceFacts:
    """End the registrar; an exit before this was not asked for by us."""
    died = registrar.returncode
    code = await registrar.stop()
    detail = "" if died is None else f"it had ended with {died} before the run was over"
    if died is None and code:
        died, detail = code, f"asked to stop, it ended with {code}"
    return ServiceFacts(
        name="registrar",
        exit_code=died,
        expected=died is None or registrar.stopped_on_purpose,
        detail=detail,
    )


def _publish_counts(counts: Counts, shed: int, world: World) -> PublishCounts:
    return PublishCounts(
        attempted=counts.offered + shed,
        acknowledged=counts.acknowledged,
        refused=counts.refused,
        unknown=counts.unknown,
        shed=shed,
        held=world.stored,
        withheld=world.withheld,
    )


def _clocks(started: tuple[int, int]) -> Clocks:
    wall = time.time_ns() - started[0]
    steady = time.monotonic_ns() - started[1]
    if abs(wall - steady) <= CLOCK_TOLERANCE_NS:
        return Clocks()
    return Clocks(
        wall_backwards=True,
        detail=f"the wall clock was set by {(wall - steady) / 1e9:+.3f} s during the run",
    )
