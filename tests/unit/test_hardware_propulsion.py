"""Propulsion: geometry, allocation, pulses, propellant, stuck thrusters."""

import numpy as np
import pytest
from flight_rig import fly, flying
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from twin.errors import UsageError
from twin.hardware.propulsion import RcsMode
from twin.hardware.thrusters import AXES, Allocator, Thrusters
from twin.spec.params.motion import PropulsionParams

QUIET = {"motion.behaviour": "coast", "contacts.count": 0, "pdu.bus_a_max": 50.0}
GROUP_N = {"up": 622.25, "down": 622.25}
FIRST = np.array([0])


@pytest.fixture(scope="module")
def thrusters() -> Thrusters:
    """The platform's sixteen."""
    return Thrusters(PropulsionParams())


def test_translation_groups_have_the_platforms_forces(thrusters: Thrusters) -> None:
    """Four thrusters each: about 735 N along X and Y, 622 N along Z."""
    assert thrusters.count == 16
    for axis in AXES:
        assert int(thrusters.group(axis).sum()) == 4
        assert thrusters.group_force_n(axis) == pytest.approx(GROUP_N.get(axis, 735.39), abs=0.05)


def test_nozzles_point_outward_so_thrust_pushes_inward(thrusters: Thrusters) -> None:
    """Every canted component of a force is opposite in sign to its position."""
    force, place = thrusters.force_n, thrusters.position_m
    assert np.all(force * place <= 0)
    assert sorted(set(thrusters.thrust_n.round(6).tolist())) == [220.0, 260.0]


def test_every_force_and_torque_can_be_had(thrusters: Thrusters) -> None:
    """The effect matrix has rank 6."""
    assert np.linalg.matrix_rank(thrusters.effect) == 6


@pytest.mark.parametrize("failed", range(16))
def test_solvable_with_any_one_thruster_failed(thrusters: Thrusters, failed: int) -> None:
    """The other fifteen can push and twist both ways about each axis, with thrusts >= 0 only."""
    working = np.delete(thrusters.effect, failed, axis=1)
    for wanted in np.concatenate((np.eye(6), -np.eye(6))):
        assert linprog(np.ones(15), A_eq=working, b_eq=wanted, bounds=(0, None)).success


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 0.9), min_size=16, max_size=16))
def test_allocation_gives_what_can_be_given(openings: list[float]) -> None:
    """Any force and torque that some openings make is met within 1 % of a group's force."""
    thrusters = Thrusters(PropulsionParams())
    wanted = thrusters.effect @ np.array(openings)
    found = Allocator(thrusters).solve(wanted.reshape(6, 1), np.ones((16, 1)))
    given_ = thrusters.effect @ found[:, 0]
    assert np.all((found >= 0) & (found <= 1))
    assert np.abs(given_[:3] - wanted[:3]).max() < 7.4
    assert np.abs(given_[3:] - wanted[3:]).max() < 2.5


def test_allocation_does_not_depend_on_who_else_asks(thrusters: Thrusters) -> None:
    """The openings of a bot are the same to the last bit alone and among others."""
    wanted = np.random.default_rng(5).uniform(-300, 300, (6, 33))
    allocator = Allocator(thrusters)
    together = allocator.solve(wanted, np.ones((16, 33)))
    for bot in (0, 17, 32):
        alone = allocator.solve(wanted[:, bot : bot + 1], np.ones((16, 1)))
        assert np.array_equal(alone[:, 0], together[:, bot])


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("percent", [100, 50, 20])
def test_translations_are_trimmed(axis: str, percent: int) -> None:
    """A translation keeps its torque within 25 N m, with any one thruster stuck closed too."""
    hw = flying(17, {**QUIET, "propulsion.mode": "ADAPTIVE"})
    hw.set_input("propulsion.stuck_closed", np.array([2.0**k for k in range(16)] + [0.0]))
    hw.propulsion.burn(np.arange(17), axis, percent, 10.0)
    along = np.zeros(17)
    for _ in range(5):
        hw.step(1.0)
        along += hw.propulsion.force_n @ np.array(AXES[axis]) / 5
        assert np.abs(hw.propulsion.torque_nm).max() < 25.0
    wanted = GROUP_N.get(axis, 735.39) * percent / 100
    assert along[16] == pytest.approx(wanted, rel=0.04)
    assert np.all(along >= wanted * (0.97 if percent <= 50 else 0.49))


def test_untrimmed_groups_would_twist(thrusters: Thrusters) -> None:
    """The trim is needed: a bare forward group turns about the centre of mass by over 25 N m."""
    twist = thrusters.effect[3:] @ thrusters.group("forward").astype(float)
    assert np.abs(twist).max() > 25


def test_auto_does_not_know_of_a_stuck_thruster_and_adaptive_does() -> None:
    """A forward burn with a stuck thruster twists in AUTO, not in ADAPTIVE."""
    hw = flying(2, QUIET)
    hw.propulsion.mode[1] = RcsMode.ADAPTIVE
    used = int(np.flatnonzero(hw.propulsion.thrusters.group("forward"))[0])
    hw.set_input("propulsion.stuck_closed", np.array(float(1 << used)))
    hw.propulsion.burn(np.arange(2), "forward", 40, 10.0)
    hw.step(1.0)
    twist = np.abs(hw.propulsion.torque_nm).max(axis=1)
    assert twist[0] > 25 > twist[1]


def test_adaptive_balances_a_thruster_stuck_open() -> None:
    """It counts as part of what is wanted; unwatched it spins the bot and drains the tank."""
    hw = flying(2, QUIET)
    hw.propulsion.mode[1] = RcsMode.ADAPTIVE
    hw.set_input("propulsion.stuck_open", np.array(8.0))
    hw.propulsion.demand(np.array([1]), np.zeros(3), np.zeros(3), 10.0)
    force = np.zeros((2, 3))
    for _ in range(8):
        hw.step(1.0)
        force += hw.propulsion.force_n / 8
    assert np.abs(force[0]).max() > 100
    assert np.abs(force[1]).max() < 5
    assert np.all(hw.propulsion.propellant_kg < 12)


def test_a_full_burn_empties_the_tank() -> None:
    """One group wide open uses 12 kg in about 6.8 s, and then there is no thrust."""
    hw = flying(1, {**QUIET, "propulsion.mode": "MANUAL_OVERRIDE"})
    open_ = hw.propulsion.thrusters.group("forward").astype(float)
    hw.propulsion.fire(FIRST, open_, 60.0)
    times = 0
    while hw.propulsion.propellant_kg[0] > 0:
        hw.step(0.1)
        times += 1
    assert times / 10 == pytest.approx(6.8, abs=0.1)
    hw.step(0.1)
    assert not hw.propulsion.force_n.any()
    assert hw.propulsion.propellant_kg[0] == 0.0


def test_thrust_moves_the_bot_by_its_impulse() -> None:
    """The speed gained is the impulse over the mass, within the propellant's part of it."""
    hw = flying(1, {**QUIET, "propulsion.mode": "MANUAL_OVERRIDE"}, {"motion.vx_mps": 0.0})
    before = hw.motion.velocity_mps[0].copy()
    nose = hw.motion.rotation[:, 0, 0].copy()
    hw.propulsion.fire(FIRST, hw.propulsion.thrusters.group("up") * 0.5, 3.0)
    fly(hw, 4)
    gained = hw.motion.velocity_mps[0] - before
    impulse = 0.5 * 622.25 * 3.0
    assert gained[2] == pytest.approx(impulse / 311, rel=0.01)
    assert abs(float(gained @ nose)) < 0.02


def test_the_tick_does_not_change_a_burn() -> None:
    """Speed and propellant agree for ticks of 1 s and 0.25 s, within a few shortest pulses."""
    results = []
    for dt_s in (1.0, 0.25):
        hw = flying(1, QUIET, {"motion.behaviour": 2})
        hw.propulsion.burn(FIRST, "port", 30, 2.0)
        fly(hw, 5, dt_s)
        results.append((hw.motion.velocity_mps[0].copy(), hw.propulsion.propellant_kg[0]))
    assert results[0][0] == pytest.approx(results[1][0], abs=0.08)
    assert results[0][1] == pytest.approx(results[1][1], abs=0.06)


@pytest.mark.parametrize("percent", [0.4, 2, 7])
def test_small_demands_come_in_pulses_that_are_long_enough(percent: float) -> None:
    """No opening is shorter than 30 ms, and the mean over time is what was asked for."""
    hw = flying(1, QUIET)
    hw.propulsion.burn(FIRST, "up", percent, 1000.0)
    history = []
    for _ in range(200):
        hw.step(0.25)
        history.append(hw.propulsion.openings[0].copy())
    open_s = np.array(history) * 0.25
    assert np.all((open_s == 0) | (open_s >= 0.03 - 1e-9))
    mean = np.mean([row @ hw.propulsion.thrusters.force_n[:, 2] for row in history])
    assert mean == pytest.approx(622.25 * percent / 100, rel=0.1)
    assert hw.propulsion.valve_cycles[0] > 0


def test_stop_closes_the_valves() -> None:
    """After a stop there is neither thrust nor power wanted."""
    hw = flying(1, QUIET)
    hw.propulsion.burn(FIRST, "aft", 50, 100.0)
    fly(hw, 2)
    assert hw.propulsion.firing
    assert hw.propulsion.power_w[0] > 0
    hw.propulsion.stop(FIRST)
    fly(hw, 1)
    assert not hw.propulsion.force_n.any()
    assert hw.propulsion.power_w[0] == 0


def test_a_dead_bus_closes_the_valves() -> None:
    """Without power nothing opens but what is stuck."""
    hw = flying(2, QUIET, {"power.soc_pct": 0, "power.supercap_soc_pct": 0, "power.sunlight": 0})
    assert hw.power.bus_dead.all()
    hw.set_input("propulsion.stuck_open", np.array([0.0, 1.0]))
    hw.propulsion.burn(np.arange(2), "forward", 50, 10.0)
    hw.step(1.0)
    assert np.abs(hw.propulsion.force_n).max(axis=1).tolist() == pytest.approx([0.0, 183.8], abs=1)


def test_an_unknown_axis_is_an_error() -> None:
    """The message names the axes."""
    with pytest.raises(UsageError, match=r"sideways.*forward, aft"):
        flying(1, QUIET, boot=False).propulsion.burn(FIRST, "sideways", 10, 1)


COMMANDS = st.one_of(
    st.tuples(st.just("burn"), st.sampled_from(sorted(AXES)), st.floats(0, 100)),
    st.tuples(st.just("fire"), st.integers(0, 65535), st.floats(0, 1)),
    st.tuples(st.just("stuck_open"), st.sampled_from([0, 1, 2, 32768]), st.just(0.0)),
    st.tuples(st.just("stuck_closed"), st.integers(0, 65535), st.just(0.0)),
    st.tuples(st.just("mode"), st.integers(0, 2), st.just(0.0)),
    st.tuples(st.just("stop"), st.just(0), st.just(0.0)),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(COMMANDS, st.sampled_from([0.25, 1.0])), max_size=10))
def test_no_sequence_of_commands_breaks_the_bounds(
    commands: list[tuple[tuple[str, str | int, float], float]],
) -> None:
    """Openings stay in [0, 1]; propellant falls by what the thrusters use and never below 0."""
    hw = flying(1, QUIET, boot=False)
    rcs = hw.propulsion
    for (kind, what, amount), dt_s in commands:
        if kind == "burn":
            rcs.burn(FIRST, str(what), amount, 1.5)
        elif kind == "fire":
            rcs.fire(FIRST, np.array([int(what) >> k & 1 for k in range(16)]) * amount, 1.5)
        elif kind == "stop":
            rcs.stop(FIRST)
        else:
            hw.set_input(f"propulsion.{kind}", np.array(float(what)))
        before = rcs.propellant_kg[0]
        hw.step(dt_s)
        used = float(rcs.openings[0] @ rcs.thrusters.thrust_n) / (60 * 9.80665) * dt_s
        assert np.all((rcs.openings >= 0) & (rcs.openings <= 1))
        assert 0 <= rcs.propellant_kg[0] <= before
        assert before - rcs.propellant_kg[0] == pytest.approx(used, abs=1e-9)
        assert np.isfinite(hw.motion.position_m).all()
