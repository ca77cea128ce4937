"""Bots under pressure: what a declared policy holds back, and what it never touches."""

import math

import orjson
import pytest
from simulated import STATE, Run

from twin.simulation.fleet import FleetGroup
from twin.simulation.inputs import Throttle
from twin.simulation.policy import Decision, Policy, PressureGauge
from twin.spec.load import load_spec

SCOUT = load_spec("builtin:scout")
RADAR = "qiki.radar.v1.frames"


def fleet(decision: Decision | None = None, seconds: float = 30.0) -> Run:
    """Return a fleet of ten that has lived, throttled from the tenth second on."""
    run = Run([FleetGroup("bots", SCOUT, 10)]).until(10)
    if decision is not None:
        run.world.apply(Throttle("bots", decision))
    return run.until(seconds)


def test_the_window_is_halved_under_pressure_and_grows_back_in_steps() -> None:
    """AIMD: multiplicative decrease to 1, limits by Little's law, and an end after the hold."""
    gauge = PressureGauge(Policy(above_s=0.5, below_s=0.1, window=8, sample_down=4, hold=2))
    seen = [gauge.look(latency) for latency in (0.05, 1.0, 2.0, 2.0, 2.0, 0.05, 0.05)]
    assert seen == [
        None,
        Decision(4.0, 4),
        Decision(1.0, 4),
        Decision(0.5, 4),
        None,
        Decision(40.0, 4),
        Decision(math.inf, 1),
    ]


def test_latency_around_one_bound_does_not_flap() -> None:
    """Between the bounds all stays; crossing one of them back and forth changes nothing."""
    gauge = PressureGauge(Policy(above_s=0.5, below_s=0.1, window=8, sample_down=4))
    assert not any(gauge.look(latency) for latency in (0.49, 0.11, 0.49, 0.11) * 5)
    assert gauge.look(0.6) is not None
    factors = {(gauge.look(latency) or gauge.decision).sample_down for latency in (0.09, 0.11) * 10}
    assert factors == {4}


def test_only_bulk_is_sampled_less_often() -> None:
    """A fourth of the radar frames are left, every other channel is as without a policy."""
    usual, pressed = fleet(), fleet(Decision(math.inf, 4))
    before, after = usual.by_subject(), pressed.by_subject()
    assert after[RADAR] < 0.6 * before[RADAR]
    changed = {subject for subject in before if before[subject] != after[subject]}
    bulk = {one.split("qiki.")[1] for one in changed}
    assert all(name.startswith(("radar.", "telemetry")) for name in bulk)
    assert pressed.world.withheld > 0
    assert usual.world.withheld == 0


def test_every_event_is_sent_shed_or_waits_and_order_is_kept() -> None:
    """Under a limit nothing gets lost unseen, sequences of what is sent rise, and 430 tells."""
    spec = SCOUT.model_copy(deep=True)
    run = Run([FleetGroup("bots", spec, 10)]).until(10)
    run.world.apply(Throttle("bots", Decision(0.5, 1)))
    run.until(60)
    world = run.world
    assert world.stored > 0
    assert len(run.events) + len(run.shed) + world.stored == world.events
    sequences: dict[int, int] = {}
    for event in run.events:
        assert event.seq > sequences.get(event.source, 0)
        sequences[event.source] = event.seq


def test_changes_of_state_are_never_shed() -> None:
    """What is shed under the tightest limit is bulk or status, never a change of state."""
    run = Run([FleetGroup("bots", SCOUT, 10)]).until(1)
    run.world.apply(Throttle("bots", Decision(0.01, 1)))
    run.until(120)
    subjects = {run.sources[event.source].subject for event in run.shed}
    assert subjects
    assert STATE not in subjects


def test_bots_tell_all_that_they_shed() -> None:
    """After the pressure each bot says how much it shed, and nothing is told twice or kept."""
    run = Run([FleetGroup("bots", SCOUT, 10)]).until(5)
    run.world.apply(Throttle("bots", Decision(0.01, 1)))
    run.until(120)
    run.world.apply(Throttle("bots", Decision()))
    run.until(200)
    told = [
        (event.source, int(orjson.loads(event.payload)["reason"].split()[0]))
        for event in run.events
        if run.sources[event.source].subject == STATE
        and orjson.loads(event.payload)["kind"] == "event_shed"
    ]
    assert len({source for source, _ in told}) == 10
    assert sum(count for _, count in told) == len(run.shed) > 0


def test_the_same_decisions_make_the_same_events() -> None:
    """Decisions are inputs: the digest follows from them."""
    one, again, other = (fleet(Decision(math.inf, n)).world.digest() for n in (4, 4, 2))
    assert one == again != other


@pytest.mark.parametrize("rate", [0.5, 5.0])
def test_no_bot_sends_more_than_its_limit(rate: float) -> None:
    """Over twenty seconds a bot sends what the limit allows, and what is vital."""
    run = Run([FleetGroup("bots", SCOUT, 5)]).until(10)
    run.world.apply(Throttle("bots", Decision(rate, 1)))
    run.until(11)
    start = len(run.events)
    run.until(31)
    sent = run.events[start:]
    plain = [event for event in sent if run.sources[event.source].subject != STATE]
    assert len(plain) <= 5 * (rate * 20 + max(1.0, rate) + 1)
    assert len(plain) >= 5 * rate * 20 * 0.8
