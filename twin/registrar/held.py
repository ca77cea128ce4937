"""What the registrar has taken and not yet recorded and acknowledged: bounded, in order."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import Gauge

from twin.jetstream.consumer import PullConsumer
from twin.jetstream.message import Message
from twin.registrar.records import Records

__all__ = ["Held", "Taken"]

MAX_HELD: Final = 12_000
COMMIT_ROWS: Final = 6_000


@dataclass(slots=True, eq=False)
class Taken:
    """A batch on its way: what is to be recorded of it, and what to acknowledge then.

    What is held for longer than `keep_alive_s` is to be signalled; it last was at `signalled`.
    Without a consumer it only wakes who records.
    """

    consumer: PullConsumer | None
    stream: str
    messages: list[Message]
    keep_alive_s: float
    signalled: float = field(default_factory=time.monotonic)
    records: list[Records] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.messages)


class Held:
    """Batches from when they are taken until they are acknowledged.

    There is room for MAX_HELD messages beside those that only wait for the disk. `count` shows
    how many there are.
    """

    def __init__(self, count: Gauge) -> None:
        self._count = count
        self._taken: set[Taken] = set()
        self._syncing = 0
        self._room = asyncio.Event()
        self._room.set()
        self._queue: asyncio.Queue[Taken | None] = asyncio.Queue()

    async def room(self) -> None:
        """Return when more may be taken."""
        await self._room.wait()

    def add(self, taken: Taken) -> None:
        """Hold a batch that was just taken."""
        self._taken.add(taken)
        self._recount()

    def put(self, taken: Taken | None) -> None:
        """Hand a batch to who records: the next one, or None after the last."""
        self._queue.put_nowait(taken)

    async def group(self) -> list[Taken]:
        """Return what waits to be recorded, COMMIT_ROWS or little more; nothing after the last."""
        group: list[Taken] = []
        more = await self._queue.get()
        while more is not None:
            group.append(more)
            if self._queue.empty() or sum(map(len, group)) >= COMMIT_ROWS:
                return group
            more = self._queue.get_nowait()
        if group:
            self._queue.put_nowait(None)
        return group

    def syncing(self, group: Sequence[Taken]) -> None:
        """Let more be taken and decoded while the disk is at work on what is inserted."""
        self._syncing = sum(map(len, group))
        self._recount()

    def release(self, group: Sequence[Taken]) -> None:
        """Forget what is recorded and acknowledged."""
        self._syncing = 0
        self._taken.difference_update(group)
        self._recount()

    def signal(self) -> None:
        """Tell the broker that what is held longer than usual is still being worked on."""
        now = time.monotonic()
        for taken in self._taken:
            if taken.consumer is not None and now - taken.signalled > taken.keep_alive_s:
                taken.consumer.in_progress(taken.messages)
                taken.signalled = now

    def _recount(self) -> None:
        held = sum(map(len, self._taken))
        self._count.set(held)
        if held - self._syncing < MAX_HELD:
            self._room.set()
        else:
            self._room.clear()
