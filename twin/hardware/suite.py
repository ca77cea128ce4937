"""The sensing suite: the small sensors' common source of noise, and their word at start."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from twin.hardware.draws import Draw, Draws
from twin.hardware.instrument import Instrument
from twin.hardware.plane import Bools, Edge, Floats, Range
from twin.hardware.shard import Shard

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["Element", "Suite"]


class Suite:
    """One stream of random draws for all small sensors of a bot; it is stepped before them.

    Elements reserve their columns when they are made. When a bot's devices begin to run, the
    suite reports sensor_io_ok; `online` (n,) tells where they do.
    """

    name = "sensors"
    startable: Mapping[str, Range] = MappingProxyType({})
    inputs: Mapping[str, Range] = MappingProxyType({})

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._normals, self._uniforms = 0, 0
        self._draws: Draws | None = None
        self._now = Draw(np.empty((shard.n, 0)), np.empty((shard.n, 0)))
        self.online: Bools = np.zeros(shard.n, dtype=np.bool_)

    def reserve(self, normals: int, uniforms: int) -> tuple[slice, slice]:
        """Return the rows of normals and uniforms that will be the caller's."""
        rows = slice(self._normals, self._normals + normals)
        more = slice(self._uniforms, self._uniforms + uniforms)
        self._normals, self._uniforms = rows.stop, more.stop
        return rows, more

    def drawn(self, normals: slice, uniforms: slice) -> tuple[Floats, Floats]:
        """Return this tick's draws of reserved rows: (normals, n) and (uniforms, n)."""
        return self._now.normals.T[normals], self._now.uniforms.T[uniforms]

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Draw for everybody; report whose sensors came to life."""
        if self._draws is None:
            self._draws = self._shard.draws(
                self.name, normals=self._normals, uniforms=self._uniforms
            )
        self._now = self._draws.next()
        idle = hw.readiness.idle
        if idle is None and self.online.all():
            return
        online = np.ones_like(self.online) if idle is None else idle == 0
        for bot in np.flatnonzero(online & ~self.online).tolist():
            hw.edges.append(Edge(bot, "sensor_io_ok", self.name, "suite", "idle", "ok"))
        self.online[:] = online


class Element(Instrument):
    """A small sensor: `axes` values, `noises` normals of its own (one serves all axes)."""

    def __init__(self, shard: Shard, suite: Suite, *, axes: int, noises: int, fitted: bool) -> None:
        super().__init__(shard.n, axes, fitted=fitted)
        self._suite = suite
        self._rows = suite.reserve(noises * fitted, int(fitted))
        self._values = np.full((axes, shard.n), np.nan)

    def measure(self, hw: "Hardware", dt_s: float, noise: Floats | float) -> None:
        """Turn `_values` (axes, n) from the truth into readings with noise `noise` x normals.

        `noise` is broadcast against (noises, n).
        """
        normals, uniforms = self._drawn()
        self._values += normals * noise
        self.sense(hw, self._values, normals, uniforms, dt_s)

    def _drawn(self) -> tuple[Floats, Floats]:
        """Return normals (noises, n) and the uniform (n,) of this tick."""
        normals, uniforms = self._suite.drawn(*self._rows)
        return normals, uniforms[0]
