"""Each situation of a consumer, made on a real server, gives its own status, and it clears."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import pairwise

import orjson
import pytest

from twin.events.topology import ConsumerDecl
from twin.jetstream.advisories import Advisories
from twin.jetstream.api import call
from twin.jetstream.connection import Connection
from twin.jetstream.server import NatsServer
from twin.jetstream.wire import Delivery
from twin.lag.sample import ConsumerSample, Status
from twin.lag.sampler import LagSampler
from twin.lag.status import StatusRules

INTERVAL_S = 0.15
PATIENCE_S = 30.0
ACK, TERM = b"+ACK", b"+TERM"


class Rig:
    """One stream, one consumer `C`, a sampler that runs by itself, and what it saw.

    A look is waited for, however long a busy machine takes for it; `patience_s` changes that.
    """

    def __init__(self, connection: Connection, advisories: Advisories) -> None:
        self.connection = connection
        self.seen: list[ConsumerSample] = []
        self.patience_s = PATIENCE_S
        self.looking = asyncio.Lock()
        self.sampler = LagSampler(
            connection,
            [],
            advisories.given_up,
            naks=advisories.naks,
            evicted=advisories.evicted,
            patterns=["S*"],
            rules=StatusRules.every(INTERVAL_S),
        )

    async def look(self) -> None:
        """Look for ever, at a steady interval, but not while somebody else is `looking`."""
        due = time.monotonic()
        while True:
            async with self.looking:
                self.seen += await self.sampler.sample(self.patience_s)
            due = max(due + INTERVAL_S, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    async def make(self, stream: dict[str, object] | None = None, **consumer: object) -> None:
        """Create the stream and the consumer."""
        await call(
            self.connection,
            "STREAM.CREATE.S",
            {"name": "S", "subjects": ["s.>"], "storage": "memory", **(stream or {})},
        )
        await self.make_consumer(**consumer)

    async def make_consumer(self, **consumer: object) -> None:
        """Create the consumer `C`, or change it."""
        config = {"name": "C", "durable_name": "C", "ack_policy": "explicit", **consumer}
        await call(self.connection, "CONSUMER.CREATE.S.C", {"stream_name": "S", "config": config})

    async def publish(self, count: int = 1) -> None:
        """Store `count` messages."""
        for _ in range(count):
            await self.connection.request("s.a", b"x")

    async def take(self, count: int, answer: bytes = b"") -> int:
        """Take up to `count` messages, give all the same answer (none: leave them)."""
        got: list[Delivery] = []
        over = asyncio.Event()

        def receive(batch: list[Delivery]) -> None:
            got.extend(one for one in batch if one[1])
            if len(got) == count or any(not one[1] for one in batch):
                over.set()

        inbox = self.connection.new_inbox()
        subscription = await self.connection.subscribe(inbox, receive)
        ask = orjson.dumps({"batch": count, "expires": 1_000_000_000, "no_wait": True})
        subject = b"$JS.API.CONSUMER.MSG.NEXT.S.C"
        self.connection.send([(subject, inbox.encode(), b"", ask)])
        async with asyncio.timeout(PATIENCE_S):
            await over.wait()
        await self.connection.unsubscribe(subscription)
        if answer:
            self.connection.send([(one[1], b"", b"", answer) for one in got])
        await self.connection.flush()
        return len(got)

    async def work(self, take: int, publish: int) -> None:
        """Publish and process for ever, so many messages each twentieth of a second.

        One at a time cannot look like a backlog that grows, whenever it is looked at.
        """
        while True:
            await self.publish(publish)
            await self.take(take, ACK)
            await asyncio.sleep(0.05)

    async def sees(self, status: Status, rounds: int = 3) -> ConsumerSample:
        """Return the first sample from now on with this status; fail after so many without it.

        After a look that came late, when trends cannot be told, they are counted anew.
        """
        start = time.time_ns()
        async with asyncio.timeout(2 * PATIENCE_S):
            while True:
                taken = [one for one in self.seen if one.wall_ns > start]
                late = sum(b.wall_ns - a.wall_ns > 1.5e9 * INTERVAL_S for a, b in pairwise(taken))
                allowed = taken[: rounds * (1 + late)]
                if found := next((one for one in allowed if one.status is status), None):
                    return found
                assert len(taken) == len(allowed), [(str(one.status), one.reason) for one in taken]
                await asyncio.sleep(0.01)

    async def settles(self) -> None:
        """Return once what happened is shown no more: OK again, within the memory of events."""
        await self.sees(Status.OK, 7)

    def statuses(self) -> set[Status | None]:
        """Return all statuses so far."""
        return {one.status for one in self.seen}


@pytest.fixture
async def rig(connection: Connection) -> AsyncIterator[Rig]:
    """A rig that samples in the background."""
    async with AsyncExitStack() as stack:
        anyone = [ConsumerDecl("", "*", "*")]
        advisories = await stack.enter_async_context(Advisories(connection, anyone))
        made = Rig(connection, advisories)
        task = asyncio.create_task(made.look())
        yield made
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def background() -> AsyncIterator[Callable[[Awaitable[None]], "asyncio.Task[None]"]]:
    """Start tasks that end with the test."""
    tasks: list[asyncio.Task[None]] = []

    def start(work: Awaitable[None]) -> "asyncio.Task[None]":
        tasks.append(asyncio.ensure_future(work))  # type: ignore[arg-type]
        return tasks[-1]

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def version_of(connection: Connection) -> tuple[int, ...]:
    """Return the server's version, to be compared."""
    return tuple(int(part) for part in connection.server_version.split("."))


Start = Callable[[Awaitable[None]], "asyncio.Task[None]"]


async def test_healthy_consumer_is_ok_throughout(
    rig: Rig, background: Start, until: Callable[..., Awaitable[None]]
) -> None:
    """A consumer that keeps up has no other status than OK."""
    await rig.make()
    background(rig.work(1, 1))
    await until(lambda: len(rig.seen) >= 10)
    assert rig.statuses() == {Status.OK}


async def test_slow_consumer_warns_until_it_is_faster(
    rig: Rig, background: Start, until: Callable[..., Awaitable[None]]
) -> None:
    """A backlog that grows gives WARN only, and OK once it shrinks."""
    await rig.make()
    slow = background(rig.work(2, 6))
    await until(lambda: rig.seen and rig.seen[-1].backlog)
    await rig.sees(Status.WARN)
    slow.cancel()
    background(rig.work(500, 1))
    await rig.sees(Status.OK)
    assert rig.statuses() == {Status.OK, Status.WARN}


async def test_stalled_consumer_is_told_until_it_goes_on(rig: Rig) -> None:
    """Messages taken and never acknowledged give STALLED within three samples."""
    await rig.make()
    await rig.publish(10)
    await rig.take(4)
    stalled = await rig.sees(Status.STALLED)
    assert "4 of them delivered and not acknowledged" in stalled.reason
    await rig.take(6, ACK)
    await rig.sees(Status.OK)


async def test_crashed_consumer_is_stalled_until_another_takes_over(rig: Rig) -> None:
    """A consumer that nobody reads gives STALLED and says that nobody asks."""
    await rig.make()
    await rig.publish(10)
    stalled = await rig.sees(Status.STALLED)
    assert "nobody asks for them" in stalled.reason
    await rig.take(10, ACK)
    await rig.sees(Status.OK)
    assert rig.statuses() == {Status.OK, Status.STALLED}


async def test_deleted_consumer_is_missing_until_it_is_made_again(rig: Rig) -> None:
    """A deleted durable gives MISSING, and OK when it is back, without REWIND."""
    await rig.make()
    await rig.publish(3)
    await rig.take(3, ACK)
    await rig.sees(Status.OK)
    await call(rig.connection, "CONSUMER.DELETE.S.C")
    await rig.sees(Status.MISSING)
    await rig.make_consumer(deliver_policy="new")
    await rig.sees(Status.OK)
    assert rig.statuses() == {Status.OK, Status.MISSING}


async def test_rewound_consumer_is_told(rig: Rig) -> None:
    """A consumer made again between two samples, at an earlier place, gives REWIND for a while."""
    await rig.make()
    await rig.publish(3)
    await rig.take(3, ACK)
    await rig.sees(Status.OK)
    async with rig.looking:
        await call(rig.connection, "CONSUMER.DELETE.S.C")
        await rig.make_consumer()
    await rig.sees(Status.REWIND)
    await rig.take(3, ACK)
    await rig.settles()


async def test_paused_consumer_is_no_stalled_one(rig: Rig) -> None:
    """A paused consumer with backlog gives PAUSED, and goes on when it is resumed."""
    await rig.make()
    pause = {"pause_until": "2099-01-01T00:00:00Z"}
    await call(rig.connection, "CONSUMER.PAUSE.S.C", pause)
    await rig.publish(5)
    await rig.sees(Status.PAUSED)
    await call(rig.connection, "CONSUMER.PAUSE.S.C", {"pause_until": "0001-01-01T00:00:00Z"})
    await rig.take(5, ACK)
    await rig.sees(Status.OK)
    assert rig.statuses() <= {Status.OK, Status.PAUSED}


async def test_max_deliver_reached_is_exhausted_until_the_next_is_done(
    rig: Rig, until: Callable[..., Awaitable[None]]
) -> None:
    """A message given up leaves no counter, yet gives EXHAUSTED until another is acknowledged."""
    await rig.make(max_deliver=1, ack_wait=100_000_000)
    await rig.publish(1)
    await rig.take(1)
    await until(
        lambda: rig.seen and rig.seen[-1].exhausted
    )  # after the ack wait, when the server is sure
    exhausted = await rig.sees(Status.EXHAUSTED)
    assert (exhausted.backlog, exhausted.oldest_age_s) == (0, 0.0)
    await rig.publish(1)
    await rig.take(1, ACK)
    if version_of(rig.connection) >= (2, 15):  # before, the ack floor stays behind for good
        await rig.settles()
    assert rig.seen[-1].exhausted == 1


async def test_terminated_message_is_told(rig: Rig) -> None:
    """A terminated message gives EXHAUSTED with its reason, and is forgotten after a while."""
    await rig.make()
    await rig.publish(1)
    await rig.sees(Status.OK)
    await rig.take(1, TERM)
    exhausted = await rig.sees(Status.EXHAUSTED)
    assert "1 terminated" in exhausted.reason
    await rig.settles()
    assert rig.seen[-1].terminated == 1


async def test_refused_messages_that_come_again_and_again_are_a_storm(
    rig: Rig, background: Start
) -> None:
    """A consumer that refuses everything gives WARN that says so, until it accepts."""
    await rig.make(ack_wait=500_000_000)
    await rig.publish(5)

    refusing = True

    async def refuse() -> None:
        while refusing:
            await rig.take(5, b"-NAK")
            await asyncio.sleep(0.02)

    work = background(refuse())
    await rig.sees(Status.WARN, 5)
    assert any("redelivery storm" in one.reason for one in rig.seen)
    refusing = False
    await work
    done = 0
    async with asyncio.timeout(PATIENCE_S):
        while done < 5:
            done += await rig.take(5, ACK)
            await asyncio.sleep(0.02)
    await rig.settles()
    assert rig.statuses() == {Status.OK, Status.WARN}
    assert rig.seen[-1].naks == 5


async def test_eviction_before_read_is_overrun(rig: Rig) -> None:
    """Messages that leave a full stream unread give OVERRUN until the consumer is past them."""
    await rig.make({"max_msgs": 5})
    await rig.publish(3)
    await rig.take(1, ACK)
    await rig.sees(Status.OK)
    await rig.take(1)
    await rig.publish(8)
    overrun = await rig.sees(Status.OVERRUN)
    assert overrun.terminated == 0  # the server says so of what was held when it left
    await rig.take(5, ACK)
    await rig.settles()


async def test_a_backlog_that_expires_is_an_overrun(
    rig: Rig, until: Callable[..., Awaitable[None]]
) -> None:
    """Messages that grow too old while others are held are lost unread: OVERRUN, then OK."""
    await rig.make({"max_age": 2_000_000_000, "duplicate_window": 2_000_000_000})
    await rig.publish(6)
    await rig.take(3)
    await rig.sees(Status.STALLED, 5)
    await rig.sees(Status.OVERRUN, 40)
    await until(lambda: (rig.seen[-1].first_seq, rig.seen[-1].evicted) == (7, 3))
    await rig.settles()


async def test_held_messages_that_expire_are_an_overrun(
    rig: Rig, background: Start, until: Callable[..., Awaitable[None]]
) -> None:
    """What grows too old in a consumer's hands is told, while it does its other work; then OK."""
    await rig.make({"max_age": 1_000_000_000, "duplicate_window": 1_000_000_000})
    await rig.publish(3)
    await rig.take(3)
    background(rig.work(1, 1))
    overrun = await rig.sees(Status.OVERRUN, 40)
    assert "messages left the stream, delivered and not acknowledged" in overrun.reason
    await until(lambda: rig.seen[-1].evicted == 3)
    await rig.settles()
    assert rig.statuses() == {Status.OK, Status.OVERRUN}
    assert rig.seen[-1].terminated == 0


async def test_ack_pending_at_its_maximum_is_saturated(rig: Rig, background: Start) -> None:
    """A consumer that works, but holds all that it may, is SATURATED."""
    await rig.make(max_ack_pending=4)

    async def hold() -> None:
        held: list[bytes] = []
        inbox = rig.connection.new_inbox()
        await rig.connection.subscribe(inbox, lambda b: held.extend(d[1] for d in b if d[1]))
        ask = orjson.dumps({"batch": 100, "expires": 30_000_000_000})
        rig.connection.send([(b"$JS.API.CONSUMER.MSG.NEXT.S.C", inbox.encode(), b"", ask)])
        while True:
            await asyncio.sleep(0.05)
            if held:
                rig.connection.send([(held.pop(0), b"", b"", ACK)])

    work = background(hold())
    await rig.publish(60)
    await rig.sees(Status.SATURATED)
    work.cancel()
    assert Status.STALLED not in rig.statuses()


async def test_silent_broker_is_unknown_and_no_zero(rig: Rig, server: NatsServer) -> None:
    """While the server is stopped the status is UNKNOWN, and clears when it answers again."""
    await rig.make()
    rig.patience_s = INTERVAL_S
    await rig.sees(Status.OK)
    server.pause()
    try:
        unknown = await rig.sees(Status.UNKNOWN)
    finally:
        server.resume()
        rig.patience_s = PATIENCE_S
    assert unknown.backlog is None
    await rig.settles()
    assert rig.statuses() == {Status.OK, Status.UNKNOWN}
