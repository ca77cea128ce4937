"""Are the records of a batch what was written? If not, which of them were changed?"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

import apsw

from twin.registrar.chain import GROUP, MARK, Batch, leaves_of, note_leaf, root
from twin.registrar.fields import Columns
from twin.registrar.record import Note
from twin.registrar.schema import NOTE_COLUMNS, ROW_COLUMNS, select

__all__ = ["changes", "in_groups", "marks_of", "select_events", "select_notes"]

AT_ONCE: Final = 32 * GROUP
"""How many events are held at a time."""

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
    batch: Batch, events: Iterable[Columns], notes: Iterable[Columns], marks: bytes, schema: int
) -> Iterator[str]:
    """Yield what of the events and notes of a batch is not what was written.

    They are as selected above, in order; `marks` are those stored. Few are held at once: a batch
    may claim all that a segment holds.
    """
    rows = _Numbers("row", range(batch.first_row, batch.first_row + batch.rows))
    of_notes = _Numbers("note", range(batch.first_note, batch.first_note + batch.notes))
    leaves, changed = _of_events(rows.counted(events), batch, marks, schema)
    own, changed_notes = _of_notes(of_notes.counted(notes))
    yield from (*rows.differences(), *of_notes.differences())
    same = root([*leaves, *own]) == batch.root
    if schema > 3 and (len(marks) != MARK * batch.rows or (same and changed)):
        yield "the marks of its rows were changed"
        changed = []
    yield from (*changed, *changed_notes)
    if not (changed or changed_notes or same):
        last = batch.first_row + batch.rows - 1
        yield f"the content of rows {batch.first_row} to {last} or of their notes was changed"


def _of_events(
    events: Iterable[Columns], batch: Batch, marks: bytes, schema: int
) -> tuple[list[bytes], list[str]]:
    """Return the leaves of events, and which of them their marks say were changed."""
    leaves: list[bytes] = []
    changed: list[str] = []
    for some in in_groups(events):
        more, found = leaves_of([record[:WIDTH] for record in some], schema)
        leaves += more
        changed += [
            f"row {record[0]} was changed"
            for record, mark in zip(some, found, strict=True)
            if mark != _stored(record, mark, batch, marks)
        ]
    return leaves, changed


def _of_notes(notes: Iterable[Columns]) -> tuple[list[bytes], list[str]]:
    """Return the same for notes."""
    leaves: list[bytes] = []
    changed: list[str] = []
    for note in notes:
        leaves.append(note_leaf(note[0], note[1], Note(*note[2:NOTE_WIDTH])))
        if note[NOTE_WIDTH:] not in ((), (leaves[-1],)):
            changed.append(f"note {note[0]} was changed")
    return leaves, changed


def in_groups(events: Iterable[Columns]) -> Iterator[list[Columns]]:
    """Yield the events of a batch some at a time, those that share a leaf together."""
    left = iter(events)
    while some := list(islice(left, AT_ONCE)):
        yield some


def _stored(record: Columns, mark: bytes, batch: Batch, marks: bytes) -> object:
    """Return what is stored to find this event by; `mark` itself where nothing is."""
    if len(record) > WIDTH:
        return record[WIDTH]
    at = MARK * (int(record[0]) - batch.first_row)
    return marks[at : at + MARK] if 0 <= at < len(marks) else mark


class _Numbers:
    """Compares the numbers of records that pass, which ascend, with those a batch claims."""

    def __init__(self, kind: str, expected: range) -> None:
        self._kind = kind
        self._expected = expected
        self._next = expected.start
        self._missing: int | None = None
        self._held = self._before = 0

    def counted(self, records: Iterable[Columns]) -> Iterator[Columns]:
        for record in records:
            number = record[0]
            if number < self._expected.start:
                self._before += 1
            else:
                self._held += 1
                if number != self._next and self._missing is None:
                    self._missing = self._next
                self._next = number + 1
            yield record

    def differences(self) -> Iterator[str]:
        kind, expected = self._kind, self._expected
        more = len(expected) - self._held - 1
        if more >= 0:
            first = self._next if self._missing is None else self._missing
            yield f"{kind} {first} is missing{f' and {more} more' if more else ''}"
        elif self._before:
            yield f"{kind}s were inserted before {kind} {expected.start}"
