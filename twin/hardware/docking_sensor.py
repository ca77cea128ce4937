"""The docking sensor: how far the station's port is, and how fast it comes nearer."""

from typing import TYPE_CHECKING, Final

import numpy as np

from twin.hardware.shard import Shard
from twin.hardware.suite import Element, Suite
from twin.spec.params.sensors import DockingSensorParams

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["DockingSensor"]

NOISE_LANE: Final = 128


class DockingSensor(Element):
    """`distance_m` and `closing_mps` (n,); nan and NO_TARGET with no port within its range.

    Malfunctions act on both values, in m and m/s.
    """

    name = "docking_sensor"

    def __init__(
        self, shard: Shard, suite: Suite, params: DockingSensorParams, *, enabled: bool = True
    ) -> None:
        super().__init__(shard, suite, axes=2, noises=0, fitted=enabled)
        self._params = params
        self.distance_m, self.closing_mps = self._values

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Look for the port."""
        if not self.fitted:
            return
        p, dock = self._params, hw.docking
        bots = np.flatnonzero(dock.range_m < p.range_m)
        self._values[:] = np.nan
        if len(bots):
            off_m, off_mps = self.lottery.pairs(NOISE_LANE, bots)
            distance = dock.range_m[bots] + p.noise_m * off_m
            self.distance_m[bots] = np.maximum(distance, 0.0)
            self.closing_mps[bots] = dock.closing_mps[bots] + p.noise_mps * off_mps
        self.measure(hw, dt_s)
        self.see(self._values, bots)
