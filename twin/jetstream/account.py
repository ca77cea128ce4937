"""The publisher's books: counts, recent latencies, and the journal's records."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from twin.events.digest import payload_hash
from twin.events.event import Event
from twin.jetstream.backlog import Flight
from twin.verdict.journal import LocalRefusal, Outcome

__all__ = ["Account", "PublishCounts", "PublishJournal", "Quantiles", "Settlement"]

Settlement = tuple[Flight, Outcome, int, bool]
"""A flight, what became of it, its stream sequence, and whether it was called a duplicate."""

_RECENT = 4096
_ACKNOWLEDGED = int(Outcome.ACKNOWLEDGED)
_MAX_U2 = 0xFFFF
_MAX_U4 = 0xFFFFFFFF


class PublishJournal(Protocol):
    """Where attempts and outcomes are recorded, outside the broker; see verdict.journal."""

    def attempted(self, rows: list[tuple[int, ...]]) -> None:
        """Record ATTEMPT rows."""

    def settled(self, rows: list[tuple[int, ...]]) -> None:
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

    def __init__(self, journal: PublishJournal) -> None:
        self.counts = PublishCounts()
        self.journal = journal
        self.latency_sum_ns = 0
        self._recent_ns: deque[int] = deque(maxlen=_RECENT)

    def offered(self, events: Sequence[Event], intended_ns: Sequence[int], slip_us: int) -> None:
        """Record attempts, before anything is sent."""
        self.counts.offered += len(events)
        slip_us = min(max(slip_us, 0), _MAX_U4)
        self.journal.attempted(
            [
                (e.source, e.seq, payload_hash(e.payload), e.sim_ns, at, slip_us, len(e.payload))
                for e, at in zip(events, intended_ns, strict=True)
            ]
        )

    def acknowledged(self, stored: Sequence[tuple[Flight, int]]) -> None:
        """Record events that were stored, each with its stream sequence: the ordinary case."""
        now = time.time_ns()
        self.counts.acknowledged += len(stored)
        took_ns = [now - flight.intended_ns for flight, _ in stored]
        self._recent_ns.extend(took_ns)
        self.latency_sum_ns += sum(took_ns)
        rows: list[tuple[int, ...]] = []
        for flight, stream_seq in stored:
            source, seq, _, _, _ = flight.event
            tries = flight.tries if flight.tries < _MAX_U2 else _MAX_U2
            rows.append((source, seq, _ACKNOWLEDGED, 0, tries, 0, stream_seq, now))
        self.journal.settled(rows)

    def settle(self, settled: Sequence[Settlement]) -> None:
        """Record outcomes."""
        now = time.time_ns()
        counts = self.counts
        rows: list[tuple[int, ...]] = []
        for flight, outcome, stream_seq, duplicate in settled:
            error = flight.error
            if outcome is Outcome.ACKNOWLEDGED:
                counts.acknowledged += 1
                counts.duplicates += duplicate and flight.tries == 1
                self._recent_ns.append(now - flight.intended_ns)
                self.latency_sum_ns += now - flight.intended_ns
                error = 0
            elif outcome is Outcome.REFUSED:
                counts.refused += 1
            else:
                counts.unknown += 1
            event, tries = flight.event, min(flight.tries, _MAX_U2)
            rows.append(
                (event.source, event.seq, outcome, duplicate, tries, error, stream_seq, now)
            )
        self.journal.settled(rows)

    def overflowed(self, events: Sequence[Event]) -> None:
        """Record the refusal of events for which the backlog had no room."""
        now = time.time_ns()
        self.counts.refused += len(events)
        self.counts.overflowed += len(events)
        refused, why = Outcome.REFUSED, LocalRefusal.OVERFLOW
        self.journal.settled([(e.source, e.seq, refused, 0, 0, why, 0, now) for e in events])

    def latency(self) -> Quantiles | None:
        """Return quantiles over the most recent acknowledgements, None before the first."""
        if not self._recent_ns:
            return None
        values = np.quantile(np.fromiter(self._recent_ns, float) / 1e6, (0.5, 0.95, 0.99, 1.0))
        return Quantiles(*(float(value) for value in values))
