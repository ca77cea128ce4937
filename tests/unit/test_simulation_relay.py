"""Store and forward: a dead radio fills the outbox, and its return empties it, in order."""

from collections import defaultdict
from itertools import pairwise

import pytest
from simulated import Run

from twin.events.event import Event
from twin.simulation.fleet import Constant, FleetGroup
from twin.simulation.inputs import Heal, Start, Target
from twin.simulation.malfunctions import malfunction
from twin.simulation.outbox import wire_bytes
from twin.simulation.sampling import SECOND_NS
from twin.spec.bot import BotSpec
from twin.spec.load import load_spec
from twin.spec.overrides import with_overrides


@pytest.fixture(scope="module")
def spec() -> BotSpec:
    """Return the platform's bot."""
    return load_spec("builtin:BotSpec")


def blacked_out(spec: BotSpec, until: float) -> Run:
    """Return a run of four bots, two of them without radio from 3 s to 9 s."""
    run = Run([FleetGroup("h", spec, 4)]).until(2.5)
    target = Target(bots=("h-0001", "h-0003"))
    run.world.apply(Start("x", malfunction("radio.blackout"), target))
    run.until(8.5)
    run.world.apply(Heal("x"))
    return run.until(until)


def of(run: Run, bot: str) -> list[Event]:
    """Return what a bot sent."""
    return run.select(lambda b, _: b == bot)


def test_nothing_leaves_a_bot_without_radio(spec: BotSpec) -> None:
    """During the blackout these bots are silent on the bus, and the others go on."""
    run = blacked_out(spec, 8.9)
    sent = {
        bot: [e for e in of(run, bot) if e.sim_ns > 3 * SECOND_NS] for bot in ("h-0001", "h-0002")
    }
    assert sent["h-0001"] == []
    assert len(sent["h-0002"]) > 50
    assert run.world.stored > 100
    assert run.world.stored + len(run.events) == run.world.events


def test_everything_arrives_in_order_when_the_radio_is_back(spec: BotSpec) -> None:
    """After the flood no event is missing, and each source's sequence has no gap."""
    run = blacked_out(spec, 30)
    assert (run.world.stored, run.shed) == (0, [])
    last: defaultdict[int, int] = defaultdict(int)
    for event in run.events:
        last[event.source] += 1
        assert event.seq == last[event.source]
    times = [event.sim_ns for event in run.events]
    assert times == sorted(times)


def test_the_flood_keeps_within_the_bandwidth(spec: BotSpec) -> None:
    """What was stored leaves at no more than the link's rate, over every second."""
    run = blacked_out(spec, 30)
    for second in range(9, 12):
        window = range(second * SECOND_NS, (second + 1) * SECOND_NS)
        sent = sum(wire_bytes(e) for e in of(run, "h-0001") if e.sim_ns in window)
        assert 0.8 < sent / (192_000 / 8) < 1.15


def test_the_time_in_a_stored_event_is_that_of_its_making(spec: BotSpec) -> None:
    """An event that waited says when it was made; its intended publish time is the release."""
    run = blacked_out(spec, 12)
    said = [payload["ts_unix_ms"] for payload in run.payloads("h-0001", "telemetry")]
    assert {b - a for a, b in pairwise(said)} == {1000}
    sent = [e.sim_ns for e in of(run, "h-0001") if run.key(e) == "telemetry"]
    assert sum(9 * SECOND_NS <= at < 10 * SECOND_NS for at in sent) > 1


def test_the_causal_chain_of_a_blackout_is_told_in_order(spec: BotSpec) -> None:
    """The loss of the link is told after its return, before what happened later."""
    run = blacked_out(spec, 30)
    chain = [(s.bot, s.before, s.after) for s in run.states("comms") if s.bot == "h-0001"]
    assert chain == [("h-0001", "online", "blocked"), ("h-0001", "blocked", "online")]


def test_what_has_no_room_is_shed_and_said(spec: BotSpec) -> None:
    """A small outbox gives up bulk first; every shed event is reported, and counted by the bot."""
    small = with_overrides(spec, {"comms.outbox.capacity_bytes": 40_000})
    run = blacked_out(small, 30)
    assert run.world.shed_count == len(run.shed) > 20
    assert run.world.stored == 0
    assert {run.key(event) for event in run.shed} <= {
        "telemetry",
        "radar.v1.frames",
        "radar.v1.frames.lr",
        "radar.v1.tracks.sr",
        "radar.v1.tracks",
    }
    told = [int(state.reason.split()[0]) for state in run.states("event_shed")]
    assert sum(told) == len(run.shed)
    gone = {(event.source, event.seq) for event in run.shed}
    sent = {(event.source, event.seq) for event in run.events}
    assert gone.isdisjoint(sent)
    assert len(gone) + len(sent) == run.world.events


def test_without_an_outbox_everything_is_shed_until_the_radio_is_back(spec: BotSpec) -> None:
    """With no capacity only state changes survive a blackout, and afterwards all is as before."""
    none = with_overrides(spec, {"comms.outbox.capacity_bytes": 0})
    run = blacked_out(none, 12)
    assert len(run.shed) > 50
    assert run.world.stored == 0
    assert not run.world.squads[0].hw.comms.queued_items.any()
    late = [e for e in of(run, "h-0001") if run.key(e) == "telemetry" and e.sim_ns > 10 * SECOND_NS]
    assert len(late) == 2


def test_a_brown_out_silences_the_radio_and_charging_brings_it_back(spec: BotSpec) -> None:
    """Low charge sheds radar and transponder; charge above the hysteresis starts the flood."""
    sunny = with_overrides(
        spec,
        {"power.battery_capacity_wh": 2.0, "power.supercap_soc_pct": 0.0, "power.base_in_w": 300.0},
    )
    run = Run([FleetGroup("h", sunny, 3, {"power.soc_pct": Constant(35)})]).until(1.5)
    run.world.apply(Start("night", malfunction("power.eclipse")))
    run.until(20.5)
    assert run.world.stored > 0
    run.world.apply(Heal("night"))
    run.until(60)
    assert (run.world.stored, run.shed) == (0, [])
    for bot in run.world.squads[0].bots:
        chain = [s for s in run.states("load_shed", "comms", "load_restored") if s.bot == bot]
        assert [f"{s.subject}:{s.after}" for s in chain] == [
            "radar:shed",
            "transponder:shed",
            "link:blocked",
            "transponder:on",
            "radar:on",
            "link:online",
        ]
