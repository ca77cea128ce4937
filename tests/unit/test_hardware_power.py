"""Electrical power: equations of the bus, balance of energy, docking, the end of the battery."""

import numpy as np
import pytest
from hardware_rig import booted, rig, run, told
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.hardware.assembly import Hardware
from twin.hardware.docking import Dock
from twin.hardware.loads import Fault

FULL = {"power.soc_pct": 100.0, "power.supercap_soc_pct": 100.0}
DRY = {"power.soc_pct": 0.0, "power.supercap_soc_pct": 0.0}
BATTERY_J, SUPERCAP_J = 500.0 * 3600, 5.0 * 3600


def stored_j(hw: Hardware) -> np.ndarray:
    """Return the energy in both stores of each bot."""
    power = hw.power
    return (power.soc_pct * BATTERY_J + power.supercap_soc_pct * SUPERCAP_J) / 100


def faults(hw: Hardware, bot: int = 0) -> Fault:
    """Return the faults of one bot."""
    return Fault(int(hw.power.faults[bot]))


def moor(hw: Hardware) -> None:
    """Put bot 0 on an open bridge."""
    hw.docking.state[0] = Dock.BRIDGE_OPEN


@pytest.mark.parametrize(("soc", "volts"), [(0.0, 22.0), (50.0, 25.0), (100.0, 28.0)])
def test_voltage_and_limit_follow_the_charge(soc: float, volts: float) -> None:
    """V = 22 + 6 SoC V, and the PDU's limit is 5 A times that."""
    hw = rig(start={"power.soc_pct": soc})
    hw.step(1e-3)
    assert hw.power.bus_v[0] == pytest.approx(volts, abs=1e-3)
    assert hw.power.pdu_limit_w[0] == pytest.approx(5 * volts, abs=1e-2)


def test_loads_are_those_of_a_bot_at_work() -> None:
    """Base 60 W, radar 18 W, transponder 6 W, MCQPU 35 W x load; current is power by voltage."""
    hw = booted()
    power = hw.power
    loads = {name: float(watts[0]) for name, watts in power.loads_w.items()}
    cpu_w = 0.35 * float(hw.compute.cpu_pct[0])
    assert loads == {
        "base": 60.0,
        "motion": 0.0,
        "mcqpu": pytest.approx(cpu_w),
        "radar": 18.0,
        "transponder": 6.0,
        "rcs": 0.0,
        "nbl": 0.0,
    }
    assert power.power_out_w[0] == pytest.approx(sum(loads.values()))
    assert power.bus_a[0] == pytest.approx(power.power_out_w[0] / power.bus_v[0])


def test_motion_is_paid_for() -> None:
    """A bot on patrol draws 40 W for each metre per second that its drive keeps up."""
    hw = rig(overrides={"motion.behaviour": "patrol"})
    for _ in range(10):
        hw.step(1.0)
    assert hw.power.loads_w["motion"][0] == pytest.approx(40 * hw.motion.drive_mps[0])
    assert hw.power.loads_w["motion"][0] > 5


def test_supercap_covers_a_deficit_before_the_battery() -> None:
    """While the supercap lasts, the battery is left alone."""
    hw = booted()
    run(hw, 20)
    assert hw.power.supercap_discharge_w[0] > 0
    assert hw.power.battery_discharge_w[0] == 0
    run(hw, 400)
    assert hw.power.supercap_soc_pct[0] == pytest.approx(0.0, abs=1e-9)
    assert hw.power.battery_discharge_w[0] > 0


def test_charging_the_supercap_counts_for_the_bus() -> None:
    """Loads and the supercap's charge together stay within the PDU's limit."""
    hw = booted(start={"power.supercap_soc_pct": 0.0, "docking.docked": 1.0})
    run(hw, 5)
    power = hw.power
    assert 0 < power.supercap_charge_w[0] < 120
    flow = power.power_out_w[0] + power.supercap_charge_w[0]
    assert flow == pytest.approx(power.pdu_limit_w[0])
    assert power.bus_a[0] == pytest.approx(5.0)
    assert faults(hw) & Fault.PDU_OVERCURRENT == 0


def test_energy_balance_closes_over_a_day() -> None:
    """What went in less what went out is what is stored, to a billionth of what has flowed."""
    hw = booted(6, overrides={"power.base_in_w": 120.0})
    power, begin = hw.power, stored_j(hw)
    flow, through = np.zeros((2, 6))
    dice = np.random.default_rng(1)
    for minute in range(24 * 60):
        if minute % 30 == 0:
            shake(hw, dice)
        hw.time_ns += 60 * 10**9
        for plane in (hw.modes, hw.docking, hw.compute, hw.power, hw.thermal, hw.comms):
            plane.step(hw, 60.0)
        flow += (power.power_in_w - power.power_out_w - power.battery_spill_w) * 60
        through += (power.power_in_w + power.power_out_w) * 60
    error = np.abs(stored_j(hw) - begin - flow) / through
    assert through.min() > 1e6
    assert error.max() < 1e-9


def shake(hw: Hardware, dice: np.random.Generator) -> None:
    """Change sun, dock, NBL and a short of every bot at random."""
    hw.power.sunlight[:] = dice.integers(0, 2, hw.n)
    hw.power.nbl_on[:] = dice.integers(0, 2, hw.n)
    hw.power.nbl_set_w[:] = dice.uniform(0, 120, hw.n)
    hw.power.short_w[:] = dice.choice([0.0, 0.0, 50.0, 200.0], hw.n)
    hw.docking.state[:] = dice.choice([Dock.FREE, Dock.FREE, Dock.BRIDGE_OPEN], hw.n)
    hw.docking.guided[:] = True


def test_dock_power_ramps_up() -> None:
    """Over a new bridge power grows for two seconds, up to 250 W at 28 V."""
    hw = booted()
    moor(hw)
    seen = [(run(hw, 0.5, 0.5), float(hw.power.dock_power_w[0]))[1] for _ in range(6)]
    assert seen == pytest.approx([62.5, 125.0, 187.5, 250.0, 250.0, 250.0])
    assert hw.power.dock_a[0] == pytest.approx(250 / 28)
    assert hw.power.dock_v[0] == 28.0
    hw.power.dock_on[:] = 0
    run(hw, 1)
    assert hw.power.dock_power_w[0] == 0


def test_dock_current_is_limited() -> None:
    """A station with a lower voltage gives at most 10 A."""
    hw = booted(start={"docking.docked": 1.0}, overrides={"dock_power_bridge.dock_v": 12.0})
    run(hw, 5)
    assert hw.power.dock_power_w[0] == pytest.approx(120.0)


def test_surplus_that_fits_nowhere_is_spilt() -> None:
    """With both stores full, what the loads leave is spilt and counted."""
    hw = booted(start=FULL | {"docking.docked": 1.0})
    run(hw, 5)
    power = hw.power
    assert power.soc_pct[0] == 100.0
    assert power.battery_spill_w[0] == pytest.approx(power.power_in_w[0] - power.power_out_w[0])


@pytest.mark.parametrize(
    ("start", "inputs", "fault"),
    [
        ({"docking.docked": 1.0, "power.supercap_soc_pct": 100.0}, {}, "BATTERY_CHARGE_LIMIT"),
        (
            {"power.soc_pct": 50.0, "power.supercap_soc_pct": 0.0},
            {"power.discharge_fraction": 0.4},
            "BATTERY_DISCHARGE_LIMIT",
        ),
        ({"power.soc_pct": 0.001, "power.supercap_soc_pct": 0.0}, {}, "BATTERY_EMPTY"),
        (DRY, {}, "BUS_V_ZERO"),
    ],
)
def test_faults_name_their_limit(
    start: dict[str, float], inputs: dict[str, float], fault: str
) -> None:
    """Each limit of the battery and a dead bus has its own fault."""
    hw = booted(overrides={"motion.behaviour": "hold"})
    assert faults(hw) == 0
    hw.start(start)
    for name, value in inputs.items():
        hw.set_input(name, np.array(value))
    run(hw, 30)
    assert Fault[fault] in faults(hw)


def test_no_load_runs_without_energy() -> None:
    """With empty stores and 30 W of sun the bus dies, and everything on it is off."""
    hw = rig(start=DRY)
    run(hw, 10)
    power = hw.power
    assert power.bus_dead[0]
    assert power.bus_v[0] == power.bus_a[0] == power.power_out_w[0] == 0
    assert all(watts[0] == 0 for watts in power.loads_w.values())
    assert not power.radar_on[0]
    assert not power.transponder_on[0]
    assert power.battery_charge_w[0] == pytest.approx(30.0)


def test_a_bot_that_ran_dry_goes_dark_and_boots_at_the_dock() -> None:
    """The last joules end the bus once; with power it starts to boot once."""
    hw = booted(start={"power.soc_pct": 0.02, "power.supercap_soc_pct": 0.0})
    hw.power.sunlight[:] = 0
    run(hw, 60)
    assert hw.power.bus_dead[0]
    assert told(run(hw, 60)) == []
    moor(hw)
    edges = run(hw, 10)
    assert not hw.power.bus_dead[0]
    boot = ("boot_start", "boot_ok")
    assert [kind for kind, _, _ in told(edges, *boot)] == list(boot)


def test_a_dead_bus_comes_back_when_the_battery_is_charged_enough() -> None:
    """Sun alone cannot carry the bot, so it charges first: no flutter at the edge."""
    hw = rig(start=DRY, overrides={"power.battery_capacity_wh": 20.0})
    assert told(run(hw, 47), "boot_start") == []
    assert told(run(hw, 4), "boot_start") == [("boot_start", "bios", "booting")]
    assert told(run(hw, 10), "boot_start") == []
    assert not hw.power.bus_dead[0]


def test_cells_that_fail_take_their_charge_with_them() -> None:
    """With half of the cells the same load drains the charge twice as fast."""
    rates = []
    for fraction in (1.0, 0.5):
        hw = booted(start={"power.supercap_soc_pct": 0.0})
        hw.set_input("power.cell_fraction", np.array(fraction))
        run(hw, 20)
        before = float(hw.power.soc_pct[0])
        run(hw, 10)
        rates.append(before - float(hw.power.soc_pct[0]))
    assert rates[1] == pytest.approx(2 * rates[0], rel=1e-3)


def test_halving_the_tick_hardly_moves_the_end_of_the_battery() -> None:
    """Low, critical and dead come at the same time for any tick, within one tick."""
    kinds = ("power_low", "power_critical", "load_shed")
    seen = []
    for dt_s in (8.0, 4.0, 2.0):
        hw = booted(start={"power.soc_pct": 20.9, "power.supercap_soc_pct": 0.0})
        times = {}
        while hw.time_s < 2 * 3600 and len(times) < 4:
            for edge in run(hw, dt_s, dt_s):
                if edge.kind in kinds and edge.subject != "transponder":
                    times.setdefault(edge.kind, hw.time_s)
            if hw.power.bus_dead[0]:
                times["dead"] = hw.time_s
            if hw.time_s >= 1506:
                hw.set_input("power.short_w", np.array(20.0))
                hw.set_input("power.cell_fraction", np.array(0.05))
        seen.append(times)
    assert all(len(times) == 4 for times in seen)
    for coarse, fine, dt_s in ((seen[0], seen[1], 8.0), (seen[1], seen[2], 4.0)):
        for kind, time_s in coarse.items():
            assert abs(time_s - fine[kind]) < dt_s, kind


CHANGES = st.one_of(
    *(
        st.tuples(st.just(name), st.sampled_from(values))
        for name, values in {
            "power.sunlight": [0.0, 0.5, 1.0],
            "power.short_w": [0.0, 30.0, 60.0, 150.0, 1000.0],
            "power.charger_ok": [0.0, 1.0],
            "power.cell_fraction": [0.0, 0.3, 1.0],
            "power.discharge_fraction": [0.0, 0.4, 1.0],
            "power.supercap_ok": [0.0, 1.0],
            "power.soc_pct": [0.0, 0.01, 3.0, 19.9, 31.0, 100.0],
            "power.supercap_soc_pct": [0.0, 100.0],
            "power.nbl_on": [0.0, 1.0],
            "power.nbl_set_w": [0.0, 20.0, 120.0],
            "docking.docked": [1.0],
            "comms.xpdr_mode": [0.0, 1.0, 2.0],
            "thermal.core_degc": [20.0, 95.0],
            "thermal.pdu_degc": [20.0, 99.0],
            "modes.reboot": [1.0],
        }.items()
    )
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(CHANGES, st.integers(0, 1), st.sampled_from([0.1, 1.0, 7.0])), max_size=25)
)
def test_no_command_or_fault_breaks_the_invariants(
    changes: list[tuple[tuple[str, float], int, float]],
) -> None:
    """Charge stays in range, nothing runs without energy, the bus is in limits or at fault."""
    hw = rig(2)
    known = {**hw.startable(), **hw.inputs()}
    shed: dict[tuple[int, str], bool] = {}
    for (name, value), bot, dt_s in changes:
        assert name in known
        hw.read(name)[bot] = value
        for _ in range(3):
            before = stored_j(hw) * live_cells(hw)
            for edge in run(hw, dt_s, dt_s):
                if edge.kind in ("load_shed", "load_restored"):
                    key, is_shed = (edge.bot, edge.subject), edge.kind == "load_shed"
                    assert shed.get(key, False) is not is_shed, "each change is told once"
                    shed[key] = is_shed
            check(hw, before, dt_s)


def live_cells(hw: Hardware) -> np.ndarray:
    """Return 1 for a whole battery, nan otherwise: then the energy is not that simple."""
    return np.where(hw.power.cell_fraction == 1.0, 1.0, np.nan)


def check(hw: Hardware, before: np.ndarray, dt_s: float) -> None:
    """Assert what holds after every tick."""
    power = hw.power
    loads = np.array(list(power.loads_w.values()))
    for soc in (power.soc_pct, power.supercap_soc_pct):
        assert ((soc >= 0) & (soc <= 100)).all()
    assert (loads >= 0).all()
    assert (power.battery_spill_w >= 0).all()
    assert (power.battery_unserved_w >= 0).all()
    assert (loads[:, power.bus_dead] == 0).all()
    assert (power.bus_v[power.bus_dead] == 0).all()
    flow = power.power_out_w + power.supercap_charge_w
    within = flow <= power.pdu_limit_w + 1e-6
    assert (within | (power.faults & int(Fault.PDU_OVERCURRENT) != 0) | power.bus_dead).all()
    assert (power.radar_on <= (power.shed_loads & 1 == 0)).all()
    assert (power.transponder_on <= (power.shed_loads & 2 == 0)).all()
    net = (power.power_in_w - power.power_out_w - power.battery_spill_w) * dt_s
    gained = stored_j(hw) - before
    assert np.nanmax(np.abs(gained - net), initial=0.0) < 1e-6 * max(1.0, dt_s)
