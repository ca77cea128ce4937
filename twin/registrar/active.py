"""The segment that is being written: numbers, leaves, batches, checkpoints.

Its methods run inside a transaction of the store. What it remembers runs ahead of the
commit, so after a failed one it is of no more use.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Final, Literal, NamedTuple

import apsw

from twin.registrar.bulk import STRIDE, insert_events
from twin.registrar.chain import (
    Batch,
    marks,
    note_leaf,
    record_leaves,
    root,
    row_records,
    sharing,
)
from twin.registrar.fields import fields
from twin.registrar.head import Head, latest_tombstone, read_head
from twin.registrar.keyfilter import KeyFilter, Keys, keys_of
from twin.registrar.keys import SigningKey
from twin.registrar.lookup import stored_as
from twin.registrar.record import Note, Row
from twin.registrar.rules import Rules
from twin.registrar.schema import (
    BATCH_COLUMNS,
    CHECKPOINT_COLUMNS,
    NOTE_COLUMNS,
    SCHEMA_VERSION,
    TOMBSTONE_COLUMNS,
    create,
    insert,
    select,
)
from twin.registrar.statements import Checkpoint, Signed, Tombstone, sign

__all__ = ["Active", "Author", "create_segment"]

KIND: Final = itemgetter(Row._fields.index("type"), Row._fields.index("code"))
KINDS: Final = ("kind", "type", "code")
LAST: Final = ("stream", "last_seq")
INSERT_KIND: Final = insert("kinds", KINDS)
INSERT_NOTE: Final = insert("notes", (*NOTE_COLUMNS, "leaf"))
INSERT_BATCH: Final = insert("batches", BATCH_COLUMNS)
INSERT_MARKS: Final = insert("marks", ("batch", "marks"))
INSERT_CHECKPOINT: Final = insert("checkpoints", CHECKPOINT_COLUMNS)
INSERT_TOMBSTONE: Final = insert("tombstones", TOMBSTONE_COLUMNS)
UPSERT_STREAM: Final = (
    "INSERT INTO streams (stream, last_seq) VALUES (?, ?) "
    "ON CONFLICT DO UPDATE SET last_seq = excluded.last_seq"
)
COVER: Final = "UPDATE streams SET covered = ? WHERE stream = ?"


def create_segment(
    db: apsw.Connection,
    meta: dict[str, str],
    streams: Iterable[tuple[str, int, int]] = (),
    tombstone: tuple[Tombstone, Signed] | None = None,
) -> None:
    """Make an empty segment in one transaction, with what it has to know of those before it."""
    with db:
        create(db, meta)
        db.executemany("INSERT INTO streams VALUES (?, ?, ?)", streams)
        if tombstone is not None:
            _bury(db, *tombstone)


class Author(NamedTuple):
    """Who writes: the rules, the version of the software, the key that signs."""

    rules: Rules
    version: str
    key: SigningKey


class Active:
    """One open segment and the end of its chain."""

    def __init__(
        self, path: Path, db: apsw.Connection, author: Author, head: Head | None = None
    ) -> None:
        head = head or read_head(path, db)
        self.path = path
        self.db = db
        self.head = head
        self.tip = head.tip
        self.born_ns = head.first_ns
        self.last_sequences: dict[str, int] = dict(
            fields(db, "streams", LAST, select(LAST, "FROM streams"))
        )
        self.tombstone = latest_tombstone(db)
        self.known = KeyFilter()
        self.known.add(keys_of(db.execute("SELECT id, source FROM events")))
        self._author, self._key = author, author.key
        self._checkpoint, self._digest, self._signed = head.checkpoint, head.digest, head.signed
        self._inserted = 0
        self._leaves: list[bytes] = []
        self._kinds: dict[tuple[str, int], int] = {
            (event_type, code): kind
            for kind, event_type, code in fields(db, "kinds", KINDS, select(KINDS, "FROM kinds"))
        }
        db.execute(
            "INSERT OR IGNORE INTO rules VALUES (?, ?)", (author.rules.hash, author.rules.text)
        )

    @property
    def bytes(self) -> int:
        """Bytes on disk: database and write-ahead log."""
        files = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    @property
    def unsigned(self) -> bool:
        """Whether its last batch is later than its last checkpoint."""
        return self.tip.batch > self._signed

    def insert(self, rows: Sequence[Row]) -> None:
        """Insert a batch's events, none of which is recorded yet, under the next numbers.

        Few at a time, so that what is hashed is still in the processor's cache when it is bound.
        """
        first, batch = self.tip.rows + 1, self.tip.batch + 1
        share = sharing(len(rows), SCHEMA_VERSION)
        for at in range(0, len(rows), STRIDE):
            some = rows[at : at + STRIDE]
            records = row_records(first + at, batch, some)
            self._leaves += record_leaves(records, share)
            insert_events(self.db, records, self._kinds_of(some))
        self._inserted = len(rows)

    def _kinds_of(self, rows: Sequence[Row]) -> list[int]:
        """Return the number of each row's (type, code), new ones too."""
        try:
            return [self._kinds[one] for one in map(KIND, rows)]
        except KeyError:
            for one in sorted(set(map(KIND, rows)).difference(self._kinds)):
                self._kinds[one] = len(self._kinds) + 1
                self.db.execute(INSERT_KIND, (self._kinds[one], *one))
            return self._kinds_of(rows)

    def holds_any(self, rows: Sequence[Row], keys: Keys) -> bool:
        """Tell whether one of the events is recorded in this segment; exact."""
        return any(
            stored_as((self.db,), rows[at].id, rows[at].source) is not None
            for at in self.known.suspects(keys)
        )

    def seal(self, keys: Keys, notes: Sequence[Note], high: dict[str, int]) -> None:
        """Insert the notes, and the batch's link over the events just inserted and them."""
        self.db.executemany(UPSERT_STREAM, high.items())
        self.last_sequences.update(high)
        leaves, self._leaves = self._leaves, []
        rows, self._inserted = self._inserted, 0
        if not (rows or notes):
            return
        number = self.tip.batch + 1
        if rows:
            self.db.execute(INSERT_MARKS, (number, marks(leaves)))
        for at, note in enumerate(notes, self.tip.notes + 1):
            leaves.append(note_leaf(at, number, note))
            self.db.execute(INSERT_NOTE, (at, number, *note, leaves[-1]))
        batch = Batch(
            batch=number,
            first_row=self.tip.rows + 1,
            rows=rows,
            first_note=self.tip.notes + 1,
            notes=len(notes),
            committed_ns=time.time_ns(),
            rules=self._author.rules.hash,
            version=self._author.version,
            root=root(leaves),
            previous=self.tip.hash,
        )
        self.tip = self.tip.after(batch)
        self.db.execute(INSERT_BATCH, (*batch, self.tip.hash))
        self.born_ns = self.born_ns or batch.committed_ns
        self.known.add(keys)

    def sign(self) -> Signed:
        """Sign the end of the chain as it is now."""
        statement = Checkpoint(
            store=self.head.store,
            key=self._key.public,
            signed_ns=time.time_ns(),
            batch=self.tip.batch,
            rows=self.tip.rows,
            notes=self.tip.notes,
            hash=self.tip.hash,
            number=self._checkpoint + 1,
            segment=self.head.segment,
            previous=self._digest,
        )
        signed = sign(self._key, statement)
        self.db.execute(INSERT_CHECKPOINT, (statement.number, statement.batch, *signed))
        self._checkpoint, self._digest, self._signed = (
            statement.number,
            signed.digest,
            statement.batch,
        )
        return signed

    def cover(self, floors: Mapping[str, int]) -> None:
        """Remember up to where every sequence of each stream is accounted for."""
        self.db.executemany(COVER, [(floor, stream) for stream, floor in floors.items()])

    def bury(
        self,
        dropped: Head,
        reason: Literal["age", "size"],
        first_ns: int,
        coverage: list[tuple[str, int, int, int, str]],
    ) -> Tombstone:
        """Sign that all segments up to `dropped` are no more."""
        before = self.tombstone[0].number if self.tombstone else 0
        statement = Tombstone(
            store=self.head.store,
            key=self._key.public,
            signed_ns=time.time_ns(),
            batch=dropped.tip.batch,
            rows=dropped.tip.rows,
            notes=dropped.tip.notes,
            hash=dropped.tip.hash,
            number=before + 1,
            segments=dropped.segment,
            checkpoint=dropped.checkpoint,
            previous=dropped.digest,
            reason=reason,
            first_ns=self.tombstone[0].first_ns if self.tombstone else first_ns,
            last_ns=dropped.last_ns,
            coverage=coverage,
        )
        self.tombstone = statement, sign(self._key, statement)
        _bury(self.db, *self.tombstone)
        return statement


def _bury(db: apsw.Connection, tombstone: Tombstone, signed: Signed) -> None:
    db.execute(INSERT_TOMBSTONE, (tombstone.number, *signed))
