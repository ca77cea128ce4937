"""Consuming: the pull loop never stalls, acknowledgements do what they say, scans are complete."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from twin.errors import BrokerUnreachable, InfrastructureError
from twin.events.topology import ConsumerDecl, StreamDecl, Topology
from twin.jetstream.advisories import Advisories
from twin.jetstream.api import call, consumer_info, consumer_infos
from twin.jetstream.connection import BrokerOptions, Connection, connect
from twin.jetstream.consumer import PullConsumer
from twin.jetstream.drained import drained
from twin.jetstream.message import Message
from twin.jetstream.reconcile import reconcile
from twin.jetstream.scan import scan
from twin.jetstream.server import NatsServer

Until = Callable[..., Awaitable[None]]
STREAM = StreamDecl("S", ("s.>",), max_bytes=-1)
READER = ConsumerDecl("reader", "S", "reader", ("s.a.>",), ack_wait_s=30.0, max_ack_pending=2000)
ACK_WAIT_S = 1.0
"""Of a reader to whom messages are to come again."""


@pytest.fixture(params=["fast", "public"])
async def connection(
    server: NatsServer, request: pytest.FixtureRequest
) -> AsyncIterator[Connection]:
    """A connection over each wire, to a server with a stream and a consumer."""
    async with await connect(
        BrokerOptions(url=server.url), name="test", wire=request.param
    ) as opened:
        await reconcile(opened, Topology((STREAM,), (READER,)))
        yield opened


@pytest.fixture
async def impatient(connection: Connection) -> None:
    """Have the server wait for acknowledgements for a short time only."""
    await reconcile(connection, Topology((STREAM,), (replace(READER, ack_wait_s=ACK_WAIT_S),)))


async def store(connection: Connection, count: int, subject: str = "s.a.x") -> None:
    """Store messages numbered from 1 in their payload."""
    last = b""
    for number in range(1, count + 1):
        headers = b"NATS/1.0\r\nnumber: %d\r\n\r\n" % number
        _, _, _, last = await connection.request(subject, b"%d" % number, headers=headers)
    assert b'"seq"' in last


async def collect(consumer: PullConsumer, count: int) -> list[Message]:
    """Take and acknowledge messages until there are `count`."""
    taken: list[Message] = []
    async with asyncio.timeout(30):
        while len(taken) < count:
            batch = await consumer.next_batch(1.0)
            consumer.ack(batch)
            taken += batch
    return taken


async def test_a_message_carries_what_the_stream_knows(connection: Connection) -> None:
    """Subject, headers, payload, sequences, delivery count and time come with each message."""
    before = time.time_ns()
    await store(connection, 1, "s.b")
    await store(connection, 2)
    async with PullConsumer(connection, "S", "reader") as consumer:
        first, second = await collect(consumer, 2)
    assert (first.subject, first.payload, first.stream) == ("s.a.x", b"1", "S")
    assert first.headers == b"NATS/1.0\r\nnumber: 1\r\n\r\n"
    assert [first.stream_seq, second.stream_seq] == [2, 3]
    assert [first.consumer_seq, second.consumer_seq] == [1, 2]
    assert (first.deliveries, second.pending) == (1, 0)
    assert before < first.timestamp_ns < second.timestamp_ns < time.time_ns()


async def test_returns_a_partial_batch_at_once(connection: Connection) -> None:
    """What is there comes without waiting for a full batch or the end of the request."""
    await store(connection, 3)
    async with PullConsumer(connection, "S", "reader", batch=100) as consumer:
        started = time.monotonic()
        assert len(await collect(consumer, 3)) == 3
        await store(connection, 2)
        assert len(await collect(consumer, 2)) == 2
        assert time.monotonic() - started < 15.0, "a request ends after 30 s"
        assert await consumer.next_batch(0.05) == []


async def test_reads_more_than_a_batch_in_order(connection: Connection) -> None:
    """Requests follow each other; nothing is skipped or repeated."""
    await store(connection, 95)
    async with PullConsumer(connection, "S", "reader", batch=10) as consumer:
        taken = await collect(consumer, 95)
    assert [message.payload for message in taken] == [b"%d" % n for n in range(1, 96)]


async def test_holds_at_most_two_batches(connection: Connection) -> None:
    """A reader that does not take its messages is not sent all of the stream."""
    await store(connection, 60)
    async with PullConsumer(connection, "S", "reader", batch=10):
        held = 0
        async with asyncio.timeout(30):
            while held < 10:
                held = await ack_pending(connection, "reader")
        for _ in range(30):
            await connection.flush()
        assert 10 <= await ack_pending(connection, "reader") <= 20


async def ack_pending(connection: Connection, name: str) -> int:
    """Return how many messages a consumer was sent and has not acknowledged."""
    info = await consumer_info(connection, "S", name)
    assert info is not None
    return info.num_ack_pending


async def test_double_ack_is_done_when_it_returns(connection: Connection) -> None:
    """After ack_sync the server's ack floor is where the messages end."""
    await store(connection, 5)
    async with PullConsumer(connection, "S", "reader") as consumer:
        batch = await consumer.next_batch(5.0)
        await consumer.ack_sync(batch)
        info = await consumer_info(connection, "S", "reader")
        assert info is not None
        assert info.ack_floor.stream_seq == batch[-1].stream_seq


async def test_unconfirmed_double_ack_is_an_error(
    server: NatsServer, connection: Connection
) -> None:
    """A server that does not confirm makes ack_sync raise instead of returning."""
    await store(connection, 1)
    async with PullConsumer(connection, "S", "reader") as consumer:
        batch = await consumer.next_batch(5.0)
        server.pause()
        with pytest.raises(BrokerUnreachable, match="1 of 1"):
            await consumer.ack_sync(batch, timeout_s=0.2)
        server.resume()


@pytest.mark.usefixtures("impatient")
async def test_nak_and_ack_wait_bring_a_message_back(connection: Connection) -> None:
    """A refused message comes again at once, an unanswered one after the ack wait."""
    await store(connection, 1)
    async with PullConsumer(connection, "S", "reader") as consumer:
        for deliveries in (1, 2, 3):
            (message,) = await consumer.next_batch(5.0)
            assert message.deliveries == deliveries
            if deliveries == 1:
                consumer.nak([message])
        consumer.ack([message])


@pytest.mark.usefixtures("impatient")
async def test_in_progress_holds_back_the_next_delivery(connection: Connection) -> None:
    """Signals of progress keep a message from being delivered again."""
    await store(connection, 1)
    async with PullConsumer(connection, "S", "reader") as consumer:
        batch = await consumer.next_batch(5.0)
        started = time.monotonic()
        while time.monotonic() - started < 1.5 * ACK_WAIT_S:
            assert await consumer.next_batch(0.1) == []
            consumer.in_progress(batch)
        consumer.ack(batch)


async def test_ack_all_takes_the_earlier_ones_along(connection: Connection) -> None:
    """With ack policy `all`, acknowledging the last acknowledges every one before it."""
    config = {"durable_name": "all", "ack_policy": "all"}
    await call(connection, "CONSUMER.CREATE.S.all", {"stream_name": "S", "config": config})
    await store(connection, 20)
    async with PullConsumer(connection, "S", "all") as consumer:
        taken: list[Message] = []
        while len(taken) < 20:
            taken += await consumer.next_batch(5.0)
        consumer.ack_all(taken)
        async with asyncio.timeout(30):
            while await ack_pending(connection, "all"):
                pass
        info = await consumer_info(connection, "S", "all")
    assert info is not None
    assert info.ack_floor.stream_seq == 20


@pytest.mark.usefixtures("impatient")
async def test_survives_a_killed_broker(server: NatsServer, connection: Connection) -> None:
    """After kill -9 and restart the same consumer goes on; everything arrives in the end."""
    await store(connection, 10)
    async with PullConsumer(connection, "S", "reader", batch=4, heartbeat_s=15) as consumer:
        taken = await collect(consumer, 4)
        await server.kill()
        await server.start()
        await connection.wait_up(20)
        await store(connection, 5, "s.a.y")
        payloads: set[tuple[str, bytes]] = {(m.subject, m.payload) for m in taken}
        async with asyncio.timeout(30):
            while len(payloads) < 15:
                batch = await consumer.next_batch(1.0)
                consumer.ack(batch)
                payloads |= {(m.subject, m.payload) for m in batch}


async def test_a_lost_request_is_renewed(connection: Connection) -> None:
    """When two heartbeats stay away, the request is made again."""
    async with PullConsumer(connection, "S", "reader", heartbeat_s=0.2) as consumer:
        assert await consumer.next_batch(0.05) == []
        inbox = consumer._subscription
        assert inbox is not None
        await connection.unsubscribe(inbox)  # the server drops a request without an inbox
        await until_waiting(connection, 0)
        await connection.subscribe(inbox.subject, consumer._receive)
        await store(connection, 1)
        assert len(await collect(consumer, 1)) == 1


async def until_waiting(connection: Connection, count: int) -> None:
    """Wait until the server holds `count` requests for the consumer."""
    async with asyncio.timeout(30):
        while True:
            info = await consumer_info(connection, "S", "reader")
            if info is not None and info.num_waiting == count:
                return


async def test_a_consumer_made_later_is_found(connection: Connection, until: Until) -> None:
    """A deleted consumer shows as missing, and asking goes on until it is there again."""
    async with PullConsumer(connection, "S", "reader") as consumer:
        assert await consumer.next_batch(0.05) == []
        await call(connection, "CONSUMER.DELETE.S.reader")
        await until(lambda: consumer.missing)
        await reconcile(connection, Topology((STREAM,), (READER,)))
        await store(connection, 1)
        assert len(await collect(consumer, 1)) == 1
        assert not consumer.missing


async def test_stays_within_max_ack_pending(connection: Connection) -> None:
    """With a small max_ack_pending everything still arrives, a few at a time."""
    narrow = ConsumerDecl("narrow", "S", "narrow", max_ack_pending=3)
    await reconcile(connection, Topology((STREAM,), (READER, narrow)))
    await store(connection, 30)
    async with PullConsumer(connection, "S", "narrow", batch=20) as consumer:
        assert len(await collect(consumer, 30)) == 30


async def test_a_poison_message_is_delivered_like_any_other(
    server: NatsServer, connection: Connection
) -> None:
    """Malformed headers and binary payloads neither stop nor change what follows."""
    bad = b"NATS/1.0\r\nno colon here\r\n\r\n"
    async with await connect(BrokerOptions(url=server.url), name="bad", wire="fast") as other:
        await other.request("s.a.bad", b"\x00\xff\r\nMSG x 1 5\r\n", headers=bad)
    await store(connection, 1)
    async with PullConsumer(connection, "S", "reader") as consumer:
        poison, good = await collect(consumer, 2)
    assert (poison.payload, good.payload) == (b"\x00\xff\r\nMSG x 1 5\r\n", b"1")


@pytest.mark.parametrize(
    "reply", [b"", b"nowhere", b"$JS.ACK.S.c.1.x.1.1.1", b"$JS.ACK.S.c.1.1.1.1.1.1"]
)
def test_what_is_no_delivery_is_not_taken_for_one(reply: bytes) -> None:
    """A message without JetStream's reply subject is refused."""
    with pytest.raises(ValueError, match=r".+"):
        Message((b"s", reply, b"", b""))


def test_reads_the_reply_subject_of_a_domain() -> None:
    """The longer form, with domain and account, gives the same facts."""
    short = Message((b"s", b"$JS.ACK.S.c.2.30.4.50.6", b"", b""))
    long = Message((b"s", b"$JS.ACK.hub.ACC.S.c.2.30.4.50.6.rnd", b"", b""))
    for name in ("stream", "deliveries", "stream_seq", "consumer_seq", "timestamp_ns", "pending"):
        assert getattr(short, name) == getattr(long, name), name
    assert (long.stream, long.stream_seq, long.pending) == ("S", 30, 6)


async def test_scan_reads_a_region_completely(connection: Connection) -> None:
    """A scan gives each stored message of the region once, and leaves durables alone."""
    await store(connection, 30)
    await call(connection, "STREAM.MSG.DELETE.S", {"seq": 12})
    await call(connection, "STREAM.MSG.DELETE.S", {"seq": 20})
    found = [m.stream_seq async for batch in scan(connection, "S", 5, 20) for m in batch]
    assert found == [n for n in range(5, 20) if n != 12]
    assert [m async for batch in scan(connection, "S", 31, 40) for m in batch] == []
    assert [m async for batch in scan(connection, "S", 1, 0) for m in batch] == []
    info = await consumer_info(connection, "S", "reader")
    assert info is not None
    assert info.delivered.stream_seq == 0


async def test_scan_survives_a_killed_broker(server: NatsServer, connection: Connection) -> None:
    """A scan goes on where it was when the broker dies under it."""
    await store(connection, 50)
    found: list[int] = []
    async for batch in scan(connection, "S", 1, 80):
        if not found:
            await server.kill()
            await server.start()
            await connection.wait_up(20)
            await store(connection, 30)
        found += [message.stream_seq for message in batch]
    assert found in (list(range(1, 51)), list(range(1, 81)))


async def test_scan_notices_a_delivery_that_it_did_not_get(connection: Connection) -> None:
    """When somebody takes messages from under a scan, it reads them again."""
    count = 5000
    connection.send([(b"s.a.x", b"", b"", b"%d" % n) for n in range(count)])
    await connection.flush()
    found: list[int] = []
    async for batch in scan(connection, "S", 1, count):
        if not found:
            names = [info.name async for info in consumer_infos(connection, "S")]
            (name,) = set(names) - {"reader"}
            async with PullConsumer(connection, "S", name, batch=100) as thief:
                assert await thief.next_batch(5.0)
        found += [message.stream_seq for message in batch]
    assert found == list(range(1, count + 1))


async def test_drained_means_the_floor_is_where_it_has_to_be(connection: Connection) -> None:
    """Only when everything is acknowledged is a consumer drained; a missing one is an error."""
    assert (await drained(connection, READER)).drained
    await store(connection, 2)
    await store(connection, 1, "s.b")
    state = await drained(connection, READER)
    assert (state.drained, state.num_pending, state.last_matching_seq) == (False, 2, 2)
    async with PullConsumer(connection, "S", "reader") as consumer:
        await consumer.ack_sync(await consumer.next_batch(5.0))
    state = await drained(connection, READER)
    assert (state.drained, state.ack_floor) == (True, 2)
    missing = ConsumerDecl("x", "S", "nobody")
    with pytest.raises(InfrastructureError, match="no consumer S/nobody"):
        await drained(connection, missing)


async def test_drained_up_to_a_sequence_on_a_busy_stream(connection: Connection) -> None:
    """Where others go on publishing, the floor decides about what came before."""
    await store(connection, 4)
    async with PullConsumer(connection, "S", "reader") as consumer:
        batch = await consumer.next_batch(5.0)
        await consumer.ack_sync(batch[:2])
        assert not (await drained(connection, READER, 3)).drained
        assert (await drained(connection, READER, 2)).drained


async def test_given_up_messages_are_not_drained_but_told(
    connection: Connection, tmp_path: Path, until: Until
) -> None:
    """Exhausted, terminated and refused messages show in the advisories, with their role."""
    decl = ConsumerDecl("auditor", "S", "weak", max_deliver=2, ack_wait_s=1.0)
    await reconcile(connection, Topology((STREAM,), (READER, decl)))
    path = tmp_path / "advisories.jsonl"
    async with (
        Advisories(connection, [decl], path) as advisories,
        PullConsumer(connection, "S", "weak") as consumer,
    ):
        await store(connection, 3)
        first: list[Message] = []
        while len(first) < 3:
            first += await consumer.next_batch(5.0)
        consumer.term(first[:1], "not today")
        consumer.nak(first[1:2])
        await until(lambda: advisories.given_up("S", "weak") == (2, 1))
        assert advisories.naks("S", "weak") == 1
        assert advisories.complete
        state = await drained(connection, decl)
        assert (state.num_pending, state.num_ack_pending) == (0, 0)
        assert not state.drained
    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert {(line["role"], line["kind"]) for line in lines} == {
        ("auditor", kind) for kind in ("exhausted", "terminated", "nak")
    }
    assert [line["reason"] for line in lines if line["kind"] == "terminated"] == ["not today"]


async def test_what_left_the_stream_is_not_terminated_whichever_way_it_is_said(
    connection: Connection, until: Until
) -> None:
    """The server has two reasons for it: one as it happens, one when it checks ack floors."""
    reasons = ("Unacknowledged message was deleted", "Message deleted by stream limits", "mine")
    async with Advisories(connection, [ConsumerDecl("", "*", "*")]) as advisories:
        for seq, reason in enumerate(reasons, 1):
            body = {"stream": "S", "consumer": "c", "stream_seq": seq, "reason": reason}
            subject = "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.S.c"
            await connection.publish(subject, orjson.dumps(body))
        await until(lambda: advisories.given_up("S", "c") == (0, 1))
        assert advisories.evicted("S", "c") == 2


async def test_what_is_remembered_of_advisories_is_bounded(
    connection: Connection, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of consumers without end the last are counted, repeats while there is room for them."""
    monkeypatch.setattr("twin.jetstream.advisories.CONSUMERS", 3)
    monkeypatch.setattr("twin.jetstream.advisories.REMEMBERED_OF_ALL", 4)

    async def tell(consumer: str, *numbers: int) -> None:
        for number in numbers:
            body = {"stream": "S", "consumer": consumer, "stream_seq": number}
            subject = f"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.S.{consumer}"
            await connection.publish(subject, orjson.dumps(body))
        await connection.flush()

    async with Advisories(connection, [ConsumerDecl("", "*", "*")]) as advisories:
        told = advisories.given_up
        await tell("a", 1, 2, 2)
        await tell("b", 1, 1, 2, 3)
        await until(lambda: told("S", "b") == (3, 0))
        assert told("S", "a") == (2, 0)
        await tell("a", 2)
        await until(lambda: told("S", "a") == (3, 0))
        await tell("c", 1)
        await tell("d", 1)
        await until(lambda: told("S", "d") == (1, 0))
        assert [told("S", one)[0] for one in "abcd"] == [3, 0, 1, 1]


async def test_forbidden_advisories_are_noticed(tmp_path: Path, until: Until) -> None:
    """When the server does not let us listen, the collection is not complete."""
    config = """
    authorization { users: [
      { user: a, password: a, permissions: { subscribe: { deny: "$JS.EVENT.>" } } } ] }
    """
    options = BrokerOptions(user="a", password="a")
    async with NatsServer(
        tmp_path / "n", log=tmp_path / "log", extra_config=config, probe=options
    ) as server:
        mine = BrokerOptions(url=server.url, user="a", password="a")
        async with (
            await connect(mine, name="test") as connection,
            Advisories(connection, [READER]) as advisories,
        ):
            await until(lambda: not advisories.complete)


async def test_a_raising_handler_breaks_the_connection_loudly(
    connection: Connection, until: Until
) -> None:
    """An exception in a handler does not vanish: the next call raises it."""

    def fail(batch: object) -> None:
        raise RuntimeError("on purpose")

    await connection.subscribe("mine", fail)
    await connection.publish("mine", b"")
    with pytest.raises(InfrastructureError, match="on purpose"):
        await until(lambda: connection.send([]) and False)
