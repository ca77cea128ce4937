"""Where each bot is, how it moves and how it lies: the ground truth of the simulation."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from twin.hardware.attitude import Attitude
from twin.hardware.patrol import Patrol
from twin.hardware.plane import ANY, POSITIVE, Bools, Floats, Range
from twin.hardware.rotation import sum_of_squares, to_world
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
SLOWEST_SHARE: Final = 0.2
"""Of the cruise speed, while the nose points away from the way-point."""


class Motion:
    """Rigid bodies in free space, with an electric drive and an attitude hold.

    World axes: `position_m`, `velocity_mps`, `acceleration_mps2` (mean of the last tick).
    Body axes: `rates_rps`. All (n, 3). `attitude_rad` (n, 3) is roll, pitch, yaw; `heading_deg`
    in [0, 360) is the bearing of the nose, 0 = north, clockwise. `speed_mps` is the length of
    the velocity, `drive_mps` the speed that the drive is asked for (0 while coasting): what the
    motion load pays for. A throttled drive is slower; on a dead bus it is off.

    `rotation` (3, 3, n) takes body to world axes.

    Newton's second law with the mean force of the tick, so position and velocity are exact for
    thrust that is constant over a tick. The drive and the hold stand for what the platform does
    not specify: on patrol they fly the way-points, on hold they stop the bot, coasting they are
    off. `behaviour` (n,) holds PATROL, HOLD or COAST.
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
        self._velocity, self._acceleration, self._away = np.zeros((3, 3, n))
        np.subtract(self.patrol.target, self._position, out=self._away)
        self._attitude = Attitude(params, np.arctan2(self._away[1], self._away[0]))
        self.position_m, self.velocity_mps = self._position.T, self._velocity.T
        self.acceleration_mps2 = self._acceleration.T
        self.rates_rps, self.attitude_rad = self._attitude.rates.T, self._attitude.angles.T
        self.x_m, self.y_m, self.z_m = self._position
        self.vx_mps, self.vy_mps, self.vz_mps = self._velocity
        self.roll_rad, self.pitch_rad, self.yaw_rad = self._attitude.angles
        self.rotation, self.heading_deg = self._attitude.rotation, self._attitude.heading_deg
        self.speed_mps, self.drive_mps = np.zeros((2, n))

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Move every bot for `dt_s` seconds under the thrust and torque of this tick."""
        thrust = hw.propulsion
        away, torque = self._look_ahead(hw), thrust.torque_nm.T if thrust.firing else None
        self._attitude.turn(np.arctan2(away[1], away[0]), self._held(hw), torque, dt_s)
        force = thrust.force_n.T if thrust.firing else None
        self._move(hw, away, force, self._params.dry_mass_kg + thrust.propellant_kg, dt_s)

    def _held(self, hw: "Hardware") -> Bools:
        """Whether the attitude hold works."""
        held: Bools = self.behaviour != COAST
        held &= self.hold_failed == 0
        held &= ~hw.power.bus_dead
        return held

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
        """Return the drive's acceleration (3, n), and note the speed that it is asked for.

        On patrol it pushes along the nose, and up or down to the way-point; a bot that docks
        flies straight to its station.
        """
        nose, guided = self.rotation[:, 0], hw.docking.guided
        distance = np.sqrt(sum_of_squares(away)) + 1e-9
        ahead = (nose[0] * away[0] + nose[1] * away[1] + nose[2] * away[2]) / distance
        np.maximum(ahead, SLOWEST_SHARE, out=ahead)
        ahead *= self.behaviour == PATROL
        np.multiply(self.cruise_mps, ahead, out=self.drive_mps)
        np.copyto(self.drive_mps, hw.docking.guide_mps, where=guided)
        granted_mps = self.drive_mps * hw.power.motion_share
        wanted = nose * granted_mps
        wanted[2] += away[2] / distance * granted_mps
        if guided.any():
            np.copyto(wanted, away * (granted_mps / distance), where=guided)
        return self._accelerate(hw, wanted, dt_s)

    def _accelerate(self, hw: "Hardware", wanted: Floats, dt_s: float) -> Floats:
        """Return the acceleration towards a wanted velocity, which is overwritten."""
        wanted -= self._velocity
        wanted /= dt_s
        size = np.sqrt(sum_of_squares(wanted)) + 1e-12
        works: Bools = (self.behaviour != COAST) | hw.docking.guided
        works &= self.drive_failed == 0
        works &= ~hw.power.bus_dead
        wanted *= np.minimum(self._params.drive_accel_mps2 / size, 1.0) * works
        return wanted

    def _look_ahead(self, hw: "Hardware") -> Floats:
        """Return the way to the next way-point or the dock (3, n)."""
        away = np.subtract(self.patrol.target, self._position, out=self._away)
        bots = np.flatnonzero(sum_of_squares(away) < self._params.arrival_m**2)
        if len(bots):
            self.patrol.arrive(bots)
            away[:, bots] = self.patrol.target[:, bots] - self._position[:, bots]
        if hw.docking.guided.any():
            station = hw.docking.station_m - self._position
            np.copyto(away, station, where=hw.docking.guided)
        return away
