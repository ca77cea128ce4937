"""How fast a large store answers: the usual questions, on as many rows as are asked for.

Run: python benchmarks/bench_query.py [ROWS [FOLDER]], by default 10,000,000 rows in a folder that
is removed afterwards (about 8 GB). A store that is in FOLDER already is used as it is. Every
lookup opens the store anew and takes at most 100 records, as `twin registrar query` does; each
question is asked 20 times, of other bots, ids and times.
"""

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from twin.registrar.codes import CODES
from twin.registrar.filter import Condition, Filter
from twin.registrar.query import read_records
from twin.registrar.record import Row
from twin.registrar.rules import Rules
from twin.registrar.schema import segment_paths
from twin.registrar.stats import store_stats
from twin.registrar.store import Store

ROWS = 10_000_000
BATCH = 5_000
BOTS = 1_000
ASKED = 20
START_NS = 1_767_225_600_000_000_000
STEP_NS = 100_000
CHANNELS = (
    ("power.bus", "PowerBusReading", 630),
    ("power.pdu", "PowerPduStatus", 631),
    ("sensor.thermal", "SensorReading", 720),
    ("energy", "EnergyStatus", 632),
    ("nav", "NavState", 510),
)
EDGES = (101, 602, 604, 710, 802)
PAYLOAD = (
    '{{"schema_version":1,"category":"power","source":"bus","subject":"main","current":{n}.25,'
    '"bus_v":27.5,"unit":"A","ts_epoch":1767225600.1}}'
)
HEADERS = (
    "NATS/1.0\r\nce-specversion: 1.0\r\nce-id: {id}\r\nce-source: urn:twin:0123456789ab:{bot}\r\n"
    "ce-type: qiki.events.v1.{type}\r\nce-time: 2026-01-01T00:00:00Z\r\n\r\n"
)


def row(number: int) -> Row:
    """Return an event of a fleet: one in 2,003 is an edge, one in 500 has a correlation id."""
    bot = f"bot-{number // len(CHANNELS) % BOTS:04d}"
    channel, kind, code = CHANNELS[number % len(CHANNELS)]
    if number % 2_003 == 1_234:
        channel, kind, code = "state", "StateChange", EDGES[number // 2_003 % len(EDGES)]
    event_id = f"{bot}/events.v1.{channel}/{number}"
    moment = START_NS + number * STEP_NS
    return Row(
        event_id, f"urn:twin:0123456789ab:{bot}", f"qiki.events.v1.{kind}",
        f"qiki.events.v1.{channel}", "QIKI_EVENTS_V1", number + 1, 1, moment, moment,
        moment + 1_000_000, moment + 2_000_000, bot, code, int(CODES[code].severity),
        f"order-{number}" if number % 500 == 7 else "",
        f"{number:032x}" if number % 500 == 7 else "",
        HEADERS.format(id=event_id, bot=bot, type=kind), PAYLOAD.format(n=number % 97),
    )  # fmt: skip


def fill(folder: Path, rows: int) -> float:
    """Record so many events as the registrar does; return the seconds it took."""
    started = time.perf_counter()
    with Store(folder, Rules.load(), "bench") as store:
        for start in range(0, rows, BATCH):
            store.write([row(number) for number in range(start, min(start + BATCH, rows))])
            store.tidy()
    return time.perf_counter() - started


def questions(rows: int) -> Iterator[tuple[str, list[Filter]]]:
    """Yield each question, and what is asked in its rounds."""
    chance = random.Random(1)  # noqa: S311 - the same questions each time
    some = [row(chance.randrange(rows)) for _ in range(ASKED)]
    known = [row(chance.randrange(rows // 500) * 500 + 7) for _ in range(ASKED)]
    yield "id", [Filter(id=one.id) for one in some]
    yield "id that is not there", [Filter(id=f"{one.id}0/x") for one in some]
    yield "correlation", [Filter(correlation=one.correlation) for one in known]
    yield "trace", [Filter(trace=one.trace) for one in known]
    yield "bot", [Filter(bot=one.bot) for one in some]
    yield (
        "bot, common code",
        [Filter(bot=one.bot, codes=((one.code, one.code),)) for one in some],
    )
    yield "bot, rare code", [Filter(bot=one.bot, codes=((802, 802),)) for one in some]
    yield (
        "bot, second",
        [Filter(bot=one.bot, since_ns=one.event_ns, until_ns=one.event_ns + 10**9) for one in some],
    )
    yield "bot, WARN", [Filter(bot=one.bot, severity=30) for one in some]
    yield "rare code", [Filter(codes=((602, 602),))] * ASKED
    yield (
        "rare code, second",
        [
            Filter(codes=((602, 602),), since_ns=one.event_ns, until_ns=one.event_ns + 10**9)
            for one in some
        ],
    )
    yield "range 6xx", [Filter(codes=((600, 699),))] * ASKED
    yield "type", [Filter(type=one.type) for one in some]
    yield "severity CRITICAL", [Filter(severity=50)] * ASKED
    yield "second", [Filter(since_ns=one.event_ns, until_ns=one.event_ns + 10**9) for one in some]
    yield (
        "rare code, payload field",
        [Filter(codes=((602, 602),), where=(Condition("$.current", 90, ">"),))] * ASKED,
    )


class Lookup(NamedTuple):
    """Milliseconds by the clock and of the processor, and how many records it gave."""

    wall: float
    cpu: float
    records: int


def ask(folder: Path, wanted: Filter, newest: bool) -> Lookup:
    """Time one lookup."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = list(islice(read_records(folder, wanted, newest), 100))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Lookup(1e3 * wall, 1e3 * cpu, len(found))


def measure(folder: Path, rows: int) -> Table:
    """Ask everything, from either end, and return the table in milliseconds."""
    table = Table(box=None, header_style="bold")
    table.add_column("question")
    for name in ("records", "median", "slowest", "of CPU", "newest: median", "slowest", "of CPU"):
        table.add_column(name, justify="right")
    for name, filters in questions(rows):
        cells: list[str] = []
        for newest in (False, True):
            taken = [ask(folder, one, newest) for one in filters]
            walls, cpus, counts = zip(*taken, strict=True)
            if not newest:
                cells.append(f"{min(counts)}-{max(counts)}")
            cells += [f"{one:.1f}" for one in (median(walls), max(walls), median(cpus))]
        table.add_row(name, *cells)
    return table


def main(rows: int, folder: Path) -> None:
    """Fill the folder unless it is a store, ask, print."""
    if not segment_paths(folder):
        print(f"{rows:,} rows recorded in {fill(folder, rows):.0f} s")
    stats = store_stats(folder)
    each = stats.bytes / stats.events
    print(f"{stats.events:,} rows of {each:.0f} bytes, {stats.segments} segments")
    Console(width=120).print(measure(folder, stats.events))


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    if len(sys.argv) > 2:
        main(wanted, Path(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(wanted, Path(scratch) / "store")
