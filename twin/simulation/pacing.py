"""How simulated time follows the wall clock: a policy that measures and never sleeps."""

import time
from collections.abc import Callable

__all__ = ["Pacer"]

NS_PER_US = 1_000


class Pacer:
    """Maps simulated to wall time, and records how late things happened.

    `speed` is simulated seconds per wall second; None is as fast as possible, where every
    moment is intended for now and nothing can be late. `clock` returns wall nanoseconds
    since 1970. Who drives the world sleeps `early_ns` before a step and asks `slip_us` after.
    """

    def __init__(
        self,
        speed: float | None,
        start_wall_ns: int,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        if speed is not None and not speed > 0:
            raise ValueError(f"speed must be positive, not {speed}")
        self.speed, self.start_wall_ns = speed, start_wall_ns
        self._clock = clock
        self.worst_slip_us = 0
        self.instants = 0

    @property
    def fast(self) -> bool:
        """Whether simulated time runs free of the wall clock."""
        return self.speed is None

    def intended_ns(self, sim_ns: int) -> int:
        """Return the wall time at which `sim_ns` is meant to happen."""
        if self.speed is None:
            return self._clock()
        if self.speed == 1:
            return self.start_wall_ns + sim_ns
        return self.start_wall_ns + round(sim_ns / self.speed)

    def early_ns(self, sim_ns: int) -> int:
        """Return the wall nanoseconds until `sim_ns` is due: 0 or less once it is."""
        return 0 if self.speed is None else self.intended_ns(sim_ns) - self._clock()

    def due(self, sim_ns: int) -> bool:
        """Tell whether the moment has come."""
        return self.early_ns(sim_ns) <= 0

    def slip_us(self, sim_ns: int) -> int:
        """Return, and record, by how many microseconds `sim_ns` is late now."""
        late = max(0, -self.early_ns(sim_ns)) // NS_PER_US
        self.worst_slip_us = max(self.worst_slip_us, late)
        self.instants += 1
        return late
