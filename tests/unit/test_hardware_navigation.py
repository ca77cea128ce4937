"""Navigation: errors that are integrated, and an uncertainty that knows of them."""

import numpy as np
import pytest
from flight_rig import fly, flying

from twin.hardware.assembly import Hardware

ALONE = {"contacts.count": 0}


def error_m(hw: Hardware) -> np.ndarray:
    """Return how far off each estimate is, (n,)."""
    off: np.ndarray = np.linalg.norm(hw.navigation.position_m - hw.motion.position_m, axis=1)
    return off


def test_uncertainty_grows_without_fixes() -> None:
    """Every second the bot knows less of where it is and where it points."""
    hw = flying(5, ALONE)
    before = hw.navigation.position_sigma_m.copy(), hw.navigation.heading_sigma_rad.copy()
    for _ in range(50):
        fly(hw, 1)
        after = hw.navigation.position_sigma_m.copy(), hw.navigation.heading_sigma_rad.copy()
        assert np.all(after[0] > before[0])
        assert np.all(after[1] > before[1])
        before = after


def test_the_uncertainty_covers_the_error() -> None:
    """Over a long patrol the true errors stay within three sigma, and are not nothing."""
    hw = flying(150, ALONE)
    for _ in range(4):
        fly(hw, 100)
        ratio = error_m(hw) / (hw.navigation.position_sigma_m * np.sqrt(3))
        assert np.mean(ratio < 3) > 0.98
        assert np.median(ratio) > 0.1
        heading = (hw.navigation.heading_deg - hw.motion.heading_deg + 180) % 360 - 180
        assert np.mean(np.abs(np.radians(heading)) < 3 * hw.navigation.heading_sigma_rad) > 0.98


def test_a_fix_brings_certainty_back() -> None:
    """After a fix the error is that of the fix, for the bots that had one."""
    hw = flying(200, ALONE)
    fly(hw, 200)
    hw.set_input("navigation.fix", np.array(1.0), np.arange(200) < 100)
    fly(hw, 1)
    sigma = hw.navigation.position_sigma_m
    assert sigma[:100] == pytest.approx(0.5)
    assert np.all(sigma[100:] > 0.8)
    assert np.sqrt(np.mean(error_m(hw)[:100] ** 2) / 3) == pytest.approx(0.5, rel=0.2)


def test_a_docked_bot_knows_its_place() -> None:
    """The dock is a fix of position."""
    hw = flying(2, ALONE, {"docking.docked": 1.0})
    fly(hw, 30)
    assert hw.docking.locked.all()
    assert hw.navigation.position_sigma_m == pytest.approx(0.5)


def test_a_locked_star_tracker_fixes_the_heading() -> None:
    """While stars are seen the heading stays as certain as after a fix."""
    hw = flying(1, {**ALONE, "sensor_star_tracker.enabled": True, "motion.behaviour": "hold"})
    fly(hw, 120)
    assert hw.star_tracker.locked[0]
    assert hw.navigation.heading_sigma_rad[0] == pytest.approx(0.002, abs=1e-5)


def test_without_a_gyroscope_turns_are_not_seen() -> None:
    """The heading estimate stays behind the turning bot, and the uncertainty says so."""
    hw = flying(60, ALONE)
    hw.set_input("imu.failed", np.array(1.0), np.arange(60) < 30)
    fly(hw, 120)
    off = np.abs((hw.navigation.heading_deg - hw.motion.heading_deg + 180) % 360 - 180)
    assert np.median(off[:30]) > 20
    assert off[30:].max() < 1
    assert hw.navigation.heading_sigma_rad[:30].min() > 1


def test_a_lost_heading_turns_the_speed_and_never_adds_to_it() -> None:
    """However far a biased gyroscope has turned, the bot believes to be as fast as it is."""
    hw = flying(20, ALONE)
    hw.set_input("imu.bias", np.array(0.5), np.arange(20) < 10)
    fly(hw, 200)
    believed = np.linalg.norm(hw.navigation.velocity_mps, axis=1)
    true = np.linalg.norm(hw.motion.velocity_mps, axis=1)
    assert believed == pytest.approx(true, rel=0.05, abs=0.01)
    sigma = hw.navigation.position_sigma_m
    assert np.all(error_m(hw) <= 2 * np.max(hw.motion.speed_mps) * 220)
    assert np.all(np.isfinite(sigma))


def test_jamming_takes_the_speed_away() -> None:
    """A jammed bot believes that it stands still: its estimate stays where it was."""
    hw = flying(10, ALONE)
    hw.set_input("navigation.jammed", np.array(1.0))
    fly(hw, 1)
    before = hw.navigation.position_m.copy()
    fly(hw, 60)
    assert np.linalg.norm(hw.navigation.position_m - before, axis=1).max() < 3
    assert not hw.navigation.velocity_mps.any()
    assert hw.navigation.position_sigma_m.min() > 25


def test_the_estimate_is_degraded_beyond_its_limit() -> None:
    """Above the limit the status is degraded, with reason no_fix, and there still is a value."""
    hw = flying(2, {**ALONE, "navigation.degraded_m": 5.0})
    assert hw.navigation.reasons[0] is None
    hw.set_input("navigation.jammed", np.array([1.0, 0.0]))
    fly(hw, 20)
    assert [hw.navigation.reasons[bot] for bot in (0, 1)] == ["no_fix", None]
    assert hw.navigation.status.tolist() == [1, 0]
    assert np.isfinite(hw.navigation.position_m).all()


@pytest.mark.parametrize("blind", [False, True])
def test_uncertainty_does_not_depend_on_the_step(blind: bool) -> None:
    """A minute in steps of a second or of a quarter leaves the same uncertainty."""
    sigmas = []
    for dt_s in (1.0, 0.25):
        hw = flying(20, ALONE)
        hw.set_input("imu.failed" if blind else "imu.noise", np.array(float(blind)))
        for _ in range(round(60 / dt_s)):
            hw.step(dt_s)
        navigation = hw.navigation
        sigmas.append((navigation.position_sigma_m.mean(), navigation.heading_sigma_rad.mean()))
    assert sigmas[0] == pytest.approx(sigmas[1], rel=0.1)
