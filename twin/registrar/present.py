"""Records and counts as people and programs want to read them: table, JSON lines, CSV."""

import csv
from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path

import orjson
from rich.table import Table
from rich.text import Text

from twin.errors import StoreError
from twin.printable import printable
from twin.registrar.codes import CODES, Severity, category
from twin.registrar.fields import fields
from twin.registrar.query import Found
from twin.registrar.schema import (
    BATCH_COLUMNS,
    NOTE_COLUMNS,
    ROW_COLUMNS,
    reading,
    segments,
    select,
)
from twin.registrar.stats import Stats
from twin.registrar.times import format_ns

__all__ = [
    "as_csv",
    "as_json_lines",
    "as_lines",
    "as_table",
    "dump_lines",
    "stats_document",
    "stats_table",
]

STYLES = {"WARN": "yellow", "ERROR": "red", "CRITICAL": "bold red", "DEBUG": "dim", "INFO": ""}
ID_WIDTH = 40
LINE_CHARS = 200
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a cell begins with that spreadsheets calculate, or take away and calculate the rest."""
DUMPED = (
    ("batches", "batch", BATCH_COLUMNS),
    ("events", "event", ROW_COLUMNS),
    ("notes", "note", NOTE_COLUMNS),
)
COLUMNS = (
    "time",
    "kind",
    "code",
    "name",
    "category",
    "severity",
    "bot",
    "id",
    "source",
    "type",
    "subject",
    "stream",
    "stream_seq",
    "deliveries",
    "correlation",
    "trace",
    "payload",
)


def as_table(records: Iterable[Found]) -> Table:
    """Return a table for a terminal; payloads are cut to what fits."""
    records = list(records)
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for name, texts in (
        ("time", [format_ns(record.time_ns) for record in records]),
        ("code", ["000"]),
        ("name", [_name(record.code) for record in records]),
        ("severity", ["CRITICAL"]),
    ):
        table.add_column(name, no_wrap=True, min_width=max(map(len, [name, *texts])))
    longest = max((len(record.id) for record in records), default=2)
    table.add_column("id", no_wrap=True, overflow="ellipsis", min_width=min(longest, ID_WIDTH))
    table.add_column("payload", no_wrap=True, overflow="ellipsis", ratio=1)
    for record in records:
        severity = Severity(record.severity).name
        payload = record.payload
        shown = payload if isinstance(payload, str) else f"{len(payload)} bytes"
        table.add_row(
            format_ns(record.time_ns),
            str(record.code),
            _name(record.code),
            Text(severity, style=STYLES[severity]),
            Text(printable(record.id)),
            Text(printable(shown[:500])),
        )
    return table


def as_json_lines(records: Iterable[Found]) -> Iterator[bytes]:
    """Yield one JSON object a record; JSON payloads are embedded, others are hexadecimal."""
    for record in records:
        told: dict[str, object] = dict(zip(COLUMNS, _told(record), strict=True))
        payload = record.payload
        told["payload"] = _embedded(record) if isinstance(payload, str) else {"hex": payload.hex()}
        yield orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)


def as_csv(records: Iterable[Found], *, spreadsheet: bool = False) -> Iterator[str]:
    """Yield lines of CSV, names first; every value as it is in the store.

    `spreadsheet` marks texts that a spreadsheet would take for a formula: an apostrophe before.
    """
    buffer = StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    yield _taken(buffer)
    for record in records:
        told = _told(record)
        writer.writerow(map(_no_formula, told) if spreadsheet else told)
        yield _taken(buffer)


def _no_formula(value: object) -> object:
    begins_one = isinstance(value, str) and value.lstrip(" ").startswith(FORMULA)
    return f"'{value}" if begins_one else value


def as_lines(records: Iterable[Found]) -> Iterator[str]:
    """Yield a line of text a record, for a terminal on which they keep coming."""
    for record in records:
        payload = record.payload
        shown = payload if isinstance(payload, str) else f"{len(payload)} bytes"
        what = f"{record.code} {_name(record.code):20} {Severity(record.severity).name:8}"
        line = f"{format_ns(record.time_ns)} {what} {record.id or record.kind} {shown[:LINE_CHARS]}"
        yield f"{printable(line)}\n"


def dump_lines(store: Path, table: str | None = None) -> Iterator[bytes]:
    """Yield everything in a store, or in one table of it, as JSON lines: all columns as stored."""
    for path in segments(store):
        with reading(path) as db:
            for name, kind, columns in DUMPED:
                if table not in (None, name):
                    continue
                query = select(columns, f"FROM {name} ORDER BY 1")
                for record in fields(db, name, columns, query):
                    told = {"kind": kind, **dict(zip(columns, map(_plain, record), strict=True))}
                    yield orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)


def stats_document(stats: Stats) -> dict[str, object]:
    """Return the counts as a JSON document."""
    return {
        "segments": stats.segments,
        "batches": stats.batches,
        "events": stats.events,
        "notes": stats.notes,
        "bytes": stats.bytes,
        "first": format_ns(stats.first_ns) if stats.events else None,
        "last": format_ns(stats.last_ns) if stats.events else None,
        "codes": {str(code): count for code, count in sorted(stats.codes.items())},
        "last_sequences": stats.streams,
    }


def stats_table(stats: Stats) -> Table:
    """Return the counts per code as a table for a terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("code", "name", "category"):
        table.add_column(name)
    table.add_column("records", justify="right")
    for code, count in sorted(stats.codes.items()):
        table.add_row(str(code), _name(code), category(code), f"{count:,}")
    return table


def _told(record: Found) -> tuple[str | int, ...]:
    payload = record.payload
    return (
        format_ns(record.time_ns),
        record.kind,
        record.code,
        _name(record.code),
        category(record.code),
        Severity(record.severity).name,
        *record[5:-1],
        payload if isinstance(payload, str) else payload.hex(),
    )


def _embedded(record: Found) -> orjson.Fragment:
    """Return a payload of text; StoreError if it is no JSON, as all are that a registrar writes."""
    try:
        orjson.loads(record.payload)
    except orjson.JSONDecodeError as error:
        what = f"the payload of {record.kind} {record.row} is no JSON"
        raise StoreError(
            f"{what}, which no registrar writes; run `twin registrar verify`"
        ) from error
    return orjson.Fragment(record.payload)


def _name(code: int) -> str:
    return CODES[code].name if code in CODES else ""


def _plain(value: object) -> object:
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def _taken(buffer: StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
