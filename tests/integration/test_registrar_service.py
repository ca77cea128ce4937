"""The registrar as a process against a real nats-server: what is lost, what is doubled."""

import asyncio
import json
import os
import shutil
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest

from twin import __version__
from twin.events.cloudevents import CloudEvent, decode
from twin.events.payloads import validate_payload
from twin.events.payloads.simulation import AuditRecord
from twin.events.streams import build_topology
from twin.events.subjects import Layout, SubjectSpace
from twin.jetstream.api import call, consumer_info, stream_info
from twin.jetstream.connection import BrokerOptions, Connection, connect
from twin.jetstream.reconcile import reconcile
from twin.jetstream.server import NatsServer
from twin.processes import ChildProcess
from twin.registrar import held as held_module
from twin.registrar.anchor import fetch_anchors, with_anchors
from twin.registrar.consumers import durables_of, reconciling
from twin.registrar.http import Address, HttpServer, make_app
from twin.registrar.limits import Limits
from twin.registrar.metrics import RegistrarMetrics
from twin.registrar.record import Row
from twin.registrar.schema import segment_number, segments
from twin.registrar.service import Registrar, RegistrarOptions
from twin.registrar.store import Store, Written
from twin.registrar.thread import StoreThread
from twin.registrar.verify import store_id, verify

STATE = "qiki.events.v1.state"
STREAM = "QIKI_EVENTS_V1"
DEADLINE_S = 60.0
PLATFORM = SubjectSpace()
FLEET = SubjectSpace(Layout.FLEET, "lab")
TOPOLOGY = build_topology(PLATFORM, ack_wait_s=1.0)


def headers(number: int, run: str = "r1", msg_id: str = "") -> bytes:
    """Return the header block of event `number` of bot-1."""
    event_id = f"bot-1/events.v1.state/{number}"
    lines = {
        "ce-specversion": "1.0",
        "ce-id": event_id,
        "ce-source": f"urn:twin:{run}:bot-1",
        "ce-type": "qiki.events.v1.StateChange",
        "ce-time": "2026-01-01T00:00:00Z",
        "Nats-Msg-Id": msg_id or f"{run}/{event_id}",
    }
    return "".join(["NATS/1.0\r\n", *(f"{k}: {v}\r\n" for k, v in lines.items()), "\r\n"]).encode()


def body(number: int, kind: str = "dull") -> bytes:
    """Return the payload of event `number`."""
    return orjson.dumps({"kind": kind, "n": number})


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition, at most DEADLINE_S."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110 - a file or another process
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"waited in vain for {what}")


async def publish(
    connection: Connection, numbers: range, kind: str = "dull", space: SubjectSpace = PLATFORM
) -> None:
    """Publish events and wait until JetStream has them all."""
    subject = space.wire(space.subject("bot-1", STATE))
    for start in range(numbers.start, numbers.stop, 200):
        chunk = range(start, min(start + 200, numbers.stop))
        answers = await asyncio.gather(
            *(connection.request(subject, body(n, kind), headers=headers(n)) for n in chunk)
        )
        assert all(b'"error"' not in answer[3] for answer in answers)


class Recorded:
    """A store of the test's, as any SQLite reader sees it."""

    def __init__(self, store: Path) -> None:
        self.store = store

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Return what a query finds in the store, [] while there is none."""
        path = self.store / "segment-000001.sqlite"
        if not path.exists():
            return []
        db = apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY)
        db.set_busy_timeout(30_000)
        try:
            return list(db.execute(query))
        except apsw.SQLError:
            return []
        finally:
            db.close()

    def change(self, statement: str) -> None:
        """Change the store behind the registrar's back."""
        db = apsw.Connection(str(self.store / "segment-000001.sqlite"))
        db.execute(statement)
        db.close()

    @contextmanager
    def blocked(self) -> Iterator[None]:
        """Meanwhile keep the registrar from committing."""
        db = apsw.Connection(str(self.store / "segment-000001.sqlite"))
        db.set_busy_timeout(30_000)
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            db.execute("ROLLBACK")
            db.close()

    def events(self) -> list[int]:
        """Return the sequences of the recorded events in the order of their rows."""
        found = self.rows("SELECT id FROM events ORDER BY row")
        return [int(str(row[0]).rpartition("/")[2]) for row in found]

    def notes(self, code: int) -> list[tuple[object, ...]]:
        """Return the notes of a code: sequence, detail, body."""
        return self.rows(f"SELECT stream_seq, detail, body FROM notes WHERE code = {code}")  # noqa: S608


class Process(Recorded):
    """A registrar as a process, on a store of the test's."""

    def __init__(self, folder: Path, url: str, *more: str) -> None:
        super().__init__(folder / "store")
        self.announce = folder / "announce.json"
        self.log = folder / "registrar.log"
        self._argv = [
            sys.executable, "-m", "twin", "registrar", "serve", "--store", str(self.store),
            "--announce", str(self.announce), *more,
        ]  # fmt: skip
        self._env = {"NATS_URL": url}

    def start(self) -> ChildProcess:
        """Start the process."""
        self.announce.unlink(missing_ok=True)
        return ChildProcess.start(self._argv, env=self._env, log_path=self.log)

    async def ready(self, child: ChildProcess) -> None:
        """Wait until it consumes."""
        await until(lambda: self.announce.exists() or child.returncode is not None, "announce")
        assert child.returncode is None, self.log.read_text()

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of an HTTP answer."""
        url = json.loads(self.announce.read_text())["http"]
        try:
            with urllib.request.urlopen(f"{url}{path}", timeout=30) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


class Embedded(Recorded):
    """A registrar in this process."""

    def __init__(self, store: Path, service: Registrar, metrics: RegistrarMetrics) -> None:
        super().__init__(store)
        self.service = service
        self._metrics = metrics

    def metric(self, line: str) -> bool:
        """Tell whether the metrics have this line."""
        return line in self._metrics.text().decode().splitlines()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A nats-server of the test's own."""
    async with NatsServer(tmp_path / "nats", log=tmp_path / "nats-server.log") as running:
        yield running


@pytest.fixture
async def connection(server: NatsServer) -> AsyncIterator[Connection]:
    """A connection to it, with streams and consumers made."""
    async with await connect(BrokerOptions(server.url), name="test") as opened:
        await reconcile(opened, TOPOLOGY)
        yield opened


@asynccontextmanager
async def serving(
    folder: Path, url: str, space: SubjectSpace = PLATFORM, limits: Limits | None = None
) -> AsyncIterator[Embedded]:
    """Run a registrar in this process until it is asked to end, which must go well."""
    topology = build_topology(space, ack_wait_s=1.0).on_wire(space)
    options = RegistrarOptions(
        folder / "store", durables_of(topology), reconciling(topology), space, version="0.1.0"
    )
    metrics = RegistrarMetrics(options.version)
    async with (
        StoreThread(options.store, options.rules, options.version, limits) as store,
        await connect(BrokerOptions(url), name="registrar") as connection,
        asyncio.TaskGroup() as group,
    ):
        service = Registrar(connection, store, options, metrics)
        running = group.create_task(service.run())
        async with asyncio.timeout(DEADLINE_S):
            await service.consuming.wait()
        yield Embedded(options.store, service, metrics)
        service.stop()
        async with asyncio.timeout(DEADLINE_S):
            await running


async def delivered(connection: Connection, sequence: int) -> None:
    """Wait until the registrar was given a message of the stream."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            info = await consumer_info(connection, STREAM, "registrar")
            if info is not None and info.delivered.stream_seq >= sequence:
                return
            await asyncio.sleep(0.02)


async def drained(connection: Connection, stream: str = STREAM) -> None:
    """Wait until the registrar has acknowledged everything of a stream."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            info = await consumer_info(connection, stream, "registrar")
            if info is not None and info.num_pending == 0 and info.num_ack_pending == 0:
                return
            await asyncio.sleep(0.05)


async def test_what_is_published_is_recorded_once_and_acknowledged(
    tmp_path: Path, server: NatsServer, connection: Connection
) -> None:
    """Every event is in the store in stream order, acknowledged and counted."""
    async with serving(tmp_path, server.url) as service:
        await publish(connection, range(1, 501))
        await drained(connection)
        assert service.events() == list(range(1, 501))
        for line in (
            'registrar_events_total{code="299",severity="INFO"} 500.0',
            'registrar_last_sequence{stream="QIKI_EVENTS_V1"} 500.0',
            "registrar_queue_messages 0.0",
            "registrar_connected 1.0",
        ):
            assert service.metric(line), line
    assert [len(service.notes(code)) for code in (730, 731, 410)] == [1, 1, 1]
    found = verify(service.store)
    assert (found.good, found.rows) == (True, 500), found.breaks
    info = await consumer_info(connection, STREAM, "registrar")
    assert info is not None
    assert info.ack_floor.stream_seq == 500


async def test_killing_it_in_mid_run_loses_and_doubles_nothing(
    tmp_path: Path, server: NatsServer, connection: Connection
) -> None:
    """After kill -9 in the middle of a commit, twice, every event is recorded exactly once."""
    total = 2300
    service = Process(tmp_path, server.url, "--attach")
    await publish(connection, range(1, 301))
    for recorded in (300, 1300):
        child = service.start()
        await service.ready(child)
        await until(lambda goal=recorded: len(service.events()) == goal, f"row {recorded}")  # type: ignore[misc]
        with service.blocked():
            await publish(connection, range(recorded + 1, recorded + 1001))
            await delivered(connection, recorded + 500)
            child.kill()
            await child.wait()
        assert len(service.events()) == recorded
    async with serving(tmp_path, server.url):
        await drained(connection)
    assert sorted(service.events()) == list(range(1, total + 1))
    assert [row for (row,) in service.rows("SELECT row FROM events")] == list(range(1, total + 1))
    found = verify(service.store)
    assert (found.good, found.rows) == (True, total), found.breaks
    assert (len(service.notes(730)), len(service.notes(731))) == (3, 1)
    assert service.notes(440) == service.notes(921) == service.notes(922) == []


async def test_it_outlives_its_broker(
    tmp_path: Path, server: NatsServer, connection: Connection
) -> None:
    """When nats-server is killed with -9 and comes back, recording goes on; both are noted."""
    async with serving(tmp_path, server.url) as service:
        await publish(connection, range(1, 301))
        await server.kill()
        await until(lambda: len(service.notes(411)) == 1, "the note of the lost broker")
        assert service.service.waits_for == "the broker"
        await server.start()
        await connection.wait_up(DEADLINE_S)
        await until(lambda: len(service.notes(410)) == 2, "the note of the broker's return")
        await publish(connection, range(301, 601))
        await drained(connection)
        assert service.service.waits_for == ""
        assert service.events() == list(range(1, 601))


async def test_checkpoints_are_kept_on_a_stream(
    tmp_path: Path, server: NatsServer, connection: Connection
) -> None:
    """Signed checkpoints are published; a store whose end was cut off afterwards is found out."""
    await reconcile(connection, with_anchors(TOPOLOGY))
    async with serving(tmp_path, server.url) as service:
        await publish(connection, range(1, 101))
        await drained(connection)
    anchors = await fetch_anchors(connection, PLATFORM, store_id(service.store))
    found = verify(service.store, anchors=anchors)
    assert (found.breaks, found.anchored) == ([], found.tip.batch)
    assert service.metric('registrar_anchors_total{outcome="published"} 2.0')
    last = found.tip.batch
    for table in ("events", "notes", "checkpoints", "batches"):
        service.change(f"DELETE FROM {table} WHERE batch = {last}")  # noqa: S608
    assert verify(service.store).good
    (cut,) = verify(service.store, anchors=anchors).breaks
    assert f"an anchored checkpoint knows batch {last}" in cut.message


async def test_what_came_last_is_signed_though_nothing_follows(
    tmp_path: Path, server: NatsServer, connection: Connection
) -> None:
    """A second later a checkpoint covers the last batch, with the registrar running and idle."""
    async with serving(tmp_path, server.url) as service:
        for number in range(1, 6):
            await publish(connection, range(number, number + 1))
            await drained(connection)

        def signed() -> bool:
            ends = ("SELECT max(batch) FROM batches", "SELECT max(batch) FROM checkpoints")
            return service.rows(ends[0]) == service.rows(ends[1])

        await until(signed, "the last batch is signed")


async def test_what_is_too_old_is_dropped_though_nothing_follows(
    tmp_path: Path, server: NatsServer, connection: Connection
) -> None:
    """Closed segments go when their time has come, with the registrar running and idle."""
    limits = Limits(segment_bytes=1, keep_age_s=2.0)
    async with serving(tmp_path, server.url, limits=limits) as service:
        for number in range(1, 4):
            await publish(connection, range(number, number + 1))
            await drained(connection)
        await until(
            lambda: [segment_number(path) > 1 for path in segments(service.store)] == [True],
            "the older segments to be dropped",
        )
        assert verify(service.store).good


async def test_poison_is_quarantined_and_blocks_nothing(
    tmp_path: Path, server: NatsServer, connection: Connection
) -> None:
    """Broken messages become notes, are acknowledged, and what comes behind them is recorded."""
    poison = [
        (b"", b"{}"),
        (headers(1001), b"{broken"),
        (headers(1002), bytes(range(256))),
        (headers(1003), b"[" * 3000),
        (headers(1004), b'"' + b"x" * 600_000 + b'"'),
        (b"NATS/1.0\r\nce-id: only\r\n\r\n", b"{}"),
    ]
    async with serving(tmp_path, server.url) as service:
        for number, (head, payload) in enumerate(poison, 1):
            await connection.request(STATE, payload, headers=head)
            await publish(connection, range(number, number + 1))
        await drained(connection)
        assert service.events() == list(range(1, len(poison) + 1))
        notes = service.notes(920)
        assert [note[0] for note in notes] == list(range(1, 2 * len(poison), 2))
        assert max(len(bytes(note[2])) for note in notes) == 4096  # type: ignore[arg-type]
        assert service.metric(f"registrar_quarantined_total {len(poison)}.0")
    info = await consumer_info(connection, STREAM, "registrar")
    assert info is not None
    assert info.num_redelivered == 0


async def test_what_breaks_its_contract_is_recorded_whole_and_told(
    tmp_path: Path, server: NatsServer, connection: Connection
) -> None:
    """A payload of the wrong schema blocks nothing, is kept whole and has a code of its own."""
    wrong = orjson.dumps({"schema_version": 2, "pad": "x" * 10_000})
    async with serving(tmp_path, server.url) as service:
        await publish(connection, range(1, 2))
        await connection.request("qiki.events.v1.power.bus", wrong, headers=headers(2))
        await publish(connection, range(3, 4))
        await drained(connection)
        assert service.events() == [1, 2, 3]
        found = service.rows("SELECT severity, payload FROM events WHERE code = 923")
        assert found == [(40, wrong.decode())]
        assert service.metric('registrar_events_total{code="923",severity="ERROR"} 1.0')


async def test_duplicates_and_conflicts_are_told_apart(
    tmp_path: Path, server: NatsServer, connection: Connection
) -> None:
    """A second copy in the stream is noted as such; another payload under one id is kept too."""
    async with serving(tmp_path, server.url) as service:
        await publish(connection, range(1, 4))
        await connection.request(STATE, body(1), headers=headers(1, msg_id="again"))
        await connection.request(STATE, b'{"forged":1}', headers=headers(2, msg_id="forged"))
        await drained(connection)
        assert service.events() == [1, 2, 3]
        assert [note[0] for note in service.notes(440)] == [4]
        assert [(note[0], note[2]) for note in service.notes(921)] == [(5, b'{"forged":1}')]


async def test_a_slow_commit_is_no_reason_to_deliver_again(
    tmp_path: Path, server: NatsServer, connection: Connection
) -> None:
    """What is held for longer than its ack wait is signalled to be in progress."""
    async with serving(tmp_path, server.url) as service:
        await publish(connection, range(1, 11))
        await drained(connection)
        with service.blocked():
            await publish(connection, range(11, 31))
            await asyncio.sleep(2.5)  # longer than the ack wait of 1 s, on purpose
        await drained(connection)
        assert service.events() == list(range(1, 31))
        assert service.metric("registrar_redelivered_total 0.0")


async def test_more_is_taken_while_the_disk_is_waited_for(
    tmp_path: Path, server: NatsServer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is inserted makes room, but it is acknowledged only when it is synced."""
    waiting, synced = threading.Event(), threading.Event()
    write = Store.write

    def slow(store: Store, rows: Sequence[Row], *args: Any, **more: Any) -> Written:
        tell = more.pop("syncing", bool)

        def syncing() -> None:
            tell()
            if rows:
                waiting.set()
                synced.wait(DEADLINE_S)

        return write(store, rows, *args, **more, syncing=syncing)

    monkeypatch.setattr(Store, "write", slow)
    monkeypatch.setattr(held_module, "MAX_HELD", 1)
    async with serving(tmp_path, server.url) as service:
        try:
            await publish(connection, range(1, 2))
            await until(waiting.is_set, "the commit to reach the disk")
            await publish(connection, range(2, 3))
            await until(lambda: service.metric("registrar_queue_messages 2.0"), "more to be taken")
            info = await consumer_info(connection, STREAM, "registrar")
            assert info is not None
            assert (info.num_ack_pending, service.events()) == (2, [])
        finally:
            synced.set()
        await drained(connection)
        assert service.events() == [1, 2]


async def test_a_failing_store_ends_the_process_and_acknowledges_nothing(
    tmp_path: Path, server: NatsServer, connection: Connection
) -> None:
    """When a batch cannot be made durable the process says so, exits with 4, and acks nothing."""
    async with serving(tmp_path, server.url) as service:
        await publish(connection, range(1, 11))
        await drained(connection)
    service.change(
        "CREATE TRIGGER full BEFORE INSERT ON events WHEN new.stream_seq > 15 "
        "BEGIN SELECT raise(ABORT, 'the disk is full'); END"
    )
    await publish(connection, range(11, 41))
    process = Process(tmp_path, server.url)
    async with asyncio.timeout(DEADLINE_S):
        assert await process.start().wait() == 4
    (line,) = process.log.read_text().splitlines()
    assert "the disk is full" in line
    assert service.events() == list(range(1, 11))
    info = await consumer_info(connection, STREAM, "registrar")
    assert info is not None
    assert info.ack_floor.stream_seq == 10
    service.change("DROP TRIGGER full")
    async with serving(tmp_path, server.url):
        await drained(connection)
        assert service.events() == list(range(1, 41))


FULL = """
mount -t tmpfs -o size=3m none "$1" || exit 77
exec "$2" -m twin registrar serve --attach --store "$1/store" --announce "$3"
"""


async def test_a_full_disk_ends_the_process_and_loses_nothing(
    tmp_path: Path, server: NatsServer, connection: Connection
) -> None:
    """On a tmpfs that fills up: exit 4, one line, and what was not durable is still to come."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("there is no unshare on this machine")
    small, announce, log = tmp_path / "small", tmp_path / "announce.json", tmp_path / "log"
    small.mkdir()
    argv = [unshare, "-rm", "sh", "-c", FULL, "sh", str(small), sys.executable, str(announce)]
    child = ChildProcess.start(argv, env={"NATS_URL": server.url}, log_path=log)
    await until(lambda: announce.exists() or child.returncode is not None, "announce")
    if child.returncode == 77 or "unshare" in log.read_text():
        pytest.skip("this kernel lets nobody mount a tmpfs in a namespace of their own")
    for start in range(1, 10_001, 1_000):
        await publish(connection, range(start, start + 1_000))
    async with asyncio.timeout(DEADLINE_S):
        assert await child.wait() == 4
    (line,) = log.read_text().splitlines()
    assert "full" in line
    info = await consumer_info(connection, STREAM, "registrar")
    assert info is not None
    assert 0 < info.ack_floor.stream_seq < 10_000
    acknowledged = info.ack_floor.stream_seq
    async with serving(tmp_path, server.url) as service:
        await drained(connection)
        assert sorted(service.events())[-1] == 10_000
        assert min(service.events()) <= acknowledged + 1


@pytest.mark.parametrize("damage", ["junk", "cut", "end"])
async def test_a_corrupt_store_is_refused(
    tmp_path: Path, server: NatsServer, connection: Connection, damage: str
) -> None:
    """A store that is damaged is not written to: exit 4, one line, nothing is acknowledged."""
    async with serving(tmp_path, server.url) as service:
        await publish(connection, range(1, 11))
        await drained(connection)
    path = service.store / "segment-000001.sqlite"
    if damage == "junk":
        path.write_bytes(bytes(range(256)) * 400)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:50_000])
    else:
        service.change("DELETE FROM events WHERE row = 10")
    await publish(connection, range(11, 21))
    process = Process(tmp_path, server.url)
    async with asyncio.timeout(DEADLINE_S):
        assert await process.start().wait() == 4
    (line,) = process.log.read_text().splitlines()
    assert line.startswith("twin: ")
    assert "store" in line
    info = await consumer_info(connection, STREAM, "registrar")
    assert info is not None
    assert info.ack_floor.stream_seq == 10


@pytest.mark.parametrize("broker", ["up", "down"])
async def test_it_drains_within_five_seconds(
    tmp_path: Path, server: NatsServer, connection: Connection, broker: str
) -> None:
    """SIGTERM in the middle of a backlog, the broker there or gone: recorded is what is taken."""
    await publish(connection, range(1, 8_001))
    service = Process(tmp_path, server.url, "--attach")
    async with service.start() as child:
        await service.ready(child)
        await until(lambda: len(service.events()) > 0, "the first row")
        if broker == "down":
            await server.kill()
        started = time.monotonic()
        os.kill(child.pid, signal.SIGTERM)
        async with asyncio.timeout(DEADLINE_S):
            assert await child.wait() == 0
        assert time.monotonic() - started < 5
    assert len(service.notes(731)) == 1
    if broker == "up":
        info = await consumer_info(connection, STREAM, "registrar")
        assert info is not None
        assert info.ack_floor.stream_seq == len(service.events())
    found = service.events()
    assert found == list(range(1, len(found) + 1))
    assert verify(service.store).breaks == []


async def test_a_store_has_one_registrar(tmp_path: Path, server: NatsServer) -> None:
    """A second registrar on the same store ends at once with exit code 4 and one clear line."""
    async with serving(tmp_path, server.url):
        second = Process(tmp_path, server.url)
        async with asyncio.timeout(DEADLINE_S):
            assert await second.start().wait() == 4
        (line,) = second.log.read_text().splitlines()
        assert f"in use by process {os.getpid()}" in line


async def test_it_may_start_before_the_broker_and_its_streams(
    tmp_path: Path, server: NatsServer
) -> None:
    """An attached process says that it waits, for the broker, then for its consumers; SIGTERM
    drains it."""
    await server.kill()
    service = Process(tmp_path, server.url, "--attach")
    async with service.start() as child:
        await until(lambda: bool(service.rows("SELECT * FROM meta")), "the store")
        await until(lambda: f"answers at {server.url}" in service.log.read_text(), "a word of it")
        await server.start()
        async with await connect(BrokerOptions(server.url), name="test") as connection:
            await asyncio.sleep(0.3)
            assert not service.announce.exists()
            await reconcile(connection, TOPOLOGY)
            await service.ready(child)
            for path in ("/healthz", "/readyz"):
                status, text = await asyncio.to_thread(service.get, path)
                assert (status, json.loads(text)["version"]) == (200, __version__)
            await publish(connection, range(1, 51))
            await drained(connection)
            status, text = await asyncio.to_thread(service.get, "/metrics")
            assert 'registrar_events_total{code="299",severity="INFO"} 50.0' in text
        assert service.events() == list(range(1, 51))
        assert json.loads(service.announce.read_text())["pid"] == child.pid
        assert await child.terminate(grace_s=DEADLINE_S) == 0
    assert len(service.notes(731)) == 1


async def test_who_asks_whether_it_is_ready_is_told_what_it_waits_for() -> None:
    """503 with the reason and the version."""
    app = make_app(lambda: "the broker", RegistrarMetrics("1.2"), "1.2")
    async with HttpServer(app, Address("127.0.0.1", 0)) as http:
        with pytest.raises(urllib.error.HTTPError) as refused:
            await asyncio.to_thread(urllib.request.urlopen, f"{http.url}/readyz")
    told = {"status": "not ready", "waits_for": "the broker", "version": "1.2"}
    assert (refused.value.code, json.loads(refused.value.read())) == (503, told)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
async def test_it_can_be_stopped_while_it_waits_for_the_broker(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """SIGTERM ends a registrar that has no broker yet, Ctrl-C too, each with its exit code."""
    service = Process(tmp_path, "nats://127.0.0.1:1")
    async with service.start() as child:
        await until(lambda: bool(service.rows("SELECT * FROM meta")), "the store")
        await until(lambda: _handles(child.pid, number), "its signal handlers")
        os.kill(child.pid, number)
        async with asyncio.timeout(DEADLINE_S):
            assert await child.wait() == code


def _handles(pid: int, number: signal.Signals) -> bool:
    """Tell whether a process catches a signal itself, by the kernel's account of it."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt"))
    return bool(caught >> (number - 1) & 1)


@pytest.mark.parametrize(
    ("space", "stream", "subject"),
    [
        (PLATFORM, STREAM, "qiki.events.v1.audit"),
        (FLEET, f"LAB_{STREAM}", "lab.qiki.fleet.v1.bot-1.events.v1.audit"),
    ],
    ids=["platform", "fleet"],
)
async def test_audit_records_are_fanned_out_and_not_recorded(
    tmp_path: Path, server: NatsServer, space: SubjectSpace, stream: str, subject: str
) -> None:
    """What matters is published once as an AuditRecord by contract; nobody audits the audit."""
    async with (
        serving(tmp_path, server.url, space) as service,
        await connect(BrokerOptions(server.url), name="test") as connection,
    ):
        await publish(connection, range(1, 4), "power_low", space)
        await publish(connection, range(4, 6), "dull", space)
        async with asyncio.timeout(DEADLINE_S):
            while True:
                info = await stream_info(connection, stream)
                assert info is not None
                if info.state.messages == 8:
                    break
                await asyncio.sleep(0.05)
        await drained(connection, stream)
        answer = await call(connection, f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject})
    message = orjson.loads(answer)["message"]
    record = validate_payload("events.v1.audit", b64decode(message["data"]))
    assert isinstance(record, AuditRecord)
    assert (record.event_type, record.severity) == ("POWER_LOW", "WARN")
    event = decode(b64decode(message["hdrs"]), b64decode(message["data"]))
    assert isinstance(event, CloudEvent)
    assert (event.type, event.source) == ("qiki.events.v1.AuditRecord", "urn:qiki:registrar")
    assert service.events() == [1, 2, 3, 4, 5]
    assert service.rows("SELECT DISTINCT bot, code FROM events ORDER BY code") == [
        ("bot-1", 299), ("bot-1", 602),
    ]  # fmt: skip


async def test_a_clock_that_jumps_is_noted_and_harms_nothing(
    tmp_path: Path, server: NatsServer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set an hour on and two back: both are noted, every event is recorded once, nothing breaks."""
    really = time.time_ns
    async with serving(tmp_path, server.url) as service:
        await publish(connection, range(1, 11))
        for jumps, hours in enumerate((1, -1), 1):
            await drained(connection)
            monkeypatch.setattr(time, "time_ns", lambda by=hours: really() + by * 3600 * 10**9)
            await until(lambda seen=jumps: len(service.notes(734)) == seen, "the note")  # type: ignore[misc]
            await publish(connection, range(10 * jumps + 1, 10 * jumps + 11))
        await drained(connection)
    details = [orjson.loads(str(note[1]))["by_ms"] for note in service.notes(734)]
    assert [round(by / 3_600_000, 2) for by in details] == [1.0, -2.0]
    monkeypatch.setattr(time, "time_ns", lambda: really() - 2 * 3600 * 10**9)
    async with serving(tmp_path, server.url):
        await publish(connection, range(31, 41))
        await drained(connection)
    assert service.events() == list(range(1, 41))
    assert verify(service.store).breaks == []
    detail = orjson.loads(str(service.notes(734)[-1][1]))
    assert detail["since"] == "the last commit"
    assert -1.1 < detail["by_ms"] / 3_600_000 < 0


async def test_a_stream_that_is_there_keeps_its_limits(
    tmp_path: Path, server: NatsServer, connection: Connection
) -> None:
    """The registrar makes what is missing, and leaves the limits of existing streams alone."""
    await call(connection, f"STREAM.DELETE.{STREAM}")
    limited = build_topology(SubjectSpace(), max_bytes=10_000_000, ack_wait_s=1.0)
    await reconcile(connection, limited, allow_shrink=True)
    await call(connection, f"STREAM.DELETE.{STREAM}")
    async with serving(tmp_path, server.url):
        made = await stream_info(connection, STREAM)
        kept = await stream_info(connection, "QIKI_RADAR_V1")
    assert made is not None
    assert kept is not None
    assert (made.config.max_bytes, kept.config.max_bytes) == (-1, 10_000_000)


async def test_a_stream_that_lost_its_tail_is_noticed(
    tmp_path: Path, server: NatsServer, connection: Connection
) -> None:
    """When the stream is shorter than what is recorded, that is noted, and recording goes on."""
    async with serving(tmp_path, server.url) as service:
        await publish(connection, range(1, 21))
        await drained(connection)
    await call(connection, f"STREAM.DELETE.{STREAM}")
    await reconcile(connection, TOPOLOGY)
    for number in range(1, 6):
        await connection.request(STATE, body(number), headers=headers(number, run="r2"))
    async with serving(tmp_path, server.url) as service:
        await drained(connection)
        assert len(service.events()) == 25
        (note,) = service.notes(922)
        detail = orjson.loads(str(note[1]))
        assert (detail["recorded_last"], detail["stream_last"]) == (20, 5)
