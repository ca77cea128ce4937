"""A table of a store as an Apache Parquet file, typed for analysis; needs the extra `parquet`."""

from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from twin.errors import UsageError
from twin.registrar.codes import CODES, Severity, category
from twin.registrar.fields import fields
from twin.registrar.schema import (
    BATCH_COLUMNS,
    NOTE_COLUMNS,
    ROW_COLUMNS,
    reading,
    segments,
    select,
)

__all__ = ["TABLES", "write_parquet"]

ROWS_AT_ONCE: Final = 20_000
Make: TypeAlias = Callable[[dict[str, Any]], object]


class _Column(NamedTuple):
    """A column of the file: what Arrow calls its type, and how it is made of a stored record."""

    name: str
    kind: str
    make: Make


class _Table(NamedTuple):
    tables: str
    query: str
    stored: tuple[str, ...]
    columns: tuple[_Column, ...]


def write_parquet(store: Path, table: str, out: Path) -> int:
    """Write one of TABLES of all segments to `out` and return the number of rows.

    UsageError when pyarrow is missing, StoreError when the store cannot be read.
    """
    arrow, parquet = _load()
    wanted = TABLES[table]
    schema = arrow.schema([(one.name, _arrow_type(arrow, one.kind)) for one in wanted.columns])
    written = 0
    with parquet.ParquetWriter(out, schema, compression="zstd") as writer:
        for path in segments(store):
            for records in _chunks(path, wanted):
                columns = [
                    arrow.array([one.make(record) for record in records], type=field.type)
                    for one, field in zip(wanted.columns, schema, strict=True)
                ]
                writer.write_batch(arrow.record_batch(columns, schema=schema))
                written += len(records)
    return written


def _load() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise UsageError(
            "Parquet needs pyarrow, which is not installed: pip install 'twin[parquet]'"
        ) from error


def _arrow_type(arrow: Any, kind: str) -> Any:
    if kind == "time":
        return arrow.timestamp("ns", tz="UTC")
    if kind == "word":
        return arrow.dictionary(arrow.int32(), arrow.string())
    return getattr(arrow, kind)()


def _chunks(path: Path, table: _Table) -> Iterator[list[dict[str, Any]]]:
    with reading(path) as db:
        records = fields(db, table.tables, table.stored, table.query)
        while rows := list(islice(records, ROWS_AT_ONCE)):
            yield [dict(zip(table.stored, row, strict=True)) for row in rows]


def _same(name: str, kind: str) -> _Column:
    return _Column(name, kind, lambda record: record[name])


def _time(stored: str) -> _Column:
    """A time; 0, which stands for none, becomes null."""
    name = stored.removesuffix("_ns") + "_time"
    return _Column(name, "time", lambda record: record[stored] or None)


def _text(name: str, stored: str) -> _Column:
    def make(record: dict[str, Any]) -> object:
        return record[stored] if isinstance(record[stored], str) else None

    return _Column(name, "string", make)


def _bytes(name: str, stored: str) -> _Column:
    def make(record: dict[str, Any]) -> object:
        return record[stored] if isinstance(record[stored], bytes) else None

    return _Column(name, "binary", make)


CODED: Final = (
    _same("code", "int16"),
    _Column(
        "name", "word", lambda record: CODES[record["code"]].name if record["code"] in CODES else ""
    ),
    _Column("category", "word", lambda record: category(record["code"])),
    _Column("severity", "word", lambda record: Severity(record["severity"]).name),
)
COMMITTED: Final = ("committed_ns", "rules", "version")
COMMIT: Final = (_time("committed_ns"), _same("rules", "word"), _same("version", "word"))


def _joined(table: str, number: str, columns: tuple[str, ...]) -> str:
    return select(
        (*columns, *COMMITTED), f"FROM {table} JOIN batches USING (batch) ORDER BY {number}"
    )


TABLES: Final = {
    "events": _Table(
        "events batches",
        _joined("events", "row", ROW_COLUMNS),
        (*ROW_COLUMNS, *COMMITTED),
        (
            _same("row", "int64"),
            _same("batch", "int64"),
            _same("id", "string"),
            *(_same(name, "word") for name in ("source", "type", "subject", "stream")),
            _same("stream_seq", "int64"),
            _same("deliveries", "int64"),
            *map(_time, ("event_ns", "intended_ns", "stream_ns", "received_ns")),
            _same("bot", "word"),
            *CODED,
            _same("correlation", "string"),
            _same("trace", "string"),
            _same("headers", "string"),
            _text("payload", "payload"),
            _bytes("payload_bytes", "payload"),
            *COMMIT,
        ),
    ),
    "notes": _Table(
        "notes batches",
        _joined("notes", "note", NOTE_COLUMNS),
        (*NOTE_COLUMNS, *COMMITTED),
        (
            _same("note", "int64"),
            _same("batch", "int64"),
            _same("key", "string"),
            _time("recorded_ns"),
            *CODED,
            _same("stream", "word"),
            _same("stream_seq", "int64"),
            _same("subject", "word"),
            _same("id", "string"),
            _same("source", "string"),
            _same("detail", "string"),
            _same("body", "binary"),
            *COMMIT,
        ),
    ),
    "batches": _Table(
        "batches",
        select(BATCH_COLUMNS, "FROM batches ORDER BY batch"),
        BATCH_COLUMNS,
        (
            *(_same(name, "int64") for name in BATCH_COLUMNS[:5]),
            *COMMIT,
            *(_same(name, "string") for name in ("root", "previous", "hash")),
        ),
    ),
}
"""What can be exported. A payload is in `payload` if it is JSON, otherwise in `payload_bytes`."""
