"""The wall clock held against one that never jumps."""

import time
from typing import Final

__all__ = ["JUMP_NS", "Clock"]

JUMP_NS: Final = 1_000_000_000
"""By so much the wall clock has to leave the steady one to have jumped."""


class Clock:
    """Time as it goes on from the wall clock's at the beginning, whatever that one does since."""

    def __init__(self) -> None:
        self._start = self._seen = time.time_ns() - time.monotonic_ns()

    @property
    def now_ns(self) -> int:
        """Nanoseconds since 1970, as if the wall clock had not been set since the beginning."""
        return self._start + time.monotonic_ns()

    def jump_ns(self) -> int:
        """Return by how much the wall clock was set forward since this was last asked.

        Negative for backward, 0 for less than JUMP_NS. A machine that slept looks like a jump.
        """
        offset = time.time_ns() - time.monotonic_ns()
        jump = offset - self._seen
        if abs(jump) < JUMP_NS:
            return 0
        self._seen = offset
        return jump
