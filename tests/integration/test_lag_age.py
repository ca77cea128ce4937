"""Ages of messages that are not asked for: interpolated between what is known of the stream."""

import time

import pytest

from twin.jetstream.api import call
from twin.jetstream.connection import Connection
from twin.lag.age import Ages, rfc3339_ns
from twin.lag.listing import Listed, Listing, Stream, read_stream

SECOND = 1_000_000_000


async def looked(connection: Connection, publish: int) -> tuple[Stream, Listed]:
    """Store some messages; return the stream and its consumer as the server lists them."""
    for _ in range(publish):
        await connection.request("s.a", b"x")
    stream = await read_stream(connection, "S")
    listed, _ = await Listing(connection, "S").read()
    assert stream is not None
    return stream, listed["C"]


async def test_age_lies_between_the_times_at_which_the_stream_grew(connection: Connection) -> None:
    """Message 5 of 10 in 8 s, 10 of them known before: half way between two looks."""
    await call(connection, "STREAM.CREATE.S", {"name": "S", "subjects": ["s.>"]})
    config = {"name": "C", "durable_name": "C", "ack_policy": "explicit"}
    await call(connection, "CONSUMER.CREATE.S.C", {"stream_name": "S", "config": config})
    ages = Ages(connection, gets=0)
    stream, _ = await looked(connection, 10)
    start = rfc3339_ns(stream.state.first_ts)
    ages.anchor("S", stream, start + 2 * SECOND)
    stream, listed = await looked(connection, 10)
    ages.anchor("S", stream, start + 10 * SECOND)
    for floor, expected in ((14, 4.0), (9, 8.0), (0, 10.0), (19, 0.0)):
        behind = listed.model_copy(
            update={"ack_floor": listed.ack_floor.model_copy(update={"stream_seq": floor})}
        )
        found = await ages.oldest("S", stream, [behind], start + 10 * SECOND)
        assert found["C"].age_s == pytest.approx(expected, abs=0.01)
        assert found["C"].seq is None


async def test_a_message_replaced_inside_the_stream_is_no_longer_the_oldest(
    connection: Connection,
) -> None:
    """One message a subject: the newer one waits, though neither floor nor first sequence moved."""
    limits = {"name": "S", "subjects": ["s.>"], "max_msgs_per_subject": 1}
    await call(connection, "STREAM.CREATE.S", limits)
    await connection.request("s.kept", b"x")
    config = {"name": "C", "durable_name": "C", "filter_subject": "s.a"}
    body = {"stream_name": "S", "config": config | {"ack_policy": "explicit"}}
    await call(connection, "CONSUMER.CREATE.S.C.s.a", body)
    ages, now_ns = Ages(connection), time.time_ns()
    for seq in (2, 3, 4):
        stream, listed = await looked(connection, 1)
        ages.anchor("S", stream, now_ns)
        assert (await ages.oldest("S", stream, [listed], now_ns))["C"].seq == seq
    assert (stream.state.first_seq, listed.ack_floor.stream_seq) == (1, 0)


async def test_a_consumer_with_another_filter_waits_for_another_message(
    connection: Connection,
) -> None:
    """A filter may be changed in place: what was the oldest under the old one says nothing."""
    await call(connection, "STREAM.CREATE.S", {"name": "S", "subjects": ["s.>"]})
    for subject in ("s.b", "s.a"):
        await connection.request(subject, b"x")
    ages, now_ns = Ages(connection), time.time_ns()
    for subject, seq in (("s.b", 1), ("s.a", 2)):
        config = {"name": "C", "durable_name": "C", "filter_subject": subject}
        body = {"stream_name": "S", "config": config | {"ack_policy": "explicit"}}
        await call(connection, f"CONSUMER.CREATE.S.C.{subject}", body)
        stream, listed = await looked(connection, 0)
        ages.anchor("S", stream, now_ns)
        assert (await ages.oldest("S", stream, [listed], now_ns))["C"].seq == seq


async def test_a_stream_made_again_has_another_oldest_message(connection: Connection) -> None:
    """Of the same sequence, for a consumer of the same name at the same floor."""
    ages, now_ns = Ages(connection), time.time_ns()
    for _ in range(2):
        await call(connection, "STREAM.CREATE.S", {"name": "S", "subjects": ["s.>"]})
        config = {"name": "C", "durable_name": "C", "ack_policy": "explicit"}
        await call(connection, "CONSUMER.CREATE.S.C", {"stream_name": "S", "config": config})
        stream, listed = await looked(connection, 1)
        ages.anchor("S", stream, now_ns)
        later_ns = rfc3339_ns(stream.state.first_ts) + SECOND
        assert (await ages.oldest("S", stream, [listed], later_ns))["C"] == (1.0, 1)
        await call(connection, "STREAM.DELETE.S")
