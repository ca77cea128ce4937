"""The writer of a store: one process, one thread, one commit per batch.

`write` returns only when the batch is on stable storage, so whoever calls it may acknowledge
afterwards. After a StoreError nothing of the batch is recorded and the store takes no more.
"""

import fcntl
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO, NamedTuple, Self, TypeAlias

import apsw

from twin.errors import StoreError
from twin.registrar.chain import GENESIS, Batch, note_leaf, root, row_leaf
from twin.registrar.record import Note, Row
from twin.registrar.rules import Rules
from twin.registrar.schema import (
    BATCH_COLUMNS,
    NOTE_COLUMNS,
    ROW_COLUMNS,
    check_schema,
    create,
    insert,
    open_writer,
    select,
)
from twin.registrar.sift import Sifted, note_rollback, sift

__all__ = ["Store", "Written"]

CHECKPOINT_BYTES = 64 * 1024 * 1024
"""Size of the write-ahead log at which `checkpoint` moves it into the database."""


Numbered: TypeAlias = "tuple[int | str | bytes, ...]"


INSERT_ROW = insert("events", ROW_COLUMNS, " ON CONFLICT (id, source) DO NOTHING")
INSERT_NOTE = insert("notes", NOTE_COLUMNS)
INSERT_BATCH = insert("batches", BATCH_COLUMNS)
UPSERT_STREAM = (
    "INSERT INTO streams VALUES (?, ?) ON CONFLICT DO UPDATE SET last_seq = excluded.last_seq"
)


class Written(NamedTuple):
    """What became of a batch: the rows and notes that are new, and how many came again.

    `last_sequences` are the last recorded sequences of the streams that it touched.
    """

    rows: Sequence[Row] = ()
    notes: Sequence[Note] = ()
    redelivered: int = 0
    last_sequences: Mapping[str, int] = MappingProxyType({})


class Store:
    """A store opened for writing. All methods belong to one thread at a time."""

    def __init__(self, folder: Path, rules: Rules, version: str) -> None:
        """Open or create the store in `folder`; StoreError if it is in use or damaged."""
        self.folder = folder
        self._rules = rules.hash
        self._version = version
        self._broken = False
        self._wal_pages = 0
        self._lock = _lock(folder)
        try:
            first = folder / "segment-000001.sqlite"
            self._path = max(folder.glob("segment-??????.sqlite"), default=first)
            self._db = self._open(rules)
        except BaseException:
            self._lock.close()
            raise

    def _open(self, rules: Rules) -> apsw.Connection:
        try:
            db = open_writer(self._path)
            try:
                self._prepare(db, rules)
            except BaseException:
                db.close()
                raise
        except apsw.Error as error:
            raise StoreError(f"the store {self._path} cannot be opened: {error}") from error
        return db

    def _prepare(self, db: apsw.Connection, rules: Rules) -> None:
        if not db.execute("SELECT count(*) FROM sqlite_schema").get:
            create(db, uuid.uuid4().hex, 1)
        check_schema(self._path, db.execute("SELECT value FROM meta WHERE name = 'schema'").get)
        db.execute("INSERT OR IGNORE INTO rules VALUES (?, ?)", (rules.hash, rules.text))
        self._page_size: int = db.pragma("page_size")
        db.set_wal_hook(self._count_wal)
        self._read_state(db)

    def _read_state(self, db: apsw.Connection) -> None:
        self._known: dict[str, int] = dict(db.execute("SELECT stream, last_seq FROM streams"))
        last = db.execute(
            select(BATCH_COLUMNS, "FROM batches ORDER BY batch DESC LIMIT 1")
        ).fetchone()
        self._next_row = (db.execute("SELECT max(row) FROM events").get or 0) + 1
        self._next_note = (db.execute("SELECT max(note) FROM notes").get or 0) + 1
        self._batch, self._hash = 0, GENESIS
        if last is not None:
            batch, stored = Batch(*last[:-1]), last[-1]
            expected = (batch.first_row + batch.rows, batch.first_note + batch.notes, batch.hash)
            if expected != (self._next_row, self._next_note, stored):
                raise StoreError(
                    f"the end of {self._path} does not match its last batch; "
                    "run `twin registrar verify` on it"
                )
            self._batch, self._hash = batch.batch, batch.hash

    @property
    def last_sequences(self) -> dict[str, int]:
        """The last recorded sequence of each stream."""
        return dict(self._known)

    @property
    def size_bytes(self) -> int:
        """Bytes on disk: database and write-ahead log."""
        files = (self._path, self._path.with_name(f"{self._path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def write(self, rows: Sequence[Row], notes: Sequence[Note] = ()) -> Written:
        """Record what is new of a batch, durably; `sift` says what is not new."""
        with self._transaction():
            sifted = self._insert_rows(rows)
            for note in notes:
                sifted.reach(note.stream, note.stream_seq, self._known)
            sifted.notes = self._new_notes([*notes, *sifted.notes])
            batch = self._seal(sifted)
        self._advance(sifted, batch)
        return Written(sifted.rows, sifted.notes, sifted.redelivered, sifted.high)

    def observe_stream(self, stream: str, last_seq: int, recorded: int, now_ns: int) -> Written:
        """Note a rollback: the stream ended at `last_seq` after `recorded` was recorded of it.

        Nothing is noted if more was recorded meanwhile; `write` sees a rollback then. How much
        of the stream is new is not known, so that its last sequence counts as 0 from here on.
        """
        if last_seq >= recorded or self._known.get(stream) != recorded:
            return Written()
        note = note_rollback(stream, now_ns, recorded_last=recorded, stream_last=last_seq)
        sifted = Sifted(notes=[note], high={stream: 0})
        with self._transaction():
            batch = self._seal(sifted)
        self._advance(sifted, batch)
        return Written(notes=(note,), last_sequences=sifted.high)

    def checkpoint(self) -> None:
        """Move the write-ahead log into the database if it has grown; waits for nobody."""
        if self._wal_pages * self._page_size >= CHECKPOINT_BYTES:
            with self._failing():
                self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def close(self) -> None:
        """Close the database, then give up the lock."""
        with suppress(apsw.Error):
            self._db.close()
        self._lock.close()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        if self._broken:
            raise StoreError("the store failed before and takes no more events")
        try:
            yield
        except apsw.Error as error:
            self._broken = True
            raise StoreError(f"the store {self._path} cannot be written: {error}") from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._failing():
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(apsw.Error):
                    self._db.execute("ROLLBACK")
                raise

    def _insert_rows(self, rows: Sequence[Row]) -> Sifted:
        """Insert as if all were new, which is the rule; sift them when they were not."""
        sifted = self._ahead(rows)
        if sifted is not None:
            self._db.execute("SAVEPOINT rows")
            before = self._db.total_changes()
            self._db.executemany(INSERT_ROW, self._number(rows))
            if self._db.total_changes() - before == len(rows):
                return sifted
            self._db.execute("ROLLBACK TO rows")
        sifted = sift(self._db, rows, self._known)
        self._db.executemany(INSERT_ROW, self._number(sifted.rows))
        return sifted

    def _ahead(self, rows: Sequence[Row]) -> Sifted | None:
        """Return the rows as all new if each lies past what is recorded of its stream."""
        sifted = Sifted(list(rows))
        high = sifted.high
        for row in rows:
            if row.stream_seq <= high.get(row.stream, self._known.get(row.stream, 0)):
                return None
            high[row.stream] = row.stream_seq
        return sifted

    def _number(self, rows: Sequence[Row]) -> Iterator[Numbered]:
        batch = self._batch + 1
        return ((number, batch, *row) for number, row in enumerate(rows, self._next_row))

    def _new_notes(self, notes: Sequence[Note]) -> list[Note]:
        unique = {note.key: note for note in notes}
        query = "SELECT 1 FROM notes WHERE key = ?"
        return [note for key, note in unique.items() if not self._db.execute(query, (key,)).get]

    def _seal(self, sifted: Sifted) -> Batch | None:
        """Insert the notes and the batch's link; None if there is nothing to record."""
        for stream, last_seq in sifted.high.items():
            self._db.execute(UPSERT_STREAM, (stream, last_seq))
        if not (sifted.rows or sifted.notes):
            return None
        number = self._batch + 1
        notes = list(enumerate(sifted.notes, self._next_note))
        self._db.executemany(INSERT_NOTE, ((at, number, *note) for at, note in notes))
        leaves = [row_leaf(at, number, row) for at, row in enumerate(sifted.rows, self._next_row)]
        leaves += [note_leaf(at, number, note) for at, note in notes]
        batch = Batch(
            batch=number,
            first_row=self._next_row,
            rows=len(sifted.rows),
            first_note=self._next_note,
            notes=len(sifted.notes),
            committed_ns=time.time_ns(),
            rules=self._rules,
            version=self._version,
            root=root(leaves),
            previous=self._hash,
        )
        self._db.execute(INSERT_BATCH, (*batch, batch.hash))
        return batch

    def _advance(self, sifted: Sifted, batch: Batch | None) -> None:
        self._known.update(sifted.high)
        if batch is not None:
            self._batch, self._hash = batch.batch, batch.hash
            self._next_row += batch.rows
            self._next_note += batch.notes

    def _count_wal(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()


def _lock(folder: Path) -> IO[str]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("a+", encoding="ascii")
    except OSError as error:
        raise StoreError(f"the store {folder} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
    except BlockingIOError as error:
        file.seek(0)
        holder = file.read(20).strip() or "unknown"
        file.close()
        raise StoreError(f"the store {folder} is in use by process {holder}") from error
    except OSError as error:
        file.close()
        raise StoreError(f"the store {folder} cannot be opened: {error.strerror}") from error
    return file
