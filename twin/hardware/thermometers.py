"""What the bot knows of its own temperatures."""

from typing import TYPE_CHECKING

import numpy as np

from twin.hardware.plane import Floats
from twin.hardware.shard import Shard
from twin.hardware.suite import Element, Suite
from twin.spec.params.sensors import ThermometersParams
from twin.spec.params.thermal import NODES

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["Thermometers"]


class Thermometers(Element):
    """Digital thermometers, in degC: `temp_c` (n, 6) in the order of NODES, `external_c` (n,).

    `core_c` (n,) is the core's. Readings are multiples of the resolution, which is larger than
    the noise of such a sensor. Malfunctions act on all of them, in kelvin.
    """

    name = "thermometers"

    def __init__(
        self, shard: Shard, suite: Suite, params: ThermometersParams, *, enabled: bool = True
    ) -> None:
        super().__init__(shard, suite, axes=len(NODES) + 1, noises=0, fitted=enabled)
        self._resolution_k = max(params.resolution_k, 1e-6)
        self.temp_c: Floats = self._values[:-1].T
        self.core_c, self.external_c = self._values[NODES.index("core")], self._values[-1]

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Read all nodes and the surroundings."""
        if not self.fitted:
            return
        values = self._values
        values[:-1] = hw.thermal.temp_c.T
        values[-1] = hw.thermal.ambient_degc
        values *= 1 / self._resolution_k
        np.rint(values, out=values)
        values *= self._resolution_k
        self.measure(hw, dt_s)
