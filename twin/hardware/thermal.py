"""Six coupled thermal nodes per bot, with warnings, trips and their hysteresis."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from twin.hardware.plane import ANY, Bools, Codes, Edge, Floats, Range
from twin.hardware.propagator import Network, Propagator
from twin.hardware.shard import Shard
from twin.spec.params.thermal import NODES, ThermalParams

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["NODES", "Thermal"]

FRACTION: Final = Range(0.0, 1.0)
ABOVE_ZERO_K: Final = Range(-273.15, np.inf)
CORE, PDU, SUPERCAP, BATTERY, DOCK_BRIDGE, HULL = range(len(NODES))


class Thermal:
    """Temperatures, in degC, integrated exactly for heat that is constant over a tick.

    C dT/dt = Q - (cool + 0.2)(T - Ta) - sum k (T - Tj), with the heat of what the power plane
    let flow in this tick. `temp_c`, `tripped`, `warned` are (n, 6) in the order of NODES, and
    `core_degc`, `pdu_degc`, ... `core_tripped`, ... are their columns (n,). A node trips at
    T >= trip and clears at T <= trip - hysteresis; it warns from trip - 10 K. Trips and clears
    are edges (thermal_trip, thermal_clear). On a dead bus temperatures go on, but nobody looks.

    Malfunctions (n,): `cooling_fraction` scales the active cooling of all nodes,
    `<node>_cooling_fraction` that of one; `<node>_heater_w` adds (or takes) heat;
    `ambient_degc` are the surroundings.
    """

    name = "thermal"
    startable: Mapping[str, Range] = MappingProxyType(
        {**{f"{node}_degc": ABOVE_ZERO_K for node in NODES}, "ambient_degc": ABOVE_ZERO_K}
    )
    inputs: Mapping[str, Range] = MappingProxyType(
        {
            "cooling_fraction": FRACTION,
            **{f"{node}_cooling_fraction": FRACTION for node in NODES},
            **{f"{node}_heater_w": ANY for node in NODES},
            "ambient_degc": ABOVE_ZERO_K,
        }
    )

    def __init__(self, shard: Shard, params: ThermalParams) -> None:
        n, nodes = shard.n, [getattr(params, name) for name in NODES]
        self._params, self._network = params, Network(params)
        self._wide_temp = np.tile([[node.start_degc] for node in nodes], (1, max(n, 2)))
        self._temp = self._wide_temp[:, :n]
        self._trip_degc = _column(node.trip_degc for node in nodes)
        self._clear_degc = _column(node.trip_degc - node.hysteresis_k for node in nodes)
        self._warn_degc = self._trip_degc - params.warn_margin_k
        self._tripped: Bools = np.zeros((len(NODES), n), dtype=np.bool_)
        self._warned: Bools = np.zeros((len(NODES), n), dtype=np.bool_)
        self.temp_c, self.tripped, self.warned = self._temp.T, self._tripped.T, self._warned.T
        self.ambient_degc = np.full(n, params.ambient_degc)
        self.cooling_fraction = np.ones(n)
        self._cooling, self._heater_w = np.ones((len(NODES), n)), np.zeros((len(NODES), n))
        self._cause = np.zeros((2 * len(NODES), max(n, 2)))
        self._above, self._heat = self._cause[: len(NODES), :n], self._cause[len(NODES) :, :n]
        self._name_rows()
        self._dt_s = 0.0
        self._all_well = np.empty(0)
        self._hurt = np.empty(0, dtype=np.int64)
        self._hurt_cooling = np.empty((0, len(NODES)))
        self._hurt_step = Propagator(np.empty(0), np.empty(0))

    def _name_rows(self) -> None:
        """Give every row of a node its own public name."""
        (
            self.core_degc,
            self.pdu_degc,
            self.supercap_degc,
            self.battery_degc,
            self.dock_bridge_degc,
            self.hull_degc,
        ) = self._temp
        (
            self.core_tripped,
            self.pdu_tripped,
            self.supercap_tripped,
            self.battery_tripped,
            self.dock_bridge_tripped,
            self.hull_tripped,
        ) = self._tripped
        (
            self.core_cooling_fraction,
            self.pdu_cooling_fraction,
            self.supercap_cooling_fraction,
            self.battery_cooling_fraction,
            self.dock_bridge_cooling_fraction,
            self.hull_cooling_fraction,
        ) = self._cooling
        (
            self.core_heater_w,
            self.pdu_heater_w,
            self.supercap_heater_w,
            self.battery_heater_w,
            self.dock_bridge_heater_w,
            self.hull_heater_w,
        ) = self._heater_w

    @property
    def heat_w(self) -> Floats:
        """Heat put into each node in the last tick, (n, 6)."""
        return self._heat.T

    def state_of(self, node: str) -> Codes:
        """Return codes (n,) of TEMP_STATES: 0 normal, 1 hot (warned), 2 critical (tripped)."""
        row = NODES.index(node)
        codes: Codes = self._warned[row].astype(np.int8)
        codes[self._tripped[row]] = 2
        return codes

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Warm and cool for `dt_s`, then look for trips."""
        self._gather_heat(hw)
        self._prepare(dt_s)
        self._advance()
        self._watch(hw)

    def _gather_heat(self, hw: "Hardware") -> None:
        p, power, heat = self._params, hw.power, self._heat
        np.multiply(power.mcqpu_w, p.core_per_mcqpu, out=heat[CORE])
        heat[CORE] += p.core_per_nbl * power.nbl_power_w
        np.multiply(power.bus_a, power.bus_a, out=heat[PDU])
        heat[PDU] *= p.pdu_per_a2
        heat[PDU] += p.pdu_per_out * power.power_out_w
        np.add(power.supercap_charge_w, power.supercap_discharge_w, out=heat[SUPERCAP])
        heat[SUPERCAP] *= p.supercap_per_flow
        np.subtract(power.power_in_w, power.power_out_w, out=heat[BATTERY])
        np.abs(heat[BATTERY], out=heat[BATTERY])
        heat[BATTERY] *= p.battery_per_net
        np.multiply(power.dock_a, power.dock_a, out=heat[DOCK_BRIDGE])
        heat[DOCK_BRIDGE] *= p.dock_per_a2
        np.multiply(power.rcs_w, p.hull_per_rcs, out=heat[HULL])
        if self._heater_w.any():
            heat += self._heater_w

    def _prepare(self, dt_s: float) -> None:
        """Bring the propagators up to date with the tick and with failed cooling."""
        new_tick = dt_s != self._dt_s
        if new_tick:
            self._all_well = np.concatenate(self._network.step(dt_s), axis=1)
            self._dt_s = dt_s
        all_well = (self.cooling_fraction == 1.0).all() and (self._cooling == 1.0).all()
        if all_well and not self._hurt.size:
            return
        cooling = self._cooling * self.cooling_fraction
        hurt = np.flatnonzero((cooling != 1.0).any(axis=0))
        share = cooling[:, hurt].T
        same = np.array_equal(hurt, self._hurt) and np.array_equal(share, self._hurt_cooling)
        if new_tick or not same:
            self._hurt, self._hurt_cooling = hurt, share
            self._hurt_step = self._network.step(dt_s, share)

    def _advance(self) -> None:
        """Take one step of the network: the same bits for any number of bots from two on."""
        np.subtract(self._temp, self.ambient_degc, out=self._above)
        np.einsum("ij,jn->in", self._all_well, self._cause, out=self._wide_temp)
        self._temp += self.ambient_degc
        if self._hurt.size:
            self._temp[:, self._hurt] = self._hurt_temp()

    def _hurt_temp(self) -> Floats:
        """Return the temperatures (6, hurt) of the bots that have a network of their own."""
        above, heat = self._above[:, self._hurt], self._heat[:, self._hurt]
        temp = np.tile(self.ambient_degc[self._hurt], (len(NODES), 1))
        for i in range(len(NODES)):
            for j in range(len(NODES)):
                temp[i] += self._hurt_step.decay[:, i, j] * above[j]
                temp[i] += self._hurt_step.gain[:, i, j] * heat[j]
        return temp

    def _watch(self, hw: "Hardware") -> None:
        """Update warnings and trips, and report what changed."""
        if not self._warned.any() and not self._tripped.any():
            hottest = self._temp.max(axis=1, initial=-np.inf)
            if bool(np.all(hottest < self._warn_degc[:, 0])):
                return
        seen = ~hw.power.bus_dead
        trips = (self._temp >= self._trip_degc) & ~self._tripped & seen
        clears = (self._temp <= self._clear_degc) & self._tripped & seen
        np.copyto(self._warned, self._temp >= self._warn_degc, where=seen)
        self._tripped ^= trips | clears
        for bot, node in np.argwhere((trips | clears).T).tolist():
            hw.edges.append(self._edge(bot, node))

    def _edge(self, bot: int, node: int) -> Edge:
        tripped = bool(self._tripped[node, bot])
        before, after = ("normal", "tripped") if tripped else ("tripped", "normal")
        trip, clear = float(self._trip_degc[node, 0]), float(self._clear_degc[node, 0])
        return Edge(
            bot,
            "thermal_trip" if tripped else "thermal_clear",
            self.name,
            NODES[node],
            before,
            after,
            (("temp", float(self._temp[node, bot])), ("trip_c", trip), ("hys_c", trip - clear)),
        )


def _column(values: Iterable[float]) -> Floats:
    return np.array(list(values), dtype=np.float64).reshape(-1, 1)
