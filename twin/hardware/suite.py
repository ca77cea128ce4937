"""The sensing suite: the sensors' common source of noise, and their word at start."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from twin.hardware.draws import Draws
from twin.hardware.instrument import Instrument
from twin.hardware.plane import Bools, Edge, Floats, Range
from twin.hardware.shard import Shard

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["Element", "Suite"]


class Suite:
    """One stream of random draws for all sensors of a bot; it is stepped before them.

    Elements reserve their columns when they are made. When a bot's devices begin to run, the
    suite reports sensor_io_ok; `online` (n,) tells where they do.
    """

    name = "suite"
    startable: Mapping[str, Range] = MappingProxyType({})
    inputs: Mapping[str, Range] = MappingProxyType({})

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._normals = 0
        self._draws: Draws | None = None
        self._now: Floats = np.empty((0, shard.n))
        self.online: Bools = np.zeros(shard.n, dtype=np.bool_)

    def reserve(self, normals: int) -> slice:
        """Return the rows of normals that will be the caller's."""
        rows = slice(self._normals, self._normals + normals)
        self._normals = rows.stop
        return rows

    def drawn(self, rows: slice) -> Floats:
        """Return this tick's normals of reserved rows, (rows, n)."""
        return self._now[rows]

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Draw for everybody; report whose sensors came to life."""
        if self._draws is None:
            self._draws = self._shard.draws(self.name, normals=self._normals)
        self._now = self._draws.next().normals.T
        idle = hw.readiness.idle
        if idle is None and self.online.all():
            return
        online = np.ones_like(self.online) if idle is None else idle == 0
        for bot in np.flatnonzero(online & ~self.online).tolist():
            hw.edges.append(Edge(bot, "sensor_io_ok", self.name, "suite", "idle", "ok"))
        self.online[:] = online


class Element(Instrument):
    """A sensor of the suite: `axes` values, `noises` normals a tick from the suite's draws."""

    def __init__(self, shard: Shard, suite: Suite, *, axes: int, noises: int, fitted: bool) -> None:
        super().__init__(shard, axes, fitted=fitted)
        self._suite = suite
        self._rows = suite.reserve(noises * fitted)
        self._values = np.full((axes, shard.n), np.nan)

    def draw(self) -> Floats:
        """Return this tick's normals of this sensor, (noises, n)."""
        return self._suite.drawn(self._rows)

    def measure(self, hw: "Hardware", dt_s: float, noise: Floats | float = 0.0) -> None:
        """Turn `_values` (axes, n) from the truth into readings.

        `noise` (standard deviations) is broadcast against the normals of this tick (noises, n);
        a sensor without draws of its own adds none.
        """
        if self._rows.start < self._rows.stop:
            self._values += self.draw() * noise
        self.sense(hw, self._values, dt_s)
