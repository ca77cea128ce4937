"""The clocks of the bots: right, unless a malfunction says otherwise."""

from collections.abc import Iterator

import numpy as np

from twin.hardware.plane import Ints

__all__ = ["Clocks"]

NANOSECONDS = 1e9


class Clocks:
    """How far each bot's clock is ahead of simulated time.

    Malfunctions set `offset_s` and `drift_ppm` (n,); a drift adds up until it is healed, then
    the clock is set right. `right` tells that no clock is wrong, so nobody need ask further.
    """

    def __init__(self, n: int) -> None:
        self.offset_s, self.drift_ppm, self._drifted_s = np.zeros((3, n))
        self.right = True

    def look(self) -> None:
        """Take note after the inputs have changed."""
        self._drifted_s[self.drift_ppm == 0] = 0.0
        self.right = not (self.offset_s.any() or self.drift_ppm.any())

    def tick(self, dt_s: float) -> None:
        """Let clocks that drift move on."""
        if not self.right:
            self._drifted_s += self.drift_ppm * (dt_s * 1e-6)

    def error_ns(self) -> Ints:
        """Return how far each clock is ahead, (n,) in whole nanoseconds."""
        return np.rint((self.offset_s + self._drifted_s) * NANOSECONDS).astype(np.int64)

    def alike(self, rows: Ints) -> Iterator[tuple[Ints, int]]:
        """Yield parts of `rows` whose clocks show the same, and their error in ns."""
        errors = self.error_ns()[rows]
        for error in np.unique(errors).tolist():
            yield rows[errors == error], error
