"""The order in which events may leave."""

from collections.abc import Iterable, Sequence

__all__ = ["Backlog"]


class Backlog:
    """Decides which event may be sent next; events are known by slot and source.

    With `ordered`, an event leaves only when its predecessor of the same source is settled;
    each source's events form a chain, whose head alone is ready. Otherwise all are ready.
    """

    def __init__(self, *, ordered: bool) -> None:
        self._ordered = ordered
        self._ready: list[int] = []
        self._gone = 0
        """How many of `_ready` have left already."""
        self._last: dict[int, int] = {}
        self._next: dict[int, int] = {}
        self._waiting = 0

    def __len__(self) -> int:
        """The number of events that wait, ready or not."""
        return self._waiting

    def push(self, slots: Sequence[int], sources: Iterable[int]) -> None:
        """Add events, each behind the others of its source."""
        self._waiting += len(slots)
        if not self._ordered:
            self._ready.extend(slots)
            return
        newest, follower, ready = self._last, self._next, self._ready
        for slot, source in zip(slots, sources, strict=True):
            if source in newest:
                follower[newest[source]] = slot
            else:
                ready.append(slot)
            newest[source] = slot

    def take(self, count: int) -> list[int]:
        """Take the next events that may be sent, at most `count`."""
        taken = self._ready[self._gone : self._gone + count]
        self._gone += len(taken)
        if 2 * self._gone >= len(self._ready):
            del self._ready[: self._gone]
            self._gone = 0
        self._waiting -= len(taken)
        return taken

    def release(self, slots: Iterable[int], sources: Iterable[int]) -> None:
        """Let the successors of settled events go."""
        if not self._ordered:
            return
        follower, ready, newest = self._next, self._ready, self._last
        for slot, source in zip(slots, sources, strict=True):
            if slot in follower:
                ready.append(follower.pop(slot))
            else:
                del newest[source]
