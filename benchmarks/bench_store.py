"""How fast the registrar records: decoding, the store with and without its chain, end to end.

Run: python benchmarks/bench_store.py [ROWS]. Variants alternate, medians are printed. The store
beside plain inserts also runs under pytest-benchmark (`make bench`).
Compare within one run only: machines are shared. The CPU time leaves out waiting for the disk.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import apsw
import pytest
from rich.console import Console
from rich.table import Table

from twin.events.streams import build_topology
from twin.events.subjects import SubjectSpace
from twin.jetstream.api import consumer_info
from twin.jetstream.connection import BrokerOptions, Connection, connect
from twin.jetstream.message import Message
from twin.jetstream.reconcile import reconcile
from twin.jetstream.server import NatsServer
from twin.registrar.consumers import durables_of, reconciling
from twin.registrar.intake import Intake
from twin.registrar.metrics import RegistrarMetrics
from twin.registrar.record import Row
from twin.registrar.records import Event
from twin.registrar.rules import Classifier, Rules
from twin.registrar.schema import ROW_COLUMNS, insert, open_writer
from twin.registrar.service import Registrar, RegistrarOptions
from twin.registrar.store import Store
from twin.registrar.thread import StoreThread

RULES = Rules.load()
BATCH = 5_000
ROUNDS = 3
CHANNELS = ("power.bus", "power.pdu", "sensor.thermal", "energy", "nav")
TYPES = ("PowerBusReading", "PowerPduStatus", "SensorReading", "EnergyStatus", "NavState")
STREAM = "QIKI_EVENTS_V1"
PAYLOAD = (
    b'{"schema_version":1,"category":"power","source":"bus","subject":"main","current":1.2500,'
    b'"bus_v":27.5000,"unit":"A","ts_epoch":1767225600.100000,"temp":20.5,"overcurrent":0,'
    b'"power_out_w":30.5,"pad":"%b"}' % (b"x" * 50)
)


class Sample(NamedTuple):
    """One round: events a second by the wall clock, CPU microseconds of this process an event."""

    rate: float
    cpu_us: float


def headers(number: int) -> tuple[str, bytes]:
    """Return subject and header block of event `number` of a fleet of 1,000 bots."""
    bot, at = f"bot-{number // 5 % 1000:04d}", number % 5
    event_id = f"{bot}/events.v1.{CHANNELS[at]}/{number // 5000 + 1}"
    block = (
        f"NATS/1.0\r\nce-specversion: 1.0\r\nce-id: {event_id}\r\n"
        f"ce-source: urn:twin:0123456789ab:{bot}\r\nce-type: qiki.events.v1.{TYPES[at]}\r\n"
        f"ce-time: 2026-01-01T00:00:{number % 60:02d}.100000Z\r\n"
        "ce-datacontenttype: application/json\r\n"
        f"Nats-Msg-Id: 0123456789ab/{event_id}\r\nTwin-Intended-Ns: {time.time_ns()}\r\n\r\n"
    )
    return f"qiki.events.v1.{CHANNELS[at]}", block.encode()


def messages(count: int) -> list[Message]:
    """Return events as JetStream delivers them."""
    found = []
    for number in range(count):
        subject, block = headers(number)
        seq = number + 1
        reply = f"$JS.ACK.{STREAM}.registrar.1.{seq}.{seq}.{time.time_ns()}.0"
        found.append(Message((subject.encode(), reply.encode(), block, PAYLOAD)))
    return found


def decoded(batch: list[Message]) -> list[Row]:
    """Return what the registrar makes of them."""
    intake = Intake(Classifier(RULES), SubjectSpace())
    now = time.time_ns()
    rows = []
    for message in batch:
        record = intake.take(message, now)
        assert isinstance(record, Event)
        rows.append(record.row)
    return rows


def store_rows(rows: list[Row], folder: Path) -> None:
    """Record through the store: dedupe, chain, one synced commit a batch."""
    with Store(folder, RULES, "bench") as store:
        for start in range(0, len(rows), BATCH):
            store.write(rows[start : start + BATCH])
            store.tidy()


def plain_rows(rows: list[Row], folder: Path, unique: bool = True) -> None:
    """Record through executemany alone: the same columns and commits, no chain, one index."""
    folder.mkdir()
    db = open_writer(folder / "plain.sqlite")
    first, *others = ROW_COLUMNS
    db.execute(f"CREATE TABLE events ({first} INTEGER PRIMARY KEY, {', '.join(others)})")
    db.execute(f"CREATE {'UNIQUE' if unique else ''} INDEX events_key ON events (id, source)")
    statement = insert("events", ROW_COLUMNS)
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        numbered = ((start + at, 1, *row) for at, row in enumerate(batch, 1))
        db.execute("BEGIN IMMEDIATE")
        db.executemany(statement, numbered)
        db.execute("COMMIT")
        if (start // BATCH) % 8 == 7:
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    db.close()


WAYS: dict[str, Callable[[list[Row], Path], None]] = {
    "store": store_rows,
    "executemany, unique": plain_rows,
    "executemany": partial(plain_rows, unique=False),
}


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """What the registrar makes of 10,000 events."""
    return decoded(messages(10_000))


@pytest.mark.parametrize("way", WAYS)
def test_store(benchmark: Any, rows: list[Row], tmp_path: Path, way: str) -> None:
    """10,000 rows into a store that is not there yet."""
    numbers = count()

    def fresh() -> tuple[tuple[list[Row], Path], dict[str, object]]:
        return (rows, tmp_path / f"store-{next(numbers)}"), {}

    benchmark.pedantic(WAYS[way], setup=fresh, rounds=5)
    assert next(numbers) > 0


async def end_to_end(count: int, folder: Path) -> tuple[Sample, float]:
    """Measure from JetStream into the store; return also the store's bytes an event."""
    topology = build_topology(SubjectSpace())
    options = RegistrarOptions(folder / "store", durables_of(topology), reconciling(topology))
    async with (
        NatsServer(folder / "nats", log=folder / "nats-server.log") as server,
        await connect(BrokerOptions(server.url), name="bench") as connection,
        await connect(BrokerOptions(server.url), name="registrar") as own,
        StoreThread(options.store, options.rules, "bench") as store,
    ):
        await reconcile(connection, topology)
        await fill(connection, count)
        service = Registrar(own, store, options, RegistrarMetrics("bench"))
        running = asyncio.create_task(service.run())
        await service.consuming.wait()
        started, cpu = time.perf_counter(), time.process_time()
        while (await floor(connection)) < count:  # noqa: ASYNC110 - the broker tells nobody
            await asyncio.sleep(0.02)
        taken, cpu = time.perf_counter() - started, time.process_time() - cpu
        _, size = await store.state()
        service.stop()
        await running
    return Sample(count / taken, 1e6 * cpu / count), size / count


async def fill(connection: Connection, count: int) -> None:
    """Publish events in chunks, each acknowledged as a whole by its last one."""
    for start in range(0, count, 500):
        chunk = [headers(number) for number in range(start, min(start + 500, count))]
        connection.send([(subject.encode(), b"", block, PAYLOAD) for subject, block in chunk[:-1]])
        subject, block = chunk[-1]
        await connection.request(subject, PAYLOAD, headers=block)


async def floor(connection: Connection) -> int:
    """Return up to where the registrar has acknowledged."""
    info = await consumer_info(connection, STREAM, "registrar")
    return 0 if info is None else info.ack_floor.stream_seq


@contextmanager
def fresh_folder() -> Iterator[Path]:
    """A folder for one round."""
    with tempfile.TemporaryDirectory(prefix="twin-bench-") as name:
        yield Path(name)


def measure(work: Callable[[Path], object], count: int) -> Sample:
    """Measure one round."""
    with fresh_folder() as folder:
        started, cpu = time.perf_counter(), time.process_time()
        work(folder / "store")
        taken, cpu = time.perf_counter() - started, time.process_time() - cpu
        return Sample(count / taken, 1e6 * cpu / count)


def main(count: int) -> None:
    """Measure and print."""
    batch = messages(count)
    rows = decoded(batch)
    variants: dict[str, Callable[[Path], object]] = {
        "decode and classify": lambda _: decoded(batch),
        "store: unique, chained": lambda folder: store_rows(rows, folder),
        "plain executemany, unique": lambda folder: plain_rows(rows, folder),
        "plain executemany": lambda folder: plain_rows(rows, folder, unique=False),
    }
    found: dict[str, list[Sample]] = {name: [] for name in variants}
    ends, sizes = [], []
    for _ in range(ROUNDS):
        for name, work in variants.items():
            found[name].append(measure(work, count))
        with fresh_folder() as folder:
            speed, size = asyncio.run(end_to_end(count, folder))
            ends.append(speed)
            sizes.append(size)
    found["end to end from JetStream"] = ends
    table = Table("what", "events/s", "range", "CPU us/event", title=f"{count:,} events")
    for name, samples in found.items():
        rates = [sample.rate for sample in samples]
        spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
        cpu = median(sample.cpu_us for sample in samples)
        table.add_row(name, f"{median(rates):,.0f}", spread, f"{cpu:.1f}")
    Console().print(table)
    Console().print(f"store: {median(sizes):,.0f} bytes an event while open")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
