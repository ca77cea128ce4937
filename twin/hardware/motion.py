"""Where each bot is, how it moves and how it lies: the ground truth of the simulation."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from twin.hardware.patrol import Patrol
from twin.hardware.plane import ANY, POSITIVE, Floats, Range
from twin.hardware.rotation import (
    angles,
    from_angles,
    matrix,
    sum_of_squares,
    to_world,
    turned,
)
from twin.hardware.shard import Shard
from twin.spec.params.motion import MotionParams

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["COAST", "HOLD", "PATROL", "Motion"]

PATROL: Final = 0.0
HOLD: Final = 1.0
COAST: Final = 2.0
BEHAVIOURS: Final = {"patrol": PATROL, "hold": HOLD, "coast": COAST}
FLAG: Final = Range(0.0, 1.0)


class Motion:
    """Rigid bodies in free space, with an electric drive and an attitude hold.

    World axes: `position_m`, `velocity_mps`, `acceleration_mps2` (mean of the last tick).
    Body axes: `rates_rps`. All (n, 3). `attitude_rad` (n, 3) is roll, pitch, yaw; `heading_deg`
    in [0, 360) is the bearing of the nose, 0 = north, clockwise. `speed_mps` is the length of
    the velocity, `drive_mps` the speed that the drive is asked for (0 while coasting): what the
    motion load pays for. A throttled drive is slower; on a dead bus it is off.

    Newton's second law with the mean force of the tick, so position and velocity are exact
    for thrust that is constant over a tick. One moment of inertia for all axes, hence no
    gyroscopic torque. The drive and the hold stand for what the platform does not specify:
    on patrol they fly the way-points, on hold they stop the bot, coasting they are off.
    """

    name = "motion"
    inputs: Mapping[str, Range] = MappingProxyType(
        {"behaviour": Range(PATROL, COAST), "drive_failed": FLAG, "hold_failed": FLAG}
    )
    startable: Mapping[str, Range] = MappingProxyType(
        {
            **dict.fromkeys(("x_m", "y_m", "z_m", "vx_mps", "vy_mps", "vz_mps"), ANY),
            "cruise_mps": POSITIVE,
            "behaviour": Range(PATROL, COAST),
        }
    )

    def __init__(self, shard: Shard, params: MotionParams) -> None:
        n = shard.n
        self._params = params
        self.patrol = Patrol(shard, params)
        self.cruise_mps = self.patrol.cruise_mps
        self.behaviour = np.full(n, BEHAVIOURS[params.behaviour])
        self.drive_failed, self.hold_failed = np.zeros((2, n))
        self._position = self.patrol.start
        self._velocity, self._acceleration, self._rates, self._attitude = np.zeros((4, 3, n))
        self.position_m, self.velocity_mps = self._position.T, self._velocity.T
        self.acceleration_mps2, self.rates_rps = self._acceleration.T, self._rates.T
        self.attitude_rad = self._attitude.T
        self.x_m, self.y_m, self.z_m = self._position
        self.vx_mps, self.vy_mps, self.vz_mps = self._velocity
        self.roll_rad, self.pitch_rad, self.yaw_rad = self._attitude
        self.speed_mps, self.drive_mps, self.heading_deg = np.zeros((3, n))
        away = self.patrol.target - self._position
        self.quaternion: Floats = from_angles(
            np.zeros(n), np.zeros(n), np.arctan2(away[1], away[0])
        )
        self.rotation: Floats = matrix(self.quaternion)
        self._tell_attitude()

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Move every bot for `dt_s` seconds under the thrust and torque of this tick."""
        thrust = hw.propulsion
        away = self.patrol.target - self._position
        self._turn(hw, away, thrust.torque_nm.T if thrust.firing else None, dt_s)
        force = thrust.force_n.T if thrust.firing else None
        self._move(hw, away, force, self._params.dry_mass_kg + thrust.propellant_kg, dt_s)
        self._arrive()

    def _turn(self, hw: "Hardware", away: Floats, torque: Floats | None, dt_s: float) -> None:
        """Steer the nose to `away` within the limits of the hold, then turn."""
        p, held = self._params, (self.behaviour != COAST) & (self.hold_failed == 0)
        held &= ~hw.power.bus_dead
        error = np.empty_like(self._rates)
        error[0], error[1] = -self.roll_rad, -self.pitch_rad
        course = np.arctan2(away[1], away[0]) - self.yaw_rad
        error[2] = course - (2 * np.pi) * np.rint(course / (2 * np.pi))
        wanted = error * ((1 - np.exp(-dt_s / p.turn_tau_s)) / dt_s)
        np.clip(wanted, -p.turn_rate_rps, p.turn_rate_rps, out=wanted)
        wanted -= self._rates
        limit = p.turn_accel_rps2 * dt_s
        np.clip(wanted, -limit, limit, out=wanted)
        wanted *= held
        before = self._rates.copy()
        self._rates += wanted
        if torque is not None:
            self._rates += torque * (dt_s / p.inertia_kgm2)
        before += self._rates
        before *= 0.5
        self.quaternion[:] = turned(self.quaternion, before, dt_s)
        self.rotation[:] = matrix(self.quaternion)
        self._tell_attitude()

    def _move(
        self, hw: "Hardware", away: Floats, force: Floats | None, mass: Floats, dt_s: float
    ) -> None:
        """Accelerate and move; the drive works along the nose, slower while it points away."""
        acceleration = self._drive(hw, away, dt_s)
        if force is not None:
            acceleration += to_world(self.rotation, force) / mass
        self._acceleration[:] = acceleration
        self._position += self._velocity * dt_s + acceleration * (0.5 * dt_s * dt_s)
        self._velocity += acceleration * dt_s
        np.sqrt(sum_of_squares(self._velocity), out=self.speed_mps)

    def _drive(self, hw: "Hardware", away: Floats, dt_s: float) -> Floats:
        """Return the drive's acceleration (3, n), and note the speed that it keeps up."""
        nose = self.rotation[:, 0]
        distance = np.sqrt(sum_of_squares(away)) + 1e-9
        ahead = (nose[0] * away[0] + nose[1] * away[1] + nose[2] * away[2]) / distance
        works = (self.behaviour != COAST) & (self.drive_failed == 0)
        np.maximum(ahead, 0.2, out=ahead)
        ahead *= works & (self.behaviour == PATROL)
        np.multiply(self.cruise_mps, ahead, out=self.drive_mps)
        works &= ~hw.power.bus_dead
        wanted_mps = self.drive_mps * hw.power.motion_share
        wanted = nose * wanted_mps
        wanted[2] += away[2] / distance * wanted_mps
        wanted -= self._velocity
        wanted /= dt_s
        size = np.sqrt(sum_of_squares(wanted)) + 1e-12
        wanted *= np.minimum(self._params.drive_accel_mps2 / size, 1.0) * works
        drive: Floats = wanted
        return drive

    def _arrive(self) -> None:
        away = self.patrol.target - self._position
        near = sum_of_squares(away) < self._params.arrival_m**2
        if near.any():
            self.patrol.arrive(np.flatnonzero(near))

    def _tell_attitude(self) -> None:
        self._attitude[0], self._attitude[1], self._attitude[2] = angles(self.quaternion)
        bearing = 90.0 - np.degrees(self.yaw_rad)
        self.heading_deg[:] = np.where(bearing < 0.0, bearing + 360.0, bearing)
