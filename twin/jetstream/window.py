"""How a publisher is bounded: its settings, and how much it may have on the wire."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twin.errors import UsageError

__all__ = ["PublisherSettings", "Window"]

_MAX_WINDOW = 50_000
_LEAST_WINDOW = 16
_FIRST_WINDOW = 1024
_RECENT = 0.1


@dataclass(frozen=True, slots=True)
class PublisherSettings:
    """Bounds and times of a publisher.

    `window` is the number of events on the wire at once, `backlog` that of all unsettled
    ones. Where events are large the window is smaller: about `window_bytes` in all. A try
    without an answer is repeated after `ack_wait_s`, growing with each try and jittered;
    `retry_for_s` after its first send an event's outcome is unknown. That must stay well below
    the streams' duplicate window. `pipelined` gives up the order per source.
    """

    window: int = 8192
    window_bytes: int = 16 * 2**20
    backlog: int = 100_000
    ack_wait_s: float = 2.0
    retry_for_s: float = 60.0
    duplicate_window_s: float = 120.0
    checkpoint_s: float = 1.0
    pipelined: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.window <= _MAX_WINDOW:
            raise UsageError(f"A publisher's window is 1 to {_MAX_WINDOW}, not {self.window}.")
        if self.retry_for_s > 0.8 * self.duplicate_window_s:
            raise UsageError(
                f"Retrying for {self.retry_for_s:g} s needs a duplicate window of at least "
                f"{self.retry_for_s / 0.8:g} s, not {self.duplicate_window_s:g} s."
            )


class Window:
    """How many events may be on the wire at once, by number and by their usual size."""

    def __init__(self, settings: PublisherSettings) -> None:
        self.largest = 0
        """Size of the largest event so far, in bytes of header lines and payload."""
        self.resting = 0
        """Events that were refused for now: in flight, and not on the wire."""
        self._settings = settings
        self._usual = 0.0
        self._opened = _FIRST_WINDOW

    def weigh(self, sizes: npt.NDArray[np.int64]) -> None:
        """Note the sizes of events that are about to come: larger ones count at once."""
        self.largest = max(self.largest, int(sizes.max()))
        usual = float(sizes.sum()) / len(sizes)
        self._usual += (usual - self._usual) * (_RECENT if usual < self._usual else 1.0)

    def widen(self, stored: int) -> None:
        """Open by as many events as were stored, from a small window at the start.

        So sources are soon known by their acknowledgements, and all but their first events
        can fly together.
        """
        self._opened = min(self._opened + stored, _MAX_WINDOW)

    @property
    def size(self) -> int:
        """How many events of the size that is usual lately may be on the wire."""
        fitting = int(self._settings.window_bytes / max(self._usual, 1.0))
        return min(self._settings.window, self._opened, max(fitting, _LEAST_WINDOW))

    def left(self, in_flight: int) -> int:
        """How many more events may be sent."""
        return self.size - (in_flight - self.resting)

    @property
    def stuck(self) -> bool:
        """Whether so many events rest that no new ones may join them."""
        return self._settings.pipelined and self.resting >= self.size
