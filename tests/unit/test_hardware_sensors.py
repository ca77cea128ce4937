"""Sensors: one mechanism of malfunctions for all, and what each of them measures."""

import numpy as np
import pytest
from flight_rig import EVERY_SENSOR, fly, flying, record
from scipy import stats

from twin.errors import UsageError
from twin.hardware.assembly import Hardware
from twin.hardware.contacts import Kind
from twin.hardware.health import Reason, Status
from twin.hardware.instrument import FAULT_INPUTS, Instrument
from twin.hardware.lottery import Lottery
from twin.hardware.plane import Floats
from twin.hardware.rangers import LINES_NM
from twin.hardware.shard import Shard

VALUES = {
    "imu": "gyro_rps",
    "thermometers": "temp_c",
    "radiation": "radiation_usvh",
    "solar": "irradiance_wm2",
    "star_tracker": "attitude_rad",
    "magnetometer": "field_ut",
    "proximity": "distance_m",
    "lidar": "distance_m",
    "spectrometer": "line_nm",
    "docking_sensor": "distance_m",
}
FAR = {"proximity.range_m": 1e6, "lidar.range_m": 1e6, "spectrometer.range_m": 1e6}
ALL_SEE = {**EVERY_SENSOR, **FAR, "docking_sensor.range_m": 1e6, "lidar.field_of_view_deg": 360.0}
BOTS = 60
FAULTY = np.arange(BOTS) < BOTS // 2


def fleet() -> Hardware:
    """Still bots whose sensors all see something."""
    return flying(BOTS, {**ALL_SEE, "motion.behaviour": "hold", "contacts.speed_max_mps": 0.0})


def shown(hw: Hardware, name: str) -> Floats:
    """Return what a sensor shows on its first axis, (n,)."""
    value: Floats = getattr(getattr(hw, name), VALUES[name])
    return value if value.ndim == 1 else value[:, 0]


@pytest.fixture(scope="module")
def well() -> Hardware:
    """A fleet to read from that nobody harms."""
    return fleet()


@pytest.mark.parametrize("name", VALUES)
def test_a_well_sensor_has_values_and_says_ok(well: Hardware, name: str) -> None:
    """Finite numbers, status ok, no reason."""
    sensor: Instrument = getattr(well, name)
    fly(well, 4)
    assert np.isfinite(shown(well, name)).all()
    assert not sensor.status.any()
    assert set(sensor.reasons) == {None}


@pytest.mark.parametrize("name", VALUES)
def test_a_failed_sensor_has_no_value_and_says_so_once(name: str) -> None:
    """nan, FAILED, reason failed and one edge; healed, the value and one edge back."""
    hw = fleet()
    fly(hw, 4)
    sensor: Instrument = getattr(hw, name)
    hw.set_input(f"{name}.failed", np.array(1.0), FAULTY)
    edges = [edge for edge in fly(hw, 3) if edge.source == name]
    assert [(e.bot, e.kind, e.after) for e in edges] == [
        (bot, "sensor_io_failed", "failed") for bot in range(BOTS // 2)
    ]
    assert np.array_equal(np.isnan(shown(hw, name)), FAULTY)
    assert np.array_equal(sensor.status, np.where(FAULTY, Status.FAILED, Status.OK))
    assert np.array_equal(sensor.reason, np.where(FAULTY, Reason.FAILED, Reason.NONE))
    hw.set_input(f"{name}.failed", np.array(0.0))
    edges = [edge for edge in fly(hw, 2) if edge.source == name]
    assert {(e.kind, e.before, e.after) for e in edges} == {("sensor_io_ok", "failed", "ok")}
    assert len(edges) == BOTS // 2
    assert np.isfinite(shown(hw, name)).all()


@pytest.mark.parametrize("name", VALUES)
def test_a_stuck_sensor_repeats_itself(name: str) -> None:
    """The same number every tick, DEGRADED with reason stuck, while the others go on."""
    hw = fleet()
    fly(hw, 4)
    hw.set_input(f"{name}.stuck", np.array(1.0), FAULTY)
    fly(hw, 1)
    held = shown(hw, name).copy()
    fly(hw, 5)
    assert np.array_equal(shown(hw, name)[FAULTY], held[FAULTY])
    sensor: Instrument = getattr(hw, name)
    assert {sensor.reasons[bot] for bot in np.flatnonzero(FAULTY)} == {"stuck"}
    assert np.array_equal(sensor.status == Status.DEGRADED, FAULTY)


@pytest.mark.parametrize("name", VALUES)
def test_bias_drift_and_noise_add_to_the_reading(name: str) -> None:
    """Against the same fleet without malfunctions: a shift, a ramp, and scatter of that size."""
    plain, hurt = fleet(), fleet()
    for kind, amount in (("bias", 100.0), ("drift_per_s", 10.0), ("noise", 50.0)):
        other = {"bias": (0, 20), "drift_per_s": (20, 40), "noise": (40, 60)}[kind]
        hurt.set_input(f"{name}.{kind}", np.array(amount), slice(*other))
    fly(plain, 5)
    fly(hurt, 5)
    off = shown(hurt, name) - shown(plain, name)
    assert off[:20] == pytest.approx(100.0, abs=1e-6)
    assert off[20:40] == pytest.approx(50.0, abs=1e-6)
    assert 10 < np.std(off[40:]) < 90  # radiation, never negative, loses half of it
    assert [getattr(hurt, name).reasons[bot] for bot in (0, 20, 40)] == ["bias", "drift", "noise"]


@pytest.mark.parametrize("name", VALUES)
def test_a_dropout_loses_its_share_of_samples(name: str) -> None:
    """About the given share of the samples is nan, with reason dropout, and independent."""
    hw = fleet()
    hw.set_input(f"{name}.dropout", np.array(0.3))
    sensor: Instrument = getattr(hw, name)
    lost = []
    for _ in range(40):
        hw.step(1.0)
        lost.append(sensor.reason == Reason.DROPOUT)
        assert np.array_equal(sensor.status == Status.FAILED, np.isnan(shown(hw, name)))
    assert np.mean(lost[4:]) == pytest.approx(0.3, abs=0.05)
    assert 0.02 < np.std(np.mean(lost[4:], axis=0)) < 0.2


@pytest.mark.parametrize("name", VALUES)
def test_a_sensor_without_power_is_disabled_not_failed(name: str) -> None:
    """On a dead bus there is no value; the reason is the power, and no sensor is reported."""
    hw = fleet()
    fly(hw, 3)
    hw.set_input("power.cell_fraction", np.array(0.0), FAULTY)
    hw.set_input("power.supercap_ok", np.array(0.0), FAULTY)
    edges = fly(hw, 4)
    sensor: Instrument = getattr(hw, name)
    assert np.array_equal(hw.power.bus_dead, FAULTY)
    assert {sensor.reasons[bot] for bot in np.flatnonzero(FAULTY)} == {"unpowered"}
    assert np.isnan(shown(hw, name)[FAULTY]).all()
    assert not [edge for edge in edges if edge.source == name]


def test_a_failed_sensor_does_not_come_back_by_losing_power() -> None:
    """A dead bus hides a failure without healing it: no edge until it is really repaired."""
    hw = flying(1)
    hw.set_input("lidar.failed", np.array(1.0))
    fly(hw, 2)
    hw.set_input("power.cell_fraction", np.array(0.0))
    hw.set_input("power.supercap_ok", np.array(0.0))
    assert not [edge for edge in fly(hw, 3) if edge.source == "lidar"]
    assert hw.lidar.reasons[0] == "unpowered"
    hw.set_input("power.cell_fraction", np.array(1.0))
    hw.set_input("power.supercap_ok", np.array(1.0))
    assert not [edge for edge in fly(hw, 5) if edge.source == "lidar"]
    assert hw.lidar.reasons[0] == "failed"


@pytest.mark.parametrize("name", sorted({*VALUES, "radar"} - {"imu"}))
def test_a_sensor_can_be_switched_off(name: str) -> None:
    """Disabled, switched_off, without a value; on again, it works."""
    hw = fleet()
    sensor: Instrument = getattr(hw, name)
    hw.set_input(f"{name}.enabled", np.array(0.0), FAULTY)
    fly(hw, 1)
    assert {sensor.reasons[bot] for bot in np.flatnonzero(FAULTY)} == {"switched_off"}
    assert np.array_equal(sensor.status == Status.DISABLED, FAULTY)
    hw.set_input(f"{name}.enabled", np.array(1.0))
    fly(hw, 4)
    assert not sensor.status.any()


def test_a_sensor_that_is_not_fitted_takes_no_malfunctions() -> None:
    """The default bot has no proximity sensor: it is off for good, and setting it is an error."""
    hw = flying(1)
    assert hw.proximity.reasons[0] == "switched_off"
    assert np.isnan(hw.proximity.distance_m[0])
    with pytest.raises(UsageError, match=r"proximity.failed"):
        hw.set_input("proximity.failed", np.array(1.0))


def test_all_malfunctions_are_the_same_for_all_sensors() -> None:
    """Every fitted sensor takes the five kinds, failing, and switching."""
    hw = flying(1, EVERY_SENSOR, boot=False)
    for name in VALUES:
        assert set(FAULT_INPUTS) <= set(getattr(hw, name).inputs)


def test_sensors_report_once_when_a_bot_comes_to_life() -> None:
    """One sensor_io_ok of the suite for each bot, after its boot."""
    hw = flying(3, boot=False)
    edges = [edge for edge in fly(hw, 5) if edge.kind == "sensor_io_ok"]
    assert [(edge.bot, edge.subject) for edge in edges] == [
        (0, "suite"),
        (1, "suite"),
        (2, "suite"),
    ]


def test_thermometers_read_the_thermal_plane() -> None:
    """Each node and the surroundings, in steps of a tenth of a kelvin."""
    hw = flying(4)
    fly(hw, 30)
    read = hw.thermometers.temp_c
    assert np.abs(read - hw.thermal.temp_c).max() <= 0.05 + 1e-9
    assert np.allclose(read * 10, np.rint(read * 10))
    assert hw.thermometers.external_c == pytest.approx(hw.thermal.ambient_degc)
    assert np.array_equal(hw.thermometers.core_c, read[:, 0])


def test_radiation_is_counted() -> None:
    """Dose rates scatter around the background like counts of a Poisson process."""
    hw = flying(300)
    hw.set_input("radiation.background_usvh", np.array(0.5))
    (rates,) = record(hw, (hw.suite, hw.radiation), (hw.radiation.radiation_usvh,), 50)
    assert rates.mean() == pytest.approx(0.5, rel=0.01)
    assert rates.std() == pytest.approx(np.sqrt(0.5 / 200), rel=0.03)


def test_dose_is_the_integral_of_what_was_read() -> None:
    """A dosimeter adds up its own readings, and nothing while it has none."""
    hw = flying(1, None, {"radiation.background_usvh": 3600.0})
    start, total = hw.radiation.dose_usv[0], 0.0
    for tick in range(20):
        hw.set_input("radiation.failed", np.array(float(tick >= 10)))
        hw.step(1.0)
        total += np.nan_to_num(hw.radiation.radiation_usvh[0]) / 3600
    assert hw.radiation.dose_usv[0] - start == pytest.approx(total, abs=1e-9)
    assert total == pytest.approx(10, rel=0.05)


def test_radiation_levels_have_hysteresis() -> None:
    """Warn from 1, critical from 2 uSv/h, and each is left 0.2 below: one edge per change."""
    hw = flying(1, {"radiation.counts_hz_per_usvh": 1e9})
    told = []
    for rate in (0.9, 1.05, 0.9, 0.75, 2.5, 1.9, 1.7, 0.1):
        hw.set_input("radiation.background_usvh", np.array(rate))
        told.append([edge.after for edge in fly(hw, 2) if edge.kind == "radiation"])
    assert told == [[], ["warn"], [], ["normal"], ["critical"], [], ["warn"], ["normal"]]


def test_lidar_sees_ahead_only() -> None:
    """It shows the nearest object within 100 m and its field of view, else no number."""
    hw = flying(
        150, {"contacts.count": 4, "contacts.passing_m": 80.0, "lidar.field_of_view_deg": 90.0}
    )
    for _ in range(30):
        fly(hw, 1)
        around, nose = hw.surroundings, hw.motion.rotation[:, 0]
        ahead = (around.relative_m * nose[:, None]).sum(axis=0) / around.distance_m
        seen = np.where(
            (ahead > np.sqrt(0.5)) & (around.distance_m < 100), around.distance_m, np.inf
        )
        nearest = seen.min(axis=0)
        found = np.isfinite(nearest)
        assert np.array_equal(np.isfinite(hw.lidar.distance_m), found)
        assert np.abs(hw.lidar.distance_m[found] - nearest[found]).max(initial=0) < 0.2
        assert {hw.lidar.reasons[bot] for bot in np.flatnonzero(~found)} == {"no_target"}
        assert not hw.lidar.status.any()


def test_the_spectrometer_knows_what_it_looks_at() -> None:
    """The line belongs to the kind of the nearest object."""
    hw = flying(100, FAR)
    fly(hw, 2)
    nearest = np.argmin(hw.surroundings.distance_m, axis=0)
    kinds = hw.surroundings.kind[nearest, np.arange(100)]
    assert np.abs(hw.spectrometer.line_nm - LINES_NM[kinds]).max() < 2.5
    assert len(set(kinds.tolist()) & {Kind.DRONE, Kind.SHIP, Kind.DEBRIS}) == 3


def test_the_star_tracker_locks_while_the_bot_turns_slowly() -> None:
    """Lock comes after three quiet seconds, goes with the first fast turn, and has small errors."""
    hw = flying(40, EVERY_SENSOR)
    quiet = np.full(40, 4.0)
    for _ in range(150):
        fly(hw, 1)
        rate = np.linalg.norm(hw.motion.rates_rps, axis=1)
        quiet = np.where(rate <= 0.05, quiet + 1, 0)
        tracker = hw.star_tracker
        assert not tracker.locked[quiet < 3].any()
        assert tracker.locked[quiet > 5].all()
        assert np.array_equal(np.isfinite(tracker.attitude_rad[:, 0]), tracker.locked)
        assert np.nanmax(np.abs(tracker.error_rad), initial=0) < 5e-4
        assert {tracker.reasons[bot] for bot in np.flatnonzero(~tracker.locked)} <= {"not_locked"}


def test_the_magnetometer_turns_with_the_bot() -> None:
    """The field keeps its strength and its vertical part, and turns in body axes."""
    hw = flying(30, EVERY_SENSOR)
    fly(hw, 5)
    field = hw.magnetometer.field_ut
    assert np.linalg.norm(field, axis=1) == pytest.approx(np.hypot(20, 43), abs=0.5)
    assert field[:, 2] == pytest.approx(-43, abs=0.5)
    north = np.degrees(np.arctan2(field[:, 1], field[:, 0])) % 360
    assert (north - hw.motion.heading_deg + 180) % 360 == pytest.approx(180, abs=2)


def test_the_solar_sensor_sees_no_sun_in_an_eclipse() -> None:
    """In the dark there is hardly any light and no direction; in sunlight both are right."""
    hw = flying(4, EVERY_SENSOR)
    hw.set_input("power.sunlight", np.array([1.0, 1.0, 0.0, 0.0]))
    fly(hw, 1)
    solar = hw.solar
    assert solar.irradiance_wm2[:2] == pytest.approx(1361, abs=25)
    assert np.abs(solar.irradiance_wm2[2:]).max() < 25
    assert np.isnan(solar.azimuth_deg).tolist() == [False, False, True, True]
    bearing = hw.motion.heading_deg[:2] - solar.azimuth_deg[:2]
    assert bearing % 360 == pytest.approx(135, abs=1)
    assert solar.elev_deg[:2] == pytest.approx(30, abs=0.6)


def test_lottery_values_are_uniform_and_normal() -> None:
    """Values on demand have the right distributions and do not depend on each other."""
    lottery = Lottery(Shard(tuple(f"b{i}" for i in range(2000)), 3), "x")
    uniforms, normals = [], []
    for _ in range(25):
        lottery.next_tick()
        uniforms.append(lottery.uniforms(5))
        normals.append(lottery.normals(0))
    assert stats.kstest(np.ravel(uniforms), "uniform").pvalue > 1e-4
    assert stats.kstest(np.ravel(normals), "norm").pvalue > 1e-4
    for table in (np.array(uniforms), np.array(normals)):
        assert abs(np.corrcoef(table[:-1].ravel(), table[1:].ravel())[0, 1]) < 0.02
        assert abs(np.corrcoef(table[:, :-1].ravel(), table[:, 1:].ravel())[0, 1]) < 0.02


def test_lottery_values_do_not_depend_on_who_asks() -> None:
    """A bot's value is the same alone, among others, and asked for twice."""
    many = Lottery(Shard(tuple(f"b{i}" for i in range(9)), 3), "x")
    alone = Lottery(Shard(("b4",), 3), "x")
    for _ in range(3):
        many.next_tick()
        alone.next_tick()
        assert alone.normals(7)[0] == many.normals(7)[4] == many.normals(7, np.array([4]))[0]
