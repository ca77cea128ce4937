"""The world: a shard of the fleet in simulated time, from physics to events ready to be sent."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import numpy as np

from twin.events.encode.roster import Roster
from twin.events.event import Event, SourceTable
from twin.events.subjects import SubjectSpace
from twin.hardware.modes import Mode
from twin.simulation.fleet import FleetGroup
from twin.simulation.history import History
from twin.simulation.rates import ticks_per_second
from twin.simulation.relay import RELEASE_PERIOD_NS
from twin.simulation.schedule import Schedule
from twin.simulation.snapshot import summary
from twin.simulation.squad import Exit, Squad

__all__ = ["SNAPSHOT", "World"]

SNAPSHOT = (
    "power.soc_pct",
    "power.bus_v",
    "thermal.core_degc",
    "thermal.battery_degc",
    "motion.speed_mps",
    "compute.cpu_pct",
    "comms.queued_items",
)
"""What a snapshot tells of every group, if nothing else is asked for."""


class World:
    """Bots, simulated; synchronous, and without any clock but its own.

    Time is integer nanoseconds since the start. `step` lets everything of the next instant
    happen and hands what was emitted to `sink`, in the order of emission. Values are those of
    the last tick of physics; times in events are those of the emission. What an outbox has no
    room for goes to `shed` instead. The same groups, seed and epoch, and the same inputs at
    the same instants, make the same events, whatever shards the groups are spread over.
    """

    def __init__(
        self,
        groups: Sequence[FleetGroup],
        *,
        seed: int,
        epoch_ns: int,
        run_id: str,
        space: SubjectSpace,
        sources: SourceTable,
        sink: Callable[[list[Event]], None],
        shed: Callable[[list[Event]], None] | None = None,
        underscore: bool = False,
    ) -> None:
        self._sink, self._shed = sink, shed
        self._batch: list[Event] = []
        self._given_up: list[Event] = []
        self.shed_count = 0
        self._history = History(sources)
        self._schedule = Schedule(self._beat)
        exits = Exit(self._history.add, self._batch.extend, self._given_up.extend)
        self.squads: list[Squad] = []
        for group in groups:
            roster = Roster(run_id, epoch_ns, group.bots, space, sources, underscore)
            self.squads.append(Squad(group, roster, seed, exits))
            self._plan(self.squads[-1], ticks_per_second(group.spec))

    def _plan(self, squad: Squad, per_second: int) -> None:
        schedule = self._schedule

        def tick(dt_s: float) -> None:
            if squad.tick(dt_s, schedule.now_ns):
                release()

        def emit(emitter_index: int, cohort: int) -> None:
            squad.emit(squad.emitters[emitter_index], cohort, schedule.now_ns)

        release = schedule.while_needed(RELEASE_PERIOD_NS, lambda: squad.release(schedule.now_ns))
        schedule.tick(per_second, tick)
        for index, emitter in enumerate(squad.emitters):
            schedule.every(emitter.period_ns, partial(emit, index))

    @property
    def now_ns(self) -> int:
        """The last instant that happened."""
        return self._schedule.now_ns

    @property
    def events(self) -> int:
        """Events generated so far."""
        return self._history.count

    @property
    def stored(self) -> int:
        """Events that wait in the bots' outboxes."""
        return sum(squad.stored for squad in self.squads)

    def peek_ns(self) -> int:
        """Return the next instant at which something happens."""
        return self._schedule.peek_ns()

    def step(self) -> None:
        """Let everything of the next instant happen."""
        self._schedule.step()
        self._flush()

    def run_until(self, sim_ns: int) -> None:
        """Let everything happen that is due before `sim_ns`."""
        while self.peek_ns() < sim_ns:
            self.step()

    def set_rate(self, multiplier: float) -> None:
        """Multiply the sampling rate of every channel, and of the physics, from the next beat."""
        self._schedule.set_rate(multiplier)

    def digest(self) -> str:
        """Return the fingerprint of everything generated so far."""
        return self._history.digest()

    def source_digests(self) -> Mapping[str, str]:
        """Return the fingerprint of each source; `HistoryDigest.combine` joins shards."""
        return self._history.source_digests()

    def snapshot(self, names: Iterable[str] = SNAPSHOT) -> dict[str, float]:
        """Return `fleet.<group>.<plane>.<quantity>.<statistic>`, and how many bots are in a mode.

        UsageError for a name that is no quantity of the hardware.
        """
        found: dict[str, float] = {"outbox.stored": float(self.stored)}
        for squad in self.squads:
            for name in names:
                values = np.asarray(squad.values(name), dtype=np.float64)
                found.update(summary(f"fleet.{squad.name}.{name}", values))
            counts = np.bincount(squad.hw.modes.mode, minlength=len(Mode))
            for mode in Mode:
                found[f"fleet.{squad.name}.modes.{mode.name.lower()}"] = float(counts[mode])
        return found

    def _beat(self) -> None:
        """Let inputs take effect."""

    def _flush(self) -> None:
        if self._batch:
            events, self._batch[:] = self._batch[:], []
            self._sink(events)
        if self._given_up:
            events, self._given_up[:] = self._given_up[:], []
            self.shed_count += len(events)
            if self._shed is not None:
                self._shed(events)
