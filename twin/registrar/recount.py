"""Are the records of a batch what was written? If not, which of them were changed?"""

from collections.abc import Iterator, Sequence
from operator import eq
from typing import Any, Final, TypeAlias

import apsw

from twin.registrar.chain import MARK, Batch, leaves_of, note_leaf, root
from twin.registrar.record import Note
from twin.registrar.schema import NOTE_COLUMNS, ROW_COLUMNS, select

__all__ = ["Columns", "changes", "marks_of", "select_events", "select_notes"]

Columns: TypeAlias = tuple[Any, ...]
"""A row of a table."""

WIDTH: Final = len(ROW_COLUMNS)
NOTE_WIDTH: Final = len(NOTE_COLUMNS)


def select_events(schema: int) -> str:
    """Return the query for all events, in order, each with its own leaf if it has one."""
    own = ("leaf",) if 1 < schema < 4 else ()
    return select((*ROW_COLUMNS, *own), "FROM events ORDER BY row")


def select_notes(schema: int) -> str:
    """Return the same for notes."""
    own = ("leaf",) if schema > 1 else ()
    return select((*NOTE_COLUMNS, *own), "FROM notes ORDER BY note")


def marks_of(db: apsw.Connection, batch: int, schema: int) -> bytes:
    """Return the marks of a batch's events as they are stored, one after the other."""
    if schema < 4:
        return b""
    found = db.execute("SELECT marks FROM marks WHERE batch = ?", (batch,)).get
    return found if isinstance(found, bytes) else b""


def changes(
    batch: Batch, events: Sequence[Columns], notes: Sequence[Columns], marks: bytes, schema: int
) -> Iterator[str]:
    """Yield what of the events and notes of a batch is not what was written.

    They are as selected above; `marks` are those stored.
    """
    yield from _difference("row", events, range(batch.first_row, batch.first_row + batch.rows))
    yield from _difference("note", notes, range(batch.first_note, batch.first_note + batch.notes))
    leaves, found = leaves_of([record[:WIDTH] for record in events], schema)
    changed = [
        f"row {record[0]} was changed"
        for record, mark in zip(events, found, strict=True)
        if mark != _stored(record, mark, batch, marks)
    ]
    own = [_note_leaf(note) for note in notes]
    same = root([*leaves, *own]) == batch.root
    if schema > 3 and (len(marks) != MARK * batch.rows or (same and changed)):
        yield "the marks of its rows were changed"
        changed = []
    changed += [
        f"note {note[0]} was changed"
        for note, leaf in zip(notes, own, strict=True)
        if note[NOTE_WIDTH:] not in ((), (leaf,))
    ]
    yield from changed
    if not (changed or same):
        last = batch.first_row + batch.rows - 1
        yield f"the content of rows {batch.first_row} to {last} or of their notes was changed"


def _stored(record: Columns, mark: bytes, batch: Batch, marks: bytes) -> object:
    """Return what is stored to find this event by; `mark` itself where nothing is."""
    if len(record) > WIDTH:
        return record[WIDTH]
    at = MARK * (int(record[0]) - batch.first_row)
    return marks[at : at + MARK] if 0 <= at < len(marks) else mark


def _note_leaf(record: Columns) -> bytes:
    return note_leaf(record[0], record[1], Note(*record[2:NOTE_WIDTH]))


def _difference(kind: str, records: Sequence[Columns], expected: range) -> Iterator[str]:
    """Compare numbers; a batch may claim more than memory holds."""
    numbers = [record[0] for record in records]
    if len(numbers) == len(expected) and all(map(eq, numbers, expected)):
        return
    held = set(numbers)
    more = len(expected) - sum(number in expected for number in held) - 1
    if more >= 0:
        first = next(number for number in expected if number not in held)
        yield f"{kind} {first} is missing{f' and {more} more' if more else ''}"
    else:
        yield f"{kind}s were inserted before {kind} {expected.start}"
