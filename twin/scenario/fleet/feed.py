"""A fleet that publishes until it is told to stop: no scenario, no run folder, no verdict."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from twin.events.event import Event, SourceTable
from twin.events.subjects import SubjectSpace
from twin.jetstream.connection import connect
from twin.jetstream.options import BrokerOptions
from twin.jetstream.publisher import PublishCounts, Publisher
from twin.lag.monitor import serve_pages
from twin.scenario.evidence.folder import new_run_id
from twin.scenario.fleet.commands import Commands
from twin.scenario.fleet.drive import Timeline, drive
from twin.simulation.fleet import FleetGroup
from twin.simulation.pacing import Pacer
from twin.simulation.world import World
from twin.verdict.journal import Rows

__all__ = ["Feed", "FleetCollector"]

ALWAYS_NS = 2**62
FLUSH_S = 5.0


class NoJournal:
    """Where nothing is kept: nobody judges what an endless fleet has published."""

    def attempted(self, rows: Rows) -> None:
        """Forget attempts."""

    def settled(self, rows: Rows) -> None:
        """Forget outcomes."""

    def flush(self) -> None:
        """Have nothing to hand over."""

    def sync(self) -> None:
        """Have nothing to make durable."""


@dataclass(frozen=True, slots=True)
class Feed:
    """Which bots publish where, at their natural rates and in real time.

    They answer commands that reach them. Streams must be there: the fleet makes none.
    """

    group: FleetGroup
    seed: int
    broker: BrokerOptions
    space: SubjectSpace
    http: tuple[str, int]

    async def run(self) -> None:
        """Publish for ever; a cancellation flushes for a few seconds.

        Waits for a broker that is not there. Raises InfrastructureError when the address of
        the metrics cannot be had.
        """
        sources, emitted = SourceTable(), list[Event]()
        async with await connect(self.broker, name="twin-fleet", forever=True) as connection:
            commands = Commands(connection, self.space, sources)
            started_ns = time.time_ns()
            world = World(
                [self.group],
                seed=self.seed,
                epoch_ns=started_ns,
                run_id=new_run_id(self.group.name),
                space=self.space,
                sources=sources,
                sink=emitted.extend,
                answer=commands.answer,
            )
            async with (
                commands.reach(world, world.bots, lambda _: None),
                Publisher(connection, sources, self.space, NoJournal()) as publisher,
            ):
                page = FleetCollector(publisher, len(world.bots))
                with serve_pages(*self.http, page):
                    await self._live(world, emitted, publisher, Pacer(1.0, started_ns))

    async def _live(
        self, world: World, emitted: list[Event], publisher: Publisher, pacer: Pacer
    ) -> None:
        timeline = Timeline()
        try:
            await drive(world, emitted, publisher, pacer=pacer, timeline=timeline, end_ns=ALWAYS_NS)
        finally:
            await publisher.flush(FLUSH_S)


class FleetCollector(Collector):
    """What the fleet says of itself to Prometheus."""

    def __init__(self, publisher: Publisher, bots: int) -> None:
        self._publisher, self._bots = publisher, bots

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        counts: PublishCounts = self._publisher.counts
        events = CounterMetricFamily(
            "twin_fleet_events", "Events published, by outcome.", labels=["outcome"]
        )
        for outcome in ("acknowledged", "refused", "unknown"):
            events.add_metric([outcome], getattr(counts, outcome))
        yield events
        waiting = counts.waiting + counts.in_flight
        yield GaugeMetricFamily("twin_fleet_waiting_events", "Events without outcome.", waiting)
        yield GaugeMetricFamily("twin_fleet_bots", "Bots that are simulated.", self._bots)
