"""How a bot lies and turns, and the hold that steers its nose."""

import numpy as np

from twin.hardware.plane import Bools, Floats, Ints
from twin.hardware.rotation import angles, cos_sin, from_angles, matrix, to_bearing, turned
from twin.spec.params.motion import MotionParams

__all__ = ["Attitude"]

LEVEL_RAD: float = 1e-9
"""A bot that is no more tilted than this, and hardly turns but in yaw, counts as level."""


class Attitude:
    """`rates` (3, n) in rad/s about body axes; `angles` (3, n): roll, pitch and yaw in rad.

    `rotation` (3, 3, n) takes body to world axes; `heading_deg` (n,) in [0, 360) is the bearing
    of the nose. A torque turns the body, w' = T / I with one moment of inertia for all axes; the
    hold turns it towards a course with limited rate and acceleration, and levels it.

    Nearly all bots fly level all the time: for them yaw alone is integrated. A bot that a
    torque tilted is integrated as a quaternion until the hold has levelled it again. Which
    way a bot takes depends on that bot alone.
    """

    def __init__(self, params: MotionParams, yaw: Floats) -> None:
        n = len(yaw)
        self._params = params
        self.rates, self.angles = np.zeros((2, 3, n))
        self.angles[2] = yaw
        self.rotation: Floats = np.zeros((3, 3, n))
        self.rotation[2, 2] = 1.0
        self.heading_deg = np.zeros(n)
        self._tilted: Bools = np.zeros(n, dtype=np.bool_)
        self._level_out()
        self._tell_heading()

    def turn(self, course: Floats, held: Bools, torque: Floats | None, dt_s: float) -> None:
        """Turn for `dt_s`: towards the yaw `course` (n,) where `held`, under `torque` (3, n)."""
        if torque is not None:
            self._tilted |= (torque[0] != 0) | (torque[1] != 0)
        bots = np.flatnonzero(self._tilted)
        tumbling = self._tumble(bots, course, held, torque, dt_s) if len(bots) else None
        yaw, rate = self.angles[2], self.rates[2]
        before = rate.copy()
        rate += self._hold(_wrapped(course - yaw), rate, dt_s) * held
        if torque is not None:
            rate += torque[2] * (dt_s / self._params.inertia_kgm2)
        before += rate
        before *= 0.5 * dt_s
        yaw += before
        np.copyto(yaw, _wrapped(yaw))
        self._level_out()
        if tumbling is not None:
            self._settle(bots, *tumbling)
        self._tell_heading()

    def _hold(self, error: Floats, rate: Floats, dt_s: float) -> Floats:
        """Return by how much the hold changes a rate, to close an angle."""
        p = self._params
        wanted = error * ((1 - np.exp(-dt_s / p.turn_tau_s)) / dt_s)
        np.clip(wanted, -p.turn_rate_rps, p.turn_rate_rps, out=wanted)
        wanted -= rate
        limit = p.turn_accel_rps2 * dt_s
        change: Floats = np.clip(wanted, -limit, limit, out=wanted)
        return change

    def _tumble(
        self, bots: Ints, course: Floats, held: Bools, torque: Floats | None, dt_s: float
    ) -> tuple[Floats, Floats]:
        """Return rates (3, k) and quaternions (4, k) of tilted bots after the tick."""
        roll, pitch, yaw = self.angles[:, bots]
        rates = self.rates[:, bots]
        error = np.stack((-roll, -pitch, _wrapped(course[bots] - yaw)))
        new = rates + self._hold(error, rates, dt_s) * held[bots]
        if torque is not None:
            new += torque[:, bots] * (dt_s / self._params.inertia_kgm2)
        return new, turned(from_angles(roll, pitch, yaw), (rates + new) * 0.5, dt_s)

    def _settle(self, bots: Ints, rates: Floats, quaternion: Floats) -> None:
        """Note how tilted bots lie now; let those be level that are."""
        roll, pitch, yaw = angles(quaternion)
        level = np.abs(np.stack((roll, pitch, rates[0], rates[1]))).max(axis=0) < LEVEL_RAD
        keep = ~level
        self._tilted[bots] = keep
        rates[:2] *= keep
        self.rates[:, bots] = rates
        self.angles[:, bots] = np.stack((roll * keep, pitch * keep, yaw))
        self.rotation[:, :, bots] = matrix(quaternion)

    def _level_out(self) -> None:
        """Write the rotation of level bots."""
        cosine, sine = cos_sin(self.angles[2])
        self.rotation[0, 0], self.rotation[1, 1] = cosine, cosine
        self.rotation[1, 0] = sine
        np.negative(sine, out=self.rotation[0, 1])

    def _tell_heading(self) -> None:
        bearing = self.angles[2] * (-180 / np.pi)
        bearing += 90.0
        np.copyto(self.heading_deg, to_bearing(bearing))


def _wrapped(angle: Floats) -> Floats:
    """Return an angle turned back into [-pi, pi]."""
    turns = angle * (1 / (2 * np.pi))
    np.rint(turns, out=turns)
    turns *= -2 * np.pi
    turns += angle
    return turns
