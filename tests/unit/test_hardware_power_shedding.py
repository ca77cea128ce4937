"""Shedding: by charge, by heat, by current; in order, with hysteresis, told once."""

import numpy as np
import pytest
from hardware_rig import booted, run, told

from twin.hardware.assembly import Hardware
from twin.hardware.loads import Fault, ShedReason, Throttled

DOCKED = {"power.supercap_soc_pct": 100.0, "docking.docked": 1.0}
LOADS = ("load_shed", "load_restored")


def set_charge(hw: Hardware, soc_pct: float) -> None:
    """Set the charge as if time had passed."""
    hw.power.soc_pct[:] = soc_pct


def reasons(hw: Hardware) -> ShedReason:
    """Return the reasons of bot 0."""
    return ShedReason(int(hw.power.shed_reasons[0]))


def test_low_charge_sheds_radar_then_transponder() -> None:
    """At 20 % the radar goes, one tick later the transponder, and nothing else."""
    hw = booted(start={"power.supercap_soc_pct": 0.0})
    set_charge(hw, 20.02)
    ticks = []
    for _ in range(30):
        edges = told(run(hw, 1), "power_low", *LOADS)
        if edges:
            ticks.append((hw.time_s, edges))
    (first, low), (second, late) = ticks
    assert low == [("power_low", "battery", "low"), ("load_shed", "radar", "shed")]
    assert late == [("load_shed", "transponder", "shed")]
    assert second - first == 1.0
    assert hw.power.loads_w["radar"][0] == hw.power.loads_w["transponder"][0] == 0
    assert reasons(hw) == ShedReason.LOW_SOC


def test_shed_loads_come_back_in_reverse_at_thirty_percent() -> None:
    """Nothing changes below 30 %; there the transponder returns first, then the radar."""
    hw = booted(start={"power.soc_pct": 19.0})
    run(hw, 5)
    set_charge(hw, 29.9)
    assert told(run(hw, 20)) == []
    set_charge(hw, 30.1)
    seen = [told(run(hw, 1), "power_low", *LOADS) for _ in range(4)]
    assert seen == [
        [("power_low", "battery", "cleared"), ("load_restored", "transponder", "on")],
        [("load_restored", "radar", "on")],
        [],
        [],
    ]
    run(hw, 1)
    assert reasons(hw) == 0
    assert hw.power.loads_w["radar"][0] == 18.0


def test_low_and_critical_are_told_once_per_edge() -> None:
    """Charge that wavers between the thresholds of an edge reports nothing."""
    hw = booted()
    seen = []
    for soc in (25, 20.0, 28, 20, 10.5, 10.0, 14.9, 9, 15.0, 12, 29.9, 30, 25):
        set_charge(hw, soc + 1e-3 if soc in (15.0, 30) else soc)
        seen += told(run(hw, 2), "power_low", "power_critical")
    assert seen == [
        ("power_low", "battery", "low"),
        ("power_critical", "battery", "critical"),
        ("power_critical", "battery", "cleared"),
        ("power_low", "battery", "cleared"),
    ]


def test_a_tripped_pdu_sheds_radar_and_transponder_at_once() -> None:
    """Heat in the PDU takes both in one tick, and gives both back when it has cooled."""
    hw = booted(start=DOCKED)
    hw.thermal.pdu_degc[:] = 96.0
    run(hw, 1)
    assert told(run(hw, 1), *LOADS) == [
        ("load_shed", "radar", "shed"),
        ("load_shed", "transponder", "shed"),
    ]
    run(hw, 1)
    assert reasons(hw) == ShedReason.THERMAL_OVERHEAT
    hw.thermal.pdu_degc[:] = 80.0
    run(hw, 1)
    assert told(run(hw, 1), *LOADS) == [
        ("load_restored", "transponder", "on"),
        ("load_restored", "radar", "on"),
    ]


def test_a_tripped_core_sheds_the_nbl_only() -> None:
    """Heat in the core stops the NBL and leaves the radio alone."""
    hw = booted(start=DOCKED | {"power.nbl_on": 1.0})
    hw.thermal.core_degc[:] = 95.0
    edges = told(run(hw, 4), *LOADS)
    assert edges == [("load_shed", "nbl", "shed")]
    assert hw.power.nbl_power_w[0] == 0
    assert reasons(hw) == ShedReason.THERMAL_OVERHEAT
    assert hw.power.radar_on[0]


@pytest.mark.parametrize(("soc", "allowed"), [(34.9, False), (35.5, True)])
def test_the_nbl_needs_its_charge(soc: float, allowed: bool) -> None:
    """Below 35 % there is no NBL."""
    hw = booted(start=DOCKED | {"power.soc_pct": soc, "power.nbl_on": 1.0})
    run(hw, 3)
    assert bool(hw.power.nbl_allowed[0]) is allowed
    assert hw.power.nbl_power_w[0] == (20.0 if allowed else 0.0)


def test_the_nbl_does_not_flutter_at_its_limit() -> None:
    """Refused at 35 %, the NBL waits until the charge is two points better."""
    hw = booted(start={"power.nbl_on": 1.0, "power.soc_pct": 35.0005})
    set_charge(hw, 34.9)
    assert told(run(hw, 2), *LOADS) == [("load_shed", "nbl", "shed")]
    set_charge(hw, 36.5)
    assert told(run(hw, 5), *LOADS) == []
    set_charge(hw, 37.1)
    assert told(run(hw, 2), *LOADS) == [("load_restored", "nbl", "on")]


def test_the_nbl_gets_what_the_others_leave() -> None:
    """Its power is the least of what it asks for, 120 W, and the rest of the PDU's limit."""
    hw = booted(start=DOCKED | {"power.nbl_on": 1.0, "power.nbl_set_w": 500.0})
    run(hw, 3)
    power = hw.power
    others = power.power_out_w[0] - power.nbl_power_w[0]
    assert power.nbl_power_w[0] == pytest.approx(power.pdu_limit_w[0] - others)
    assert power.nbl_budget_w[0] == pytest.approx(power.nbl_power_w[0])
    assert reasons(hw) == ShedReason.NBL_BUDGET


def test_overcurrent_cuts_in_the_documented_order() -> None:
    """NBL, radar, transponder, motion, RCS, and then it is a fault."""
    hw = booted(start=DOCKED | {"power.nbl_on": 1.0})
    order: list[str] = []
    for short_w in np.arange(0.0, 160.0, 2.0):
        hw.set_input("power.short_w", np.array(short_w))
        for _ in range(4):
            hw.modes.step(hw, 1.0)
            hw.docking.step(hw, 1.0)
            hw.motion.drive_mps[:] = 0.4
            hw.propulsion.power_w[:] = 10.0
            for plane in (hw.compute, hw.power, hw.thermal, hw.comms):
                plane.step(hw, 1.0)
        order += [s for _, s, after in told(hw.drain_edges(), *LOADS) if after == "shed"]
        throttled = Throttled(int(hw.power.throttled_loads[0]))
        order += [t.name.lower() for t in Throttled if t in throttled]
        if Fault(int(hw.power.faults[0])) & Fault.PDU_OVERCURRENT:
            order.append("fault")
    once = list(dict.fromkeys(order))
    assert once == ["nbl", "radar", "transponder", "motion", "rcs", "fault"]
    assert hw.power.motion_share[0] == hw.power.rcs_share[0] == 0


def test_a_cut_load_does_not_flutter() -> None:
    """A radar that fits only while it is off stays off, until there is room to spare."""
    hw = booted(start=DOCKED)
    hw.set_input("power.short_w", np.array(30.0))
    run(hw, 30)
    spare = float(hw.power.pdu_limit_w[0] - hw.power.power_out_w[0])
    hw.set_input("power.short_w", np.array(30.0 + spare + 0.2))
    assert told(run(hw, 60), *LOADS) == [("load_shed", "radar", "shed")]
    hw.set_input("power.short_w", np.array(0.0))
    assert told(run(hw, 60), *LOADS) == [("load_restored", "radar", "on")]


def test_an_overload_is_a_bus_fault_after_two_seconds() -> None:
    """What no cut can cure is an overcurrent at once and a bus overload after two seconds."""
    hw = booted(start=DOCKED)
    hw.set_input("power.short_w", np.array(120.0))
    seen = [told(run(hw, 0.5, 0.5), "pdu_overcurrent", "pdu_fault") for _ in range(6)]
    assert seen[0] == [("pdu_overcurrent", "PDU_OVERCURRENT", "raised")]
    assert seen[1:3] == [[], []]
    assert seen[3] == [("pdu_fault", "POWER_BUS_OVERLOAD", "raised")]
    assert hw.power.bus_a[0] > 5.0
    hw.set_input("power.short_w", np.array(0.0))
    assert told(run(hw, 1), "pdu_overcurrent", "pdu_fault") == [
        ("pdu_overcurrent", "PDU_OVERCURRENT", "cleared"),
        ("pdu_fault", "POWER_BUS_OVERLOAD", "cleared"),
    ]


def test_a_supply_that_is_too_weak_cuts_like_the_pdu() -> None:
    """A battery that gives too little loses the radar first, for want of power."""
    hw = booted(start={"power.supercap_soc_pct": 0.0})
    hw.set_input("power.discharge_fraction", np.array(0.4))
    edges = [e for e in run(hw, 3) if e.kind == "load_shed"]
    assert [edge.subject for edge in edges] == ["radar"]
    assert reasons(hw) == ShedReason.LOW_SOC
    assert not hw.power.bus_dead[0]


def test_a_throttle_takes_no_more_than_is_over() -> None:
    """Where slowing the drive is enough, thrusters keep their power and nothing is at fault."""
    hw = booted(start=DOCKED)
    seen = False
    for short_w in np.arange(40.0, 160.0, 1.0):
        hw.set_input("power.short_w", np.array(short_w))
        for _ in range(3):
            hw.motion.drive_mps[:] = 0.4
            hw.propulsion.power_w[:] = 10.0
            for plane in (hw.modes, hw.docking):
                plane.step(hw, 1.0)
            hw.motion.drive_mps[:] = 0.4
            hw.propulsion.power_w[:] = 10.0
            for plane in (hw.compute, hw.power, hw.thermal, hw.comms):
                plane.step(hw, 1.0)
        share = float(hw.power.motion_share[0])
        if 0.05 < share < 0.95:
            seen = True
            assert hw.power.rcs_share[0] == 1.0
            assert not Fault(int(hw.power.faults[0])) & Fault.PDU_OVERCURRENT
    assert seen
