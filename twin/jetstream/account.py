"""The publisher's books: counts, recent latencies, and the journal's records."""

import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from struct import pack
from typing import Protocol

import numpy as np
import numpy.typing as npt

from twin.events.event import Columns
from twin.jetstream.flights import Flights, Slots
from twin.jetstream.puback import STREAM_FULL
from twin.verdict.journal import OUTCOME, LocalRefusal, Outcome, Rows, attempts

__all__ = ["Account", "PublishCounts", "PublishJournal", "Quantiles"]

_RECENT = 4096
_MAX_U4 = 0xFFFFFFFF


class PublishJournal(Protocol):
    """Where attempts and outcomes are recorded, outside the broker; see verdict.journal."""

    def attempted(self, rows: Rows) -> None:
        """Record ATTEMPT rows."""

    def settled(self, rows: Rows) -> None:
        """Record OUTCOME rows."""

    def flush(self) -> None:
        """Hand over to the operating system."""

    def sync(self) -> None:
        """Make durable what was flushed; called from another thread."""


@dataclass(slots=True)
class PublishCounts:
    """Events by outcome, and what happened on the way.

    offered = acknowledged + refused + unknown + in_flight + waiting. `duplicates` counts
    first tries that the server called duplicates: somebody else used our message ids.
    `late` and `strange` are answers for settled events, and answers that are none.
    """

    offered: int = 0
    acknowledged: int = 0
    refused: int = 0
    unknown: int = 0
    in_flight: int = 0
    waiting: int = 0
    duplicates: int = 0
    resent: int = 0
    overflowed: int = 0
    late: int = 0
    strange: int = 0
    disconnects: int = 0


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Latency from intended publish time to acknowledgement, in milliseconds."""

    p50: float
    p95: float
    p99: float
    max: float


class Account:
    """Counts and journals every event twice: when it is offered and when it is settled."""

    def __init__(self, journal: PublishJournal, flights: Flights) -> None:
        self.counts = PublishCounts()
        self.journal = journal
        self.latency_sum_ns = 0
        self.overfull: Counter[int] = Counter()
        """How many events of each source were refused because their stream was full."""
        self._flights = flights
        self._recent_ns: deque[npt.NDArray[np.int64]] = deque()
        self._recent = 0

    def offered(self, events: Columns, intended_ns: Sequence[int], slip_us: int) -> Rows:
        """Record attempts, before anything is sent; return their rows."""
        self.counts.offered += len(events.source)
        intended = np.frombuffer(pack(f"<{len(intended_ns)}q", *intended_ns), "<i8")
        rows = attempts(events, intended, min(max(slip_us, 0), _MAX_U4))
        self.journal.attempted(rows)
        return rows

    def acknowledged(self, slots: Slots, stream_seq: Slots | int, duplicate: bool = False) -> None:
        """Record events that are stored, each with its stream sequence."""
        now = time.time_ns()
        flights, counts = self._flights, self.counts
        counts.acknowledged += len(slots)
        if duplicate:
            counts.duplicates += int(np.count_nonzero(flights.tries[slots] == 1))
        took_ns = now - flights.intended_ns[slots]
        self.latency_sum_ns += int(took_ns.sum())
        self._remember(took_ns)
        rows = self._rows(slots, now)
        rows["outcome"] = Outcome.ACKNOWLEDGED
        rows["duplicate"] = duplicate
        rows["stream_seq"] = stream_seq
        self.journal.settled(rows)

    def given_up(self, slots: Slots, unknown: npt.NDArray[np.bool_]) -> None:
        """Record events whose outcome is unknown, or else refused with the error of each."""
        self.counts.unknown += int(np.count_nonzero(unknown))
        self.counts.refused += int(np.count_nonzero(~unknown))
        rows = self._rows(slots, time.time_ns())
        rows["outcome"] = np.where(unknown, Outcome.UNKNOWN, Outcome.REFUSED)
        rows["error"] = self._flights.error[slots]
        full = ~unknown & (rows["error"] == STREAM_FULL)
        self.overfull.update(rows["source"][full].tolist())
        self.journal.settled(rows)

    def overflowed(self, offered: Rows) -> None:
        """Record the refusal of events for which the backlog had no room, by ATTEMPT rows."""
        self.counts.refused += len(offered)
        self.counts.overflowed += len(offered)
        rows = np.zeros(len(offered), OUTCOME)
        rows["source"], rows["seq"] = offered["source"], offered["seq"]
        rows["outcome"], rows["error"] = Outcome.REFUSED, LocalRefusal.OVERFLOW
        rows["ack_ns"] = time.time_ns()
        self.journal.settled(rows)

    def latency(self) -> Quantiles | None:
        """Return quantiles over the most recent acknowledgements, None before the first."""
        if not self._recent:
            return None
        recent_ns = np.concatenate(self._recent_ns)[-_RECENT:]
        values = np.quantile(recent_ns / 1e6, (0.5, 0.95, 0.99, 1.0))
        return Quantiles(*(float(value) for value in values))

    def _rows(self, slots: Slots, now_ns: int) -> Rows:
        flights = self._flights
        rows = np.zeros(len(slots), OUTCOME)
        rows["source"] = flights.source[slots]
        rows["seq"] = flights.seq[slots]
        rows["tries"] = flights.tries[slots]
        rows["ack_ns"] = now_ns
        return rows

    def _remember(self, took_ns: npt.NDArray[np.int64]) -> None:
        self._recent_ns.append(took_ns)
        self._recent += len(took_ns)
        while self._recent - len(self._recent_ns[0]) >= _RECENT:
            self._recent -= len(self._recent_ns.popleft())
