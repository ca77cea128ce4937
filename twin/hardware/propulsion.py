"""Reaction control: commands become pulses of sixteen thrusters, and those a force."""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from twin.errors import UsageError
from twin.hardware.plane import Bools, Floats, Ints, Range
from twin.hardware.shard import Shard
from twin.hardware.thrusters import AXES, Allocator, Thrusters
from twin.spec.params.motion import PropulsionParams

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["Propulsion", "RcsMode"]

G0_MPS2: Final = 9.80665


class RcsMode(IntEnum):
    """How demands become openings."""

    AUTO = 0
    ADAPTIVE = 1
    MANUAL_OVERRIDE = 2


class Propulsion:
    """Thrusters of every bot: `openings` (n, 16) in [0, 1] is the mean of the tick.

    `force_n` and `torque_nm` (n, 3), body frame and about the centre of mass, are means over
    the tick; `firing` tells whether any bot's are not 0. `propellant_kg`, `power_w`,
    `throttle_pct` (n,): thrust as a share of one full translation group; `power_w` is what is
    asked for, and the valves open as far as the power plane grants it. Mass flow is
    sum(F) / (Isp g0); the last drops are burnt at the same thrust for the part of the tick
    that they last.

    `valve_cycles` (n,) counts openings. A thruster opens at most once per pulse window and
    never for less than the minimum pulse: shorter demands add up until a pulse is due, so that
    the mean over time is what was asked for. AUTO allocates as if all thrusters worked,
    ADAPTIVE knows those that are stuck, MANUAL_OVERRIDE opens what `fire` was told. Inputs
    `stuck_open` and `stuck_closed` are bit masks: bit k is thruster k, counted from 0.
    """

    name = "propulsion"
    startable: Mapping[str, Range] = MappingProxyType(
        {"propellant_kg": Range(0.0, 1e6), "mode": Range(0, 2)}
    )
    inputs: Mapping[str, Range] = MappingProxyType(
        {"stuck_open": Range(0, 65535), "stuck_closed": Range(0, 65535), "mode": Range(0, 2)}
    )

    def __init__(self, shard: Shard, params: PropulsionParams) -> None:
        n = shard.n
        self._params = params
        self.thrusters = Thrusters(params)
        self._allocator = Allocator(self.thrusters)
        self._flow_kgps = self.thrusters.thrust_n / (params.isp_s * G0_MPS2)
        self.mode = np.full(n, float(RcsMode[params.mode]))
        self.stuck_open, self.stuck_closed = np.zeros((2, n))
        self._known_stuck = np.zeros((2, n))
        self._wanted = np.zeros((6, n))
        self._manual, self._openings, self._means, self._owed_s = np.zeros(
            (4, self.thrusters.count, n)
        )
        self._left_s = np.zeros(n)
        self._stale: Bools = np.zeros(n, dtype=np.bool_)
        self._effect = np.zeros((6, n))
        self.force_n, self.torque_nm = self._effect[:3].T, self._effect[3:].T
        self.openings = self._means.T
        self.propellant_kg = np.full(n, params.propellant_kg)
        self.power_w, self.throttle_pct, self.used_kg, self.valve_cycles = np.zeros((4, n))
        self.firing = False

    def demand(self, bots: Ints, force_n: Floats, torque_nm: Floats, duration_s: float) -> None:
        """Ask for a force and a torque, (3,) or (bots, 3), for so long; replaces what was asked."""
        self._wanted[:3, bots] = np.broadcast_to(force_n, (len(bots), 3)).T
        self._wanted[3:, bots] = np.broadcast_to(torque_nm, (len(bots), 3)).T
        self._left_s[bots] = duration_s
        self._stale[bots] = True

    def burn(self, bots: Ints, axis: str, percent: float, duration_s: float) -> None:
        """Ask for a share of the force of a translation group; UsageError for an unknown axis."""
        if axis not in AXES:
            raise UsageError(f"no thrust axis is called {axis!r}; there are {', '.join(AXES)}")
        force = np.array(AXES[axis]) * self.thrusters.group_force_n(axis) * (percent / 100)
        self.demand(bots, force, np.zeros(3), duration_s)

    def fire(self, bots: Ints, openings: Floats, duration_s: float) -> None:
        """Set the openings (16,) of MANUAL_OVERRIDE for so long."""
        self._manual[:, bots] = np.clip(openings, 0, 1).reshape(-1, 1)
        self._left_s[bots] = duration_s
        self._stale[bots] = True

    def stop(self, bots: Ints) -> None:
        """Close all thrusters that can be closed."""
        self._left_s[bots] = 0.0

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Fire what is asked for, as long as propellant lasts."""
        stuck = bool(self.stuck_open.any())
        if not (self._left_s.any() or stuck):
            if self.firing:
                self._rest()
            return
        self._allocate()
        share = np.minimum(self._left_s / dt_s, 1.0)
        self._want_power(share)
        share *= hw.power.rcs_share * ~hw.power.bus_dead
        np.maximum(self._left_s - dt_s, 0.0, out=self._left_s)
        self._left_s[self._left_s < 1e-9] = 0.0
        self._pulse(self._openings * share, dt_s)
        if stuck or self.stuck_closed.any():
            self._means[self._bits(self.stuck_closed)] = 0.0
            self._means[self._bits(self.stuck_open)] = 1.0
        self._burn(dt_s)

    def _want_power(self, share: Floats) -> None:
        """Note what the valves would draw if they got it all."""
        thrust = np.zeros(len(share))
        for opening, force in zip(self._openings, self.thrusters.thrust_n.tolist(), strict=True):
            thrust += opening * force
        fraction = np.minimum(thrust * share / self.thrusters.full_thrust_n, 1.0)
        np.multiply(fraction, self._params.rcs_power_w, out=self.power_w)

    def _allocate(self) -> None:
        """Work out openings where the demand, the mode or a known failure changed."""
        known = np.where(
            self.mode == RcsMode.ADAPTIVE, np.stack((self.stuck_open, self.stuck_closed)), 0.0
        )
        changed = (known != self._known_stuck).any(axis=0) | self._stale
        self._known_stuck = known
        manual = self.mode == RcsMode.MANUAL_OVERRIDE
        self._openings[:, manual] = self._manual[:, manual]
        bots = np.flatnonzero(changed & ~manual & (self._left_s > 0))
        self._stale[bots] = False
        self._owed_s[:, bots] = 0.0
        if not len(bots):
            return
        is_open, closed = self._bits(known[0])[:, bots], self._bits(known[1])[:, bots]
        wanted = self._wanted[:, bots].copy()
        for thruster in range(self.thrusters.count):
            effect = self.thrusters.effect[:, thruster : thruster + 1]
            wanted -= effect * is_open[thruster]
        limit = np.where(is_open | closed, 0.0, 1.0)
        self._openings[:, bots] = self._allocator.solve(wanted, limit)

    def _pulse(self, openings: Floats, dt_s: float) -> None:
        """Turn wanted openings into those of this tick, in pulses that are long enough."""
        self._owed_s += openings * dt_s
        least_s = max(min(self._params.pulse_min_s, dt_s), 1e-9)
        due = np.where(self._owed_s >= least_s, np.minimum(self._owed_s, dt_s), 0.0)
        self._owed_s -= due
        self._owed_s[:, self._left_s == 0] = 0.0
        np.divide(due, dt_s, out=self._means)
        windows = max(dt_s / self._params.pulse_window_s, 1.0)
        cycles = np.where(due < dt_s, np.minimum(np.floor(due / least_s), windows), 0.0)
        for row in cycles:
            self.valve_cycles += row

    def _bits(self, masks: Floats) -> Bools:
        """Return (thrusters, n): which thrusters a bit mask names."""
        bits = masks.astype(np.int64) >> np.arange(self.thrusters.count).reshape(-1, 1)
        return (bits & 1).astype(np.bool_)

    def _burn(self, dt_s: float) -> None:
        """Use propellant, and turn openings into force and torque."""
        flow, thrust = np.zeros((2, len(self.mode)))
        for opening, rate, force in zip(
            self._means, self._flow_kgps.tolist(), self.thrusters.thrust_n.tolist(), strict=True
        ):
            flow += opening * rate
            thrust += opening * force
        needed = flow * dt_s
        lasts = np.minimum(self.propellant_kg / np.maximum(needed, 1e-12), 1.0)
        self._means *= lasts
        np.minimum(needed, self.propellant_kg, out=self.used_kg)
        self.propellant_kg -= self.used_kg
        self.throttle_pct[:] = np.minimum(thrust * lasts / self.thrusters.full_thrust_n, 1) * 100
        self._effect[:] = 0.0
        for thruster, opening in enumerate(self._means):
            self._effect += self.thrusters.effect[:, thruster : thruster + 1] * opening
        self.firing = bool(self._means.any())

    def _rest(self) -> None:
        for array in (self._means, self._effect, self.power_w, self.throttle_pct, self.used_kg):
            array[...] = 0.0
        self.firing = False
