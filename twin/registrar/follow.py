"""What was recorded last and what is being added, in the order in which it was recorded.

Nothing is kept open between two looks, so that a reader that waits never keeps the registrar
from closing a segment.
"""

import heapq
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import apsw

from twin.errors import StoreError
from twin.registrar.fields import fields
from twin.registrar.filter import Filter
from twin.registrar.query import EVENT, NOTE, Found
from twin.registrar.schema import reading, segment_paths, segments, select

__all__ = ["Follower"]

POLL_S: Final = 0.2
BATCHES_AT_ONCE: Final = 20
BatchAndRecord: TypeAlias = tuple[int, Found]


class _Table(NamedTuple):
    name: str
    number: str
    columns: tuple[str, ...]
    time_column: str
    payload_column: str


EVENTS: Final = _Table("events", "row", EVENT, "event_ns", "payload")
NOTES: Final = _Table("notes", "note", NOTE, "recorded_ns", "detail")
SPANS: Final = (
    "SELECT max(batch), min(first_row), max(first_row + rows - 1),"
    " min(first_note), max(first_note + notes - 1)"
    " FROM (SELECT * FROM batches WHERE batch > ? ORDER BY batch LIMIT ?)"
)


class Follower:
    """Reads what matches a filter from a store that is being written."""

    def __init__(self, store: Path, wanted: Filter) -> None:
        """StoreError when there is no store in the folder."""
        self._store = store
        self._wanted = wanted
        self._tables = (EVENTS, NOTES) if wanted.takes_notes else (EVENTS,)
        self._path = segments(store)[0]
        self._batch = 0

    def last(self, count: int) -> list[Found]:
        """Return the last `count` records; what comes after them is for `more`."""
        found: list[BatchAndRecord] = []
        paths = segments(self._store)
        self._path = paths[-1]
        for path in reversed(paths):
            with reading(path) as db, db:
                newest = db.execute("SELECT max(batch) FROM batches").get or 0
                self._batch = max(self._batch, newest)
                order = "DESC LIMIT ?"
                parts = [list(self._read(db, one, "true", order, count)) for one in self._tables]
            merged = heapq.merge(*(part[::-1] for part in parts), key=lambda one: one[0])
            found = [*merged, *found]
            if len(found) >= count:
                break
        return [record for _, record in found[len(found) - min(count, len(found)) :]]

    def more(self) -> Iterator[Found]:
        """Yield what was added since; waits for nothing."""
        for path in segment_paths(self._store):
            if path >= self._path:
                yield from self._added(path)

    def follow(self) -> Iterator[Found]:
        """Yield what is added, for ever."""
        while True:
            yield from self.more()
            time.sleep(POLL_S)

    def _added(self, path: Path) -> Iterator[Found]:
        self._path = path
        while (found := self._next(path)) is not None:
            yield from found

    def _next(self, path: Path) -> list[Found] | None:
        """Return what matches in the next few batches of a segment, None when there are none."""
        found: list[Found] | None = None
        try:
            with reading(path) as db, db:
                last, *ends = db.execute(SPANS, (self._batch, BATCHES_AT_ONCE)).fetchone() or [None]
                if last is not None:
                    found = self._between(db, ends)
                    self._batch = last
        except StoreError:
            if path.exists():
                raise  # otherwise the registrar dropped it since it was listed
        return found

    def _between(self, db: apsw.Connection, ends: list[int]) -> list[Found]:
        parts = []
        for at, table in enumerate(self._tables):
            term = f"{table.number} BETWEEN ? AND ?"
            parts.append(self._read(db, table, term, "", *ends[2 * at : 2 * at + 2]))
        return [record for _, record in heapq.merge(*parts, key=lambda one: one[0])]

    def _read(
        self, db: apsw.Connection, table: _Table, span: str, order: str, *numbers: int
    ) -> Iterator[BatchAndRecord]:
        """Read a table by its numbers alone, in their order, never through an index."""
        condition, values = self._wanted.clause(table.time_column, table.payload_column)
        codes, ends = self._wanted.code_clause()
        where = f"WHERE {span} AND {condition} AND {codes} ORDER BY {table.number} {order}"
        columns = ("batch", *table.columns)
        query = select(columns, f"FROM {table.name} NOT INDEXED {where}")
        before, after = (numbers, ()) if span != "true" else ((), numbers)
        asked = [*before, *values, *ends, *after]
        for batch, *record in fields(db, table.name, columns, query, asked):
            yield batch, Found._make(record)
