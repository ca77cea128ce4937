"""Where the thrusters sit, and which of them to open for a wanted force and torque."""

from itertools import product
from typing import Final

import numpy as np

from twin.hardware.plane import Floats
from twin.spec.params.motion import PropulsionParams, ThrusterClusterParams

__all__ = ["AXES", "Allocator", "Thrusters"]

AXES: Final = {
    "forward": (1.0, 0.0, 0.0),
    "aft": (-1.0, 0.0, 0.0),
    "port": (0.0, 1.0, 0.0),
    "starboard": (0.0, -1.0, 0.0),
    "up": (0.0, 0.0, 1.0),
    "down": (0.0, 0.0, -1.0),
}
"""Directions of the translation groups, body frame: X forward, Y left, Z up."""

ITERATIONS: Final = 150
TORQUE_WEIGHT_PER_M: Final = 10.0
THRIFT: Final = 1e-3


class Thrusters:
    """Geometry: `position_m`, `force_n` (thrusters, 3) and `effect` (6, thrusters).

    A nozzle points outward, so its thruster pushes inward. Column j of `effect` is the force
    in N and the torque in N m about the centre of mass of thruster j, wide open.
    """

    def __init__(self, params: PropulsionParams) -> None:
        corners = [_corners(cluster) for cluster in params.clusters]
        self.position_m: Floats = np.concatenate([corner[0] for corner in corners])
        self.force_n: Floats = np.concatenate([corner[1] for corner in corners])
        arms = self.position_m - np.array(params.centre_of_mass_m)
        torque = np.cross(arms, self.force_n)
        self.effect: Floats = np.concatenate((self.force_n.T, torque.T))
        self.thrust_n: Floats = np.sqrt((self.force_n * self.force_n).sum(axis=1))
        self.count = len(self.thrust_n)

    def group(self, axis: str) -> Floats:
        """Return which thrusters (bool) push straight along an axis: its translation group.

        They are those of the pair of clusters that pushes hardest that way.
        """
        along = self.force_n @ np.array(AXES[axis])
        chosen: Floats = along > 0.999 * along.max()
        return chosen

    def group_force_n(self, axis: str) -> float:
        """Return the force of a translation group along its axis."""
        return float((self.force_n[self.group(axis)] @ np.array(AXES[axis])).sum())

    @property
    def full_thrust_n(self) -> float:
        """Sum of thrusts of the strongest translation group: 100 % of the RCS."""
        return max(float(self.thrust_n[self.group(axis)].sum()) for axis in AXES)


def _corners(cluster: ThrusterClusterParams) -> tuple[Floats, Floats]:
    """Return positions and forces (8, 3) of a pair of clusters, front and then rear one."""
    signs = np.array(list(product((1.0, -1.0), repeat=3)))
    cant = np.radians(cluster.cant_deg)
    nozzle = np.zeros(3)
    nozzle["xyz".index(cluster.plane[0])] = np.cos(cant)
    nozzle["xyz".index(cluster.plane[1])] = np.sin(cant)
    return signs * np.array(cluster.corner_m), -signs * nozzle * cluster.thrust_n


class Allocator:
    """Openings in [0, limit] that come nearest to a wanted force and torque.

    Minimises |F - F*|^2 + w^2 |T - T*|^2 + thrift x propellant by accelerated projected
    gradients (Beck and Teboulle, 2009) with a fixed number of iterations, all bots at once;
    the torque weighs so much more that a force which cannot be had untwisted is cut instead.
    """

    def __init__(self, thrusters: Thrusters) -> None:
        weight = np.array([1.0, 1.0, 1.0, *([TORQUE_WEIGHT_PER_M] * 3)]).reshape(6, 1)
        effect = thrusters.effect * weight
        self._hessian: Floats = effect.T @ effect
        self._pull: Floats = (effect * weight).T
        self._step = 1.0 / float(np.linalg.eigvalsh(self._hessian)[-1])
        self._cost: Floats = THRIFT * thrusters.thrust_n.reshape(-1, 1)

    def solve(self, wanted: Floats, limit: Floats) -> Floats:
        """Return openings (thrusters, n) for `wanted` (6, n) under `limit` (thrusters, n)."""
        goal = _weighted(self._pull, wanted) - self._cost
        opening = np.zeros_like(limit)
        ahead, momentum = opening, 1.0
        for _ in range(ITERATIONS):
            slope = goal - _weighted(self._hessian, ahead)
            moved = np.clip(ahead + self._step * slope, 0.0, limit)
            grown = (1 + np.sqrt(1 + 4 * momentum * momentum)) / 2
            ahead = moved + (momentum - 1) / grown * (moved - opening)
            opening, momentum = moved, grown
        return opening


def _weighted(matrix: Floats, columns: Floats) -> Floats:
    """Multiply a small matrix by (k, n) columns, adding in a fixed order for any n."""
    total: Floats = matrix[:, :1] * columns[0]
    for index in range(1, len(columns)):
        total += matrix[:, index : index + 1] * columns[index]
    return total
