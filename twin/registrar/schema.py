"""The store's schema, and how a file of it is opened.

A store is a folder: `segment-NNNNNN.sqlite`, one or more, `lock`, and unless it is elsewhere the
signing key. The tables (`schema-4.sql`) are for every SQLite tool to read; docs/registrar.md
describes them. Segments of schema 1 have neither leaves nor signatures; schema 2 has other indexes;
up to schema 3 every event has its leaf beside it, in schema 4 every event has a mark. Schema 5 has
the tables of 4, and other marks in them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw

from twin.errors import StoreError
from twin.registrar.codes import CODES, Severity, category
from twin.registrar.record import Note, Row

__all__ = [
    "BATCH_COLUMNS",
    "CHECKPOINT_COLUMNS",
    "NOTE_COLUMNS",
    "ROW_COLUMNS",
    "SCHEMA_VERSION",
    "TOMBSTONE_COLUMNS",
    "check_schema",
    "create",
    "insert",
    "open_reader",
    "open_writer",
    "reading",
    "schema_of",
    "segment_number",
    "segment_path",
    "segment_paths",
    "segments",
    "select",
    "tables",
]

SCHEMA_VERSION: Final = 5
DIGITS: Final = re.compile(r"[0-9]{6,18}")
SMALL_NUMBER: Final = re.compile(r"[0-9]{1,9}")
READABLE: Final = (1, 2, 3, 4, 5)
"""Schemas of segments that can be read; only the newest is written."""

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


CHECKPOINT_COLUMNS: Final = ("checkpoint", "batch", "statement", "signature")
TOMBSTONE_COLUMNS: Final = ("tombstone", "statement", "signature")

SAFE_VERSIONS: Final = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
"""First releases of their branches without the WAL defect that two connections can meet."""

ALONE: Final = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_NOMUTEX


def insert(table: str, columns: Sequence[str], more: str = "") -> str:
    """Return the statement that inserts one record."""
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) {more}"  # noqa: S608 - names are ours


def select(columns: Sequence[str], more: str) -> str:
    """Return `SELECT columns` and what follows; `more` holds marks, never a user's text."""
    return f"SELECT {', '.join(columns)} {more}"


def tables(version: int) -> str:
    """Return the statements that make an empty segment of a schema.

    From schema 5 on, which has the tables of 4, its number is in the head of the file, too.
    """
    text = Path(__file__).with_name(f"schema-{min(version, 4)}.sql").read_text(encoding="utf-8")
    return text if version < 5 else f"PRAGMA user_version = {version};\n{text}"


def segment_path(folder: Path, number: int) -> Path:
    """Return where a segment is."""
    return folder / f"segment-{number:06d}.sqlite"


def segment_number(path: Path) -> int:
    """Return a segment's number by its name."""
    return int(path.stem.partition("-")[2])


def segment_paths(folder: Path) -> list[Path]:
    """Return the files of a folder that are segments, oldest first."""
    found = (path for path in folder.glob("segment-*.sqlite") if DIGITS.fullmatch(path.stem[8:]))
    return sorted(found, key=segment_number)


def segments(folder: Path) -> list[Path]:
    """Return the files of a store, oldest first; StoreError when it is no store."""
    found = segment_paths(folder)
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
    """Open a segment for writing: WAL, every commit synced, checkpoints left to the caller.

    Without locks of SQLite's own: it is for one thread at a time, as a Store is.
    """
    check_sqlite()
    db = apsw.Connection(str(path), ALONE)
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
        version = schema_of(db)
    except (apsw.Error, UnicodeDecodeError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
    check_schema(path, version)
    return db


def schema_of(db: apsw.Connection) -> int:
    """Return the schema version of a segment, 0 when it names none."""
    value = db.execute("SELECT value FROM meta WHERE name = 'schema'").get
    return int(value) if isinstance(value, str) and SMALL_NUMBER.fullmatch(value) else 0


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


def check_schema(path: Path, version: int) -> None:
    """Refuse a file that another version of the software made."""
    if version not in READABLE:
        raise StoreError(f"{path} has schema {version}; this software reads 1 to {READABLE[-1]}")


def create(db: apsw.Connection, meta: Mapping[str, str], version: int = SCHEMA_VERSION) -> None:
    """Make the tables of a new, empty file, in one transaction; `meta` names store and segment."""
    with db:
        db.execute(tables(version))
        db.executemany("INSERT INTO meta VALUES (?, ?)", [("schema", str(version)), *meta.items()])
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
