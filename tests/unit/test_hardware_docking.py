"""Docking: capture, lock, bridge, release."""

import numpy as np
import pytest
from hardware_rig import booted, run, told

from twin.errors import UsageError
from twin.hardware.assembly import Hardware
from twin.hardware.docking import Dock

ONE = np.array([0])


def near(hw: Hardware, range_m: float, closing_mps: float = 0.0) -> None:
    """Put port A of bot 0 at a range from its station, closing in."""
    east, port = np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.2])
    hw.motion.position_m[0] = hw.docking.station_m[:, 0] - range_m * east - port
    hw.motion.velocity_mps[0] = closing_mps * east


def state(hw: Hardware) -> str:
    """Return the stage of bot 0."""
    return Dock(hw.docking.state[0]).name


def test_three_good_readings_capture() -> None:
    """Within 20 m and 0.5 m/s, the third reading in a row captures."""
    hw = booted()
    near(hw, 19.0, 0.4)
    hw.docking.engage(ONE)
    seen = [(run(hw, 1), state(hw))[1] for _ in range(3)]
    assert seen == ["APPROACH", "APPROACH", "SOFT_CAPTURE"]


@pytest.mark.parametrize(("range_m", "closing_mps"), [(20.5, 0.1), (15.0, 0.6), (15.0, -0.6)])
def test_too_far_or_too_fast_does_not_capture(range_m: float, closing_mps: float) -> None:
    """Outside the capture conditions a bot stays on its approach."""
    hw = booted()
    near(hw, range_m, closing_mps)
    hw.docking.engage(ONE)
    run(hw, 10)
    assert state(hw) == "APPROACH"


def test_readings_have_to_be_in_a_row() -> None:
    """One bad reading starts the count again."""
    hw = booted()
    hw.docking.engage(ONE)
    for range_m in (19.0, 19.0, 21.0, 19.0, 19.0):
        near(hw, range_m)
        run(hw, 1)
    assert state(hw) == "APPROACH"
    run(hw, 1)
    assert state(hw) == "SOFT_CAPTURE"


def test_docking_goes_through_all_stages_and_bridges_power_and_data() -> None:
    """Each stage is told once; with the bridge open, station power and the link are there."""
    hw = booted()
    near(hw, 5.0)
    hw.docking.engage(ONE, "B")
    edges = run(hw, 12)
    assert told(edges, "dock") == [
        ("dock", "B", stage) for stage in ("approach", "soft_capture", "hard_lock", "bridge_open")
    ]
    assert hw.power.dock_power_w[0] == 250.0
    hw.set_input("comms.blackout", np.array(1.0))
    run(hw, 1)
    assert hw.comms.link_up[0]
    hw.docking.release(ONE)
    assert told(run(hw, 4), "dock") == [("dock", "B", "detaching"), ("dock", "B", "free")]
    assert hw.power.dock_power_w[0] == 0.0
    assert not hw.comms.link_up[0]


def test_releasing_an_approach_frees_the_bot() -> None:
    """An approach can be called off, at once."""
    hw = booted()
    hw.docking.engage(ONE)
    run(hw, 1)
    assert hw.docking.guided[0]
    hw.docking.release(ONE)
    run(hw, 1)
    assert state(hw) == "FREE"
    assert not hw.docking.guided[0]


def test_engaging_a_docked_bot_changes_nothing() -> None:
    """Only a free bot can be engaged."""
    hw = booted(start={"docking.docked": 1.0})
    hw.docking.engage(ONE, "B")
    run(hw, 2)
    assert state(hw) == "BRIDGE_OPEN"


def test_a_latch_that_fails_lets_go() -> None:
    """Without its latch a docked bot comes off, and cannot be held."""
    hw = booted(start={"docking.docked": 1.0})
    hw.set_input("docking.latch_ok", np.array(0.0))
    run(hw, 4)
    assert state(hw) == "FREE"
    assert hw.power.dock_power_w[0] == 0


def test_each_port_has_its_own_range() -> None:
    """Ports sit 1.2 m above and below the middle of the bot, in its own axes."""
    hw = booted(2)
    hw.motion.position_m[:] = hw.docking.station_m.T + np.array([0.0, 0.0, 5.0])
    hw.docking.engage(ONE, "A")
    hw.docking.engage(np.array([1]), "B")
    run(hw, 1)
    assert hw.docking.range_m.tolist() == pytest.approx([6.2, 3.8])


def test_unknown_ports_are_refused() -> None:
    """There are the ports A and B."""
    with pytest.raises(UsageError, match="'C'"):
        booted().docking.engage(ONE, "C")


def test_an_engaged_bot_flies_to_its_station() -> None:
    """On approach the bot leaves its patrol and closes in until it is captured."""
    hw = booted(overrides={"docking.station_m": 30.0, "motion.behaviour": "patrol"})
    hw.docking.engage(ONE)
    for _ in range(400):
        hw.step(1.0)
        if state(hw) == "BRIDGE_OPEN":
            break
    assert state(hw) == "BRIDGE_OPEN"
    place = hw.motion.position_m[0].copy()
    for _ in range(60):
        hw.step(1.0)
    assert np.linalg.norm(hw.motion.position_m[0] - place) < 5.0
