"""Motion: the patrol, free flight, attitude, and what does not depend on whom."""

from collections.abc import Sequence

import numpy as np
import pytest
from flight_rig import EVERY_SENSOR, fly, flying, look
from scipy.spatial.transform import Rotation

from twin.hardware.assembly import Hardware
from twin.hardware.motion import COAST, HOLD, PATROL
from twin.hardware.plane import Floats
from twin.hardware.rotation import angles, cos_sin, from_angles, matrix, turned

ALONE = {"contacts.count": 0}


def test_a_patrol_loops_around_its_home() -> None:
    """Every bot keeps near its home, never stops for long, and turns all the way round."""
    hw = flying(12, ALONE)
    home, headings, speeds = hw.motion.patrol.home.T, [], []
    for _ in range(900):
        look(hw)
        headings.append(hw.motion.heading_deg // 90)
        speeds.append(hw.motion.speed_mps.copy())
        assert np.linalg.norm(hw.motion.position_m - home, axis=1).max() < 70
    assert all(len(set(quadrants)) == 4 for quadrants in np.array(headings).T)
    assert np.mean(speeds) == pytest.approx(0.4, rel=0.15)
    assert np.max(speeds) < 0.4 * 1.15 * 1.05


def test_the_nose_points_where_the_bot_goes() -> None:
    """On a straight leg heading, yaw and velocity agree: bearing 0 is north, clockwise."""
    hw = flying(30, ALONE)
    fly(hw, 40)
    motion = hw.motion
    straight = (np.abs(motion.rates_rps[:, 2]) < 1e-3) & (motion.speed_mps > 0.3)
    assert straight.sum() > 15
    east, north, _ = motion.velocity_mps[straight].T
    course = np.degrees(np.arctan2(east, north)) % 360
    off = (course - motion.heading_deg[straight] + 180) % 360 - 180
    assert np.abs(off).max() < 2
    assert np.allclose((90 - np.degrees(motion.yaw_rad)) % 360, motion.heading_deg)
    assert np.all((motion.heading_deg >= 0) & (motion.heading_deg < 360))


def test_speed_and_position_belong_together() -> None:
    """Positions are the integral of velocities, and these of accelerations."""
    hw = flying(5, ALONE, boot=False)
    for _ in range(20):
        position, velocity = hw.motion.position_m.copy(), hw.motion.velocity_mps.copy()
        hw.step(1.0)
        gained = hw.motion.acceleration_mps2
        assert np.allclose(hw.motion.velocity_mps, velocity + gained, atol=1e-12)
        assert np.allclose(hw.motion.position_m, position + velocity + gained / 2, atol=1e-9)
    assert hw.motion.speed_mps.min() > 0.3


def test_a_coasting_bot_keeps_its_velocity() -> None:
    """Nothing slows or turns a bot in free flight."""
    hw = flying(1, ALONE, {"motion.vx_mps": 3.0, "motion.vz_mps": -1.0, "motion.behaviour": COAST})
    velocity = hw.motion.velocity_mps[0].copy()
    fly(hw, 100)
    assert np.array_equal(hw.motion.velocity_mps[0], velocity)
    assert hw.motion.drive_mps[0] == 0


def test_a_held_bot_stops() -> None:
    """On hold the drive brakes at its limit and then keeps still."""
    hw = flying(1, ALONE, {"motion.vx_mps": 2.0, "motion.behaviour": HOLD}, boot=False)
    fly(hw, 4)
    assert hw.motion.speed_mps[0] == pytest.approx(2.0 - 4 * 0.2, abs=0.01)
    fly(hw, 20)
    assert hw.motion.speed_mps[0] == pytest.approx(0, abs=1e-9)


def test_a_failed_drive_and_a_dead_bus_let_the_bot_drift() -> None:
    """Without drive or power the velocity stays as it was."""
    hw = flying(2, ALONE)
    fly(hw, 30)
    hw.set_input("motion.drive_failed", np.array([1.0, 0.0]))
    hw.set_input("power.cell_fraction", np.array([1.0, 0.0]))
    hw.set_input("power.supercap_ok", np.array([1.0, 0.0]))
    fly(hw, 3)
    assert hw.power.bus_dead.tolist() == [False, True]
    velocity = hw.motion.velocity_mps.copy()
    fly(hw, 30)
    assert np.array_equal(hw.motion.velocity_mps, velocity)


def test_torque_spins_a_free_bot() -> None:
    """The rate gained is the angular impulse over the moment of inertia."""
    quiet = ALONE | {"propulsion.mode": "AUTO", "pdu.bus_a_max": 50.0}
    hw = flying(1, quiet, {"motion.behaviour": COAST})
    hw.propulsion.demand(np.array([0]), np.zeros(3), np.array([60.0, 0.0, 30.0]), 2.0)
    fly(hw, 5)
    assert hw.motion.rates_rps[0] == pytest.approx([0.8, 0.0, 0.4], abs=0.03)


def test_the_hold_levels_a_tumbling_bot() -> None:
    """After a kick the attitude hold brings roll, pitch and all rates back to nothing."""
    hw = flying(1, ALONE | {"pdu.bus_a_max": 50.0}, {"motion.behaviour": HOLD})
    hw.propulsion.demand(np.array([0]), np.zeros(3), np.array([80.0, 70.0, 0.0]), 1.0)
    fly(hw, 2)
    assert np.abs(hw.motion.attitude_rad[0, :2]).max() > 0.1
    fly(hw, 90)
    assert np.abs(hw.motion.attitude_rad[0, :2]).max() < 1e-9
    assert np.abs(hw.motion.rates_rps).max() < 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_rotations_agree_with_scipy(seed: int) -> None:
    """Angles, matrices and turns are those of intrinsic yaw, pitch, roll."""
    rng = np.random.default_rng(seed)
    roll, pitch, yaw = rng.uniform(-1.5, 1.5, (3, 50))
    rates = rng.uniform(-2, 2, (3, 50))
    q = from_angles(roll, pitch, yaw)
    oracle = Rotation.from_euler("ZYX", np.stack((yaw, pitch, roll), axis=1))
    assert np.allclose(np.moveaxis(matrix(q), -1, 0), oracle.as_matrix(), atol=1e-12)
    assert np.allclose(np.stack(angles(q)), (roll, pitch, yaw), atol=1e-9)
    later = oracle * Rotation.from_rotvec(rates.T * 0.7)
    assert np.allclose(
        np.moveaxis(matrix(turned(q, rates, 0.7)), -1, 0), later.as_matrix(), atol=1e-12
    )


def test_fast_sines_are_exact() -> None:
    """Cosine and sine agree with the library's to the last few bits, also at the ends."""
    angle = np.concatenate((np.linspace(-np.pi, np.pi, 10001), [0.0, np.pi / 2]))
    cosine, sine = cos_sin(angle)
    assert np.abs(cosine - np.cos(angle)).max() < 1e-15
    assert np.abs(sine - np.sin(angle)).max() < 1e-15


def test_an_engaged_bot_flies_to_its_station() -> None:
    """It docks, is locked and stays put; released it goes on patrol again."""
    hw = flying(3, ALONE)
    hw.docking.engage(np.arange(2))
    fly(hw, 600)
    assert hw.docking.bridge_open.tolist() == [True, True, False]
    assert np.all(hw.motion.speed_mps[:2] < 1e-3)
    assert hw.docking_sensor.distance_m[0] == pytest.approx(hw.docking.range_m[0], abs=0.1)
    hw.docking.release(np.arange(2))
    fly(hw, 60)
    assert np.all(hw.motion.speed_mps > 0.1)
    assert np.all(hw.motion.behaviour == PATROL)


def test_group_mates_live_near_each_other() -> None:
    """Homes of a group lie around one centre; those of other bots are all over the region."""
    groups = ["red"] * 6 + ["blue"] * 6 + [""] * 12
    homes = flying(24, ALONE, groups=groups, boot=False).motion.patrol.home.T
    red, others = homes[:6], homes[12:]
    assert np.linalg.norm(red - red.mean(axis=0), axis=1).max() < 600
    assert np.linalg.norm(others - others.mean(axis=0), axis=1).max() > 2000


def mission(names: Sequence[str]) -> dict[str, dict[str, Floats]]:
    """Fly bots through burns, faults and a blackout; return all arrays of each bot by name."""
    groups = [f"g{int(name[1:]) % 14}" for name in names]
    hw = flying(names=names, overrides={**EVERY_SENSOR, "radar.peers": 1}, groups=groups)
    number = np.array([int(name[1:]) for name in names])
    chosen = np.flatnonzero(number % 3 == 0)
    hw.propulsion.burn(chosen, "port", 30, 3.0)
    hw.propulsion.demand(np.flatnonzero(number == 4), np.zeros(3), np.array([40.0, 30, 20]), 2.0)
    for name, value in {"imu.noise": 0.1, "radar.dropout": 0.4, "lidar.failed": 1.0}.items():
        hw.set_input(name, (number % 2) * value)
    hw.start({"power.soc_pct": 20.0 + number / 40})
    hw.docking.engage(np.flatnonzero(number == 5))
    fly(hw, 70)
    return {name: columns(hw, bot) for bot, name in enumerate(names)}


def seen(hw: Hardware, bot: int) -> list[int]:
    """Return the identities of a bot's tracks."""
    return [i for i in hw.tracker.identity[:, bot].tolist() if i >= 0]


def columns(hw: Hardware, bot: int) -> dict[str, Floats]:
    """Return what every plane shows of one bot."""
    found = {"transponders": np.array([hw.surroundings.identities[i] for i in seen(hw, bot)])}
    for plane in hw.planes:
        for key in dir(plane):
            value = getattr(plane, key) if not key.startswith("_") else None
            if isinstance(value, np.ndarray) and hw.n in value.shape and key != "index":
                axis = value.shape.index(hw.n)
                found[f"{plane.name}.{key}"] = np.take(value, bot, axis=axis)
    return found


@pytest.mark.parametrize("shards", [2, 7])
def test_a_bot_does_the_same_in_any_shard(shards: int) -> None:
    """Every array of every plane is bit-identical for 1, 2 and 7 shards of whole groups.

    But for `identity`: it indexes the transponders of the shard, whose names are compared.
    """
    names = [f"b{i}" for i in range(70)]  # shards of 35 and 10: no other axis is as long
    whole = mission(names)
    for shard in range(shards):
        for name, values in mission(names[shard::shards]).items():
            for key, value in values.items():
                if not key.endswith(".identity"):
                    same = np.array_equal(
                        value, whole[name][key], equal_nan=value.dtype.kind == "f"
                    )
                    assert same, (name, key)
