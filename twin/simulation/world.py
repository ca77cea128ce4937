"""The world: a shard of the fleet in simulated time, from physics to events ready to be sent."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import numpy as np

from twin.errors import UsageError
from twin.events.encode.roster import Roster
from twin.events.event import Event, SourceTable
from twin.events.subjects import SubjectSpace
from twin.hardware.modes import Mode
from twin.simulation.fleet import FleetGroup
from twin.simulation.history import History
from twin.simulation.inputs import Command, Heal, Input, Start, Throttle
from twin.simulation.rates import ticks_per_second
from twin.simulation.relay import RELEASE_PERIOD_NS
from twin.simulation.schedule import Schedule
from twin.simulation.snapshot import summary
from twin.simulation.squad import Exit, Squad

__all__ = ["SNAPSHOT", "World"]

SNAPSHOT: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "power.soc_pct": (0.0, 100.0),
        "power.bus_v": (0.0, math.inf),
        "thermal.core_degc": (-273.15, math.inf),
        "thermal.battery_degc": (-273.15, math.inf),
        "motion.speed_mps": (0.0, math.inf),
        "compute.cpu_pct": (0.0, 100.0),
        "comms.queued_items": (0.0, math.inf),
    }
)
"""What a snapshot tells of every group, if nothing else is asked for: lowest and highest value."""


class World:
    """Bots, simulated; synchronous, and without any clock but its own.

    Time is integer nanoseconds since the start. `step` lets everything of the next instant
    happen and hands what was emitted to `sink`, in the order of emission. Values are those of
    the last tick of physics; times in events are those of the emission. What an outbox has no
    room for goes to `shed` instead. Answers to commands go to `answer`: they are no part of the
    digest, and belong on a stream that does not acknowledge.

    The same groups, seed and epoch, and the same inputs at the same instants, make the same
    events, whatever shards the groups are spread over.
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
        answer: Callable[[list[Event]], None] | None = None,
        underscore: bool = False,
    ) -> None:
        self._sent = _Tray(sink)
        self._given_up = _Tray(shed)
        self._answers = _Tray(answer)
        self._inputs: list[Input] = []
        self._started: dict[str, tuple[str, ...]] = {}
        self._history = History(sources)
        self._schedule = Schedule(self._beat)
        exits = Exit(self._history.add, self._sent.add, self._given_up.add, self._answers.add)
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
    def shed_count(self) -> int:
        """Events that outboxes had no room for so far."""
        return self._given_up.count

    @property
    def bots(self) -> tuple[str, ...]:
        """All bots by id."""
        return tuple(bot for squad in self.squads for bot in squad.bots)

    @property
    def withheld(self) -> int:
        """Events that were not generated because a policy sampled less often."""
        return sum(squad.withheld for squad in self.squads)

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
        for tray in (self._sent, self._given_up, self._answers):
            tray.empty()

    def run_until(self, sim_ns: int) -> None:
        """Let everything happen that is due before `sim_ns`."""
        while self.peek_ns() < sim_ns:
            self.step()

    def set_rate(self, multiplier: float) -> None:
        """Multiply the sampling rate of every channel, and of the physics, from the next beat."""
        self._schedule.set_rate(multiplier)

    def apply(self, given: Input) -> None:
        """Let an input take effect at the next beat that has not happened, in order of arrival.

        Beats come at least once per simulated second. UsageError, at once, for a malfunction
        that a bot of its target cannot have, or an id that is in use. Shards of one run are
        given the same inputs; a bot or a group that lives in another shard is no error.
        """
        if isinstance(given, Start):
            if given.id in self._started:
                raise UsageError(f"there is already a malfunction {given.id!r}")
            for squad in self._meant(given):
                squad.breakage.check(given)
            self._started[given.id] = ()
        self._inputs.append(given)

    def hit(self, id_: str) -> tuple[str, ...]:
        """Return the bots that the malfunction of this id broke, once it has begun."""
        return self._started.get(id_, ())

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
        """Let what has come from outside take effect, in the order in which it came."""
        inputs, self._inputs = self._inputs, []
        for given in inputs:
            match given:
                case Start():
                    hit = [squad.breakage.start(given) for squad in self._meant(given)]
                    self._started[given.id] = tuple(bot for bots in hit for bot in bots)
                case Heal():
                    for squad in self.squads:
                        squad.breakage.heal(given.id)
                    self._started.pop(given.id, None)
                case Throttle():
                    for squad in self.squads:
                        if squad.name == given.group:
                            squad.throttle(given.decision)
                case Command():
                    for squad in self.squads:
                        if squad.has(given.bot):
                            squad.obey(given, self.now_ns)

    def _meant(self, start: Start) -> list[Squad]:
        group = start.target.group
        return [squad for squad in self.squads if group in (None, squad.name)]


class _Tray:
    """Events of one instant on their way to one taker; nobody there, they are only counted."""

    def __init__(self, taker: Callable[[list[Event]], None] | None) -> None:
        self._taker = taker
        self._events: list[Event] = []
        self.add = self._events.extend
        self.count = 0

    def empty(self) -> None:
        """Hand over what is there."""
        if not self._events:
            return
        events = self._events[:]
        self._events.clear()
        self.count += len(events)
        if self._taker is not None:
            self._taker(events)
