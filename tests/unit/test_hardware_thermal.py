"""Heat: the network against its analytic solution and an ODE solver, trips and hysteresis."""

import numpy as np
import pytest
from hardware_rig import booted, builtin, rig, run, told
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from twin.hardware.assembly import Hardware
from twin.spec.params.thermal import NODES, ThermalParams

FULL = {"power.soc_pct": 100.0, "power.supercap_soc_pct": 100.0, "docking.docked": 1.0}
"""Docked and full: nothing changes, so the heat is constant once the dock has ramped up."""


def conductances(cooling: float = 1.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the matrix of the network in W/K, and the heat capacities in J/K, from domain.md."""
    p = builtin().params(ThermalParams)
    matrix = np.zeros((6, 6))
    for i, name in enumerate(NODES):
        matrix[i, i] = getattr(p, name).cooling_wk * cooling + p.exchange_wk
    for link in p.couplings:
        a, b = NODES.index(link.a), NODES.index(link.b)
        matrix[a, a] += link.conductance_wk
        matrix[b, b] += link.conductance_wk
        matrix[a, b] -= link.conductance_wk
        matrix[b, a] -= link.conductance_wk
    return matrix, np.array([getattr(p, name).heat_capacity_jk for name in NODES])


def exact(hw: Hardware, seconds: float, cooling: float = 1.0) -> NDArray[np.float64]:
    """Return where an ODE solver sees the temperatures of bot 0 after `seconds`."""
    matrix, capacity = conductances(cooling)
    heat, start = hw.thermal.heat_w[0].copy(), hw.thermal.temp_c[0].copy()

    def slope(_: float, temp: NDArray[np.float64]) -> NDArray[np.float64]:
        return (heat - matrix @ (temp + 60.0)) / capacity

    solution = solve_ivp(slope, (0, seconds), start, rtol=1e-10, atol=1e-10)
    return np.asarray(solution.y[:, -1])


@pytest.mark.parametrize("ambient_degc", [-60.0, 15.0])
def test_steady_state_is_the_solution_of_the_network(ambient_degc: float) -> None:
    """With constant heat, temperatures settle where the linear system says."""
    hw = booted(start=FULL | {"thermal.ambient_degc": ambient_degc})
    run(hw, 50_000, dt_s=100)
    matrix, _ = conductances()
    above = np.linalg.solve(matrix, hw.thermal.heat_w[0])
    assert hw.thermal.heat_w[0].max() > 5
    np.testing.assert_allclose(hw.thermal.temp_c[0] - ambient_degc, above, atol=1e-6)


@pytest.mark.parametrize("dt_s", [2.0, 10.0, 300.0])
def test_transients_match_an_ode_solver(dt_s: float) -> None:
    """Steps of any length lead to the same temperatures as a solver of high order."""
    hw = booted(start=FULL)
    run(hw, 30)
    hw.set_input("thermal.core_heater_w", np.array(70.0))
    hw.step(1e-6)
    expected = exact(hw, 600)
    run(hw, 600, dt_s)
    np.testing.assert_allclose(hw.thermal.temp_c[0], expected, atol=1e-4)


def test_huge_steps_do_not_overshoot() -> None:
    """A step much longer than every time constant lands on the steady state."""
    hw = booted(start=FULL)
    run(hw, 30)
    hw.step(1e6)
    hw.step(1e6)
    above = np.linalg.solve(conductances()[0], hw.thermal.heat_w[0])
    np.testing.assert_allclose(hw.thermal.temp_c[0] + 60.0, above, atol=1e-6)


def test_lost_cooling_warms_only_its_bot() -> None:
    """A bot whose cooling fails follows the equations without it, the others do not notice."""
    hw, twin = booted(3, start=FULL), booted(3, start=FULL)
    run(hw, 30), run(twin, 30)
    hw.set_input("thermal.cooling_fraction", np.array(0.25), np.array([0]))
    expected = exact(hw, 300, cooling=0.25)
    run(hw, 300, 2.0), run(twin, 300, 2.0)
    np.testing.assert_allclose(hw.thermal.temp_c[0], expected, atol=1e-4)
    assert np.array_equal(hw.thermal.temp_c[1:], twin.thermal.temp_c[1:])
    hw.set_input("thermal.cooling_fraction", np.array(1.0))
    run(hw, 30_000, dt_s=100), run(twin, 30_000, dt_s=100)
    np.testing.assert_allclose(hw.thermal.temp_c[0], twin.thermal.temp_c[0], atol=1e-4)


@pytest.mark.parametrize(("node", "trip", "hysteresis"), [("core", 90, 5), ("battery", 70, 3)])
def test_a_node_trips_and_clears_once(node: str, trip: float, hysteresis: float) -> None:
    """One edge at the trip temperature, one at the trip minus the hysteresis, none between."""
    hw = booted(start=FULL | {f"thermal.{node}_degc": trip - 2.0})
    hw.set_input(f"thermal.{node}_heater_w", np.array(600.0))
    temps = {}
    for _ in range(400):
        hw.step(1.0)
        temp = float(hw.read(f"thermal.{node}_degc")[0])
        for edge in hw.drain_edges():
            if edge.kind.startswith("thermal_") and edge.subject == node:
                temps.setdefault(edge.kind, []).append(temp)
        if temp > trip + 3:
            hw.set_input(f"thermal.{node}_heater_w", np.array(-400.0))
    assert list(temps) == ["thermal_trip", "thermal_clear"]
    assert [len(seen) for seen in temps.values()] == [1, 1]
    assert trip <= temps["thermal_trip"][0] < trip + 1.5
    assert trip - hysteresis - 1.5 < temps["thermal_clear"][0] <= trip - hysteresis


def test_a_node_warns_below_its_trip() -> None:
    """From ten kelvins below the trip a node is warned, and neither cleared nor tripped."""
    hw = booted(start=FULL | {"thermal.core_degc": 81.0, "thermal.pdu_degc": 84.0})
    hw.step(1.0)
    assert hw.thermal.warned[0].tolist() == [True, False, False, False, False, False]
    assert not hw.thermal.tripped.any()


@pytest.mark.parametrize("heater_w", [31.7, 83.9, 140.2])
def test_halving_the_tick_hardly_moves_a_trip(heater_w: float) -> None:
    """The time of a trip changes by less than one tick when the tick is halved."""
    times = []
    for dt_s in (4.0, 2.0, 1.0):
        hw = booted(start=FULL | {"thermal.core_degc": 80.0})
        hw.set_input("thermal.core_heater_w", np.array(250 + heater_w))
        while not told(run(hw, dt_s, dt_s), "thermal_trip"):
            assert hw.time_s < 1000
        times.append(hw.time_s)
    assert abs(times[0] - times[1]) < 4.0
    assert abs(times[1] - times[2]) < 2.0


def test_nobody_reads_the_thermometer_on_a_dead_bus() -> None:
    """A trip that happens in the dark is reported when power is back."""
    hw = rig(start={"power.soc_pct": 0.0, "power.supercap_soc_pct": 0.0})
    hw.set_input("thermal.core_heater_w", np.array(3000.0))
    assert told(run(hw, 100), "thermal_trip") == []
    assert hw.thermal.core_degc[0] > 90
    hw.docking.engage(np.array([0]))
    hw.docking.state[:] = 4
    assert told(run(hw, 10), "boot_start", "thermal_trip")[:2] == [
        ("thermal_trip", "core", "tripped"),
        ("boot_start", "bios", "booting"),
    ]
