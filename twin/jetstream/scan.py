"""Reads a region of a stream completely, without touching any durable."""

import contextlib
import secrets
import time
from collections.abc import AsyncIterator

from twin.errors import BrokerUnreachable
from twin.jetstream.api import ApiRefused, ConsumerInfo, call
from twin.jetstream.connection import Connection
from twin.jetstream.consumer import PullConsumer
from twin.jetstream.message import Message

__all__ = ["Message", "scan"]

_NS = 1_000_000_000
_BATCH = 1000
_PATIENCE_S = 10.0
_INACTIVE_S = 60
_SLICE_S = 0.25


async def scan(
    connection: Connection, stream: str, first_seq: int, last_seq: int
) -> AsyncIterator[list[Message]]:
    """Yield the stored messages with first_seq <= sequence <= last_seq, in stream order.

    Deleted and evicted ones are absent. Uses ephemeral consumers without acknowledgement; one
    that is lost or skips a delivery is replaced by one that starts where the last ended.
    Raises ApiRefused when there is no such stream, BrokerUnreachable when nothing comes.
    """
    position = max(first_seq, 1)
    left = 1
    while left and position <= last_seq:
        name, left = await _open(connection, stream, position)
        seen = 0
        async with PullConsumer(connection, stream, name, batch=_BATCH) as consumer:
            while left and position <= last_seq:
                batch = await _next(consumer, stream)
                whole = _without_gap(batch, seen)
                if inside := [message for message in whole if message.stream_seq <= last_seq]:
                    yield inside
                if whole:
                    seen += len(whole)
                    position = whole[-1].stream_seq + 1
                    left = whole[-1].pending
                if len(whole) < len(batch) or not batch:
                    break
        await _discard(connection, stream, name)


async def _open(connection: Connection, stream: str, first_seq: int) -> tuple[str, int]:
    """Make an ephemeral consumer; return its name and how many messages it will deliver."""
    name = f"twin-scan-{secrets.token_hex(6)}"
    config = {
        "name": name,
        "ack_policy": "none",
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": first_seq,
        "mem_storage": True,
        "inactive_threshold": _INACTIVE_S * _NS,
    }
    verb = f"CONSUMER.CREATE.{stream}.{name}"
    answer = await call(connection, verb, {"stream_name": stream, "config": config})
    return name, ConsumerInfo.model_validate_json(answer).num_pending


async def _next(consumer: PullConsumer, stream: str) -> list[Message]:
    """Return a batch, an empty one when the consumer is gone."""
    deadline = time.monotonic() + _PATIENCE_S
    while not (batch := await consumer.next_batch(_SLICE_S)) and not consumer.missing:
        if time.monotonic() > deadline:
            status = consumer.status or "silence"
            raise BrokerUnreachable(f"The scan of {stream} does not get on: {status}")
    return batch


async def _discard(connection: Connection, stream: str, name: str) -> None:
    with contextlib.suppress(ApiRefused):  # gone already, with the server it was on
        await call(connection, f"CONSUMER.DELETE.{stream}.{name}")


def _without_gap(batch: list[Message], delivered: int) -> list[Message]:
    """Return the messages up to the first one that did not arrive."""
    expected = range(delivered + 1, delivered + 1 + len(batch))
    for index, (message, sequence) in enumerate(zip(batch, expected, strict=True)):
        if message.consumer_seq != sequence:
            return batch[:index]
    return batch
