"""Electrical power: sources, stores and loads of every bot on one bus."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from twin.hardware.loads import LOADS, SOURCES, Fault, Load, Shed, ShedReason, Throttled, total_w
from twin.hardware.pdu import Pdu
from twin.hardware.plane import POSITIVE, Bools, Codes, Floats, Range
from twin.hardware.power_log import PowerLog
from twin.hardware.shard import Shard
from twin.hardware.shedding import Shedding
from twin.hardware.sources import Sources
from twin.hardware.store import Store
from twin.spec.params.power import (
    DockBridgeParams,
    NblParams,
    PduParams,
    PowerParams,
    SupervisorParams,
)

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["Power", "PowerPlant"]

FRACTION: Final = Range(0.0, 1.0)
PERCENT: Final = Range(0.0, 100.0)
SHORTEST_S: Final = 1e-9
"""An instant, and the rounding of times."""


class PowerPlant(NamedTuple):
    """The params of the components that make up the power plane."""

    power: PowerParams
    supervisor: SupervisorParams
    pdu: PduParams
    dock: DockBridgeParams
    nbl: NblParams


class Power:
    """Every array is (n,); names are those of the telemetry's power block.

    V = Vmin + (Vnom - Vmin) SoC / 100 and P_limit = Imax V. Loads are shed by charge and heat
    (Shedding), then cut to what PDU and supply can carry (Pdu). The supercap takes surplus and
    covers deficit first, the battery does the rest; charging the supercap counts towards the
    bus current and its limit. What fits nowhere is `battery_spill_w`, what nobody can give is
    `battery_unserved_w`. In each tick
    power_in_w + discharges = power_out_w + charges + battery_spill_w.

    When sources and stores cannot carry the base load and the computer any more, the bus is
    dead (`bus_dead`): no load gets anything, and sources only charge the battery. It comes back
    when sources alone can carry both, or the battery has `restart_soc_pct` again.

    Choices of ours where the platform is silent: a tripped battery is not charged, a tripped
    supercap is taken off the bus, a tripped dock bridge passes nothing.

    Set by commands: `dock_on`, `nbl_on` (0 or 1), `nbl_set_w`. Malfunctions: `sunlight` (share
    of the solar input), `short_w` (a load that nobody can switch off), `charger_ok`,
    `cell_fraction` (battery cells that work), `discharge_fraction` (of the battery's discharge
    limit), `supercap_ok`, `dock_ok`.

    For other planes: `radar_on`, `transponder_on` (get power), `motion_share`, `rcs_share` (of
    what they asked for, 0 to 1), `bus_dead`, `low`, `critical` (charge, with hysteresis).
    """

    name = "power"
    startable: Mapping[str, Range] = MappingProxyType(
        {
            "soc_pct": PERCENT,
            "supercap_soc_pct": PERCENT,
            "sunlight": FRACTION,
            "dock_on": FRACTION,
            "nbl_on": FRACTION,
            "nbl_set_w": POSITIVE,
        }
    )
    inputs: Mapping[str, Range] = MappingProxyType(
        {
            "sunlight": FRACTION,
            "short_w": POSITIVE,
            "charger_ok": FRACTION,
            "cell_fraction": FRACTION,
            "discharge_fraction": FRACTION,
            "supercap_ok": FRACTION,
            "dock_ok": FRACTION,
        }
    )

    def __init__(self, shard: Shard, plant: PowerPlant) -> None:
        n, p = shard.n, plant.power
        self._plant = plant
        self._battery = Store(
            n,
            capacity_wh=p.battery_capacity_wh,
            soc_pct=p.battery_soc_pct,
            charge_max_w=p.battery_charge_max_w,
            discharge_max_w=p.battery_discharge_max_w,
        )
        self._supercap = Store(
            n,
            capacity_wh=p.supercap_capacity_wh,
            soc_pct=p.supercap_soc_pct,
            charge_max_w=p.supercap_charge_max_w,
            discharge_max_w=p.supercap_discharge_max_w,
        )
        self._sources = Sources(n, p.base_in_w, plant.dock)
        self._pdu = Pdu(n, restore_margin_w=plant.pdu.restore_margin_w, nbl_max_w=plant.nbl.max_w)
        self._shedding = Shedding(n, plant.supervisor, plant.nbl)
        self._log = PowerLog(n, plant.supervisor)
        self._name_inputs(n)
        self._name_loads(n)
        self._name_stores()
        self._name_states(n)

    def _name_inputs(self, n: int) -> None:
        sources = self._sources
        self.sunlight, self.dock_ok, self.dock_on = (
            sources.sunlight,
            sources.dock_ok,
            sources.dock_on,
        )
        self.charger_ok, self.discharge_fraction, self.supercap_ok = np.ones((3, n))
        self.cell_fraction = self._battery.fraction
        self.short_w, self.nbl_on = np.zeros((2, n))
        self.nbl_set_w = np.full(n, self._plant.nbl.nominal_w)

    def _name_loads(self, n: int) -> None:
        self._wanted, self._loads = np.zeros((2, len(LOADS), n))
        self.loads_w: Mapping[str, Floats] = MappingProxyType(
            dict(zip(LOADS, self._loads, strict=True))
        )
        self.mcqpu_w, self.rcs_w = self._loads[Load.MCQPU], self._loads[Load.RCS]
        self.nbl_power_w, self.nbl_budget_w = self._loads[Load.NBL], self._pdu.nbl_budget_w
        self.nbl_allowed = self._shedding.nbl_allowed
        self.radar_on: Bools = np.zeros(n, dtype=np.bool_)
        self.transponder_on, self.nbl_active = np.zeros((2, n), dtype=np.bool_)
        self.motion_share, self.rcs_share = np.ones((2, n))

    def _name_stores(self) -> None:
        sources, battery, supercap = self._sources, self._battery, self._supercap
        self.sources_w: Mapping[str, Floats] = MappingProxyType(
            dict(zip(SOURCES, (sources.base_w, sources.dock_w), strict=True))
        )
        self.power_in_w, self.dock_power_w = sources.total_w, sources.dock_w
        self.dock_connected, self.dock_soft_start_pct = sources.connected, sources.ramp_pct
        self.dock_v, self.dock_a = sources.dock_v, sources.dock_a
        self.soc_pct, self.supercap_soc_pct = battery.soc_pct, supercap.soc_pct
        self.battery_charge_w, self.battery_discharge_w = battery.charge_w, battery.discharge_w
        self.supercap_charge_w = supercap.charge_w
        self.supercap_discharge_w = supercap.discharge_w

    def _name_states(self, n: int) -> None:
        self.power_out_w, self.battery_spill_w, self.battery_unserved_w = np.zeros((3, n))
        self.bus_v, self.bus_a, self.pdu_limit_w, self._overload_s = np.zeros((4, n))
        self.battery_1_voltage_v, self.dock_temp_c = np.zeros((2, n))
        self.battery_2_voltage_v = self.battery_1_voltage_v
        self.bus_dead: Bools = np.zeros(n, dtype=np.bool_)
        self.load_shedding, self.pdu_throttled = np.zeros((2, n), dtype=np.bool_)
        self.low, self.critical = self._log.low, self._log.critical
        self.shed_loads: Codes = np.zeros(n, dtype=np.int8)
        self.shed_reasons, self.throttled_loads, self.faults = np.zeros((3, n), dtype=np.int8)
        self.battery_temp_state, self.supercap_temp_state = np.zeros((2, n), dtype=np.int8)

    def switch_on(self, hw: "Hardware") -> None:
        """Find out whose bus is dead from the start: stores are empty and no source is enough."""
        self._look(hw)
        self._sources.step(hw, SHORTEST_S)
        self._want(hw)
        self._switch_bus(SHORTEST_S)

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Supply what the loads want in this tick, as far as it goes."""
        self.faults[:] = 0
        self._look(hw)
        self._sources.step(hw, dt_s)
        self._want(hw)
        self._shedding.apply(self._wanted)
        supply_w = self._switch_bus(dt_s)
        self._fit(supply_w)
        self._flow(dt_s)
        self._describe(supply_w, dt_s)
        self._shedding.decide(self.soc_pct, hw.thermal)
        self._log.report(hw, self._shedding, self._due())

    def _look(self, hw: "Hardware") -> None:
        """Read the state of the stores and what it means for the bus."""
        p, thermal = self._plant.power, hw.thermal
        np.multiply(self.soc_pct, (p.bus_v_nominal - p.bus_v_min) / 100, out=self.bus_v)
        self.bus_v += p.bus_v_min
        np.copyto(self.battery_1_voltage_v, self.bus_v)
        np.multiply(self.bus_v, self._plant.pdu.bus_a_max, out=self.pdu_limit_w)
        chargeable = self.charger_ok * ~thermal.battery_tripped
        np.multiply(chargeable, p.battery_charge_max_w, out=self._battery.charge_max_w)
        discharge_max_w = self._battery.discharge_max_w
        np.multiply(self.discharge_fraction, p.battery_discharge_max_w, out=discharge_max_w)
        usable = self.supercap_ok * ~thermal.supercap_tripped
        np.multiply(usable, p.supercap_charge_max_w, out=self._supercap.charge_max_w)
        np.multiply(usable, p.supercap_discharge_max_w, out=self._supercap.discharge_max_w)
        np.copyto(self.battery_temp_state, thermal.state_of("battery"))
        np.copyto(self.supercap_temp_state, thermal.state_of("supercap"))
        np.copyto(self.dock_temp_c, thermal.dock_bridge_degc)

    def _want(self, hw: "Hardware") -> None:
        """Write down what every load asks for."""
        p, wanted, running = self._plant.power, self._wanted, hw.modes.running
        np.add(self.short_w, p.base_out_w, out=wanted[Load.BASE])
        np.multiply(hw.motion.drive_mps, p.motion_w_per_mps, out=wanted[Load.MOTION])
        wanted[Load.MOTION] *= running
        np.multiply(hw.compute.cpu_pct, p.mcqpu_w / 100.0, out=wanted[Load.MCQPU])
        np.multiply((hw.radar.enabled > 0) & running, p.radar_w, out=wanted[Load.RADAR])
        np.multiply(hw.comms.switched_on, p.transponder_w, out=wanted[Load.TRANSPONDER])
        np.multiply(hw.propulsion.power_w, running, out=wanted[Load.RCS])
        np.logical_and(self.nbl_on > 0, running, out=self.nbl_active)
        np.multiply(self._nbl_ask_w(), self.nbl_active, out=wanted[Load.NBL])

    def _nbl_ask_w(self) -> Floats:
        ask: Floats = np.minimum(self.nbl_set_w, self._plant.nbl.max_w)
        return ask

    def _switch_bus(self, dt_s: float) -> Floats:
        """Decide whether the bus is alive; return what sources and stores can give (n,)."""
        p, wanted = self._plant.power, total_w(self._wanted)
        elsewhere = self._supercap.available_w(dt_s) + self.power_in_w
        sustained = self._battery.sustained_w(dt_s)
        supply: Floats = elsewhere + np.minimum(sustained, self._battery.discharge_max_w)
        np.maximum(wanted - supply, 0.0, out=self.battery_unserved_w)
        collapses = supply < self._wanted[Load.BASE] + self._wanted[Load.MCQPU]
        if collapses.any() or self.bus_dead.any():
            starting = self.short_w + (p.base_out_w + p.mcqpu_w)
            charged = (self.soc_pct >= p.restart_soc_pct) & (supply >= starting)
            returns = self.bus_dead & (charged | (self.power_in_w >= starting))
            self.bus_dead |= collapses
            self.bus_dead &= ~returns
        self._judge_battery(np.minimum(wanted, self.pdu_limit_w) - elsewhere, sustained)
        return supply

    def _judge_battery(self, asked_w: Floats, sustained_w: Floats) -> None:
        """Note a battery that cannot give what is asked of it, for want of charge or of power."""
        empty = (asked_w > sustained_w) | (self.soc_pct <= 0.0)
        empty |= self.bus_dead & (self.soc_pct < self._plant.power.restart_soc_pct)
        self._raise(Fault.BATTERY_EMPTY, empty)
        limited = (asked_w > self._battery.discharge_max_w) & ~empty
        self._raise(Fault.BATTERY_DISCHARGE_LIMIT, limited)

    def _raise(self, fault: Fault, where: Bools) -> None:
        if where.any():
            self.faults |= where * np.int8(fault)

    def _fit(self, supply_w: Floats) -> None:
        """Give the loads what the bus can carry."""
        loads, dead = self._loads, self.bus_dead
        np.copyto(loads, self._wanted)
        if dead.any():
            loads *= ~dead
        self._pdu.fit(loads, np.minimum(self.pdu_limit_w, supply_w))
        self.nbl_budget_w *= self.nbl_allowed & ~dead
        np.copyto(self.power_out_w, total_w(loads))
        np.greater(loads[Load.RADAR], 0.0, out=self.radar_on)
        np.greater(loads[Load.TRANSPONDER], 0.0, out=self.transponder_on)
        for load, share in ((Load.MOTION, self.motion_share), (Load.RCS, self.rcs_share)):
            share[:] = 1.0
            if not self._pdu.calm or dead.any():
                np.divide(loads[load], self._wanted[load], out=share, where=self._wanted[load] > 0)

    def _flow(self, dt_s: float) -> None:
        """Balance the bus: the supercap first, then the battery; book the energy."""
        net = self.power_in_w - self.power_out_w
        surplus, deficit = np.maximum(net, 0.0), np.maximum(-net, 0.0)
        room = np.maximum(self.pdu_limit_w - self.power_out_w, 0.0) * ~self.bus_dead
        left = surplus - np.minimum(surplus, room)
        left += self._supercap.charge(surplus - left, dt_s)
        if left.any():
            limited = (left > self._battery.charge_max_w) & (self.soc_pct < 100.0)
            self._raise(Fault.BATTERY_CHARGE_LIMIT, limited)
        np.copyto(self.battery_spill_w, self._battery.charge(left, dt_s))
        self._battery.discharge(self._supercap.discharge(deficit, dt_s), dt_s)
        self._supercap.settle(dt_s)
        self._battery.settle(dt_s)

    def _describe(self, supply_w: Floats, dt_s: float) -> None:
        """Set the state of the bus: voltage, current, what is off and why, faults."""
        dead, pdu = self.bus_dead, self._pdu
        np.add(self.power_out_w, self.supercap_charge_w, out=self.bus_a)
        self.bus_a /= self.bus_v
        if dead.any():
            self.bus_v *= ~dead
            self.bus_a *= ~dead
            self._raise(Fault.BUS_V_ZERO, dead)
        over = pdu.excess_w > 0.0
        self._overload_s += dt_s
        self._overload_s *= over
        self._raise(Fault.PDU_OVERCURRENT, over)
        late = self._overload_s >= self._plant.pdu.overload_delay_s - SHORTEST_S
        self._raise(Fault.POWER_BUS_OVERLOAD, late & over)
        np.multiply(pdu.motion_throttled, np.int8(Throttled.MOTION), out=self.throttled_loads)
        self.throttled_loads |= pdu.rcs_throttled * np.int8(Throttled.RCS)
        np.not_equal(self.throttled_loads, 0, out=self.pdu_throttled)
        self._explain(supply_w)

    def _explain(self, supply_w: Floats) -> None:
        """Say which loads are shed in this tick, and for which reasons."""
        pdu, lacking = self._pdu, self.nbl_active & (self.nbl_power_w < self._nbl_ask_w())
        np.copyto(self.shed_reasons, self._shedding.reasons(self.nbl_active))
        self.shed_reasons |= (lacking & ~self._shedding.nbl_hot) * np.int8(ShedReason.NBL_BUDGET)
        if not pdu.calm:
            cut = pdu.radar_cut | pdu.transponder_cut | pdu.motion_throttled | pdu.rcs_throttled
            short = supply_w < self.pdu_limit_w
            self.shed_reasons |= (cut & short) * np.int8(ShedReason.LOW_SOC)
            self.shed_reasons |= (cut & ~short) * np.int8(ShedReason.PDU_OVERCURRENT)
        np.copyto(self.shed_loads, self._due())
        np.not_equal(self.shed_loads, 0, out=self.load_shedding)

    def _due(self) -> Codes:
        """Return masks of Shed: what supervisor and PDU, as they stand now, take off the bus."""
        shedding, pdu = self._shedding, self._pdu
        masks: Codes = (shedding.radar_off | pdu.radar_cut) * np.int8(Shed.RADAR)
        masks |= (shedding.transponder_off | pdu.transponder_cut) * np.int8(Shed.TRANSPONDER)
        dry = (self.nbl_power_w <= 0.0) | ~self.nbl_allowed
        masks |= (self.nbl_active & dry) * np.int8(Shed.NBL)
        return masks
