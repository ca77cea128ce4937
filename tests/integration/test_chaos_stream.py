"""Faults of a stream on a real nats-server: what they say that they have hit, they have."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from twin.chaos.faultlog import FaultEntry
from twin.chaos.stream import BreakableStream
from twin.events.topology import StreamDecl, Topology
from twin.jetstream.api import call, stream_info, stream_state, streams_on
from twin.jetstream.connection import Connection
from twin.jetstream.reconcile import reconcile
from twin.scenario.faults.bus_faults import break_bus
from twin.scenario.language.bus_actions import StreamDelete, StreamEvict, StreamFull, StreamPurge

Until = Callable[..., Awaitable[None]]
STORED = 30


@pytest.fixture
async def stream(connection: Connection) -> BreakableStream:
    """A stream that holds thirty messages."""
    await reconcile(connection, Topology((StreamDecl("ONE", ("one.>",)),), ()))
    for number in range(STORED):
        await connection.request("one.a", str(number).encode())
    return BreakableStream(connection, "ONE")


def entry(fault: str) -> FaultEntry:
    """Return the entry of a fault that is to be carried out."""
    return FaultEntry(1, fault, "ONE", 0)


@pytest.mark.parametrize(
    ("most", "told"),
    [(10, ("fired", "20 messages evicted")), (30, ("had no effect", "no message was evicted"))],
)
async def test_what_is_evicted_is_counted(
    most: int, told: tuple[str, str], stream: BreakableStream, connection: Connection
) -> None:
    """The messages beyond the limit are gone; with a limit beyond them there was no fault."""
    done = entry("stream.evict")
    action = StreamEvict(fault="stream.evict", stream="ONE", max_msgs=most, **{"for": "10ms"})
    await break_bus(action, stream, done)
    assert (done.outcome, done.detail) == told
    assert done.healed_wall_ns is not None
    state = await stream_state(connection, "ONE")
    assert state.messages == min(most, STORED)
    info = await stream_info(connection, "ONE")
    assert info is not None
    assert info.config.max_msgs == -1


@pytest.mark.parametrize(
    ("own", "most", "told"),
    [
        ({"max_msgs": STORED}, STORED, ("had no effect", "no message was evicted")),
        ({"max_msgs": STORED}, STORED + 3, ("had no effect", "no message was evicted")),
        ({"max_msgs": STORED}, STORED - 4, ("fired", "4 messages evicted")),
        ({"max_msgs": STORED, "discard": "new"}, STORED - 4, ("fired", "14 messages evicted")),
        ({"max_msgs_per_subject": STORED}, STORED, ("had no effect", "no message was evicted")),
        ({"max_msgs_per_subject": STORED}, STORED - 4, ("fired", "4 messages evicted")),
        (
            {"max_age": 10**8, "duplicate_window": 10**8},
            STORED,
            ("had no effect", "no message was evicted"),
        ),
        ({"max_bytes": 30 * 60}, STORED + 99, ("had no effect", "no message was evicted")),
    ],
)
async def test_what_its_own_limits_evict_is_no_effect(  # noqa: PLR0917 - fixtures
    own: dict[str, object],
    most: int,
    told: tuple[str, str],
    stream: BreakableStream,
    connection: Connection,
    until: Until,
) -> None:
    """Of a stream that evicts anyway, the fault is credited with what it would have kept."""
    info = await stream_info(connection, "ONE")
    assert info is not None
    config = info.config.model_copy(update={"discard": "old"} | own).model_dump()
    await call(connection, "STREAM.UPDATE.ONE", config)
    done = entry("stream.evict")
    action = StreamEvict(fault="stream.evict", stream="ONE", max_msgs=most, **{"for": "600ms"})
    fault = asyncio.create_task(break_bus(action, stream, done))
    await until(lambda: done.fired_wall_ns)
    for number in range(10):
        await connection.request("one.a", str(number).encode())
    await fault
    assert (done.outcome, done.detail) == told


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        ([4, 7], ("fired", "3 messages refused")),
        ([4, 4], ("had no effect", "no message was refused")),
        (None, ("fired", "")),
    ],
)
async def test_a_full_stream_has_to_refuse_something(
    refused: list[int] | None, told: tuple[str, str], stream: BreakableStream
) -> None:
    """What the run's publisher was refused is the effect, if the run publishes there at all."""
    stream.refusals = (lambda: refused.pop(0)) if refused else None
    done = entry("stream.full")
    await break_bus(StreamFull(fault="stream.full", stream="ONE", **{"for": "10ms"}), stream, done)
    assert (done.outcome, done.detail) == told


async def test_an_empty_stream_cannot_be_purged(stream: BreakableStream) -> None:
    """The first purge deletes all messages, a second one has nothing to delete."""
    first, second = entry("stream.purge"), entry("stream.purge")
    for one in (first, second):
        await break_bus(StreamPurge(fault="stream.purge", stream="ONE"), stream, one)
    assert (first.outcome, first.detail) == ("fired", "30 messages purged")
    assert (second.outcome, second.detail) == ("had no effect", "no message was purged")


async def test_a_stream_that_is_not_restored_stays_away(
    stream: BreakableStream, connection: Connection
) -> None:
    """Without `restore_after` the stream is gone with its messages, and the fault is not over."""
    done = entry("stream.delete")
    await break_bus(StreamDelete(fault="stream.delete", stream="ONE"), stream, done)
    assert (done.outcome, done.detail, done.healed_wall_ns) == ("fired", "30 messages", None)
    assert await streams_on(connection, ">") == ()
