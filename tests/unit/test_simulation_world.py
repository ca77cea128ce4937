"""The world: what a fleet emits, in which order, and that it emits the same again."""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence

import orjson
import pytest
from simulated import STATE, Run

from twin.errors import UsageError
from twin.events.digest import HistoryDigest
from twin.events.payloads import validate_payload
from twin.events.subjects import Layout, SubjectSpace
from twin.simulation.fleet import Constant, FleetGroup, Uniform, shard
from twin.simulation.inputs import Heal, Start, Target
from twin.simulation.malfunctions import malfunction
from twin.simulation.predict import predict
from twin.simulation.sampling import SECOND_NS
from twin.spec.bot import BotSpec
from twin.spec.load import load_spec
from twin.spec.overrides import with_overrides

EDGES = (STATE, "qiki.events.v1.system_mode", "qiki.events.v1.sensor.thermal.trip")


@pytest.fixture(scope="module")
def spec() -> BotSpec:
    """Return the platform's bot."""
    return load_spec("builtin:BotSpec")


def test_a_fleet_emits_every_channel_as_the_contracts_say(spec: BotSpec) -> None:
    """All periodic channels and the edges of booting are there, and every payload is valid."""
    run = Run([FleetGroup("patrol", spec, 12)]).until(8)
    for event in run.events:
        validate_payload(run.key(event), event.payload)
    keys = {run.key(event) for event in run.events}
    assert keys >= {
        "telemetry",
        "radar.v1.frames",
        "radar.v1.frames.lr",
        "radar.v1.tracks",
        "radar.v1.tracks.sr",
        "events.v1.bios_status",
        "events.v1.energy",
        "events.v1.nav",
        "events.v1.power.bus",
        "events.v1.power.pdu",
        "events.v1.sensor.imu",
        "events.v1.sensor.thermal",
        "events.v1.shield",
        "events.v1.state",
        "events.v1.system_mode",
    }


def test_first_frames_come_within_two_seconds(spec: BotSpec) -> None:
    """Every bot has sent telemetry and a radar frame before two seconds are over."""
    run = Run([FleetGroup("patrol", spec, 50)]).until(2)
    for subject in ("qiki.telemetry", "qiki.radar.v1.frames"):
        assert run.by_subject()[subject] == 50


def test_sequences_are_dense_and_times_run_forward(spec: BotSpec) -> None:
    """Each source counts from 1 without a gap, and what is emitted later is intended later."""
    run = Run([FleetGroup("patrol", spec, 10), FleetGroup("more", spec, 3)]).until(7)
    last: defaultdict[int, int] = defaultdict(int)
    for event in run.events:
        last[event.source] += 1
        assert event.seq == last[event.source]
        source = run.sources[event.source]
        assert f"ce-id: {source.name}/{event.seq}\r\n".encode() in event.headers
    times = [event.sim_ns for event in run.events]
    assert times == sorted(times)


def test_boot_edges_happen_once_and_come_first(spec: BotSpec) -> None:
    """Each bot starts to boot and has booted exactly once, and says so before anything else."""
    run = Run([FleetGroup("patrol", spec, 20)]).until(6)
    for kind in ("boot_start", "boot_ok", "sensor_io_ok"):
        assert Counter(s.bot for s in run.states(kind)) == Counter(run.world.squads[0].bots)
    first: dict[str, str] = {}
    for event in run.events:
        source = run.sources[event.source]
        first.setdefault(source.bot, source.subject)
    assert set(first.values()) == {STATE}


STEADY = [(4 * SECOND_NS, 1.0), (3 * SECOND_NS, 4.0), (5 * SECOND_NS, 0.5)]
RAMP_FROM_THE_START = [(SECOND_NS, 0.3 + 0.8 * second) for second in range(8)]


@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize("phases", [STEADY, RAMP_FROM_THE_START])
def test_a_healthy_fleet_emits_what_was_predicted(
    spec: BotSpec, layout: Layout, phases: list[tuple[int, float]]
) -> None:
    """Under changing loads the periodic channels have exactly the predicted number of events."""
    groups = [FleetGroup("a", spec, 17), FleetGroup("b", spec, 4)]
    space = SubjectSpace(layout)
    run, end = Run(groups, space=space), 0.0
    for duration_ns, rate in phases:
        run.world.set_rate(rate)
        end += duration_ns / SECOND_NS
        run.until(end)
    counted, predicted = run.by_subject(), predict(groups, space, phases)
    assert sum(predicted.values()) > 1000
    edges = tuple(subject.removeprefix("qiki.") for subject in EDGES)
    for subject, count in predicted.items():
        if subject.endswith(edges):
            assert counted[subject] >= count
        else:
            assert (subject, counted[subject]) == (subject, count)


def test_a_rate_of_the_spec_holds_for_its_channel_only(spec: BotSpec) -> None:
    """A spec may sample one subject at 4 Hz, and the physics has news for each sample."""
    rates = {"qiki.events.v1.sensor.imu": 4.0}
    document = spec.model_dump()
    document["event_bus"]["rates"] = rates
    fast = BotSpec.model_validate(document)
    group = FleetGroup("a", fast, 5)
    run = Run([group]).until(6)
    subjects = run.by_subject()
    assert subjects["qiki.events.v1.sensor.imu"] == 4 * subjects["qiki.events.v1.nav"] == 4 * 25
    payloads = run.payloads("a-0001", "events.v1.sensor.imu")
    assert len({payload["gyro_x_rps"] for payload in payloads}) == len(payloads)


def digest_of(groups: Sequence[FleetGroup], *, seed: int = 1, shards: int = 1) -> str:
    """Return the digest of ten seconds, simulated in so many shards."""
    parts = [Run(part, seed=seed).until(10).world for part in shard(groups, shards)]
    return HistoryDigest.combine(dict(part.source_digests()) for part in parts)


def test_the_same_seed_makes_the_same_history(spec: BotSpec) -> None:
    """Two runs with one seed agree in every byte, and another seed makes another history."""
    groups = [FleetGroup("h", spec, 20, {"power.soc_pct": Uniform(20, 40)})]
    assert digest_of(groups) == digest_of(groups) != digest_of(groups, seed=2)


@pytest.mark.parametrize("shards", [2, 7])
def test_shards_make_the_same_history(spec: BotSpec, shards: int) -> None:
    """How the fleet is spread over shards leaves no trace in what it emits."""
    groups = [
        FleetGroup("h", spec, 23, {"power.soc_pct": Uniform(8, 40)}),
        FleetGroup("g", spec, 5, interacts=True),
    ]
    assert digest_of(groups, shards=shards) == digest_of(groups)


def test_a_failing_sensor_leaves_no_trace_of_who_else_is_in_the_shard(spec: BotSpec) -> None:
    """Malfunctions of some bots, one after the other, do not change when others report theirs."""

    def digest(shards: int) -> str:
        digests = {}
        for part in shard([FleetGroup("h", spec, 14)], shards):
            run = Run(part).until(3)
            noise = malfunction("sensor.noise", sensor="thermometers", sd=1.0)
            run.world.apply(Start("a", noise, Target(bots=("h-0001",))))
            run.until(4.5)
            run.world.apply(Start("b", malfunction("sensor.failure", sensor="thermometers")))
            digests |= run.until(8).world.source_digests()
        return HistoryDigest.combine([digests])

    assert digest(7) == digest(2) == digest(1)


def test_stepping_makes_the_same_history_as_running(spec: BotSpec) -> None:
    """One instant at a time or all at once: the history is the same."""
    groups = [FleetGroup("h", spec, 5)]
    whole, stepped = Run(groups).until(5), Run(groups)
    while stepped.world.peek_ns() < 5 * SECOND_NS:
        before = stepped.world.peek_ns()
        stepped.world.step()
        assert stepped.world.now_ns == before
    assert stepped.world.digest() == whole.world.digest()


def test_the_run_id_is_in_headers_only(spec: BotSpec) -> None:
    """Payloads and ids do not tell one run from another; that is what makes histories equal."""
    event = Run([FleetGroup("h", spec, 1)]).until(3).events[-1]
    assert b"test-run" not in event.payload
    assert b"Nats-Msg-Id: test-run/h-0001/" in event.headers


def test_low_batteries_shed_in_the_documented_order(spec: BotSpec) -> None:
    """A small battery runs down: radar goes, then the transponder, and each edge comes once."""
    small = with_overrides(spec, {"power.battery_capacity_wh": 1.0, "power.supercap_soc_pct": 0.0})
    docked = {"docking.docked": Constant(1), "power.dock_on": Constant(0)}
    group = FleetGroup("d", small, 8, {"power.soc_pct": Uniform(23, 26), **docked})
    run = Run([group]).until(18)
    bots = run.world.squads[0].bots
    for kind in ("power_low", "power_critical"):
        downs = [state for state in run.states(kind) if state.after != "cleared"]
        assert Counter(state.bot for state in downs) == Counter(bots)
    shed = defaultdict(list)
    for state in run.states("load_shed"):
        shed[state.bot].append((state.sim_ns, state.subject))
    for bot in bots:
        subjects = [subject for _, subject in shed[bot]]
        assert subjects.index("radar") < subjects.index("transponder")


def test_a_shed_radar_sends_no_frames(spec: BotSpec) -> None:
    """Without power for the radar there are no radar frames, while telemetry goes on."""
    run = Run([FleetGroup("d", spec, 4, {"power.soc_pct": Constant(25)})]).until(3)
    seen = run.by_subject()["qiki.radar.v1.frames"]
    assert seen > 0
    hw = run.world.squads[0].hw
    hw.power.soc_pct[:] = 15.0
    run.until(4)
    before, generated = run.by_subject(), run.world.events
    run.until(8)
    assert run.by_subject()["qiki.radar.v1.frames"] == before["qiki.radar.v1.frames"]
    assert run.world.events > generated


def test_a_snapshot_has_quantiles_and_modes(spec: BotSpec) -> None:
    """Conditions see the fleet as quantiles of a quantity, and how many bots are in a mode."""
    group = FleetGroup("h", spec, 11, {"power.soc_pct": Uniform(50, 60)})
    seen = Run([group]).until(3).world.snapshot()
    low, middle, high = (seen[f"fleet.h.power.soc_pct.{q}"] for q in ("min", "p50", "max"))
    assert 49 < low < middle < high < 60.1
    assert seen["fleet.h.modes.active"] + seen["fleet.h.modes.idle"] == 11


def test_unknown_names_are_refused_with_a_hint(spec: BotSpec) -> None:
    """A start value or a snapshot of what does not exist is the user's error."""
    with pytest.raises(UsageError, match="soc_pct"):
        Run([FleetGroup("h", spec, 1, {"power.soc_pc": Constant(1)})])
    with pytest.raises(UsageError):
        Run([FleetGroup("h", spec, 1)]).world.snapshot(["power.voltage"])


def test_fifty_bots_are_cheap(spec: BotSpec) -> None:
    """Fifty bots for twenty simulated seconds take half a second of processor, or some more."""
    run, before = Run([FleetGroup("patrol", spec, 50)]), time.process_time()
    run.until(20)
    assert len(run.events) > 12_000
    assert time.process_time() - before < 5


def test_custom_bots_speak_on_their_own_channels_only() -> None:
    """A rover's three channels have their subjects, headers and payloads, as predicted."""
    rover = load_spec("builtin:rover")
    groups, phases = [FleetGroup("rover", rover, 6)], [(9 * SECOND_NS, 1.0)]
    run = Run(groups).until(9)
    assert dict(run.by_subject()) == predict(groups, SubjectSpace(), phases)
    assert {subject.split(".", 2)[2] for subject in run.by_subject()} == {
        "camera.front",
        "gps",
        "status",
    }
    found = {run.sources[e.source].subject: e for e in run.events}
    status = orjson.loads(found["fleet.rover-0002.status"].payload)
    assert status["rover"] == "rover-0002"
    assert 0 < status["battery"]["soc_pct"] <= 100
    assert b"x-datum: WGS84\r\n" in found["fleet.rover-0001.gps"].headers
    assert found["fleet.rover-0001.camera.front"].payload.startswith(b"P")
    assert run.world.digest() == Run(groups).until(9).world.digest()


def test_a_dark_bot_is_silent_and_boots_again(spec: BotSpec) -> None:
    """A bot whose bus dies says nothing; when power is back it boots and speaks again."""
    sunny = with_overrides(spec, {"power.base_in_w": 300.0, "power.battery_capacity_wh": 1.0})
    run = Run([FleetGroup("h", sunny, 2)]).until(3)
    hw = run.world.squads[0].hw
    hw.power.soc_pct[0] = hw.power.supercap_soc_pct[0] = 0.0
    run.world.apply(Start("night", malfunction("power.eclipse"), Target(bots=("h-0001",))))
    run.until(9.5)
    assert run.world.snapshot()["fleet.h.modes.booting"] == 1
    last = {bot: run.payloads(bot, "telemetry")[-1]["ts_unix_ms"] for bot in ("h-0001", "h-0002")}
    assert last["h-0002"] - last["h-0001"] >= 5000
    run.world.apply(Heal("night"))
    run.until(30)
    assert [s.bot for s in run.states("boot_ok")].count("h-0001") == 2
    assert run.payloads("h-0001", "telemetry")[-1]["ts_unix_ms"] > last["h-0002"]
    assert run.world.stored == 0
