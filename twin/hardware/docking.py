"""Docking: from free flight over capture and lock to a bridge for power and data."""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from twin.errors import UsageError
from twin.hardware.draws import generator
from twin.hardware.plane import Bools, Codes, Edge, Floats, Ints, Range
from twin.hardware.shard import Shard
from twin.spec.params.docking import DockingParams

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["PORTS", "Dock", "Docking"]

FLAG: Final = Range(0.0, 1.0)
PORTS: Final = ("A", "B")


class Dock(IntEnum):
    """Stages of docking."""

    FREE = 0
    APPROACH = 1
    SOFT_CAPTURE = 2
    HARD_LOCK = 3
    BRIDGE_OPEN = 4
    DETACHING = 5


class Docking:
    """One station per bot, at a seeded place near its home; all arrays (n,) but `station_m`.

    An engaged bot is `guided`: it flies to `station_m` (3, n, world axes) at `guide_mps`.
    `range_m` and `closing_mps` are those of its port to the station. A reading with
    range <= 20 m and |v_r| <= 0.5 m/s is a hit; three in a row capture. Soft capture, hard lock
    and detaching take their time; then the bridge passes power and data (`bridge_open`);
    `locked` from the hard lock on. `state` holds Dock codes, `port` 0 (A, forward) or 1 (B,
    aft). Edges: dock, subject the port.

    Start value `docked` (1: begins with the bridge open). Malfunction: `latch_ok` (0: nothing
    holds, a docked bot comes off).
    """

    name = "docking"
    startable: Mapping[str, Range] = MappingProxyType({"docked": FLAG})
    inputs: Mapping[str, Range] = MappingProxyType({"latch_ok": FLAG})

    def __init__(self, shard: Shard, params: DockingParams, home_m: Floats) -> None:
        n = shard.n
        self._params = params
        self.station_m: Floats = home_m + _directions(shard) * params.station_m
        self.state: Codes = np.zeros(n, dtype=np.int8)
        self.port: Codes = np.zeros(n, dtype=np.int8)
        self._told: Codes = np.zeros(n, dtype=np.int8)
        self._hits: Ints = np.zeros(n, dtype=np.int64)
        self._stage_s = np.zeros(n)
        self._ports_m: Floats = np.array([params.port_a_m, params.port_b_m])
        self._port_axes = np.flatnonzero(self._ports_m.any(axis=0)).tolist()
        self._port_m: Floats = np.tile(self._ports_m[:1].T, (1, n))
        self.docked = np.zeros(n)
        self.latch_ok = np.ones(n)
        self.range_m, self.closing_mps, self.guide_mps = np.zeros((3, n))
        self.bridge_open: Bools = np.zeros(n, dtype=np.bool_)
        self.guided: Bools = np.zeros(n, dtype=np.bool_)
        self.locked: Bools = np.zeros(n, dtype=np.bool_)

    def engage(self, bots: Ints, port: str = "A") -> None:
        """Send free bots to their station, to dock with one of their ports."""
        if port not in PORTS:
            raise UsageError(f"no port is called {port!r}; there are {', '.join(PORTS)}")
        free = bots[self.state[bots] == Dock.FREE]
        self.port[free] = PORTS.index(port)
        self._port_m[:, free] = self._ports_m[PORTS.index(port)].reshape(3, 1)
        self._go(free, Dock.APPROACH)

    def release(self, bots: Ints) -> None:
        """Let go: an approach ends, a docked bot detaches."""
        state = self.state[bots]
        self._go(bots[state == Dock.APPROACH], Dock.FREE)
        held = (state >= Dock.SOFT_CAPTURE) & (state <= Dock.BRIDGE_OPEN)
        self._go(bots[held], Dock.DETACHING)

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Advance the stages by one tick."""
        if self.docked.any():
            self._go(np.flatnonzero(self.docked), Dock.BRIDGE_OPEN)
            self.docked[:] = 0.0
        self._measure(hw)
        if self.state.any() or self.guided.any():
            self._advance(dt_s)
        if not np.array_equal(self.state, self._told):
            self._report(hw)

    def _measure(self, hw: "Hardware") -> None:
        """Work out range and closing speed of the port in use."""
        away = self.station_m - hw.motion.position_m.T
        for axis in self._port_axes:
            away -= hw.motion.rotation[:, axis] * self._port_m[axis]
        velocity = hw.motion.velocity_mps.T
        np.sqrt(away[0] * away[0] + away[1] * away[1] + away[2] * away[2], out=self.range_m)
        along = away[0] * velocity[0] + away[1] * velocity[1] + away[2] * velocity[2]
        np.divide(along, self.range_m, out=self.closing_mps, where=self.range_m > 0)

    def _advance(self, dt_s: float) -> None:
        p = self._params
        self._stage_s += dt_s
        state = self.state.copy()
        hit = (self.range_m <= p.capture_m) & (np.abs(self.closing_mps) <= p.capture_mps)
        self._hits += 1
        self._hits *= hit & (state == Dock.APPROACH)
        self._move(state == Dock.APPROACH, self._hits >= p.capture_hits, Dock.SOFT_CAPTURE)
        late = self._stage_s
        self._move(state == Dock.SOFT_CAPTURE, late >= p.soft_capture_s, Dock.HARD_LOCK)
        self._move(state == Dock.HARD_LOCK, late >= p.bridge_s, Dock.BRIDGE_OPEN)
        self._move(state == Dock.DETACHING, late >= p.detach_s, Dock.FREE)
        held = (self.state >= Dock.SOFT_CAPTURE) & (self.state <= Dock.BRIDGE_OPEN)
        self._move(held, self.latch_ok <= 0, Dock.DETACHING)
        np.equal(self.state, Dock.BRIDGE_OPEN, out=self.bridge_open)
        np.logical_or(self.bridge_open, self.state == Dock.HARD_LOCK, out=self.locked)
        self._guide()

    def _guide(self) -> None:
        """Fly in slower and slower; stay put once held."""
        np.not_equal(self.state, Dock.FREE, out=self.guided)
        nearing = (self.state == Dock.APPROACH) | (self.state == Dock.SOFT_CAPTURE)
        np.minimum(
            self.range_m / self._params.slow_down_s, self._params.approach_mps, out=self.guide_mps
        )
        self.guide_mps *= nearing

    def _move(self, among: Bools, due: Bools, state: Dock) -> None:
        chosen = among & due
        if chosen.any():
            self._go(np.flatnonzero(chosen), state)

    def _go(self, bots: Ints, state: Dock) -> None:
        self.state[bots] = state
        self._stage_s[bots] = 0.0
        self._hits[bots] = 0

    def _report(self, hw: "Hardware") -> None:
        """Report each change; a bot on a dead bus reports it when it is back."""
        changed = (self.state != self._told) & ~hw.power.bus_dead
        for bot in np.flatnonzero(changed).tolist():
            before, after = Dock(self._told[bot]).name.lower(), Dock(self.state[bot]).name.lower()
            port = PORTS[self.port[bot]]
            values = (("range_m", float(self.range_m[bot])),)
            hw.edges.append(Edge(bot, "dock", self.name, port, before, after, values))
        np.copyto(self._told, self.state, where=changed)


def _directions(shard: Shard) -> Floats:
    """Return a horizontal unit vector for each bot, (3, n)."""
    angles = [generator(shard.seed, bot, "station").uniform(0, 2 * np.pi) for bot in shard.bots]
    return np.array([np.cos(angles), np.sin(angles), np.zeros(shard.n)])
