"""Events on their way: waiting, on the wire, or resting before another try."""

from collections import deque
from collections.abc import Iterable, Sequence

from twin.events.event import Event

__all__ = ["Backlog", "Flight"]


class Flight:
    """One event from being offered until its outcome is known.

    `tries` counts sends. `doubtful` says that some try may have been stored without our
    knowing; `resting` that the last try was refused for now. `error` is the last refusal's
    code. Once sent, `subject` (as on the wire) and `token` are those of every try, and
    `first_sent` and `due` (when to act next) are on the monotonic clock, in seconds.
    """

    subject: bytes
    token: int
    first_sent: float
    due: float
    tries = 0
    doubtful = False
    resting = False
    error = 0
    next: "Flight | None" = None

    def __init__(self, event: Event, intended_ns: int) -> None:
        self.event = event
        self.intended_ns = intended_ns


class Backlog:
    """Decides which event may be sent next.

    With `ordered`, an event leaves only when its predecessor of the same source is settled;
    each source's events form a chain, whose head alone is ready. Otherwise all are ready.
    """

    def __init__(self, *, ordered: bool) -> None:
        self._ordered = ordered
        self._ready: deque[Flight] = deque()
        self._last: dict[int, Flight] = {}
        self._waiting = 0

    def __len__(self) -> int:
        """The number of events that wait, ready or not."""
        return self._waiting

    def push(self, flights: Sequence[Flight]) -> None:
        """Add events, each behind the others of its source."""
        self._waiting += len(flights)
        if not self._ordered:
            self._ready.extend(flights)
            return
        newest = self._last
        for flight in flights:
            source = flight.event[0]
            last = newest.get(source)
            newest[source] = flight
            if last is None:
                self._ready.append(flight)
            else:
                last.next = flight

    def take(self, count: int) -> list[Flight]:
        """Take the next events that may be sent, at most `count`."""
        ready = self._ready
        taken = [ready.popleft() for _ in range(min(count, len(ready)))]
        self._waiting -= len(taken)
        return taken

    def release(self, settled: Iterable[Flight]) -> None:
        """Let the successors of settled events go."""
        if not self._ordered:
            return
        for flight in settled:
            successor = flight.next
            if successor is not None:
                self._ready.append(successor)
                flight.next = None
            else:
                del self._last[flight.event[0]]
