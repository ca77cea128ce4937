"""The durables that a registrar reads, and how they come to exist."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, TypeAlias

from twin.errors import UsageError
from twin.events.topology import Topology
from twin.jetstream.api import consumer_info, stream_info
from twin.jetstream.connection import Connection
from twin.jetstream.reconcile import reconcile

__all__ = ["Durable", "Prepare", "attaching", "durables_of", "reconciling"]

POLL_S: Final = 0.2

Prepare: TypeAlias = Callable[[Connection], Awaitable[None]]
"""Returns once the consumers exist; called at the start and after each reconnect."""


class Durable(NamedTuple):
    """A durable consumer, by its names on the server."""

    stream: str
    name: str

    @classmethod
    def parse(cls, text: str) -> "Durable":
        """Read `STREAM:DURABLE`."""
        stream, colon, name = text.partition(":")
        if not (stream and colon and name):
            raise UsageError(f"'{text}' names no consumer; write STREAM:DURABLE")
        return cls(stream, name)


def durables_of(topology: Topology) -> tuple[Durable, ...]:
    """Return the consumers of a topology that is on the wire."""
    return tuple(Durable(consumer.stream, consumer.name) for consumer in topology.consumers)


def reconciling(topology: Topology) -> Prepare:
    """Make the consumers of a topology (on the wire) true, and the streams that are missing.

    A stream that is there keeps its limits: they belong to whoever made it.
    """

    async def prepare(connection: Connection) -> None:
        missing = [
            stream
            for stream in topology.streams
            if await stream_info(connection, stream.name) is None
        ]
        await reconcile(connection, replace(topology, streams=tuple(missing)))

    return prepare


def attaching(durables: Sequence[Durable]) -> Prepare:
    """Wait until somebody else has made the consumers."""

    async def prepare(connection: Connection) -> None:
        for durable in durables:
            while await consumer_info(connection, durable.stream, durable.name) is None:  # noqa: ASYNC110 - the broker tells nobody
                await asyncio.sleep(POLL_S)

    return prepare
