"""Recording what a stream holds, on one core: the registrar, its store alone, and the alternatives.

The stream is filled first. The recording process then has one core for all its threads, the
server the others, so that a rate is what one core does.
"""

import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from itertools import permutations
from pathlib import Path
from typing import Final, TypeAlias

import apsw

from twin.bench import nats_py, ours
from twin.bench.ablated import TrustingStore, unchained
from twin.bench.measured import Measured
from twin.bench.rig import STREAM, Clock, Rig, block, payload
from twin.errors import InfrastructureError
from twin.events.subjects import SubjectSpace
from twin.jetstream.api import call
from twin.jetstream.consumer import PullConsumer
from twin.registrar.bulk import make_room
from twin.registrar.chain import record_leaves, root, row_records, sharing
from twin.registrar.intake import Intake
from twin.registrar.record import Row
from twin.registrar.rules import Classifier, Rules
from twin.registrar.schema import ROW_COLUMNS, SCHEMA_VERSION, create, insert, open_writer
from twin.registrar.store import CHECKPOINT_BYTES, Store

__all__ = ["TRUSTING", "UNCHAINED", "WHOLE", "Fill", "Turns", "of_bytes", "of_fleet"]

RUN: Final = "recording"
DURABLE: Final = "registrar-recording"
BATCH: Final = 5_000
FOREVER: Final = "2100-01-01T00:00:00Z"
WAKING: Final = f"{ours.PREFIX}.0"
"""Gets one more message: a consumer that is resumed sleeps for a second, or until the next."""

WHOLE: Final = "store alone"
UNCHAINED: Final = "store without chain"
TRUSTING: Final = "store without chain and dedupe"
VARIANTS: Final[Mapping[str, tuple[type[Store], Callable[[], AbstractContextManager[None]]]]] = {
    WHOLE: (Store, nullcontext),
    UNCHAINED: (Store, unchained),
    TRUSTING: (TrustingStore, unchained),
}
ORDERS: Final = tuple(permutations(VARIANTS))

Fill: TypeAlias = Callable[[Rig, int, int], Awaitable[object]]
"""Publishes so many events at a point of the field."""


async def of_bytes(rig: Rig, size: int, count: int) -> object:
    """Fill the stream with payloads of one size, from 2,000 sources."""
    return await ours.publish(rig, count, RUN, pipelined=True, size=size)


async def of_fleet(rig: Rig, bots: int, count: int) -> object:
    """Fill the stream with what a fleet emits by default."""
    return await ours.simulate(rig, count, RUN, bots=bots)


class Turns:
    """The contenders' turns over a stream that `fill` fills."""

    def __init__(self, fill: Fill) -> None:
        self._fill = fill

    async def registrar(self, rig: Rig, point: int, load: float) -> Measured:
        """The registrar as a process: everything taken, recorded, synced and acknowledged."""
        count = await self._filled(rig, point, load)
        registrar = ours.registrar_of(rig, DURABLE, rig.folder)
        async with await rig.connect() as watch:
            await call(watch, f"CONSUMER.PAUSE.{STREAM}.{DURABLE}", {"pause_until": FOREVER})
            await registrar.start()
            try:
                _apart(registrar.pid, rig.server.pid)
                with rig.clock(registrar=registrar.pid) as clock:
                    await call(watch, f"CONSUMER.PAUSE.{STREAM}.{DURABLE}")
                    await watch.request(WAKING, payload(), headers=block("waking", 0) + b"\r\n")
                    await ours.acknowledged(watch, DURABLE, count + 1)
                pids = {"server": rig.server.pid, "registrar": registrar.pid}
                measured = Measured.of(count + 1, clock, pids)
            finally:
                await registrar.stop()
        return _sized(measured, rig.folder / "store")

    async def lines(self, rig: Rig, point: int, load: float) -> Measured:
        """nats-py's fetch(1000), a JSON line appended for each message, nothing synced."""
        count = await self._filled(rig, point, load)
        _apart(os.getpid(), rig.server.pid)
        clock = await nats_py.fetch_lines(rig, count, DURABLE, rig.folder / "lines" / "out.jsonl")
        measured = Measured.of(count, clock, {"server": rig.server.pid})
        return _sized(measured, rig.folder / "lines")

    async def stores(self, rig: Rig, point: int, load: float) -> Measured:
        """The store alone with the same rows: deduplicated, chained, signed, synced.

        Beside it the same store without its chain, and without deduplication, too. Each batch
        goes to all of them, in another order each time: what the machine does at that moment,
        and that the first finds the rows not in its cache, falls on all alike.
        """
        rows = await self._rows(rig, point, load)
        clocks = {name: Clock() for name in VARIANTS}
        with ExitStack() as stack:
            stores = {
                name: stack.enter_context(kind(rig.folder / name, Rules.load(), "bench"))
                for name, (kind, _) in VARIANTS.items()
            }
            stack.enter_context(rig.clock())
            for number, start in enumerate(range(0, len(rows), BATCH)):
                for name in ORDERS[number % len(ORDERS)]:
                    with VARIANTS[name][1](), clocks[name].going():
                        stores[name].write(rows[start : start + BATCH])
                        stores[name].tidy()
        taken = {
            name: _sized(Measured.of(len(rows), clock, {}), rig.folder / name)
            for name, clock in clocks.items()
        }
        return taken.pop(WHOLE).model_copy(update={"beside": taken})

    async def executemany(self, rig: Rig, point: int, load: float) -> Measured:
        """The same rows, table, indexes and synced commits without chain or deduplication."""
        rows, folder = await self._rows(rig, point, load), rig.folder / "plain"
        folder.mkdir()
        with open_writer(folder / "plain.sqlite") as db:
            create(db, {"store": "bench", "segment": "1"})
        with rig.clock() as clock:
            _insert(db, rows)
        db.close()
        return _sized(Measured.of(len(rows), clock, {}), folder)

    async def chain(self, rig: Rig, point: int, load: float) -> Measured:
        """The chain alone: the leaves of the rows, the root of each batch."""
        rows = await self._rows(rig, point, load)
        with rig.clock() as clock:
            for start in range(0, len(rows), BATCH):
                batch = rows[start : start + BATCH]
                records = row_records(start + 1, 1, batch)
                root(record_leaves(records, sharing(len(batch), SCHEMA_VERSION)))
        return Measured.of(len(rows), clock, {})

    async def _filled(self, rig: Rig, point: int, load: float) -> int:
        await rig.fresh()
        count = round(load)
        await self._fill(rig, point, count)
        await rig.durable(DURABLE)
        return count

    async def _rows(self, rig: Rig, point: int, load: float) -> Sequence[Row]:
        """Return what the registrar would record of the stream."""
        make_room()
        count = await self._filled(rig, point, load)
        intake = Intake(Classifier(Rules.load()), SubjectSpace(prefix=ours.PREFIX))
        rows: list[Row] = []
        async with (
            await rig.connect() as connection,
            PullConsumer(connection, STREAM, DURABLE, batch=BATCH) as consumer,
        ):
            while len(rows) < count:
                messages = await consumer.next_batch(5.0)
                found = intake.take_all(messages, time.time_ns()).rows
                if len(found) != len(messages):
                    raise InfrastructureError("not every message is an event")
                rows += found
                consumer.ack(messages)
        return rows


def _insert(db: apsw.Connection, rows: Sequence[Row]) -> None:
    statement = insert("events", (*ROW_COLUMNS, "kind"))
    kinds: dict[tuple[str, int], int] = {}
    log = Path(f"{db.filename}-wal")
    for start in range(0, len(rows), BATCH):
        records = [
            (number, 1, *row, kinds.setdefault((row.type, row.code), len(kinds)))
            for number, row in enumerate(rows[start : start + BATCH], start + 1)
        ]
        db.execute("BEGIN IMMEDIATE")
        db.executemany(statement, records)
        db.execute("COMMIT")
        if log.stat().st_size >= CHECKPOINT_BYTES:
            db.wal_checkpoint()


def _apart(pid: int, server: int) -> None:
    """Give a process one core and the server the others, where the system can do that."""
    if hasattr(os, "sched_setaffinity") and len(cores := sorted(os.sched_getaffinity(0))) > 1:
        for one, allowed in ((pid, cores[:1]), (server, cores[1:])):
            for thread in Path(f"/proc/{one}/task").iterdir():
                os.sched_setaffinity(int(thread.name), allowed)


def _sized(measured: Measured, folder: Path) -> Measured:
    size = sum(path.stat().st_size for path in folder.iterdir() if path.suffix != ".pem")
    return measured.model_copy(update={"stored_bytes": size / measured.units})
