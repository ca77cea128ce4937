"""Where the bot believes it is: dead reckoning, and how far to trust it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from twin.hardware.health import Reason, Reasons, Status
from twin.hardware.lottery import Lottery
from twin.hardware.plane import Floats, Range
from twin.hardware.rotation import to_bearing
from twin.hardware.shard import Shard
from twin.hardware.suite import Suite
from twin.spec.params.imu import ImuParams
from twin.spec.params.navigation import NavigationParams

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["Navigation"]

FLAG: Final = Range(0.0, 1.0)
DEGRADED: Final = int(Status.DEGRADED)
NO_FIX: Final = int(Reason.NO_FIX)
SMALL_RAD: Final = 0.05
OPPOSITE: Final = 2.0
"""The most that a wrong heading can do to a velocity, in speeds: the opposite of the true one."""


class Navigation:
    """Estimated `position_m` and `velocity_mps` (n, 3), `attitude_rad` (n, 3), `heading_deg` (n,).

    The heading is the integral of what the gyroscope shows, the position that of the measured
    speed along the estimated heading; roll and pitch are taken as levelled. It is computed as
    truth + error: the errors obey the same integrals (Groves, Principles of GNSS, Inertial and
    Multisensor Integrated Navigation, chapter 14). A gyroscope without values counts as one
    that feels no turn.

    `position_sigma_m` and `heading_sigma_rad` (n,) are what the bot believes of its errors:
    they grow until there is a fix. A docked bot knows its place, a locked star tracker its
    heading; input `fix` = 1 gives both (a beacon), `jammed` = 1 takes the speed away. `status`
    is degraded above the limit of uncertainty, with reason no_fix.
    """

    name = "navigation"
    startable: Mapping[str, Range] = MappingProxyType({})
    inputs: Mapping[str, Range] = MappingProxyType({"fix": FLAG, "jammed": FLAG})

    def __init__(
        self, shard: Shard, suite: Suite, params: NavigationParams, gyro: ImuParams
    ) -> None:
        n = shard.n
        self._params, self._gyro, self._suite = params, gyro, suite
        self._rows = suite.reserve(1)
        self.fix, self.jammed = np.zeros((2, n))
        self._error, self._estimate, self._velocity, self._attitude = np.zeros((4, 3, n))
        self._heading_error, self._scale = np.zeros((2, n))
        self._first, self._axis, self._since_s = True, 0, np.zeros(3)
        self.lottery = Lottery(shard, self.name)
        self.position_sigma_m, self.heading_sigma_rad, self.heading_deg = np.zeros((3, n))
        self._spread2, self._heading2, self._bias_sigma, self._drift_sigma = np.zeros((4, n))
        self.position_m, self.velocity_mps = self._estimate.T, self._velocity.T
        self.attitude_rad, self.position_error_m = self._attitude.T, self._error.T
        self.status, self.reason = np.zeros((2, n), dtype=np.int64)
        self.reasons = Reasons(self.reason)

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Integrate one tick, then use what fixes there are."""
        self.lottery.next_tick()
        self._turn(hw, dt_s)
        self._walk(hw, dt_s)
        self._wander(self._suite.drawn(self._rows)[0], dt_s)
        self._take_fixes(hw)
        self._tell(hw)

    def _turn(self, hw: "Hardware", dt_s: float) -> None:
        """Integrate the yaw that the gyroscope shows; without one, none."""
        true_rate = hw.motion.rates_rps[:, 2]
        shown = hw.imu.gyro_rps[:, 2]
        self._heading2 += self._gyro.gyro_noise_rps_rthz**2 * dt_s
        self._bias_sigma += self._gyro.gyro_bias_rps * dt_s
        blind = np.isnan(shown)
        if blind.any():
            shown = np.where(blind, 0.0, shown)
            self._bias_sigma += blind * (self._params.blind_rate_rps * dt_s)
        self._heading_error += (shown - true_rate) * dt_s
        np.sqrt(self._heading2 + self._bias_sigma * self._bias_sigma, out=self.heading_sigma_rad)

    def _walk(self, hw: "Hardware", dt_s: float) -> None:
        """Integrate the speed along the estimated heading.

        The uncertainty takes the errors of heading and scale to add up in one direction: an
        upper bound, which a patrol in loops does not reach.
        """
        p, (vx, vy, vz) = self._params, hw.motion.velocity_mps.T
        measured = self._velocity
        wrong = self._heading_error
        cos, sin = _cos_sin(wrong)
        measured[0], measured[1], measured[2] = cos * vx - sin * vy, cos * vy + sin * vx, vz
        measured *= 1 + self._scale
        drift = np.minimum(self.heading_sigma_rad, OPPOSITE) + p.scale_sigma
        drift *= hw.motion.speed_mps
        if self.jammed.any():
            measured *= self.jammed == 0
            drift += (self.jammed > 0) * p.blind_mps
        self._error += (measured - hw.motion.velocity_mps.T) * dt_s
        self._spread2 += p.walk_m_rts**2 * dt_s
        self._drift_sigma += drift * dt_s

    def _wander(self, normal: Floats, dt_s: float) -> None:
        """Let the noise of the speed move one axis, for the time since it last did."""
        self._since_s += dt_s
        axis, self._axis = self._axis, (self._axis + 1) % 3
        self._error[axis] += normal * (self._params.walk_m_rts * np.sqrt(self._since_s[axis]))
        self._since_s[axis] = 0.0

    def _take_fixes(self, hw: "Hardware") -> None:
        p, lottery = self._params, self.lottery
        placed = (self.fix > 0) | hw.docking.locked
        turned = (self.fix > 0) | hw.star_tracker.locked
        if self._first:
            placed[:] = turned[:] = True
            self._scale[:] = lottery.normals(6) * p.scale_sigma
            self._first = False
        if placed.any():
            noise = np.stack([lottery.normals(2 * axis) for axis in range(3)])
            np.copyto(self._error, noise * p.position_sigma_m, where=placed)
            np.copyto(self._spread2, p.position_sigma_m**2, where=placed)
            np.copyto(self._drift_sigma, 0.0, where=placed)
        if turned.any():
            np.copyto(self._heading_error, lottery.normals(8) * p.heading_sigma_rad, where=turned)
            np.copyto(self._heading2, p.heading_sigma_rad**2, where=turned)
            np.copyto(self._bias_sigma, 0.0, where=turned)

    def _tell(self, hw: "Hardware") -> None:
        motion = hw.motion
        np.add(motion.position_m.T, self._error, out=self._estimate)
        np.sqrt(self._spread2 + self._drift_sigma * self._drift_sigma, out=self.position_sigma_m)
        self._attitude[:] = motion.attitude_rad.T
        yaw = self._attitude[2]
        yaw += self._heading_error
        yaw -= (2 * np.pi) * np.rint(yaw * (1 / (2 * np.pi)))
        bearing = np.multiply(yaw, -180 / np.pi, out=self.heading_deg)
        bearing += 90.0
        to_bearing(bearing)
        np.multiply(self.position_sigma_m > self._params.degraded_m, DEGRADED, out=self.status)
        np.multiply(self.status, NO_FIX, out=self.reason)


def _cos_sin(angle: Floats) -> tuple[Floats | float, Floats]:
    """Return cosine and sine, as 1 and the angle itself where that is good enough."""
    far = np.abs(angle) > SMALL_RAD
    if not far.any():
        return 1.0, angle
    cos, sin = np.ones_like(angle), angle.copy()
    cos[far], sin[far] = np.cos(angle[far]), np.sin(angle[far])
    return cos, sin
