"""Are the records of a batch what was written? If not, which of them were changed?"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

import apsw
import msgspec
from xxhash import xxh3_64_digest

from twin.registrar import chain
from twin.registrar.chain import GROUP, MARK, Batch, leaves_of, note_leaf, root, sharing
from twin.registrar.fields import Columns
from twin.registrar.record import Note
from twin.registrar.schema import NOTE_COLUMNS, ROW_COLUMNS, select

__all__ = ["changes", "in_groups", "marks_of", "select_events", "select_notes"]

AT_ONCE: Final = 16 * GROUP
"""How many events are held at a time."""

WIDTH: Final = len(ROW_COLUMNS)
NOTE_WIDTH: Final = len(NOTE_COLUMNS)


class Change(NamedTuple):
    """What is not what was written, and the number of the first record of which that is said."""

    number: int
    message: str


def select_events(schema: int) -> str:
    """Return the query for all events, in order, each with its own leaf if it has one."""
    own = ("leaf",) if 1 < schema < 4 else ()
    return select((*ROW_COLUMNS, *own), "FROM events ORDER BY row")


def select_notes(schema: int) -> str:
    """Return the same for notes."""
    own = ("leaf",) if schema > 1 else ()
    return select((*NOTE_COLUMNS, *own), "FROM notes ORDER BY note")


def marks_of(db: apsw.Connection, batch: int, schema: int) -> bytes:
    """Return the marks of a batch as they are stored, one after the other."""
    if schema < 4:
        return b""
    found = db.execute("SELECT marks FROM marks WHERE batch = ?", (batch,)).get
    return found if isinstance(found, bytes) else b""


def changes(
    batch: Batch, events: Iterable[Columns], notes: Iterable[Columns], marks: bytes, schema: int
) -> Iterator[str]:
    """Yield what of the events and notes of a batch is not what was written, in their order.

    They are as selected above, in order; `marks` are those stored. Few are held at once: a batch
    may claim all that a segment holds.
    """
    rows = _Numbers("row", range(batch.first_row, batch.first_row + batch.rows))
    of_notes = _Numbers("note", range(batch.first_note, batch.first_note + batch.notes))
    leaves, changed = _of_events(rows.counted(events), batch, marks, schema)
    own, changed_notes = _of_notes(of_notes.counted(notes))
    same = root([*leaves, *own]) == batch.root
    count = -(-batch.rows // _marked(batch, schema))
    if schema > 3 and (len(marks) != MARK * count or (same and changed)):
        yield "the marks of its rows were changed"
        changed = []
    for found in (*rows.differences(), *changed), (*of_notes.differences(), *changed_notes):
        yield from (change.message for change in sorted(found, key=itemgetter(0)))
    if not (changed or changed_notes or same):
        last = batch.first_row + batch.rows - 1
        yield f"the content of rows {batch.first_row} to {last} or of their notes was changed"


def _of_events(
    events: Iterable[Columns], batch: Batch, marks: bytes, schema: int
) -> tuple[list[bytes], list[Change]]:
    """Return the leaves of events, and which of them what is stored beside says were changed."""
    share = sharing(batch.rows, schema)
    leaves: list[bytes] = []
    changed: list[Change] = []
    for some in in_groups(events, batch.first_row):
        more = leaves_of([record[:WIDTH] for record in some], share, schema)
        leaves += more
        if schema < 4:
            changed += _unlike_leaves(some, more)
        else:
            changed += _unlike_marks(some, more, batch, marks, schema)
    return leaves, changed


def _unlike_leaves(some: Sequence[Columns], leaves: Sequence[bytes]) -> Iterator[Change]:
    """Yield which events have another leaf beside them, after their columns, if any."""
    for record, leaf in zip(some, leaves, strict=True):
        if record[WIDTH:] not in ((), (leaf,)):
            yield Change(record[0], f"row {record[0]} was changed")


def _unlike_marks(
    some: Sequence[Columns], leaves: Sequence[bytes], batch: Batch, marks: bytes, schema: int
) -> Iterator[Change]:
    """Yield which events have another mark; those with which a row is missing or more have none."""
    share = _marked(batch, schema)
    at = MARK * ((some[0][0] - batch.first_row) // share)
    found = _marks(some, leaves, schema)
    if found == marks[at : at + len(found)]:
        return
    for place, group in groupby(some, lambda record: (record[0] - batch.first_row) // share):
        records, first = list(group), batch.first_row + place * share
        last = min(first + share, batch.first_row + batch.rows) - 1
        if [record[0] for record in records] == [*range(first, last + 1)]:
            found = _marks(records, leaves_of(records, share, schema), schema)
            if found != marks[MARK * place : MARK * (place + 1)]:
                of = f"row {first}" if first == last else f"one of rows {first} to {last}"
                yield Change(first, f"{of} was changed")


def _marked(batch: Batch, schema: int) -> int:
    """Return how many events a mark of a batch is of."""
    return sharing(batch.rows, schema) if schema > 4 else 1


def _marks(records: Sequence[Columns], leaves: Sequence[bytes], schema: int) -> bytes:
    """Return the marks of events: in schema 4 XXH3 of each, later those of their leaves."""
    if schema > 4:
        return chain.marks(leaves)
    return b"".join(map(xxh3_64_digest, map(msgspec.msgpack.Encoder().encode, records)))


def _of_notes(notes: Iterable[Columns]) -> tuple[list[bytes], list[Change]]:
    """Return the same for notes."""
    leaves: list[bytes] = []
    changed: list[Change] = []
    for note in notes:
        leaves.append(note_leaf(note[0], note[1], Note(*note[2:NOTE_WIDTH])))
        if note[NOTE_WIDTH:] not in ((), (leaves[-1],)):
            changed.append(Change(note[0], f"note {note[0]} was changed"))
    return leaves, changed


def in_groups(events: Iterable[Columns], first: int) -> Iterator[list[Columns]]:
    """Yield the events of a batch that begins with row `first`, some at a time.

    Those that share a leaf come together, also if rows before them are missing.
    """
    for _, some in groupby(events, lambda record: (record[0] - first) // AT_ONCE):
        yield list(some)


class _Numbers:
    """Compares the numbers of records that pass, which ascend, with those a batch claims."""

    def __init__(self, kind: str, expected: range) -> None:
        self._kind = kind
        self._expected = expected
        self._next = expected.start
        self._missing: int | None = None
        self._before: int | None = None
        self._held = 0

    def counted(self, records: Iterable[Columns]) -> Iterator[Columns]:
        for record in records:
            number = record[0]
            if number < self._expected.start:
                self._before = number if self._before is None else self._before
            else:
                self._held += 1
                if number != self._next and self._missing is None:
                    self._missing = self._next
                self._next = number + 1
            yield record

    def differences(self) -> Iterator[Change]:
        kind, expected = self._kind, self._expected
        more = len(expected) - self._held - 1
        if more >= 0:
            first = self._next if self._missing is None else self._missing
            text = f"{kind} {first} is missing{f' and {more} more' if more else ''}"
            yield Change(first, text)
        elif self._before is not None:
            text = f"{kind}s were inserted before {kind} {expected.start}"
            yield Change(self._before, text)
