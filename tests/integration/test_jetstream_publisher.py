"""Publishing: every event is accounted for and every source keeps its order, come what may."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twin.errors import UsageError
from twin.events.digest import payload_hash
from twin.events.event import Event, SourceTable
from twin.events.subjects import SubjectSpace
from twin.events.topology import StreamDecl, Topology
from twin.jetstream.api import call
from twin.jetstream.connection import BrokerOptions, Connection, connect
from twin.jetstream.formations import MOST
from twin.jetstream.message import Message
from twin.jetstream.publisher import Publisher, PublisherSettings
from twin.jetstream.reconcile import reconcile
from twin.jetstream.scan import scan
from twin.jetstream.server import NatsServer
from twin.jetstream.wire import Delivery, Volley
from twin.verdict.journal import (
    ATTEMPT,
    OUTCOME,
    FileJournal,
    LocalRefusal,
    Outcome,
    Rows,
    read_table,
)

Until = Callable[..., Awaitable[None]]
Opener = Callable[..., AbstractAsyncContextManager["Bench"]]
SOURCES = 40
STREAM = StreamDecl("S", ("q.>",), max_bytes=-1)
CALM = PublisherSettings(ack_wait_s=60.0, retry_for_s=90.0)
"""Nothing is tried again because a busy machine is slow."""
QUICK = PublisherSettings(ack_wait_s=0.2)
"""What is not answered soon is tried again."""


class Bench:
    """A publisher on a stream of its own, with events to offer and means to look."""

    def __init__(
        self,
        connection: Connection,
        publisher: Publisher,
        journal: Path,
        sources: SourceTable,
    ) -> None:
        self.connection = connection
        self.publisher = publisher
        self.sources = sources
        self.journal = journal
        self.sequences = Counter[int]()

    def event(self, source: int, payload: bytes = b"") -> Event:
        """Make the next event of a source; its payload names it."""
        self.sequences[source] += 1
        seq = self.sequences[source]
        name = b"%d/%d" % (source, seq)
        headers = b"NATS/1.0\r\nce-id: %b\r\nNats-Msg-Id: run/%b\r\n" % (name, name)
        return Event(source, seq, seq * 1000, headers, payload or name)

    def offer(self, *events: Event) -> None:
        """Offer events that are due now."""
        self.publisher.offer(events, [time.time_ns()] * len(events))

    def offer_round(self) -> None:
        """Offer one event of every source."""
        self.offer(*(self.event(source) for source in range(SOURCES)))

    async def stored(self) -> list[Message]:
        """Read the whole stream."""
        return [m async for batch in scan(self.connection, "S", 1, 1_000_000) for m in batch]

    async def stored_names(self) -> list[str]:
        """Return the payloads of the stream, which name the events."""
        return [message.payload.decode() for message in await self.stored()]

    def outcomes(self) -> dict[str, tuple[Outcome, int]]:
        """Return outcome and error by name, as journalled; every event has one only."""
        rows = [row for t in read_table(self.journal / "acknowledged.bin", OUTCOME) for row in t]
        found = {
            f"{row['source']}/{row['seq']}": (Outcome(row["outcome"]), int(row["error"]))
            for row in rows
        }
        assert len(found) == len(rows)
        return found

    async def assert_exact(self) -> None:
        """Nothing lost, doubled or reordered, and the journal says so."""
        names = await self.stored_names()
        expected = {f"{s}/{n + 1}" for s, count in self.sequences.items() for n in range(count)}
        assert Counter(names) == Counter(expected)
        last: Counter[str] = Counter()
        for name in names:
            source, _, seq = name.partition("/")
            assert int(seq) == last[source] + 1, f"{name} after {last[source]}"
            last[source] = int(seq)
        assert set(self.outcomes().values()) == {(Outcome.ACKNOWLEDGED, 0)}
        assert self.outcomes().keys() == expected


@pytest.fixture(params=["fast", "public"])
async def connection(
    server: NatsServer, request: pytest.FixtureRequest
) -> AsyncIterator[Connection]:
    """A connection over each wire, to a server with the stream."""
    async with await connect(
        BrokerOptions(url=server.url), name="test", wire=request.param
    ) as opened:
        await reconcile(opened, Topology((STREAM,), ()))
        yield opened


@pytest.fixture
def open_bench(connection: Connection, tmp_path: Path) -> Opener:
    """Open a publisher with settings of choice."""

    @asynccontextmanager
    async def opened(
        settings: PublisherSettings = CALM, over: Connection = connection, folder: str = "journal"
    ) -> AsyncIterator[Bench]:
        sources = SourceTable()
        for number in range(SOURCES):
            sources.add(f"bot-{number}", f"q.bot-{number}.nav")
        with FileJournal(tmp_path / folder) as journal:
            async with Publisher(over, sources, SubjectSpace(), journal, settings) as publisher:
                yield Bench(over, publisher, tmp_path / folder, sources)

    return opened


async def test_stores_and_journals_every_event(open_bench: Opener) -> None:
    """What is offered is stored as it is, with the intended time, and journalled twice."""
    before = time.time_ns()
    async with open_bench() as bench:
        for _ in range(20):
            bench.offer_round()
        assert await bench.publisher.flush(30)
        counts = bench.publisher.counts
        assert (counts.offered, counts.acknowledged) == (20 * SOURCES, 20 * SOURCES)
        assert (counts.in_flight, counts.waiting, counts.duplicates, counts.resent) == (0, 0, 0, 0)
        await bench.assert_exact()
        message = (await bench.stored())[0]
    assert message.subject == "q.bot-0.nav"
    lines = message.headers.split(b"\r\n")
    assert lines[:3] == [b"NATS/1.0", b"ce-id: 0/1", b"Nats-Msg-Id: run/0/1"]
    assert before < int(lines[3].removeprefix(b"Twin-Intended-Ns: ")) < time.time_ns()
    (attempts,) = read_table(bench.journal / "attempted.bin", ATTEMPT)
    assert len(attempts) == 20 * SOURCES
    assert attempts["hash"][0] == payload_hash(b"0/1")
    (outcomes,) = read_table(bench.journal / "acknowledged.bin", OUTCOME)
    assert sorted(outcomes["stream_seq"]) == list(range(1, 20 * SOURCES + 1))
    assert np.all(outcomes["tries"] == 1)


async def test_killed_broker_loses_doubles_and_reorders_nothing(
    server: NatsServer, open_bench: Opener
) -> None:
    """kill -9 under load, twice, and restarts: exact accounting and order per source."""
    async with open_bench(QUICK) as bench:
        restarts: list[asyncio.Task[None]] = []
        for number in range(150):
            bench.offer_round()
            if number in (40, 90):
                await asyncio.gather(*restarts)
                await server.kill()
                restarts.append(asyncio.create_task(server.start()))
            await asyncio.sleep(0.005)
        await asyncio.gather(*restarts)
        assert await bench.publisher.flush(30)
        counts = bench.publisher.counts
        assert counts.disconnects == 2
        assert (counts.acknowledged, counts.unknown) == (150 * SOURCES, 0)
        await bench.assert_exact()


async def test_what_was_in_flight_goes_again_as_soon_as_the_broker_is_back(
    server: NatsServer, open_bench: Opener
) -> None:
    """A reconnect does not wait for the time after which an unanswered try is repeated."""
    async with open_bench(CALM) as bench:
        server.pause()
        bench.offer_round()
        bench.offer_round()
        await server.kill()
        await server.start()
        assert await bench.publisher.flush(30)
        assert bench.publisher.counts.resent == SOURCES
        await bench.assert_exact()


async def test_pipelined_events_are_stored_once_over_a_killed_broker(
    server: NatsServer, open_bench: Opener
) -> None:
    """Without the order, still nothing is lost or doubled."""
    async with open_bench(replace(QUICK, pipelined=True)) as bench:
        for number in range(100):
            bench.offer_round()
            if number == 50:
                await server.kill()
                await server.start()
            await asyncio.sleep(0.002)
        assert await bench.publisher.flush(30)
        assert Counter(await bench.stored_names()) == Counter(bench.outcomes().keys())
        assert bench.publisher.counts.acknowledged == 100 * SOURCES


async def test_large_events_have_a_smaller_window(server: NatsServer, open_bench: Opener) -> None:
    """What is on the wire at once is bounded in bytes, too, and all of it arrives."""
    settings = replace(CALM, window_bytes=2**20, pipelined=True)
    async with open_bench(settings) as bench:
        server.pause()
        large = [bench.event(number % SOURCES, bytes(32 * 1024)) for number in range(200)]
        bench.offer(*large)
        in_flight = bench.publisher.counts.in_flight
        server.resume()
        assert 16 <= in_flight <= 32
        assert await bench.publisher.flush(30)
        assert bench.publisher.counts.acknowledged == len(large)
        small = [bench.event(number % SOURCES) for number in range(5000)]
        for start in range(0, len(small), 100):
            bench.offer(*small[start : start + 100])
        assert bench.publisher.counts.in_flight > 200
        assert await bench.publisher.flush(30)
        server.pause()
        bench.offer(*(bench.event(number % SOURCES, bytes(32 * 1024)) for number in range(200)))
        in_flight = bench.publisher.counts.in_flight
        server.resume()
        assert 16 <= in_flight <= 32
        assert await bench.publisher.flush(30)


class Watching:
    """A journal that looks at the publisher's counts whenever something is settled."""

    def __init__(self) -> None:
        self.publisher: Publisher | None = None
        self.seen: list[tuple[int, int]] = []

    def attempted(self, rows: Rows) -> None: ...

    def settled(self, rows: Rows) -> None:
        assert self.publisher is not None
        counts = self.publisher.counts
        self.seen.append((counts.in_flight, counts.waiting))

    def flush(self) -> None: ...

    def sync(self) -> None: ...


async def test_successors_leave_before_what_was_stored_is_booked(
    connection: Connection, open_bench: Opener
) -> None:
    """The window is full again when outcomes are recorded: the server need not wait for that."""
    settings = replace(CALM, window=64, pipelined=True)
    journal, sources = Watching(), SourceTable()
    sources.add("bot-0", "q.bot-0.nav")
    events = [Event(0, n, n, b"NATS/1.0\r\nNats-Msg-Id: r/%d\r\n" % n, b"x") for n in range(1, 501)]
    async with Publisher(connection, sources, SubjectSpace(), journal, settings) as publisher:
        journal.publisher = publisher
        publisher.offer(events, [time.time_ns()] * len(events))
        assert await publisher.flush(30)
        assert publisher.counts.acknowledged == len(events)
    assert {in_flight for in_flight, waiting in journal.seen if waiting} == {64}


async def test_what_may_go_is_sent_in_pieces(
    connection: Connection, open_bench: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One volley until something is stored; then the first leaves before the last is made."""
    launched: list[int] = []
    launch = Connection.launch

    def noted(self: Connection, inbox: bytes, volley: Volley) -> bool:
        launched.append(len(volley.tokens))
        return launch(self, inbox, volley)

    monkeypatch.setattr(Connection, "launch", noted)
    async with open_bench(replace(CALM, pipelined=True)) as bench:
        bench.offer(*(bench.event(0) for _ in range(2 * MOST + 3)))
        assert launched == [MOST]
        assert await bench.publisher.flush(30)
        launched.clear()
        bench.offer(*(bench.event(0) for _ in range(2 * MOST + 3)))
        assert launched == [MOST, MOST, 3]
        assert await bench.publisher.flush(30)


async def test_a_source_has_one_event_in_flight(server: NatsServer, open_bench: Opener) -> None:
    """Until the first event of a source is settled, its successors wait here."""
    async with open_bench() as bench:
        server.pause()
        for _ in range(3):
            bench.offer_round()
        counts = bench.publisher.counts
        assert (counts.in_flight, counts.waiting) == (SOURCES, 2 * SOURCES)
        server.resume()
        assert await bench.publisher.flush(30)
        await bench.assert_exact()


async def test_successors_wait_for_an_event_that_rests(
    connection: Connection, open_bench: Opener, until: Until
) -> None:
    """An event that was refused for now is stored before those that were offered after it."""
    await call(connection, "STREAM.DELETE.S")
    async with open_bench(QUICK) as bench:
        bench.offer_round()
        await until(lambda: bench.publisher.counts.resent >= 3 * SOURCES)
        await reconcile(connection, Topology((STREAM,), ()))
        bench.offer_round()
        assert await bench.publisher.flush(30)
        await bench.assert_exact()


async def test_paused_broker_gets_retries_and_stores_once(
    server: NatsServer, open_bench: Opener, until: Until
) -> None:
    """While the server is stopped, tries are repeated; afterwards all is stored exactly once."""
    async with open_bench(QUICK) as bench:
        bench.offer_round()
        server.pause()
        for _ in range(10):
            bench.offer_round()
        assert not bench.publisher.counts.resent
        await until(lambda: bench.publisher.counts.resent >= SOURCES)
        server.resume()
        assert await bench.publisher.flush(30)
        await bench.assert_exact()


async def test_no_answer_until_the_deadline_is_unknown(
    server: NatsServer, open_bench: Opener, until: Until
) -> None:
    """Past the deadline an event without an answer is unknown, and is found or not later."""
    async with open_bench(replace(QUICK, retry_for_s=3.0)) as bench:
        server.pause()
        bench.offer(bench.event(0), bench.event(0))
        await until(lambda: bench.publisher.counts.unknown)
        counts = bench.publisher.counts
        assert (counts.unknown, counts.waiting + counts.in_flight) == (1, 1)
        server.resume()
        assert await bench.publisher.flush(30)
        assert {name: o for name, (o, _) in bench.outcomes().items()} == {
            "0/1": Outcome.UNKNOWN,
            "0/2": Outcome.ACKNOWLEDGED,
        }
        assert await bench.stored_names() == ["0/1", "0/2"]
        assert bench.publisher.counts.late


async def test_full_stream_refuses(connection: Connection, open_bench: Opener) -> None:
    """A full stream that discards new messages refuses with its code; the rest is stored."""
    small = StreamDecl("FULL", ("full",), max_bytes=2000, discard_new=True)
    await reconcile(connection, Topology((STREAM, small), ()))
    async with open_bench() as bench:
        source = bench.sources.add("bot", "full")
        bench.offer(*(bench.event(source, b"x" * 300) for _ in range(10)))
        bench.offer_round()
        assert await bench.publisher.flush(30)
        counts = bench.publisher.counts
        assert (counts.refused, counts.unknown) == (6, 0)
        refused = {v for v in bench.outcomes().values() if v[0] is Outcome.REFUSED}
        assert refused == {(Outcome.REFUSED, 10077)}


async def test_stream_that_comes_back_gets_the_events(
    connection: Connection, open_bench: Opener
) -> None:
    """No responders is no verdict yet: when the stream is made in time, all is stored."""
    await call(connection, "STREAM.DELETE.S")
    async with open_bench(QUICK) as bench:
        bench.offer_round()
        bench.offer_round()
        await asyncio.sleep(0.2)
        assert bench.publisher.counts.acknowledged == 0
        await reconcile(connection, Topology((STREAM,), ()))
        assert await bench.publisher.flush(30)
        await bench.assert_exact()


async def test_deleted_stream_refuses_in_the_end(
    connection: Connection, open_bench: Opener
) -> None:
    """Refused on every try until the deadline means refused, not unknown."""
    await call(connection, "STREAM.DELETE.S")
    async with open_bench(replace(QUICK, retry_for_s=0.4)) as bench:
        bench.offer(bench.event(0))
        assert await bench.publisher.flush(30)
        assert bench.outcomes() == {"0/1": (Outcome.REFUSED, LocalRefusal.NO_RESPONDERS)}


async def test_a_message_over_max_payload_is_refused_alone(open_bench: Opener) -> None:
    """What the server would close the connection for is refused here; the next one is sent."""
    async with open_bench() as bench:
        bench.offer(bench.event(0, b"x" * (1 << 20)), bench.event(0))
        assert await bench.publisher.flush(30)
        assert bench.outcomes() == {
            "0/1": (Outcome.REFUSED, LocalRefusal.MAX_PAYLOAD),
            "0/2": (Outcome.ACKNOWLEDGED, 0),
        }
        assert bench.publisher.counts.disconnects == 0


async def test_many_messages_over_max_payload_make_way(open_bench: Opener) -> None:
    """However many of a source are too large, the one behind them is sent."""
    huge = b"x" * (1 << 20)
    async with open_bench() as bench:
        bench.offer(*(bench.event(0, huge) for _ in range(1500)), bench.event(0))
        assert await bench.publisher.flush(30)
        counts = bench.publisher.counts
        assert (counts.refused, counts.acknowledged) == (1500, 1)


async def test_without_a_broker_what_was_sent_is_unknown_and_the_rest_refused(
    server: NatsServer, open_bench: Opener, until: Until
) -> None:
    """A flush that ends before the broker is back tells sent from unsent."""
    async with open_bench(QUICK) as bench:
        server.pause()
        bench.offer(bench.event(0), bench.event(0))
        await server.kill()
        await until(lambda: not bench.connection.up)
        bench.offer(bench.event(1))
        assert not await bench.publisher.flush(0.2)
        assert bench.outcomes() == {
            "0/1": (Outcome.UNKNOWN, 0),
            "0/2": (Outcome.REFUSED, LocalRefusal.NOT_SENT),
            "1/1": (Outcome.REFUSED, LocalRefusal.NOT_SENT),
        }


async def test_refused_after_a_doubtful_try_is_unknown(
    server: NatsServer, open_bench: Opener
) -> None:
    """When an earlier try may have been stored, a later refusal does not settle it as refused."""
    async with open_bench(replace(QUICK, retry_for_s=5.0)) as bench:
        server.pause()
        bench.offer(bench.event(0))
        await server.kill()
        await server.start()
        async with await connect(BrokerOptions(url=server.url), name="other") as other:
            await call(other, "STREAM.DELETE.S")
        assert await bench.publisher.flush(30)
        assert bench.outcomes() == {"0/1": (Outcome.UNKNOWN, LocalRefusal.NO_RESPONDERS)}


async def test_ids_that_were_used_before_are_noticed(open_bench: Opener) -> None:
    """A first try that the server calls a duplicate is counted: a run must be invalid then."""
    async with open_bench(folder="first") as bench:
        bench.offer_round()
        assert await bench.publisher.flush(30)
    async with open_bench(folder="second") as bench:
        bench.offer_round()
        assert await bench.publisher.flush(30)
        assert bench.publisher.counts.duplicates == SOURCES
        assert len(await bench.stored()) == SOURCES
        (outcomes,) = read_table(bench.journal / "acknowledged.bin", OUTCOME)
        assert np.all(outcomes["duplicate"] == 1)


async def proven(bench: Bench) -> None:
    """Publish an event of every source alone; what follows may fly in formation."""
    bench.offer_round()
    assert await bench.publisher.flush(30)


def tries(bench: Bench) -> dict[str, int]:
    """Return the tries of each settled event by name, as journalled."""
    tables = read_table(bench.journal / "acknowledged.bin", OUTCOME)
    return {f"{r['source']}/{r['seq']}": int(r["tries"]) for rows in tables for r in rows}


async def test_events_of_a_stream_share_the_subject_of_their_acknowledgements(
    connection: Connection, open_bench: Opener
) -> None:
    """Each source's first event has one of its own; those that go together later have one."""
    replies: list[bytes] = []
    await connection.subscribe("q.>", lambda batch: replies.extend(one[1] for one in batch))
    async with open_bench() as bench:
        await proven(bench)
        bench.offer_round()
        assert await bench.publisher.flush(30)
        await connection.flush()
        await bench.assert_exact()
    assert len(set(replies[:SOURCES])) == SOURCES
    assert len(set(replies[SOURCES:])) == 1
    assert len(replies) == 2 * SOURCES
    (outcomes,) = read_table(bench.journal / "acknowledged.bin", OUTCOME)
    late = outcomes[outcomes["seq"] == 2]
    assert late["stream_seq"].tolist() == [SOURCES + 1 + n for n in late["source"].tolist()]


async def test_refused_among_others_is_told_from_them(
    connection: Connection, open_bench: Opener
) -> None:
    """A stream that fills up amid a formation: each event is stored or refused, as it was."""
    small = StreamDecl("FULL", ("full.>",), max_bytes=8000, discard_new=True)
    await reconcile(connection, Topology((STREAM, small), ()))
    async with open_bench() as bench:
        sources = [bench.sources.add(f"bot-{n}", f"full.{n}") for n in range(20)]
        bench.offer(*(bench.event(source) for source in sources))
        assert await bench.publisher.flush(30)
        bench.offer(*(bench.event(source, b"x" * 500) for source in sources))
        assert await bench.publisher.flush(30)
        counts = bench.publisher.counts
        assert (counts.unknown, counts.duplicates, counts.offered) == (0, 0, 40)
        held = [m async for batch in scan(connection, "FULL", 1, 1000) for m in batch]
        assert 20 < len(held) < 40
        ids = {m.headers.split(b"\r\n")[1].removeprefix(b"ce-id: ").decode() for m in held}
        outcomes = bench.outcomes()
        assert {name for name, one in outcomes.items() if one == (Outcome.ACKNOWLEDGED, 0)} == ids
        assert Counter(outcomes.values())[Outcome.REFUSED, 10077] == 40 - len(held)


async def test_an_id_that_was_used_before_is_told_from_its_neighbours(open_bench: Opener) -> None:
    """One event of a formation is a duplicate on its first try: that one is counted, no other."""
    async with open_bench(folder="first") as bench:
        bench.sequences[3] = 1
        bench.offer(bench.event(3))
        assert await bench.publisher.flush(30)
    async with open_bench(folder="second") as bench:
        await proven(bench)
        bench.offer_round()
        assert await bench.publisher.flush(30)
        assert bench.publisher.counts.duplicates == 1
        assert bench.publisher.counts.acknowledged == 2 * SOURCES
        (rows,) = read_table(bench.journal / "acknowledged.bin", OUTCOME)
        used = rows[(rows["tries"] == 1) & (rows["duplicate"] == 1)]
        assert used[["source", "seq"]].tolist() == [(3, 2)]
        assert len(set(await bench.stored_names())) == 2 * SOURCES


async def test_a_formation_finds_its_stream_gone_and_waits(
    connection: Connection, open_bench: Opener, until: Until
) -> None:
    """No responders: its events rest one by one, and are stored when the stream is back."""
    async with open_bench(QUICK) as bench:
        await proven(bench)
        await call(connection, "STREAM.DELETE.S")
        bench.offer_round()
        await until(lambda: bench.publisher.counts.resent >= 3 * SOURCES)
        assert bench.publisher.counts.acknowledged == SOURCES
        await reconcile(connection, Topology((STREAM,), ()))
        assert await bench.publisher.flush(30)
        names = {f"{source}/2" for source in range(SOURCES)}
        assert Counter(await bench.stored_names()) == Counter(names)


async def test_a_formation_without_answers_is_sent_again_alone(
    server: NatsServer, connection: Connection, open_bench: Opener, until: Until
) -> None:
    """A paused server: each event is tried again with a subject of its own, and stored once."""
    replies: list[bytes] = []
    async with open_bench(QUICK) as bench:
        await proven(bench)
        await connection.subscribe("q.>", lambda batch: replies.extend(one[1] for one in batch))
        await connection.flush()
        server.pause()
        bench.offer_round()
        await until(lambda: bench.publisher.counts.resent >= SOURCES)
        server.resume()
        assert await bench.publisher.flush(30)
        assert bench.publisher.counts.duplicates == 0
        await bench.assert_exact()
        assert (len(set(replies[:SOURCES])), len(set(replies))) == (1, 1 + SOURCES)
        assert all(tries(bench)[f"{source}/2"] > 1 for source in range(SOURCES))


async def test_a_stream_under_another_name_answers_for_none_of_a_formation(
    connection: Connection, open_bench: Opener
) -> None:
    """Where the stream was replaced, its events are proven anew; all are stored once."""
    async with open_bench(QUICK) as bench:
        await proven(bench)
        await call(connection, "STREAM.DELETE.S")
        await reconcile(connection, Topology((replace(STREAM, name="T"),), ()))
        bench.offer_round()
        assert await bench.publisher.flush(30)
        held = [m async for batch in scan(connection, "T", 1, 1000) for m in batch]
        assert {m.payload.decode() for m in held} == {f"{n}/2" for n in range(SOURCES)}
        assert len(held) == SOURCES
        assert all(tries(bench)[f"{source}/2"] > 1 for source in range(SOURCES))
        assert bench.publisher.counts.acknowledged == 2 * SOURCES


async def test_two_answers_for_each_event_end_all_formations(
    connection: Connection, open_bench: Opener
) -> None:
    """Somebody who answers as a stream would makes counting answers useless: nothing is shared."""
    replies: list[bytes] = []

    def respond(batch: list[Delivery]) -> None:
        replies.extend(reply for _, reply, _, _ in batch)
        answer = b'{"stream":"S","seq":1}'
        connection.send([(reply, b"", b"", answer) for _, reply, _, _ in batch])

    await connection.subscribe("q.bot-0.nav", respond)
    async with open_bench() as bench:
        await proven(bench)
        await connection.flush()
        await connection.subscribe("q.>", lambda batch: replies.extend(one[1] for one in batch))
        replies.clear()
        bench.offer_round()
        assert await bench.publisher.flush(30)
        await connection.flush()
    assert len(set(replies)) == SOURCES


async def test_nothing_is_sent_again_after_its_time(server: NatsServer, open_bench: Opener) -> None:
    """After a reconnect either: where the duplicate window is short, it would be stored twice."""
    async with open_bench(replace(CALM, retry_for_s=0.1)) as bench:
        server.pause()
        bench.offer_round()
        await asyncio.sleep(0.2)
        bench.publisher._on_state(True)
        assert bench.publisher.counts.resent == 0
        server.resume()
        assert await bench.publisher.flush(30)
        await bench.assert_exact()


async def test_a_subject_forbidden_meanwhile_is_refused_out_of_its_formation(
    tmp_path: Path, open_bench: Opener, until: Until
) -> None:
    """A permissions violation refuses that event; those beside it are sent again and stored."""
    allowed = """
    authorization { users: [ { user: a, password: a,
      permissions: { publish: { deny: [%s] } } } ] }
    """
    options = BrokerOptions(user="a", password="a")
    async with NatsServer(
        tmp_path / "n", log=tmp_path / "log", extra_config=allowed % '"none"', probe=options
    ) as server:
        mine = BrokerOptions(url=server.url, user="a", password="a")
        async with await connect(mine, name="test") as connection:
            await reconcile(connection, Topology((STREAM,), ()))
            async with open_bench(CALM, connection) as bench:
                await proven(bench)
                config = tmp_path / "n" / "nats-server.conf"
                config.write_text(config.read_text().replace('"none"', '"q.bot-1.nav"'))
                os.kill(server.pid, signal.SIGHUP)
                await until(lambda: "Reloaded server" in (tmp_path / "log").read_text())
                bench.offer_round()
                assert await bench.publisher.flush(30)
                found = Counter(bench.outcomes().values())
                assert found == {
                    (Outcome.ACKNOWLEDGED, 0): 2 * SOURCES - 1,
                    (Outcome.REFUSED, LocalRefusal.PERMISSION): 1,
                }


async def test_a_complaint_about_one_of_several_refuses_none_that_may_be_stored(
    server: NatsServer, open_bench: Opener
) -> None:
    """The server does not say which it refused, and its complaint overtakes acknowledgements."""
    complaint = 'nats: permissions violation for publish to "q.bot-%d.nav"'
    async with open_bench(replace(CALM, pipelined=True)) as bench:
        bench.offer(*(bench.event(source) for source in range(SOURCES)))
        assert await bench.publisher.flush(30)
        server.pause()
        bench.offer(*(bench.event(source) for source in (1, 1, 2)))
        for source in (1, 2):
            bench.connection._failed(complaint % source)
        server.resume()
        assert await bench.publisher.flush(30)
        refused, unknown = (Outcome.REFUSED, LocalRefusal.PERMISSION), Outcome.UNKNOWN
        found = bench.outcomes()
        assert [found[name][0] for name in ("1/2", "1/3")] == [unknown] * 2
        assert found["2/2"] == refused


async def test_a_subject_forbidden_meanwhile_was_not_forbidden_before(
    server: NatsServer, open_bench: Opener
) -> None:
    """Another source, or a try in a formation, may have been stored before the subject was."""
    complaint = 'nats: permissions violation for publish to "q.bot-%d.nav"'
    async with open_bench() as bench:
        beside = bench.sources.add("bot-beside", "q.bot-1.nav")
        await proven(bench)
        server.pause()
        bench.offer_round()
        bench.offer(bench.event(beside))
        for source in (1, 2):
            bench.connection._failed(complaint % source)
        server.resume()
        assert await bench.publisher.flush(30)
        found = bench.outcomes()
        doubted = {found[name][0] for name in ("1/2", f"{beside}/1", "2/2")}
        assert doubted == {Outcome.UNKNOWN}


async def test_overflow_is_refused_and_counted(server: NatsServer, open_bench: Opener) -> None:
    """A full backlog never makes `offer` wait: what does not fit is refused and journalled."""
    async with open_bench(replace(CALM, backlog=10)) as bench:
        server.pause()
        bench.offer(*(bench.event(source) for source in range(25)))
        counts = bench.publisher.counts
        assert (counts.offered, counts.overflowed, counts.refused) == (25, 15, 15)
        server.resume()
        assert await bench.publisher.flush(30)
        assert Counter(bench.outcomes().values()) == {
            (Outcome.ACKNOWLEDGED, 0): 10,
            (Outcome.REFUSED, LocalRefusal.OVERFLOW): 15,
        }


async def test_room_is_what_keeps_a_fast_pace_from_overflowing(open_bench: Opener) -> None:
    """Whoever waits for room before each offer is never refused."""
    async with open_bench(replace(CALM, backlog=200, window=16)) as bench:
        for _ in range(50):
            await bench.publisher.room()
            bench.offer_round()
        assert await bench.publisher.flush(30)
        assert bench.publisher.counts.overflowed == 0
        await bench.assert_exact()


async def test_latency_counts_from_the_intended_time(open_bench: Opener) -> None:
    """An event that was due half a second ago has at least that latency."""
    async with open_bench() as bench:
        assert bench.publisher.latency is None
        bench.publisher.offer([bench.event(0)], [time.time_ns() - 500_000_000], 500_000)
        assert await bench.publisher.flush(30)
        assert bench.publisher.latency is not None
        assert bench.publisher.latency.p50 >= 500
    (attempts,) = read_table(bench.journal / "attempted.bin", ATTEMPT)
    assert attempts["slip_us"][0] == 500_000


async def test_a_strangers_reply_is_no_acknowledgement(open_bench: Opener) -> None:
    """A responder on the same subject does not settle an event; the stream's answer does."""
    async with open_bench() as bench:

        def respond(batch: list[tuple[bytes, bytes, bytes, bytes]]) -> None:
            bench.connection.send([(reply, b"", b"", b"pong") for _, reply, _, _ in batch])

        await bench.connection.subscribe("q.bot-0.nav", respond)
        bench.offer(bench.event(0))
        assert await bench.publisher.flush(30)
        await bench.connection.flush()
        counts = bench.publisher.counts
        assert counts.acknowledged == 1
        assert counts.strange + counts.late == 1


async def test_junk_in_the_inbox_is_strange_and_breaks_nothing(
    open_bench: Opener, until: Until
) -> None:
    """What a stranger publishes below our inbox is counted, and answers after it are read."""
    async with open_bench() as bench:
        replies: list[bytes] = []
        await bench.connection.subscribe(
            "q.bot-0.nav", lambda batch: replies.extend(one[1] for one in batch)
        )
        bench.offer(bench.event(0))
        assert await bench.publisher.flush(30)
        await until(lambda: replies)
        inbox = replies[0].rpartition(b".")[0]
        junk = (b"x", b"-1", b"9" * 19)
        bench.connection.send([(b"%b.%b" % (inbox, one), b"", b"", b"junk") for one in junk])
        await until(lambda: bench.publisher.counts.strange == len(junk))
        bench.offer(bench.event(1))
        assert await bench.publisher.flush(30)
        assert bench.publisher.counts.acknowledged == 2


async def test_a_forbidden_subject_is_refused_at_once(tmp_path: Path, open_bench: Opener) -> None:
    """A permissions violation refuses the event without waiting for a deadline."""
    config = """
    authorization { users: [ { user: a, password: a,
      permissions: { publish: { allow: ["$JS.API.>", "q.bot-1.nav"] } } } ] }
    """
    options = BrokerOptions(user="a", password="a")
    async with NatsServer(
        tmp_path / "n", log=tmp_path / "log", extra_config=config, probe=options
    ) as server:
        mine = BrokerOptions(url=server.url, user="a", password="a")
        async with await connect(mine, name="test") as connection:
            await reconcile(connection, Topology((STREAM,), ()))
            async with open_bench(CALM, connection) as bench:
                bench.offer(bench.event(0), bench.event(1))
                assert await bench.publisher.flush(30)
                assert bench.outcomes() == {
                    "0/1": (Outcome.REFUSED, LocalRefusal.PERMISSION),
                    "1/1": (Outcome.ACKNOWLEDGED, 0),
                }


async def test_leaving_without_flush_still_settles_the_books(
    server: NatsServer, open_bench: Opener
) -> None:
    """An exception in the run leaves no event without an outcome."""
    async with open_bench() as bench:
        server.pause()
        bench.offer_round()
        bench.offer_round()
    server.resume()
    assert Counter(outcome for outcome, _ in bench.outcomes().values()) == {
        Outcome.UNKNOWN: SOURCES,
        Outcome.REFUSED: SOURCES,
    }


async def test_malformed_subjects_and_headers_are_refused_loudly(open_bench: Opener) -> None:
    """What would inject into the protocol is an error of the caller."""
    async with open_bench() as bench:
        bad = bench.sources.add("bot", "q.a b\r\nPUB x")
        with pytest.raises(UsageError, match="not a subject"):
            bench.offer(bench.event(bad))
        split = bench.event(0)._replace(headers=b"NATS/1.0\r\n\r\nPUB x")
        for wrong in (split, split._replace(headers=b"NATS/1.0\r\nk: v\r\n\r\nPUB x\r\n")):
            with pytest.raises(UsageError, match="malformed"):
                bench.offer(bench.event(1), wrong, bench.event(2))
        assert bench.publisher.counts.offered == 0


def test_retries_must_fit_the_duplicate_window() -> None:
    """Retrying longer than the server remembers message ids would store twice."""
    with pytest.raises(UsageError, match="duplicate window"):
        PublisherSettings(retry_for_s=60, duplicate_window_s=60)
    with pytest.raises(UsageError, match="window"):
        PublisherSettings(window=200_000)
