"""Is the store what was written? Recomputes every leaf, every root and every link.

What it cannot see by itself: a store whose last batches were cut off together with their
links, or one that was rewritten from some batch on with a new chain. Compare the last hash
with one that was kept elsewhere (`Verification.last_hash`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TypeAlias

import apsw

from twin.registrar.chain import GENESIS, Batch, note_leaf, root, row_leaf
from twin.registrar.record import Note, Row
from twin.registrar.schema import (
    BATCH_COLUMNS,
    NOTE_COLUMNS,
    ROW_COLUMNS,
    create,
    open_reader,
    segments,
    select,
)

__all__ = ["Break", "Verification", "verify"]

Columns: TypeAlias = tuple[object, ...]


class Break(NamedTuple):
    """A place where the store is not what was written; batch 0 is the file as a whole."""

    segment: str
    batch: int
    message: str

    def __str__(self) -> str:
        place = f"{self.segment}, batch {self.batch}" if self.batch else self.segment
        return f"{place}: {self.message}"


@dataclass(slots=True)
class Verification:
    """What was checked, and every break in the order of the chain."""

    batches: int = 0
    rows: int = 0
    notes: int = 0
    last_hash: str = GENESIS
    breaks: list[Break] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is broken."""
        return not self.breaks


def verify(store: Path) -> Verification:
    """Check the whole store; StoreError only when it is none or cannot be opened at all."""
    found = Verification()
    walk = _Walk(found)
    for path in segments(store):
        db = open_reader(path)
        try:
            walk.segment(path.name, db)
        except (apsw.Error, UnicodeDecodeError) as error:
            found.breaks.append(Break(path.name, found.batches + 1, f"cannot be read: {error}"))
        finally:
            db.close()
    return found


class _Records:
    """The records of one table in order, taken batch by batch."""

    def __init__(self, records: Iterable[Columns]) -> None:
        self._records = iter(records)
        self._next = next(self._records, None)

    def until(self, end: int) -> Iterator[Columns]:
        """Yield the records whose number is below `end`."""
        while self._next is not None and isinstance(self._next[0], int) and self._next[0] < end:
            yield self._next
            self._next = next(self._records, None)

    def rest(self) -> int:
        """Return how many are left."""
        return 0 if self._next is None else 1 + sum(1 for _ in self._records)


class _Walk:
    """Follows the chain through the segments of a store."""

    def __init__(self, found: Verification) -> None:
        self._found = found
        self._next_batch = self._next_row = self._next_note = 1

    def segment(self, name: str, db: apsw.Connection) -> None:
        """Check one file."""
        for message in chain(_damage(db), _schema_changes(db), _rule_changes(db)):
            self._found.breaks.append(Break(name, 0, message))
        rows = _Records(db.execute(select(ROW_COLUMNS, "FROM events ORDER BY row")))
        notes = _Records(db.execute(select(NOTE_COLUMNS, "FROM notes ORDER BY note")))
        for record in db.execute(select(BATCH_COLUMNS, "FROM batches ORDER BY batch")):
            batch, stored_hash = Batch(*record[:-1]), record[-1]
            for message in self._batch(batch, stored_hash, rows, notes):
                self._found.breaks.append(Break(name, batch.batch, message))
            self._account(batch, stored_hash)
        for table, left in (("events", rows.rest()), ("notes", notes.rest())):
            if left:
                text = f"{left} {table} after the last batch belong to no batch"
                self._found.breaks.append(Break(name, 0, text))

    def _batch(
        self, batch: Batch, stored_hash: str, rows: _Records, notes: _Records
    ) -> Iterator[str]:
        if batch.batch != self._next_batch:
            yield f"batches {self._next_batch} to {batch.batch - 1} are missing"
        if batch.previous != self._found.last_hash:
            yield "does not follow the batch before it"
        if batch.hash != stored_hash:
            yield "its own numbers or its hash were changed"
        if (batch.first_row, batch.first_note) != (self._next_row, self._next_note):
            yield (
                f"begins with row {batch.first_row} and note {batch.first_note}, "
                f"expected are {self._next_row} and {self._next_note}"
            )
        leaves: list[bytes] = []
        ranges = (
            ("row", rows, _row_leaf, batch.first_row, batch.rows),
            ("note", notes, _note_leaf, batch.first_note, batch.notes),
        )
        for kind, records, leaf, first, count in ranges:
            taken = list(records.until(first + count))
            leaves += [leaf(record) for record in taken]
            numbers = [record[0] for record in taken]
            if numbers != list(range(first, first + count)):
                yield _difference(kind, numbers, range(first, first + count))
        if root(leaves) != batch.root:
            last = batch.first_row + batch.rows - 1
            yield f"the content of rows {batch.first_row} to {last} or of their notes was changed"

    def _account(self, batch: Batch, stored_hash: str) -> None:
        found = self._found
        found.batches += 1
        found.rows += batch.rows
        found.notes += batch.notes
        found.last_hash = stored_hash
        self._next_batch = batch.batch + 1
        self._next_row = batch.first_row + batch.rows
        self._next_note = batch.first_note + batch.notes


def _row_leaf(record: Columns) -> bytes:
    return row_leaf(record[0], record[1], Row(*record[2:]))  # type: ignore[arg-type]


def _note_leaf(record: Columns) -> bytes:
    return note_leaf(record[0], record[1], Note(*record[2:]))  # type: ignore[arg-type]


def _difference(kind: str, numbers: list[object], expected: range) -> str:
    missing = [number for number in expected if number not in set(numbers)]
    if missing:
        return f"{kind} {missing[0]} is missing" + (
            f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        )
    return f"{kind}s were inserted before {kind} {expected.start}"


def _damage(db: apsw.Connection) -> Iterator[str]:
    for (message,) in db.execute("PRAGMA integrity_check(10)"):
        if message != "ok":
            yield f"SQLite finds damage: {message}"


def _schema_changes(db: apsw.Connection) -> Iterator[str]:
    with apsw.Connection(":memory:") as pattern:
        create(pattern, "", 1)
        ours, theirs = (
            dict(one.execute("SELECT name, sql FROM sqlite_schema")) for one in (pattern, db)
        )
    for name in sorted({*ours, *theirs}):
        if ours.get(name) != theirs.get(name):
            yield f"the definition of {name} was changed"


def _rule_changes(db: apsw.Connection) -> Iterator[str]:
    for name, text in db.execute("SELECT hash, text FROM rules"):
        if sha256(text.encode()).hexdigest() != name:
            yield f"the text of the rules {name[:12]} was changed"
