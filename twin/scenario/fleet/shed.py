"""Accounts for events that a bot gave up before they were ever published."""

import time
from collections.abc import Sequence

import numpy as np

from twin.events.event import Event, columns
from twin.verdict.journal import OUTCOME, FileJournal, Outcome, attempts

__all__ = ["ShedLog"]


class ShedLog:
    """Journals events that an outbox had no room for: generated, numbered, never sent."""

    def __init__(self, journal: FileJournal) -> None:
        self._journal = journal
        self.count = 0

    def __call__(self, events: Sequence[Event]) -> None:
        """Record each as attempted and shed, both now."""
        if not events:
            return
        now = time.time_ns()
        self.count += len(events)
        tried = attempts(columns(events), now, 0)
        self._journal.attempted(tried)
        settled = np.zeros(len(events), OUTCOME)
        settled["source"], settled["seq"] = tried["source"], tried["seq"]
        settled["outcome"], settled["ack_ns"] = Outcome.SHED, now
        self._journal.settled(settled)
