"""Where the registrar's processor time goes: microseconds an event, step by step.

Run: python benchmarks/bench_steps.py [EVENTS]. Events of 256 bytes from a read buffer into the
store, without broker and event loop. Medians of three rounds; the processor time of the thread.
Each step also runs under pytest-benchmark (`make bench`).
"""

import asyncio
import gc
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from twin.bench.rig import SOURCES, block, payload
from twin.events.subjects import SubjectSpace
from twin.jetstream.fastpath import FastParser
from twin.jetstream.message import Message, messages_of
from twin.jetstream.wire import Delivery
from twin.registrar.bulk import STRIDE, insert_events, make_room
from twin.registrar.chain import GROUP, record_leaves, root, row_records
from twin.registrar.intake import Intake
from twin.registrar.keyfilter import any_twice, keys_of
from twin.registrar.record import Row
from twin.registrar.rules import Classifier, Rules
from twin.registrar.schema import create, open_writer

READ = 32_768
BATCH = 5_000
BURST = 1_000
ROUNDS = 3
BODY = payload(256)
Spent = dict[str, float]


def frames(count: int) -> bytes:
    """Return what the server writes to deliver so many events."""
    found = []
    for number in range(1, count + 1):
        head = block("run", number) + b"\r\n"
        place = b"1.%d.%d.1767225600%09d.%d" % (number, number, number, count - number)
        sizes = b"%d %d" % (len(head), len(head) + len(BODY))
        found.append(
            b"HMSG bench.%d 1 $JS.ACK.BENCH.registrar.%b %b\r\n%b%b\r\n"
            % (number % SOURCES, place, sizes, head, BODY)
        )
    return b"".join(found)


async def parsed(buffer: bytes) -> list[list[Delivery]]:
    """Return the deliveries in a buffer, read by read."""
    found: list[list[Delivery]] = []
    client: Any = SimpleNamespace(is_reconnecting=False, is_closed=False)
    parser = FastParser(client)
    parser.handlers[b"1"] = found.append
    for start in range(0, len(buffer), READ):
        await parser.parse(buffer[start : start + READ])
    return found


def rows_of(messages: Sequence[Message], intake: Intake) -> list[Row]:
    """Return what is recorded of them."""
    found: list[Row] = []
    for start in range(0, len(messages), BURST):
        found += intake.take_all(messages[start : start + BURST], 1).rows
    assert len(found) == len(messages)
    return found


@contextmanager
def timed(spent: Spent, step: str) -> Iterator[None]:
    """Add the processor time of what happens inside."""
    before = time.thread_time()
    yield
    spent[step] += time.thread_time() - before


def one_round(buffer: bytes, folder: Path) -> Spent:
    """Take a buffer from the socket to the disk; return the seconds of each step."""
    spent: Spent = defaultdict(float)
    intake = Intake(Classifier(Rules.load()), SubjectSpace(prefix="bench"))
    with timed(spent, "read buffer to deliveries"):
        reads = asyncio.run(parsed(buffer))
    with timed(spent, "deliveries to messages"):
        messages = [message for read in reads for message in messages_of(read)]
    with timed(spent, "message to row: headers, JSON, rules"):
        rows = rows_of(messages, intake)
    with open_writer(folder / "steps.sqlite") as db:
        create(db, {"store": "bench", "segment": "1"})
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        with timed(spent, "doubles within the batch"):
            any_twice(keys_of((row.id, row.source) for row in batch))
        db.execute("BEGIN IMMEDIATE")
        leaves: list[bytes] = []
        for at in range(0, len(batch), STRIDE):
            with timed(spent, "chain: leaves and root"):
                records = row_records(start + at + 1, 1, batch[at : at + STRIDE])
                leaves += record_leaves(records, GROUP)
            with timed(spent, "insert: table and indexes"):
                insert_events(db, records, [1] * len(records))
        with timed(spent, "chain: leaves and root"):
            root(leaves)
        with timed(spent, "commit: log and sync"):
            db.execute("COMMIT")
    with timed(spent, "checkpoint: log into the database"):
        db.wal_checkpoint()
    db.close()
    return spent


@pytest.fixture(scope="module")
def buffer() -> bytes:
    """10,000 events as the server writes them."""
    return frames(10_000)


def test_parse(benchmark: Any, buffer: bytes) -> None:
    """From the read buffer to deliveries."""
    assert sum(map(len, benchmark(lambda: asyncio.run(parsed(buffer))))) == 10_000


def test_messages(benchmark: Any, buffer: bytes) -> None:
    """From deliveries to messages."""
    reads = asyncio.run(parsed(buffer))
    read_all: Callable[[], list[Message]] = lambda: [m for one in reads for m in messages_of(one)]  # noqa: E731
    assert len(benchmark(read_all)) == 10_000


def test_rows(benchmark: Any, buffer: bytes) -> None:
    """From messages to rows."""
    messages = [m for read in asyncio.run(parsed(buffer)) for m in messages_of(read)]
    intake = Intake(Classifier(Rules.load()), SubjectSpace(prefix="bench"))
    assert len(benchmark(rows_of, messages, intake)) == 10_000


def main(count: int) -> None:
    """Measure and print."""
    make_room()
    buffer = frames(count)
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    rounds = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="twin-bench-") as name:
            rounds.append(one_round(buffer, Path(name)))
    table = Table("step", "us an event", title=f"{count:,} events of 256 bytes")
    for step in rounds[0]:
        table.add_row(step, f"{1e6 * median(spent[step] for spent in rounds) / count:.2f}")
    whole = median(sum(spent.values()) for spent in rounds)
    table.add_row("all", f"{1e6 * whole / count:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
