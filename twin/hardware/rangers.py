"""Sensors that look at the nearest object: proximity, lidar, spectrometer."""

from typing import TYPE_CHECKING, Final

import numpy as np

from twin.hardware.plane import Floats, Ints
from twin.hardware.shard import Shard
from twin.hardware.suite import Element, Suite
from twin.spec.params.sensors import LidarParams, ProximityParams, SpectrometerParams

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["LINES_NM", "Lidar", "Proximity", "Spectrometer"]

NOISE_LANE: Final = 128
LINES_NM: Final = np.array([np.nan, 589.0, 656.3, 777.4, 486.1, 394.4])
"""The strongest line of each Kind of object: sodium, hydrogen, oxygen, iron, aluminium."""


class Ranger(Element):
    """One value about the nearest object within `range_m`; nan and NO_TARGET without one."""

    def __init__(
        self, shard: Shard, suite: Suite, range_m: float, noise: float, *, enabled: bool
    ) -> None:
        super().__init__(shard, suite, axes=1, noises=0, fitted=enabled)
        self._range_m, self._noise = range_m, noise

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Look around."""
        if not self.fitted:
            return
        bots = np.flatnonzero(hw.surroundings.nearest_m < self._range_m)
        self._values[:] = np.nan
        if len(bots):
            bots, truth = self._look(hw, bots)
            self._values[0, bots] = truth + self._noise * self.lottery.normals(NOISE_LANE, bots)
        self.measure(hw, dt_s)
        self.see(self._values, bots)

    def _look(self, hw: "Hardware", bots: Ints) -> tuple[Ints, Floats]:
        """Return which of these bots have a target, and the true value of each."""
        return bots, hw.surroundings.nearest_m[bots]


class Proximity(Ranger):
    """`distance_m` (n,) of the nearest object on any side."""

    name = "proximity"

    def __init__(
        self, shard: Shard, suite: Suite, params: ProximityParams, *, enabled: bool = False
    ) -> None:
        super().__init__(shard, suite, params.range_m, params.noise_m, enabled=enabled)
        self.distance_m: Floats = self._values[0]


class Lidar(Ranger):
    """`distance_m` (n,) of the nearest object within the field of view around the nose."""

    name = "lidar"

    def __init__(
        self, shard: Shard, suite: Suite, params: LidarParams, *, enabled: bool = True
    ) -> None:
        super().__init__(shard, suite, params.range_m, params.noise_m, enabled=enabled)
        self._cosine = float(np.cos(np.radians(params.field_of_view_deg / 2)))
        self.distance_m: Floats = self._values[0]

    def _look(self, hw: "Hardware", bots: Ints) -> tuple[Ints, Floats]:
        around, nose = hw.surroundings, hw.motion.rotation[:, 0, bots]
        x, y, z = around.relative_m[:, :, bots]
        distance = around.distance_m[:, bots]
        ahead = x * nose[0] + y * nose[1] + z * nose[2] >= self._cosine * distance - 1e-9
        seen = np.where(ahead & around.present[:, bots], distance, np.inf).min(axis=0)
        found = seen < self._range_m
        return bots[found], seen[found]


class Spectrometer(Ranger):
    """`line_nm` (n,): the strongest spectral line of the nearest object; see LINES_NM."""

    name = "spectrometer"

    def __init__(
        self, shard: Shard, suite: Suite, params: SpectrometerParams, *, enabled: bool = True
    ) -> None:
        super().__init__(shard, suite, params.range_m, params.noise_nm, enabled=enabled)
        self.line_nm: Floats = self._values[0]

    def _look(self, hw: "Hardware", bots: Ints) -> tuple[Ints, Floats]:
        around = hw.surroundings
        distance = np.where(around.present[:, bots], around.distance_m[:, bots], np.inf)
        which = np.argmin(distance, axis=0)
        return bots, LINES_NM[around.kind[which, bots]]
