"""Boot, self-test and modes."""

import numpy as np
import pytest
from hardware_rig import booted, rig, run, told

from twin.errors import UsageError
from twin.hardware.assembly import Hardware
from twin.hardware.modes import Mode
from twin.hardware.post import Answer

ALL = np.array([0])


def mode(hw: Hardware) -> str:
    """Return the mode of bot 0."""
    return Mode(hw.modes.mode[0]).name


def boot(hw: Hardware) -> list[tuple[float, str, str]]:
    """Switch on and return time, kind and new state of what is told in two seconds."""
    seen = []
    hw.step(0.0)
    for _ in range(9):
        seen += [(hw.time_s, edge.kind, edge.after) for edge in hw.drain_edges()]
        hw.step(0.25)
    return [fact for fact in seen if fact[1] in {"boot_start", "boot_ok", "boot_failed", "mode"}]


def test_a_bot_boots_once_and_is_idle() -> None:
    """boot_start at once, boot_ok and IDLE after a second, before the first sensor frame."""
    hw = rig()
    assert boot(hw) == [
        (0.0, "boot_start", "booting"),
        (1.0, "boot_ok", "ok"),
        (1.0, "mode", "IDLE"),
    ]
    assert hw.modes.running[0]
    assert hw.radar.status[0] == 0


def test_sensors_have_values_within_two_seconds() -> None:
    """At the platform's tick of one second, frames have something to say from second one."""
    hw = rig()
    hw.step(0.0)
    assert np.isnan(hw.imu.gyro_rps).all()
    hw.step(1.0)
    assert not np.isnan(hw.imu.gyro_rps).any()
    assert "sensor_io_ok" in {edge.kind for edge in hw.drain_edges()}


def test_the_self_test_answers_in_its_time() -> None:
    """Devices are unknown until the self test has asked them, then OK."""
    hw = rig()
    hw.step(0.0)
    hw.step(0.5)
    assert (hw.modes.post_status == Answer.UNKNOWN).all()
    hw.step(0.25)
    assert (hw.modes.post_status == Answer.OK).all()
    assert hw.modes.all_systems_go().all()
    assert {"power", "sensor_imu", "radar_360"} <= {device.id for device in hw.modes.devices}


def test_a_broken_device_makes_the_boot_fail() -> None:
    """A failed IMU leads to ERROR; the bot is IDLE when the IMU is well again."""
    hw = rig()
    hw.set_input("imu.failed", np.array(1.0))
    assert boot(hw)[1:] == [(1.0, "boot_failed", "error"), (1.0, "mode", "ERROR")]
    imu = [device.id for device in hw.modes.devices].index("sensor_imu")
    assert hw.modes.post_status[0, imu] == Answer.ERROR
    assert hw.modes.message(hw, 0, imu) == "failed"
    assert not hw.modes.all_systems_go()[0]
    hw.set_input("imu.failed", np.array(0.0))
    assert told(run(hw, 3), "mode") == [("mode", "fsm", "IDLE")]


def test_a_degraded_device_is_no_error() -> None:
    """Lost battery cells are told by the self test and do not stop the bot."""
    hw = booted()
    hw.set_input("power.cell_fraction", np.array(0.5))
    run(hw, 2)
    assert hw.modes.post_status[0, 0] == Answer.DEGRADED
    assert not hw.modes.all_systems_go()[0]
    assert mode(hw) == "IDLE"


def test_a_bot_that_moves_is_active() -> None:
    """IDLE and ACTIVE follow the speed, with hysteresis."""
    hw = booted()
    seen = []
    for speed in (0.04, 0.06, 0.04, 0.03, 0.02, 0.04):
        hw.motion.speed_mps[:] = speed
        run(hw, 1)
        seen.append(mode(hw))
    assert seen == ["IDLE", "ACTIVE", "ACTIVE", "ACTIVE", "IDLE", "IDLE"]


def test_safe_mode_ends_after_three_good_ticks() -> None:
    """A critical charge makes the bot safe; it waits for three good ticks in a row."""
    hw = booted(start={"docking.docked": 1.0})
    seen = []
    for soc in (9.0, 9.0, 16.0, 16.0, 9.0, 16.0, 16.0, 16.0, 16.0):
        hw.power.soc_pct[:] = soc
        run(hw, 1)
        seen.append(mode(hw))
    assert seen == ["IDLE"] + ["SAFE_MODE"] * 7 + ["IDLE"]


def test_a_safe_mode_that_was_asked_for_stays() -> None:
    """Only asking for another mode ends it."""
    hw = booted()
    hw.modes.request(ALL, "SAFE_MODE")
    run(hw, 20)
    assert mode(hw) == "SAFE_MODE"
    hw.modes.request(ALL, "IDLE")
    run(hw, 5)
    assert mode(hw) == "IDLE"


def test_shutdown_switches_devices_off_until_asked() -> None:
    """A bot that is shut down runs no devices, keeps its link, and wakes when asked."""
    hw = booted()
    hw.modes.request(ALL, "SHUTDOWN")
    run(hw, 3)
    assert mode(hw) == "SHUTDOWN"
    assert not hw.modes.running[0]
    assert hw.power.loads_w["radar"][0] == 0
    assert hw.comms.link_up[0]
    hw.modes.request(ALL, "IDLE")
    run(hw, 1)
    assert mode(hw) == "IDLE"


@pytest.mark.parametrize("word", ["ERROR", "idle", ""])
def test_modes_that_cannot_be_asked_for_are_refused(word: str) -> None:
    """Only the modes of the command can be asked for."""
    with pytest.raises(UsageError):
        rig().modes.request(ALL, word)


def test_reboot_starts_over() -> None:
    """A reboot is boot_start and boot_ok again, for the bots that were hit only."""
    hw = booted(2)
    hw.set_input("modes.reboot", np.array(1.0), np.array([1]))
    edges = run(hw, 3)
    assert {edge.bot for edge in edges} == {1}
    assert told(edges, "boot_start", "boot_ok", "mode") == [
        ("boot_start", "bios", "booting"),
        ("boot_ok", "bios", "ok"),
        ("mode", "fsm", "IDLE"),
    ]
    assert hw.modes.reboot[1] == 0
