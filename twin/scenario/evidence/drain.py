"""Waits until the watched consumers have processed everything that the streams hold."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

from twin.errors import InfrastructureError
from twin.events.topology import ConsumerDecl
from twin.jetstream.advisories import Advisories
from twin.jetstream.api import consumer_info
from twin.jetstream.connection import Connection
from twin.jetstream.drained import Drained, drained
from twin.verdict.manifest import WatchedConsumer

__all__ = ["deliveries", "drain"]

POLL_S = 0.1


async def drain(
    connection: Connection,
    consumers: Sequence[ConsumerDecl],
    advisories: Advisories,
    patience_ns: int,
    before: Sequence[int] = (),
) -> tuple[WatchedConsumer, ...]:
    """Return the state of each consumer once all are drained, or none moves for `patience_ns`.

    `before` is what `deliveries` gave of each consumer when the run began.
    """
    found = await asyncio.gather(*(_wait(connection, one, patience_ns) for one in consumers))
    made: list[int | None] = [None] * len(consumers)
    if before and not connection.disconnects:  # a server that was away may have forgotten some
        with suppress(InfrastructureError):
            after = await deliveries(connection, consumers)
            made = [b - a if b >= a else None for a, b in zip(before, after, strict=True)]
    return tuple(
        _facts(consumer, state, advisories).model_copy(update={"deliveries": count})
        for consumer, state, count in zip(consumers, found, made, strict=True)
    )


async def deliveries(connection: Connection, consumers: Sequence[ConsumerDecl]) -> list[int]:
    """Return how often each consumer's messages were delivered since it was made."""
    infos = [await consumer_info(connection, one.stream, one.name) for one in consumers]
    return [info.delivered.consumer_seq if info else 0 for info in infos]


async def _wait(connection: Connection, consumer: ConsumerDecl, patience_ns: int) -> Drained | str:
    """Return the last state seen, or why there is none.

    Only a state that differs from the one before is progress; a failed look is not.
    """
    moved = time.monotonic_ns()
    last: Drained | None = None
    while True:
        failure = ""
        try:
            seen = await drained(connection, consumer)
        except InfrastructureError as error:
            failure = str(error)
        else:
            if seen.drained:
                return seen
            if seen != last:
                moved, last = time.monotonic_ns(), seen
        if time.monotonic_ns() - moved > patience_ns:
            return failure or last or "the consumer was never seen"
        await asyncio.sleep(POLL_S)


def _facts(consumer: ConsumerDecl, state: Drained | str, advisories: Advisories) -> WatchedConsumer:
    exhausted, terminated = advisories.given_up(consumer.stream, consumer.name)
    known = state if isinstance(state, Drained) else None
    return WatchedConsumer(
        role=consumer.role,
        stream=consumer.stream,
        durable=consumer.name,
        drained=known is not None and known.drained,
        num_pending=known.num_pending if known else 0,
        num_ack_pending=known.num_ack_pending if known else 0,
        ack_floor=known.ack_floor if known else 0,
        last_matching_seq=known.last_matching_seq if known else 0,
        exhausted=exhausted,
        terminated=terminated,
        naks=advisories.naks(consumer.stream, consumer.name),
        advisories_read=advisories.complete,
        detail=state if isinstance(state, str) else "",
    )
