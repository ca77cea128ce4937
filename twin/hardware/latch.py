"""Thresholds with hysteresis."""

import numpy as np

from twin.hardware.plane import Bools, Floats

__all__ = ["Latch"]


class Latch:
    """`on` (n,) goes up at or below `sets_at`, and down at or above `clears_at`."""

    def __init__(self, n: int, sets_at: float, clears_at: float) -> None:
        self._sets_at, self._clears_at = sets_at, clears_at
        self.on: Bools = np.zeros(n, dtype=np.bool_)

    def update(self, value: Floats, seen: Bools) -> Bools:
        """Follow `value` where it is seen; return which bots changed."""
        changed: Bools = value <= self._sets_at
        if self.on.any():
            np.copyto(changed, value >= self._clears_at, where=self.on)
        changed &= seen
        self.on ^= changed
        return changed
