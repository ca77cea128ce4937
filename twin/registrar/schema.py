"""The store's schema, and how a file of it is opened.

A store is a folder: `segment-NNNNNN.sqlite`, one or more, and `lock`. The tables are for
every SQLite tool to read; docs/registrar.md describes them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw

from twin.errors import StoreError
from twin.registrar.codes import CODES, Severity, category
from twin.registrar.record import Note, Row

__all__ = [
    "BATCH_COLUMNS",
    "NOTE_COLUMNS",
    "ROW_COLUMNS",
    "SCHEMA_VERSION",
    "check_schema",
    "create",
    "insert",
    "open_reader",
    "open_writer",
    "reading",
    "segments",
    "select",
]

SCHEMA_VERSION: Final = 1

ROW_COLUMNS: Final = ("row", "batch", *Row._fields)
NOTE_COLUMNS: Final = ("note", "batch", *Note._fields)
BATCH_COLUMNS: Final = (
    "batch",
    "first_row",
    "rows",
    "first_note",
    "notes",
    "committed_ns",
    "rules",
    "version",
    "root",
    "previous",
    "hash",
)

TABLES: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE codes (
    code INTEGER PRIMARY KEY, name TEXT NOT NULL, category TEXT NOT NULL, meaning TEXT NOT NULL
) STRICT;
CREATE TABLE severities (severity INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
CREATE TABLE rules (hash TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT;
CREATE TABLE streams (stream TEXT PRIMARY KEY, last_seq INTEGER NOT NULL) STRICT;
CREATE TABLE batches (
    batch INTEGER PRIMARY KEY,
    first_row INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    first_note INTEGER NOT NULL,
    notes INTEGER NOT NULL,
    committed_ns INTEGER NOT NULL,
    rules TEXT NOT NULL,
    version TEXT NOT NULL,
    root TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
CREATE TABLE events (
    row INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL,
    id TEXT NOT NULL,
    source TEXT NOT NULL,
    type TEXT NOT NULL,
    subject TEXT NOT NULL,
    stream TEXT NOT NULL,
    stream_seq INTEGER NOT NULL,
    deliveries INTEGER NOT NULL,
    event_ns INTEGER NOT NULL,
    intended_ns INTEGER NOT NULL,
    stream_ns INTEGER NOT NULL,
    received_ns INTEGER NOT NULL,
    bot TEXT NOT NULL,
    code INTEGER NOT NULL,
    severity INTEGER NOT NULL,
    correlation TEXT NOT NULL,
    trace TEXT NOT NULL,
    headers TEXT NOT NULL,
    payload ANY NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_key ON events (id, source);
CREATE INDEX events_stream ON events (stream, stream_seq);
CREATE INDEX events_code ON events (code, event_ns);
CREATE INDEX events_bot ON events (bot, event_ns);
CREATE INDEX events_type ON events (type, event_ns);
CREATE INDEX events_time ON events (event_ns);
CREATE INDEX events_severe ON events (event_ns) WHERE severity >= 30;
CREATE INDEX events_correlation ON events (correlation) WHERE correlation != '';
CREATE INDEX events_trace ON events (trace) WHERE trace != '';
CREATE TABLE notes (
    note INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL,
    key TEXT NOT NULL UNIQUE,
    recorded_ns INTEGER NOT NULL,
    code INTEGER NOT NULL,
    severity INTEGER NOT NULL,
    stream TEXT NOT NULL,
    stream_seq INTEGER NOT NULL,
    subject TEXT NOT NULL,
    id TEXT NOT NULL,
    source TEXT NOT NULL,
    detail TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE VIEW audit AS
SELECT e.row, e.id, e.source, e.type, e.subject, e.bot, e.code, c.name, c.category,
    s.name AS severity, e.stream, e.stream_seq, e.deliveries,
    strftime('%FT%T', e.event_ns / 1000000000, 'unixepoch')
        || printf('.%09dZ', e.event_ns % 1000000000) AS event_time,
    strftime('%FT%T', b.committed_ns / 1000000000, 'unixepoch')
        || printf('.%09dZ', b.committed_ns % 1000000000) AS committed_time,
    e.correlation, e.trace, e.payload, e.headers, b.batch, b.rules, b.version
FROM events e JOIN batches b USING (batch)
LEFT JOIN codes c USING (code) LEFT JOIN severities s ON s.severity = e.severity;
"""

SAFE_VERSIONS: Final = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
"""First releases of their branches without the WAL defect that two connections can meet."""


def insert(table: str, columns: Sequence[str], more: str = "") -> str:
    """Return the statement that inserts one record."""
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) {more}"  # noqa: S608 - names are ours


def select(columns: Sequence[str], more: str) -> str:
    """Return `SELECT columns` and what follows; `more` holds marks, never a user's text."""
    return f"SELECT {', '.join(columns)} {more}"


def segments(folder: Path) -> list[Path]:
    """Return the files of a store, oldest first; StoreError when it is no store."""
    found = sorted(folder.glob("segment-??????.sqlite"))
    if not found:
        raise StoreError(f"{folder} is no registrar store: it holds no segment-*.sqlite")
    return found


def check_sqlite(version: str = apsw.sqlite_lib_version()) -> None:
    """Refuse an SQLite library with the WAL defect."""
    number = tuple(int(part) for part in version.split("."))
    safe = number >= SAFE_VERSIONS[-1] or any(
        number[:2] == first[:2] and number >= first for first in SAFE_VERSIONS
    )
    if not safe:
        raise StoreError(
            f"SQLite {version} has a defect that can corrupt the store; 3.51.3 or newer is needed"
        )


def open_writer(path: Path) -> apsw.Connection:
    """Open a segment for writing: WAL, every commit synced, checkpoints left to the caller."""
    check_sqlite()
    db = apsw.Connection(str(path))
    db.set_busy_timeout(10_000)
    db.pragma("page_size", 8192)
    db.pragma("journal_mode", "wal")
    db.pragma("synchronous", "FULL")
    db.pragma("cache_size", -65536)
    db.pragma("temp_store", "memory")
    db.wal_autocheckpoint(0)
    return db


def open_reader(path: Path) -> apsw.Connection:
    """Open a segment for reading only."""
    check_sqlite()
    try:
        db = apsw.Connection(
            f"{path.resolve().as_uri()}?mode=ro", apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        )
        db.set_busy_timeout(10_000)
        version = db.execute("SELECT value FROM meta WHERE name = 'schema'").get
    except apsw.Error as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
    check_schema(path, version)
    return db


@contextmanager
def reading(path: Path) -> Iterator[apsw.Connection]:
    """Open a segment for reading; what goes wrong meanwhile is raised as StoreError."""
    db = open_reader(path)
    try:
        yield db
    except (apsw.Error, UnicodeDecodeError) as error:
        raise StoreError(f"The store {path} cannot be read: {error}") from error
    finally:
        db.close()


def check_schema(path: Path, version: object) -> None:
    """Refuse a file that another version of the software made."""
    if version != str(SCHEMA_VERSION):
        raise StoreError(f"{path} has schema {version}; this software reads {SCHEMA_VERSION}")


def create(db: apsw.Connection, store_id: str, segment: int) -> None:
    """Make the tables of a new, empty file, in one transaction."""
    with db:
        db.execute(TABLES)
        db.executemany(
            "INSERT INTO meta VALUES (?, ?)",
            [("schema", str(SCHEMA_VERSION)), ("store", store_id), ("segment", str(segment))],
        )
        db.executemany(
            "INSERT INTO codes VALUES (?, ?, ?, ?)",
            [
                (code.number, code.name, category(code.number), code.meaning)
                for code in CODES.values()
            ],
        )
        db.executemany(
            "INSERT INTO severities VALUES (?, ?)", [(int(level), level.name) for level in Severity]
        )
