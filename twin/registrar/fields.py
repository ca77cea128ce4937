"""Records as they are read: every field is of the kind that its column is for, or it is said where.

The tables are strict, but who edits a file makes them hold anything: a number where a text belongs,
a text that is no UTF-8, a code that is none. Whoever reads records may rely on it that none of
that comes; whether they are what was written only `verify` tells.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from functools import cache
from itertools import chain
from typing import Any, Final, TypeAlias

import apsw
import orjson

from twin.errors import StoreError
from twin.registrar.codes import CATEGORIES, Severity
from twin.registrar.schema import SCHEMA_VERSION, select, tables

__all__ = ["Columns", "Misfit", "fields"]

Columns: TypeAlias = tuple[Any, ...]
"""A row of a table."""

KINDS: Final[Mapping[str, Mapping[str, type]]] = {
    "INTEGER": {"integer": int},
    "TEXT": {"text": str},
    "BLOB": {"blob": bytes},
    "ANY": {"text": str, "blob": bytes},
}
"""What SQLite and Python call what is in a column, by how it is declared."""

NUMBERS: Final = {
    "code": range(100 * min(CATEGORIES), 100 * (max(CATEGORIES) + 1)),
    "severity": frozenset(map(int, Severity)),
}
"""Columns of which only some numbers mean something."""

JSON: Final = ("payload", "detail")
SHOWN: Final = 40


class Misfit(StoreError):
    """A segment holds what no registrar writes; `place` says where."""

    def __init__(self, db: apsw.Connection, place: str) -> None:
        self.place = place
        super().__init__(f"{db.filename}: {place}; run `twin registrar verify`")


def fields(
    db: apsw.Connection, table: str, columns: Sequence[str], query: str, values: Sequence[Any] = ()
) -> Iterator[Columns]:
    """Yield what a query for columns gives; Misfit at the first record that cannot be one.

    `table` is where the columns are from, other tables that are joined follow a blank. What is
    no plain name of a column is not looked at.
    """
    look = _Look(table, columns)
    try:
        for record in db.execute(query, values):
            if not look.fits(record):
                raise Misfit(db, _place(db, table) or f"{record} is no record of {table}")
            yield record
    except (UnicodeDecodeError, apsw.SQLError) as error:
        raise Misfit(db, _place(db, table) or f"cannot be read: {error}") from error


class _Look:
    """Tells records that fit; remembers how those look that do."""

    def __init__(self, table: str, columns: Sequence[str]) -> None:
        declared = {name: kind for one in table.split() for name, kind in _declared(one).items()}
        kinds = [KINDS.get(declared.get(column, "")) for column in columns]
        self._kinds = [kinds and set(kinds.values()) for kinds in kinds]
        self._numbers = [
            (columns.index(name), NUMBERS[name]) for name in NUMBERS if name in columns
        ]
        self._known: set[tuple[type, ...]] = set()

    def fits(self, record: Columns) -> bool:
        types = tuple(map(type, record))
        if types not in self._known:
            pairs = zip(types, self._kinds, strict=True)
            if not all(kinds is None or one in kinds for one, kinds in pairs):
                return False
            self._known.add(types)
        return all(record[at] in numbers for at, numbers in self._numbers)


@cache
def _declared(table: str) -> Mapping[str, str]:
    """Return how the columns of a table are declared."""
    with closing(apsw.Connection(":memory:")) as db:
        db.execute(tables(SCHEMA_VERSION))
        return {name: kind for _, name, kind, *_ in db.execute(f"PRAGMA table_info({table})")}


def _place(db: apsw.Connection, table: str) -> str:
    """Return where the first value is that no registrar writes, empty if there seems to be none."""
    with suppress(apsw.Error, UnicodeDecodeError):
        return next(chain.from_iterable(_places(db, one) for one in table.split()), "")
    return ""


def _places(db: apsw.Connection, table: str) -> Iterator[str]:
    declared = _declared(table)
    held = [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")]
    columns = [name for name in held if name in declared]
    asked = [f"typeof({name}), CAST({name} AS BLOB)" for name in columns]
    for record in db.execute(select(asked, f"FROM {table} NOT INDEXED ORDER BY rowid")):
        number = f"{columns[0]} {_shown(*record[:2])}"
        for name, kind, data in zip(columns, record[::2], record[1::2], strict=True):
            if kind not in KINDS[declared[name]] or not _means(name, kind, data):
                yield f"{number} has {_shown(kind, data)} as {name}, which no registrar writes"


def _means(column: str, kind: str, data: bytes) -> bool:
    """Tell whether a value of the right kind means something; numbers come as their digits."""
    try:
        if column in NUMBERS:
            return int(data) in NUMBERS[column]
        if kind == "text":
            data.decode()
            if column in JSON:
                orjson.loads(data)
    except ValueError:
        return False
    return True


def _shown(kind: str, data: bytes | None) -> str:
    if data is None:
        return "NULL"
    if kind == "blob":
        return f"{len(data)} bytes"
    text = data[:SHOWN].decode(errors="replace")
    return f"'{text}{'...' if len(data) > SHOWN else ''}'" if kind == "text" else text
