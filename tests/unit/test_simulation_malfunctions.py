"""Malfunctions: their names, whom they hit, what they do, and that they heal."""

from datetime import datetime
from itertools import pairwise

import pytest
from pydantic import TypeAdapter, ValidationError
from simulated import Run

from twin.errors import UsageError
from twin.events.payloads import validate_payload
from twin.simulation.fleet import FleetGroup, shard
from twin.simulation.inputs import Heal, Region, Start, Target
from twin.simulation.malfunctions import MALFUNCTIONS, MOST, AnyMalfunction, malfunction
from twin.simulation.sampling import SECOND_NS
from twin.spec.bot import BotSpec
from twin.spec.load import load_spec

NEEDED = {
    "thermal.ambient": {"ambient_degc": 20},
    "sensor.bias": {"sensor": "imu", "bias": 1},
    "sensor.drift": {"sensor": "imu", "per_s": 1},
    "sensor.noise": {"sensor": "imu", "sd": 1},
    "thruster.stuck_open": {"thruster": 3},
    "thruster.stuck_closed": {"thruster": 3},
}


@pytest.fixture(scope="module")
def spec() -> BotSpec:
    """Return the platform's bot."""
    return load_spec("builtin:BotSpec")


def some(fault: str) -> Start:
    """Return the start of a malfunction with its default parameters."""
    needed = {"sensor": "imu"} if fault.startswith("sensor.") else {}
    return Start(fault, malfunction(fault, **needed | NEEDED.get(fault, {})))


def run_with(spec: BotSpec, start: Start, seconds: float, count: int = 4) -> Run:
    """Return a run in which something broke after two seconds."""
    run = Run([FleetGroup("h", spec, count)]).until(2)
    run.world.apply(start)
    return run.until(seconds)


@pytest.mark.parametrize(
    ("fault", "nothing"),
    [
        ("power.short", {"power_w": 0}),
        ("power.eclipse", {"sunlight": 1}),
        ("radio.bandwidth", {"fraction": 0}),
        ("sensor.bias", {"sensor": "imu", "bias": 0}),
        ("clock.skew", {"offset_s": 0}),
        ("computer.runaway", {"cpu_pct": 0, "ram_pct": 0}),
    ],
)
def test_what_would_change_nothing_is_refused(fault: str, nothing: dict[str, float]) -> None:
    """A malfunction that nobody could feel is a mistake, not a fault that has fired."""
    with pytest.raises(ValidationError, match="would change nothing"):
        malfunction(fault, **nothing)
    assert malfunction("computer.runaway", cpu_pct=0).inputs()


@pytest.mark.parametrize("fault", sorted(MALFUNCTIONS))
def test_every_malfunction_starts_and_heals(spec: BotSpec, fault: str) -> None:
    """Each one changes an input of the hardware, and healing puts it back as it was."""
    run = Run([FleetGroup("h", spec, 3)]).until(2)
    hw, start = run.world.squads[0].hw, some(fault)
    names = [name for name in start.malfunction.inputs() if not name.startswith("clock.")]
    well = {name: hw.read(name).copy() for name in hw.inputs()}
    run.world.apply(start)
    run.until(2.5)
    for name in names:
        assert fault == "bot.reboot" or (hw.read(name) != well[name]).all()
    run.world.apply(Heal(fault))
    run.until(4)
    assert {name for name in well if (hw.read(name) != well[name]).any()} == set()


def test_names_and_parameters_are_checked() -> None:
    """An unknown name gets a hint, and a wrong or missing parameter is refused."""
    with pytest.raises(UsageError, match="did you mean"):
        malfunction("power.shrot")
    for fault, wrong in (
        ("power.short", {"power_w": -1}),
        ("power.short", {"watts": 5}),
        ("sensor.stuck", {}),
        ("sensor.stuck", {"sensor": "nose"}),
        ("thruster.stuck_open", {"thruster": 16}),
    ):
        with pytest.raises(ValidationError):
            malfunction(fault, **wrong)


def test_a_scenario_reads_them_by_name() -> None:
    """The union of all models picks the model by the key `fault`."""
    read = TypeAdapter(AnyMalfunction).validate_python({"fault": "power.short", "power_w": 5})
    assert read == malfunction("power.short", power_w=5)


def test_what_a_bot_does_not_have_cannot_break(spec: BotSpec) -> None:
    """A sensor that the spec leaves out refuses its malfunctions when they are applied."""
    run = Run([FleetGroup("h", spec, 1)])
    with pytest.raises(UsageError, match="proximity"):
        run.world.apply(Start("x", malfunction("sensor.stuck", sensor="proximity")))
    run.world.apply(some("power.short"))
    with pytest.raises(UsageError, match="already"):
        run.world.apply(some("power.short"))


def test_targets_narrow_down_whom_it_hits(spec: BotSpec) -> None:
    """Group, ids, fraction and region each keep some bots, and together those in all of them."""
    groups = [FleetGroup("a", spec, 40), FleetGroup("b", spec, 10)]
    run = Run(groups).until(1.5)
    world, everybody = run.world, [bot for group in groups for bot in group.bots]

    def hit(name: str, **target: object) -> set[str]:
        world.apply(Start(name, malfunction("power.short"), Target.model_validate(target)))
        world.run_until((world.now_ns // SECOND_NS + 1) * SECOND_NS + 1)
        return set(world.hit(name))

    assert hit("all") == set(everybody)
    assert hit("group", group="b") == set(groups[1].bots)
    assert hit("named", bots=("a-0003", "b-0001", "z-0001")) == {"a-0003", "b-0001"}
    half = hit("half", fraction=0.5)
    assert 10 < len(half) < 40
    assert hit("other half", fraction=0.5) != half
    x, y, _ = world.squads[0].hw.motion.position_m[0]
    region = Region(x_m=x, y_m=y, radius_m=2000)
    near = hit("near", region=region)
    assert "a-0001" in near
    assert near < set(everybody)
    assert hit("all of it", region=region, group="a", fraction=0.6) <= near & set(groups[0].bots)


def test_shards_break_the_same_bots(spec: BotSpec) -> None:
    """Fraction and region choose the same bots whatever shard they live in."""
    group = FleetGroup("a", spec, 30)
    target = Target(fraction=0.4, region=Region(radius_m=4000))
    hit = []
    for shards in (1, 7):
        bots: list[str] = []
        for part in shard([group], shards):
            run = Run(part).until(1.5)
            run.world.apply(Start("x", malfunction("radio.blackout"), target))
            bots += run.until(3).world.hit("x")
        hit.append(sorted(bots))
    assert hit[0] == hit[1]
    assert 0 < len(hit[0]) < 30


def test_inputs_take_effect_at_the_next_beat(spec: BotSpec) -> None:
    """What arrives between two beats waits for the second one, and leaves the same history."""
    digests = set()
    for at in (2.05, 2.5, 2.95):
        run = Run([FleetGroup("h", spec, 3)]).until(at)
        run.world.apply(some("sensor.failure"))
        digests.add(run.until(5).world.digest())
    assert len(digests) == 1


def test_of_two_malfunctions_of_one_input_the_last_one_holds(spec: BotSpec) -> None:
    """Healing the later one brings the earlier one back, healing both the healthy value."""
    run = Run([FleetGroup("h", spec, 2)]).until(1.5)
    short_w, stuck = "power.short_w", "propulsion.stuck_closed"
    hw, apply = run.world.squads[0].hw, run.world.apply
    apply(Start("a", malfunction("power.short", power_w=5)))
    apply(Start("b", malfunction("power.short", power_w=7), Target(bots=("h-0001",))))
    apply(Start("t", malfunction("thruster.stuck_closed", thruster=0)))
    apply(Start("u", malfunction("thruster.stuck_closed", thruster=3)))
    run.until(2.5)
    assert hw.read(short_w).tolist() == [7, 5]
    assert hw.read(stuck).tolist() == [9, 9]
    apply(Heal("b"))
    apply(Heal("t"))
    run.until(3.5)
    assert hw.read(short_w).tolist() == [5, 5]
    assert hw.read(stuck).tolist() == [8, 8]
    apply(Heal("a"))
    run.until(4.5)
    assert hw.read(short_w).tolist() == [0, 0]


def test_a_failed_sensor_says_so_and_has_no_value(spec: BotSpec) -> None:
    """The event of a broken IMU carries a status and a reason instead of numbers."""
    start = Start("x", malfunction("sensor.failure", sensor="imu"), Target(bots=("h-0002",)))
    run = run_with(spec, start, 5)
    broken, well = (run.payloads(bot, "events.v1.sensor.imu")[-1] for bot in ("h-0002", "h-0001"))
    assert (broken["status"], broken["reason"], broken["gyro_x_rps"]) == ("failed", "failed", None)
    assert (well["status"], type(well["gyro_x_rps"])) == ("ok", float)
    assert [state.bot for state in run.states("sensor_io_failed")] == ["h-0002"]


EXTREMES = (("sensor.bias", "bias"), ("sensor.drift", "per_s"), ("sensor.noise", "sd"))


@pytest.mark.parametrize("sensor", ["imu", "thermometers", "radiation", "lidar", "radar"])
@pytest.mark.parametrize(("fault", "name"), EXTREMES)
def test_the_worst_that_may_be_written_is_still_a_payload(
    spec: BotSpec, fault: str, name: str, sensor: str
) -> None:
    """Beyond its bound a parameter is refused; at it, payloads keep to the contracts."""
    with pytest.raises(ValidationError):
        malfunction(fault, sensor=sensor, **{name: 1e300})
    worst = malfunction(fault, sensor=sensor, **{name: MOST})
    run = run_with(spec, Start("x", worst), 4, count=2)
    run.world.squads[0].hw.step(3000.0)
    run.until(8)
    for event in run.events:
        validate_payload(run.key(event), event.payload)


def test_a_wrong_clock_shifts_what_the_bot_says_not_when(spec: BotSpec) -> None:
    """With a skewed clock payload and ce-time are off; order and intended times are not."""
    start = Start("x", malfunction("clock.skew", offset_s=-90), Target(bots=("h-0002",)))
    run = run_with(spec, start, 6)
    for bot, error_s in (("h-0001", 0), ("h-0002", -90)):
        event = run.select(lambda b, key, bot=bot: (b, key) == (bot, "telemetry"))[-1]
        said = run.payloads(bot, "telemetry")[-1]["timestamp"]
        true = run.payloads("h-0001", "telemetry")[0]["timestamp"]
        first = run.select(lambda b, key: (b, key) == ("h-0001", "telemetry"))[0]
        elapsed = datetime.fromisoformat(said) - datetime.fromisoformat(true)
        assert elapsed.total_seconds() == (event.sim_ns - first.sim_ns) / SECOND_NS + error_s
        assert said.encode() in event.headers
    times = [event.sim_ns for event in run.events]
    assert times == sorted(times)


def test_a_drifting_clock_is_set_right_by_healing(spec: BotSpec) -> None:
    """A clock that gains half a second per second is off by more and more until it is healed."""
    run = Run([FleetGroup("h", spec, 1)]).until(4)
    run.world.apply(Start("x", malfunction("clock.drift", ppm=500_000)))
    run.until(8)
    run.world.apply(Heal("x"))
    run.until(11)
    said = [payload["ts_unix_ms"] for payload in run.payloads("h-0001", "telemetry")]
    steps = [b - a for a, b in pairwise(said)]
    assert steps[-1] == steps[0] == 1000
    assert max(steps) == 1500
    assert said[-1] - said[0] == 1000 * (len(said) - 1)
