"""Lets through to the publisher what `--shared` allows, no faster and no more than that."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from twin.errors import InfrastructureError, UsageError
from twin.events.event import Event, SourceTable
from twin.jetstream.publisher import Publisher, PublisherSettings
from twin.scenario.shared import Shared

__all__ = ["Gate", "publisher_settings"]

TURN_S = 0.02
MOST_WAITING = 100_000


def publisher_settings(window_s: float) -> PublisherSettings:
    """Return settings whose retries fit into the streams' duplicate window."""
    retry_s = min(60.0, 0.5 * window_s)
    return PublisherSettings(retry_for_s=retry_s, duplicate_window_s=window_s)


class Gate:
    """An outlet before a publisher: holds events back above the rate, ends the run at a cap.

    What is held back was not attempted yet. Leaving its context sends nothing more.
    """

    def __init__(self, publisher: Publisher, sources: SourceTable, shared: Shared) -> None:
        self._publisher = publisher
        self._sources = sources
        self._shared = shared
        self._queue: deque[tuple[Event, int, int]] = deque()
        self._tokens = self._burst = max(1.0, shared.max_rate * TURN_S)
        self._last = time.monotonic()
        self._bytes = 0
        self._answers = 0
        self._timer: asyncio.TimerHandle | None = None
        self._moved = asyncio.Event()
        self._reached: InfrastructureError | None = None

    def offer(self, events: list[Event], intended_ns: list[int], slip_us: int) -> None:
        """Take events over without waiting; raises once a cap is reached."""
        self._check()
        for event in events:
            self._refuse_others(self._sources[event.source].subject)
        self._queue.extend(
            (event, at, slip_us) for event, at in zip(events, intended_ns, strict=True)
        )
        if len(self._queue) > MOST_WAITING:
            raise InfrastructureError(
                f"--max-rate {self._shared.max_rate:g} is too low: {MOST_WAITING:,} events wait"
            )
        self._pump()

    async def room(self) -> None:
        """Return once more can be offered."""
        await self._publisher.room()
        await self.empty()

    async def empty(self) -> None:
        """Return once nothing is held back."""
        while self._queue:
            self._check()
            self._moved.clear()
            await self._moved.wait()
        self._check()

    def answering(self, answer: Callable[[Sequence[Event]], None]) -> Callable[[list[Event]], None]:
        """Return `answer` for the events that may be published; each is two messages."""

        def limited(events: list[Event]) -> None:
            allowed = [e for e in events if self._shared.allows(self._sources[e.source].subject)]
            self._answers += 2 * len(allowed)
            self._bytes += 2 * sum(len(e.headers) + len(e.payload) for e in allowed)
            if self._cap(0, 0) is None:
                answer(allowed)

        return limited

    def close(self) -> None:
        """Let nothing more through."""
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _refuse_others(self, subject: str) -> None:
        if not self._shared.allows(subject):
            raise UsageError(f"--allow-subjects does not name {subject}: it was not published")

    def _pump(self) -> None:
        now = time.monotonic()
        earned = (now - self._last) * self._shared.max_rate
        self._tokens, self._last = min(self._burst, self._tokens + earned), now
        while self._queue and self._tokens >= 1 and self._reached is None:
            event, at, slip_us = self._queue[0]
            size = len(event.headers) + len(event.payload)
            self._reached = self._cap(1, size)
            if self._reached is None:
                self._queue.popleft()
                self._tokens -= 1
                self._bytes += size
                self._publisher.offer([event], [at], slip_us)
        self._moved.set()
        self._timer = None
        if self._queue and self._reached is None:
            self._timer = asyncio.get_running_loop().call_later(TURN_S, self._pump)

    def _cap(self, messages: int, size: int) -> InfrastructureError | None:
        """Return why so much more may not be published; a repeated try counts as an average one."""
        counts, shared = self._publisher.counts, self._shared
        sent = counts.offered + counts.resent + self._answers
        repeated = counts.resent * (self._bytes // max(1, counts.offered))
        for flag, cap, wanted in (
            ("--max-messages", shared.max_messages, sent + messages),
            ("--max-bytes", shared.max_bytes, self._bytes + repeated + size),
        ):
            if wanted > cap:
                return InfrastructureError(
                    f"{flag} {cap:,} is reached: nothing more was published, and the run ended."
                )
        return None

    def _check(self) -> None:
        if self._reached is not None:
            raise self._reached
