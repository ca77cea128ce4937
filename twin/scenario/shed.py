"""Accounts for events that a bot gave up before they were ever published."""

import time
from collections.abc import Sequence

from twin.events.digest import payload_hash
from twin.events.event import Event
from twin.verdict.journal import FileJournal, Outcome

__all__ = ["ShedLog"]


class ShedLog:
    """Journals events that an outbox had no room for: generated, numbered, never sent."""

    def __init__(self, journal: FileJournal) -> None:
        self._journal = journal
        self.count = 0

    def __call__(self, events: Sequence[Event]) -> None:
        """Record each as attempted and shed, both now."""
        now = time.time_ns()
        self.count += len(events)
        self._journal.attempted(
            [
                (e.source, e.seq, payload_hash(e.payload), e.sim_ns, now, 0, len(e.payload))
                for e in events
            ]
        )
        self._journal.settled([(e.source, e.seq, Outcome.SHED, 0, 0, 0, 0, now) for e in events])
