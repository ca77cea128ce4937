"""Driving: pacing from asyncio, the timeline, and faults with their log."""

import asyncio
import time
from dataclasses import dataclass

import pytest

from twin.errors import ProcessFailed
from twin.events.event import Event
from twin.scenario.faults.fault_runner import FaultRunner
from twin.scenario.fleet.drive import Timeline, drive
from twin.scenario.language.model import ScheduledEvent
from twin.scenario.language.process_actions import BrokerKill, BrokerPause
from twin.simulation.inputs import Heal, Input, Start
from twin.simulation.pacing import Pacer

MS = 1_000_000


class Metronome:
    """A world that emits one event at each multiple of `period_ns`."""

    def __init__(self, period_ns: int, emitted: list[Event]) -> None:
        self.period_ns, self.next_ns, self.emitted = period_ns, 0, emitted

    def peek_ns(self) -> int:
        """Return the next beat."""
        return self.next_ns

    def step(self) -> None:
        """Beat."""
        self.emitted.append(Event(0, self.next_ns // self.period_ns + 1, self.next_ns, b"", b""))
        self.next_ns += self.period_ns


class Bucket:
    """An outlet that keeps what it is offered, and when."""

    def __init__(self) -> None:
        self.offers: list[tuple[int, int, int]] = []
        self.rooms = 0

    def offer(self, events: list[Event], intended_ns: list[int], slip_us: int) -> None:
        """Keep sequence, intended time and time of arrival."""
        for event, intended in zip(events, intended_ns, strict=True):
            self.offers.append((event.seq, intended, time.time_ns()))

    async def room(self) -> None:
        """Always have room."""
        self.rooms += 1


class Fragile:
    """A target that can be killed and notes what is done to it."""

    def __init__(self, starts: bool = True) -> None:
        self.done: list[str] = []
        self.starts = starts
        self.running = True

    async def kill(self) -> None:
        """Note it."""
        self.done.append("kill")
        self.running = False

    async def start(self) -> None:
        """Note it, or fail."""
        if not self.starts:
            raise ProcessFailed("it does not start")
        self.done.append("start")
        self.running = True

    def pause(self) -> None:
        """Note it."""
        self.done.append("pause")

    def resume(self) -> None:
        """Note it."""
        self.done.append("resume")


class Unbreakable:
    """A world whose malfunctions hit nobody, unless told otherwise."""

    def __init__(self, hits: tuple[str, ...] = ()) -> None:
        self.inputs: list[Input] = []
        self.hits = hits

    def apply(self, given: Input) -> None:
        """Note it."""
        self.inputs.append(given)

    def hit(self, id_: str) -> tuple[str, ...]:
        """Return those who are hit."""
        return self.hits


def killed_for(duration: str) -> BrokerKill:
    """Return the action as a scenario file writes it."""
    return BrokerKill.model_validate({"fault": "broker.kill", "restart_after": duration})


async def test_events_are_offered_when_they_are_due_and_not_after_the_end() -> None:
    """A paced run offers each event at or after its wall time; the end is exclusive."""
    emitted: list[Event] = []
    bucket, start = Bucket(), time.time_ns()
    await drive(
        Metronome(20 * MS, emitted),
        emitted,
        bucket,
        pacer=Pacer(1.0, start),
        timeline=Timeline([]),
        end_ns=100 * MS,
    )
    assert [seq for seq, _, _ in bucket.offers] == [1, 2, 3, 4, 5]
    assert all(arrived >= intended for _, intended, arrived in bucket.offers)
    assert [intended - start for _, intended, _ in bucket.offers] == [
        at * MS for at in (0, 20, 40, 60, 80)
    ]
    assert time.time_ns() - start >= 100 * MS


async def test_fast_pace_waits_for_room_only() -> None:
    """At pace fast a long scenario takes no wall time, but asks the outlet before each step."""
    emitted: list[Event] = []
    bucket, before = Bucket(), time.monotonic()
    await drive(
        Metronome(1000 * MS, emitted),
        emitted,
        bucket,
        pacer=Pacer(None, time.time_ns()),
        timeline=Timeline([]),
        end_ns=500_000 * MS,
    )
    assert len(bucket.offers) == 500
    assert bucket.rooms >= 500
    assert time.monotonic() - before < 60


async def test_timeline_runs_before_the_events_of_its_instant() -> None:
    """A phase that begins at an instant is in force for the events of that instant."""
    emitted: list[Event] = []
    bucket = Bucket()
    seen: list[int] = []
    entries = [(at * MS, lambda: seen.append(len(bucket.offers))) for at in (50, 0)]
    await drive(
        Metronome(50 * MS, emitted),
        emitted,
        bucket,
        pacer=Pacer(None, 0),
        timeline=Timeline(entries),
        end_ns=100 * MS,
    )
    assert seen == [0, 1]


async def test_fault_is_logged_with_its_real_times_and_healed() -> None:
    """A kill with a restart is fired, then healed after its wall time, and both are on record."""
    event = ScheduledEvent(at="5us", do=killed_for("20ms"))
    broker = Fragile()
    async with asyncio.TaskGroup() as group:
        faults = FaultRunner((event,), {"broker": broker}, Unbreakable(), group)
        timeline = Timeline()
        faults.schedule(timeline, lambda sim_ns: 1000 + sim_ns)
        at = timeline.peek_ns()
        timeline.run_due(5000)
        await faults.finish()
    [entry] = faults.log.entries
    assert (at, broker.done, entry.outcome) == (5000, ["kill", "start"], "fired")
    assert entry.intended_wall_ns == 6000
    assert entry.fired_wall_ns is not None
    assert entry.healed_wall_ns is not None
    assert entry.healed_wall_ns - entry.fired_wall_ns >= 20 * MS


async def test_fault_that_never_started_stays_not_fired() -> None:
    """A declared fault whose moment never came is in the log as not fired."""
    event = ScheduledEvent(when="fleet.x < 1", do=BrokerKill(fault="broker.kill"))
    async with asyncio.TaskGroup() as group:
        faults = FaultRunner((event,), {"broker": Fragile()}, Unbreakable(), group)
        assert faults.check(0, {"fleet.x": 2.0}, Timeline()) == []
    assert [entry.outcome for entry in faults.log.entries] == ["not fired"]


async def test_condition_fires_once() -> None:
    """An edge trigger acts at the first instant at which it holds, and never again."""
    pause = BrokerPause.model_validate({"fault": "broker.pause", "for": "10ms"})
    event = ScheduledEvent(when="fleet.x < 1", do=pause)
    broker = Fragile()
    async with asyncio.TaskGroup() as group:
        faults = FaultRunner((event,), {"broker": broker}, Unbreakable(), group)
        hits = [
            faults.check(0, {"fleet.x": value}, Timeline()) for value in (2.0, 0.5, 0.4, 3.0, 0.2)
        ]
        await faults.finish()
    assert [[one.condition for one in hit] for hit in hits] == [[], ["fleet.x < 1"], [], [], []]
    assert broker.done == ["pause", "resume"]


@dataclass
class Needed:
    """Something that a paused process is needed for, with what waits for it in the end."""

    hit: int | None
    what: str = "publishes waited"
    standing: bool = False

    async def begin(self) -> None:
        """The process stands."""
        self.standing = True

    async def waited(self) -> int | None:
        """Return what waited."""
        assert self.standing
        return self.hit


@pytest.mark.parametrize(
    ("hit", "told"),
    [
        (0, ("had no effect", "0 publishes waited")),
        (3, ("fired", "3 publishes waited")),
        (None, ("fired", "")),
    ],
)
async def test_a_pause_that_nobody_felt_had_no_effect(
    hit: int | None, told: tuple[str, str]
) -> None:
    """What waits for a process while it stands is the effect, where it is known."""
    pause = BrokerPause.model_validate({"fault": "broker.pause", "for": "10ms"})
    async with asyncio.TaskGroup() as group:
        felt = {"broker": Needed(hit)}
        event = ScheduledEvent(at="0s", do=pause)
        faults = FaultRunner((event,), {"broker": Fragile()}, Unbreakable(), group, felt=felt)
        timeline = Timeline()
        faults.schedule(timeline, lambda sim_ns: sim_ns)
        timeline.run_due(0)
        await faults.finish()
    [entry] = faults.log.entries
    assert (entry.outcome, entry.detail) == told
    assert entry.healed_wall_ns is not None


async def test_restart_that_fails_is_a_failed_fault() -> None:
    """When healing fails the fault counts as failed, and the run goes on to tell."""
    event = ScheduledEvent(at="0s", do=killed_for("10ms"))
    async with asyncio.TaskGroup() as group:
        faults = FaultRunner((event,), {"broker": Fragile(starts=False)}, Unbreakable(), group)
        timeline = Timeline()
        faults.schedule(timeline, lambda sim_ns: sim_ns)
        timeline.run_due(0)
        await faults.finish()
    [entry] = faults.log.entries
    assert (entry.outcome, entry.detail) == ("failed", "it does not start")


@pytest.mark.parametrize(
    ("second", "detail"),
    [
        ({"fault": "broker.pause", "for": "50ms"}, "another fault of the broker was not over yet"),
        ({"fault": "broker.kill"}, "another fault of the broker was not over yet"),
    ],
)
async def test_overlapping_faults_of_one_process_do_not_count(
    second: dict[str, str], detail: str
) -> None:
    """A fault that begins while another holds the same process has failed, and says why."""
    events = (
        ScheduledEvent(at="0s", do=killed_for("30ms")),
        ScheduledEvent.model_validate({"at": "1us", "do": second}),
    )
    broker = Fragile()
    async with asyncio.TaskGroup() as group:
        faults = FaultRunner(events, {"broker": broker}, Unbreakable(), group)
        timeline = Timeline()
        faults.schedule(timeline, lambda sim_ns: sim_ns)
        timeline.run_due(1000)
        await faults.finish()
    assert [entry.outcome for entry in faults.log.entries] == ["fired", "failed"]
    assert faults.log.entries[1].detail == detail
    assert broker.done == ["kill", "start"]


async def test_fault_of_a_dead_process_has_failed() -> None:
    """Pausing what is not running is no fault that fired."""
    pause = {"at": "0s", "do": {"fault": "broker.pause", "for": "10ms"}}
    broker = Fragile()
    broker.running = False
    async with asyncio.TaskGroup() as group:
        faults = FaultRunner(
            (ScheduledEvent.model_validate(pause),), {"broker": broker}, Unbreakable(), group
        )
        timeline = Timeline()
        faults.schedule(timeline, lambda sim_ns: sim_ns)
        timeline.run_due(0)
        await faults.finish()
    [entry] = faults.log.entries
    assert (entry.outcome, entry.detail) == ("failed", "the broker was not running")


@pytest.mark.parametrize(("hits", "outcome"), [(("a-0001",), "fired"), ((), "not fired")])
async def test_hardware_fault_counts_as_fired_only_when_it_hit_a_bot(
    hits: tuple[str, ...], outcome: str
) -> None:
    """A malfunction starts and heals by simulated time; one that hit nobody has not fired."""
    do = {"fault": "power.eclipse", "for": "3s", "on": {"group": "a"}}
    event = ScheduledEvent.model_validate({"at": "1s", "do": do})
    world = Unbreakable(hits)
    async with asyncio.TaskGroup() as group:
        faults = FaultRunner((event,), {}, world, group)
        timeline = Timeline()
        faults.schedule(timeline, lambda sim_ns: sim_ns)
        for second in range(5):
            timeline.run_due(second * 1000 * MS)
        await faults.finish()
    [entry] = faults.log.entries
    assert [type(given) for given in world.inputs] == [Start, Heal]
    assert (entry.outcome, entry.target) == (outcome, "a")
    assert entry.healed_wall_ns is not None


@pytest.mark.parametrize("when", ["", "x", "x <", "x < y", "x => 3", 5])
def test_condition_notation_is_checked(when: object) -> None:
    """What is no comparison of a metric with a number is refused when the file is read."""
    with pytest.raises(ValueError, match=r"condition|either"):
        ScheduledEvent.model_validate({"when": when, "do": {"fault": "broker.kill"}})


async def test_condition_that_is_repeated_fires_each_time_after_it_was_held() -> None:
    """It must hold without a break, be false before it fires again, and be over before that."""
    pause = BrokerPause.model_validate({"fault": "broker.pause", "for": "10ms"})
    event = ScheduledEvent(when="broker.up > 0", hold="2s", repeat=2, do=pause)
    broker = Fragile()
    seen = []
    async with asyncio.TaskGroup() as group:
        faults = FaultRunner((event,), {"broker": broker}, Unbreakable(), group)
        for second, up in enumerate([1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1]):
            state = {"broker.up": float(up)}
            hits = faults.check(second * 1000 * MS, state, Timeline())
            seen += [(second, one.event, one.fault) for one in hits]
            await faults.finish()
    assert seen == [(5, 1, 1), (10, 1, 2)]
    assert broker.done == ["pause", "resume"] * 2
    assert [entry.outcome for entry in faults.log.entries] == ["fired", "fired"]


async def test_condition_waits_until_its_last_firing_is_over() -> None:
    """What happens to the condition while the fault lasts starts no second one."""
    event = ScheduledEvent(
        when="fleet.x > 1", repeat=True, do=BrokerKill(fault="broker.kill", restart_after="1h")
    )
    async with asyncio.TaskGroup() as group:
        faults = FaultRunner((event,), {"broker": Fragile()}, Unbreakable(), group)
        hits = [faults.check(0, {"fleet.x": x}, Timeline()) for x in (2.0, 0.0, 2.0)]
        assert [len(hit) for hit in hits] == [1, 0, 0]
        for task in faults._tasks:
            task.cancel()
