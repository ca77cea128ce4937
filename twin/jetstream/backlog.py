"""The order in which events may leave."""

from collections import deque

import numpy as np
import numpy.typing as npt

__all__ = ["Backlog"]

_Slots = npt.NDArray[np.int64]
_Sources = npt.NDArray[np.uint32]


class Backlog:
    """Decides which event may be sent next; events are known by slot and source.

    With `ordered`, an event leaves only when its predecessor of the same source is settled;
    each source's events form a chain, whose head alone is ready. Otherwise all are ready.
    """

    def __init__(self, *, ordered: bool) -> None:
        self._ordered = ordered
        self._ready: deque[_Slots] = deque()
        self._last: dict[int, int] = {}
        self._next: dict[int, int] = {}
        self._waiting = 0

    def __len__(self) -> int:
        """The number of events that wait, ready or not."""
        return self._waiting

    def push(self, slots: _Slots, sources: _Sources) -> None:
        """Add events, each behind the others of its source."""
        self._waiting += len(slots)
        self._ready.append(self._heads(slots, sources) if self._ordered else slots)

    def take(self, count: int) -> _Slots:
        """Take the next events that may be sent, at most `count`."""
        pieces: list[_Slots] = []
        left = count
        while left and self._ready:
            piece = self._ready.popleft()
            if len(piece) > left:
                self._ready.appendleft(piece[left:])
                piece = piece[:left]
            pieces.append(piece)
            left -= len(piece)
        self._waiting -= count - left
        return np.concatenate(pieces) if pieces else np.zeros(0, np.int64)

    def release(self, slots: _Slots, sources: _Sources) -> None:
        """Let the successors of settled events go."""
        if not self._ordered:
            return
        follower, newest = self._next, self._last
        ready: list[int] = []
        for slot, source in zip(slots.tolist(), sources.tolist(), strict=True):
            if slot in follower:
                ready.append(follower.pop(slot))
            else:
                del newest[source]
        if ready:
            self._ready.append(np.array(ready, np.int64))

    def _heads(self, slots: _Slots, sources: _Sources) -> _Slots:
        """Chain events up; return those that are first of their source."""
        newest, follower = self._last, self._next
        heads: list[int] = []
        for slot, source in zip(slots.tolist(), sources.tolist(), strict=True):
            if source in newest:
                follower[newest[source]] = slot
            else:
                heads.append(slot)
            newest[source] = slot
        return np.array(heads, np.int64)
