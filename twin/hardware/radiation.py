"""Ionising radiation: dose rate, and the dose that adds up."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from twin.hardware.health import Status
from twin.hardware.plane import POSITIVE, Edge, Ints, Range
from twin.hardware.shard import Shard
from twin.hardware.suite import Element, Suite
from twin.spec.params.sensors import RadiationParams

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["LEVELS", "Radiation"]

LEVELS: Final = ("normal", "warn", "critical")
SECONDS_PER_HOUR: Final = 3600.0


class Radiation(Element):
    """`radiation_usvh` (n,), nan without a reading; `dose_usv` (n,), the integral of readings.

    The counter sees Poisson counts, here in their normal approximation: a standard deviation
    of sqrt(rate / (sensitivity dt)). A dosimeter without readings adds nothing. `level` (n,)
    indexes LEVELS; its changes are edges of kind radiation. `background_usvh` (n,) is the
    truth, an input for storms and belts.
    """

    name = "radiation"

    def __init__(
        self, shard: Shard, suite: Suite, params: RadiationParams, *, enabled: bool = True
    ) -> None:
        super().__init__(shard, suite, axes=1, noises=1, fitted=enabled)
        self._params = params
        self.background_usvh = np.full(shard.n, params.background_usvh)
        self.dose_usv = np.zeros(shard.n)
        self.radiation_usvh = self._values[0]
        self.level: Ints = np.zeros(shard.n, dtype=np.int64)
        own: Mapping[str, Range] = {"background_usvh": POSITIVE}
        self.inputs = MappingProxyType({**self.inputs, **own})
        self.startable = MappingProxyType({**self.startable, **own, "dose_usv": POSITIVE})

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Count for one tick."""
        if not self.fitted:
            return
        reading = self.radiation_usvh
        np.copyto(reading, self.background_usvh)
        sensitivity = self._params.counts_hz_per_usvh * max(dt_s, self._params.gate_s)
        self.measure(hw, dt_s, np.sqrt(self.background_usvh * (1 / sensitivity)))
        np.maximum(reading, 0.0, out=reading)
        measured = np.where(self.status <= Status.DEGRADED, reading, 0.0)
        self.dose_usv += measured * (dt_s / SECONDS_PER_HOUR)
        self._grade(hw)

    def _grade(self, hw: "Hardware") -> None:
        """Follow the level up at its threshold, and down below the hysteresis."""
        p, reading = self._params, self.radiation_usvh
        if not self.level.any() and not (reading >= p.warn_usvh).any():
            return
        up = (reading >= p.warn_usvh) + 1 * (reading >= p.critical_usvh)
        keep = (reading >= p.warn_usvh - p.hysteresis_usvh) + 1 * (
            reading >= p.critical_usvh - p.hysteresis_usvh
        )
        level = np.where(np.isnan(reading), self.level, np.clip(self.level, up, keep))
        for bot in np.flatnonzero(level != self.level).tolist():
            before, after = LEVELS[self.level[bot]], LEVELS[level[bot]]
            values = (("radiation_usvh", float(reading[bot])),)
            hw.edges.append(Edge(bot, "radiation", self.name, "dose_rate", before, after, values))
        self.level[:] = level
