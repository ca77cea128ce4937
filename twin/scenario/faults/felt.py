"""Whether anybody felt that a process stood still: what waited for it meanwhile."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from twin.errors import InfrastructureError
from twin.events.topology import ConsumerDecl
from twin.jetstream.api import consumer_info
from twin.jetstream.connection import Connection
from twin.jetstream.publisher import PublishCounts

__all__ = ["Deliveries", "Felt", "Publishes"]

ASK_S = 0.5


class Felt(Protocol):
    """What a process is needed for; asked while it stands, it may take a moment."""

    what: str

    async def begin(self) -> None:
        """Note how things are: the process stands from now on."""

    async def waited(self) -> int | None:
        """Return how much has waited for it since; None where that cannot be known."""


class Publishes:
    """Publishes of the run, which wait for the broker."""

    what = "publishes waited"

    def __init__(self, counts: Callable[[], PublishCounts]) -> None:
        self._counts = counts

    async def begin(self) -> None:
        """Nothing to note: none is acknowledged meanwhile."""

    async def waited(self) -> int | None:
        """Return how many have no outcome yet."""
        counts = self._counts()
        return counts.in_flight + counts.waiting


class Deliveries:
    """Messages that came for the durables of a consumer."""

    what = "messages came for it"

    def __init__(self, connection: Connection, consumers: Sequence[ConsumerDecl]) -> None:
        self._connection = connection
        self._consumers = consumers
        self._before: int | None = None

    async def begin(self) -> None:
        """Count those that were there already."""
        self._before = await self._came()

    async def waited(self) -> int | None:
        """Return how many came since; None when the broker does not tell."""
        now = await self._came()
        return None if now is None or self._before is None else max(0, now - self._before)

    async def _came(self) -> int | None:
        """Return how many were delivered or are to be, each delivery counted."""
        try:
            async with asyncio.timeout(ASK_S):
                infos = [
                    await consumer_info(self._connection, one.stream, one.name)
                    for one in self._consumers
                ]
        except (InfrastructureError, TimeoutError):
            return None
        return sum(info.delivered.consumer_seq + info.num_pending for info in infos if info)
