"""Ages of messages that are not asked for: interpolated between what is known of the stream."""

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
