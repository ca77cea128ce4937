"""Where a bot flies when nobody commands it: way-points around a home of its own."""

import numpy as np

from twin.hardware.draws import generator
from twin.hardware.plane import Floats, Ints
from twin.hardware.shard import Shard
from twin.spec.params.motion import MotionParams

__all__ = ["Patrol"]


class Patrol:
    """A closed loop of way-points for every bot, seeded by the bot and its group alone.

    `home` is (3, n); `target` (3, n) is the way-point that each bot flies to; `cruise_mps`
    (n,) its speed. Metres in world axes.
    """

    def __init__(self, shard: Shard, params: MotionParams) -> None:
        plans = [_plan(shard, bot, params) for bot in range(shard.n)]
        self.home: Floats = np.array([plan[0] for plan in plans]).reshape(-1, 3).T.copy()
        self.cruise_mps: Floats = np.array([plan[2] for plan in plans], dtype=float)
        self._points: Floats = np.array([plan[1] for plan in plans]).reshape(
            -1, params.waypoints, 3
        )
        self._leg: Ints = np.ones(shard.n, dtype=np.int64)
        self.target: Floats = self._points[:, 1].T.copy()

    @property
    def start(self) -> Floats:
        """Where the loop begins, (3, n)."""
        return self._points[:, 0].T.copy()

    def arrive(self, bots: Ints) -> None:
        """Send the bots of these indices to their next way-point."""
        self._leg[bots] = (self._leg[bots] + 1) % self._points.shape[1]
        self.target[:, bots] = self._points[bots, self._leg[bots]].T


def _plan(shard: Shard, bot: int, params: MotionParams) -> tuple[Floats, Floats, float]:
    """Return home (3,), way-points (waypoints, 3) and cruise speed of one bot."""
    rng = generator(shard.seed, shard.bots[bot], "patrol")
    spread = rng.uniform(-1, 1, 3)
    group = shard.groups[bot] if shard.groups else ""
    if group:
        centre = generator(shard.seed, "group", group, "home").uniform(-1, 1, 3)
        home = centre * params.region_m + spread * params.group_spread_m
    else:
        home = spread * params.region_m
    home[2] *= 0.02
    count = params.waypoints
    turn = rng.choice((-1.0, 1.0))
    angle = rng.uniform(0, 2 * np.pi) + turn * 2 * np.pi * np.arange(count) / count
    radius = params.patrol_radius_m * rng.uniform(0.7, 1.3, count)
    height = params.patrol_radius_m * rng.uniform(-0.1, 0.1, count)
    points = home + np.stack((radius * np.cos(angle), radius * np.sin(angle), height), axis=1)
    return home, points, params.cruise_mps * (1 + params.cruise_spread * rng.uniform(-1, 1))
