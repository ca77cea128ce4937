"""A fleet's life on the bus: its world publishes until every event has an outcome."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from twin.events.event import Event, SourceTable
from twin.events.subjects import covers
from twin.jetstream.connection import Connection
from twin.jetstream.publisher import PublishCounts as Counts
from twin.jetstream.publisher import Publisher
from twin.scenario.broker import Broker
from twin.scenario.evidence.folder import RunFolder
from twin.scenario.evidence.monitors import LagMonitor
from twin.scenario.evidence.publish_metrics import PublishCollector
from twin.scenario.faults.fault_runner import Victim
from twin.scenario.faults.targets import breakable_streams, injecting, needed, networks
from twin.scenario.fleet.commands import Commands
from twin.scenario.fleet.gate import Gate, publisher_settings
from twin.scenario.fleet.live import Live, Lived, Watch
from twin.scenario.fleet.shed import ShedLog
from twin.scenario.language.load import LoadedScenario
from twin.scenario.language.model import HeaderPrefix
from twin.scenario.language.outside import Role
from twin.scenario.language.run_state import run_state
from twin.scenario.plan import Plan
from twin.scenario.processes.access import Access
from twin.simulation.world import World
from twin.verdict.journal import FileJournal
from twin.verdict.manifest import PublishCounts

__all__ = ["FleetLife", "Past"]

Taker: TypeAlias = Callable[[list[Event]], None]
FLUSH_DEAD_S = 0.5
FLUSH_S = 30.0
"""How long after the last event the publisher still tries; what is open then is unknown."""


@dataclass(frozen=True, slots=True)
class Past:
    """What is left of a fleet's life, beside its files."""

    sources: SourceTable
    lived: Lived
    counts: PublishCounts
    digest: str
    tell: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class FleetLife:
    """What a fleet needs to live; `bots` is its connection, `others` what else faults act on."""

    loaded: LoadedScenario
    plan: Plan
    folder: RunFolder
    broker: Broker
    access: Access
    bots: Connection
    monitor: LagMonitor
    published: PublishCollector
    watch: Watch
    others: Mapping[str, Victim]

    async def run(self) -> Past:
        """Let the fleet live and publish, until every event has an outcome."""
        sources = SourceTable()
        with FileJournal(self.folder.journal) as journal:
            shed, emitted = ShedLog(journal), list[Event]()
            commands = Commands(self.bots, self.plan.space, sources)
            async with self._publisher(sources, journal) as publisher, AsyncExitStack() as stack:
                self.published.read = lambda: publisher.counts
                gate = self._gate(publisher, sources, stack)
                answer = gate.answering(commands.answer) if gate else commands.answer
                heard = partial(_heard, emitted, sources, self.plan.external)
                world = self._world(sources, heard, shed, answer)
                live = Live(
                    plan=self.plan,
                    folder=self.folder,
                    world=world,
                    emitted=emitted,
                    publisher=publisher,
                    outlet=gate or publisher,
                    targets=await self._targets(publisher, sources, stack),
                    felt=needed(self.plan, self.broker.connection, lambda: publisher.counts),
                    backlog=partial(self.monitor.backlog, self._shown_role()),
                    around=self._around,
                    connected=lambda: self.bots.up,
                    watch=self.watch,
                    commands=commands,
                )
                lived = await live.run()
                live.tell("flush")
                if gate is not None:
                    await gate.empty()
                await publisher.flush(FLUSH_S if self.broker.alive else FLUSH_DEAD_S)
                counts = _publish_counts(publisher.counts, shed.count, world)
        self.folder.write_sources(sources)
        lived.faults.save(self.folder.faults)
        return Past(sources, lived, counts, world.digest(), live.tell)

    def _publisher(self, sources: SourceTable, journal: FileJournal) -> Publisher:
        window_s = self.plan.duplicate_window_s
        settings = publisher_settings(window_s) if self.plan.shared else None
        return Publisher(self.bots, sources, self.plan.space, journal, settings)

    def _gate(
        self, publisher: Publisher, sources: SourceTable, stack: AsyncExitStack
    ) -> Gate | None:
        if self.plan.shared is None:
            return None
        gate = Gate(publisher, sources, self.plan.shared)
        stack.callback(gate.close)
        return gate

    def _world(self, sources: SourceTable, sink: Taker, shed: ShedLog, answer: Taker) -> World:
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

    async def _targets(
        self, publisher: Publisher, sources: SourceTable, stack: AsyncExitStack
    ) -> dict[str, Victim]:
        """Return what faults may act on, by the names under which they know it."""
        connection = self.broker.connection
        inject = injecting(self.plan, self.access, connection, self.folder, sources)
        return {
            **networks(self.access),
            **breakable_streams(self.plan, connection, publisher, sources),
            **self.broker.victims(),
            **await stack.enter_async_context(inject),
            **self.others,
        }

    def _around(self, counts: Counts) -> dict[str, float]:
        """Return what conditions can watch beside the fleet."""
        sampler = self.monitor.sampler
        return run_state(
            self.broker.connection.up,
            counts,
            sampler.latest.values(),
            sampler.latest_streams,
            self.plan.space,
        )

    def _shown_role(self) -> str:
        """Return whose backlog is shown while the run lasts."""
        scenario = self.plan.scenario
        return (
            next(iter(scenario.watch), "") if Role.REGISTRAR in scenario.external else "registrar"
        )


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
