"""The writer of a store: one process, one thread, one commit per batch.

`write` returns only when the batch is on stable storage, so whoever calls it may acknowledge
afterwards. After a StoreError nothing of the batch is recorded and the store takes no more.
"""

import math
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import groupby
from operator import itemgetter, lt
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Literal, NamedTuple, Self

import apsw
import orjson

from twin.errors import StoreError
from twin.registrar.active import Active, Author, create_segment
from twin.registrar.archive import Archive, Closed, file_digest, has_log, remove
from twin.registrar.chain import Tip
from twin.registrar.clock import Clock
from twin.registrar.codes import CODES
from twin.registrar.coverage import coverage_of, recorded_above
from twin.registrar.head import Head, latest_tombstone, read_head
from twin.registrar.keyfilter import Keys, any_twice, keys_of
from twin.registrar.keys import KEY_FILE, SigningKey
from twin.registrar.limits import Limits
from twin.registrar.lock import lock_store
from twin.registrar.record import Note, Row
from twin.registrar.rules import Rules
from twin.registrar.schema import (
    SCHEMA_VERSION,
    open_reader,
    open_writer,
    segment_number,
    segment_path,
    segment_paths,
    select,
)
from twin.registrar.sift import Sifted, note_rollback, rolled_back_to, sift
from twin.registrar.statements import Signed, Tombstone

__all__ = ["Store", "Written"]

CHECKPOINT_BYTES = 64 * 1024 * 1024
"""Size of the write-ahead log at which `tidy` moves it into the database."""

DROPPED, CLOSED, ROLLBACK = 732, 733, 922
STREAM, STREAM_SEQ = map(itemgetter, map(Row._fields.index, ("stream", "stream_seq")))
IDENTITY = itemgetter(Row._fields.index("id"), Row._fields.index("source"))


class Written(NamedTuple):
    """What became of a batch: the rows and notes that are new, and how many came again.

    `last_sequences` are the last recorded sequences of the streams that it touched,
    `checkpoint` is what was signed with it, if anything was.
    """

    rows: Sequence[Row] = ()
    notes: Sequence[Note] = ()
    redelivered: int = 0
    last_sequences: Mapping[str, int] = MappingProxyType({})
    checkpoint: Signed | None = None


class Store:
    """A store opened for writing. All methods belong to one thread at a time."""

    def __init__(
        self,
        folder: Path,
        rules: Rules,
        version: str,
        limits: Limits | None = None,
        key: Path | None = None,
    ) -> None:
        """Open or create the store in `folder`; StoreError if it is in use or damaged.

        `key` is the file of the signing key, by default in the folder; it is made with the store.
        """
        self.folder = folder
        self._limits = limits or Limits()
        self._key_path = key or folder / KEY_FILE
        self._clock = Clock()
        self._broken = False
        self._wal_pages = 0
        self._signed_at = -math.inf
        self._lock = lock_store(folder)
        try:
            self._open(rules, version)
        except BaseException as error:
            self._lock.close()
            if isinstance(error, apsw.Error | UnicodeDecodeError):
                raise StoreError(f"the store {folder} cannot be opened: {error}") from error
            raise

    def _open(self, rules: Rules, version: str) -> None:
        paths = segment_paths(self.folder)
        path = paths.pop() if paths else segment_path(self.folder, 1)
        db = open_writer(path)
        try:
            if not db.execute("SELECT count(*) FROM sqlite_schema").get:
                _begin(db, self._key_path, paths)
            head = read_head(path, db)
            if head.schema < SCHEMA_VERSION:
                db.close()
                paths.append(path)
                path = segment_path(self.folder, head.segment + 1)
                db = open_writer(path)
                _begin(db, self._key_path, paths)
                head = read_head(path, db)
            self._author = Author(rules, version, self._load_key(head.key))
            self._active = Active(path, db, self._author, head)
            self._archive = Archive(self._living(paths), self._limits)
            try:
                self._watch(db)
                self._closings = self._closed_notes()
                self._retain()
            except BaseException:
                self._archive.close()
                raise
        except BaseException:
            with suppress(apsw.Error):
                db.close()
            raise

    def _load_key(self, public: str) -> SigningKey:
        key = SigningKey.load(self._key_path)
        if key.public != public:
            raise StoreError(
                f"{self._key_path} is not the key of this store, which is {public[:16]}...; "
                "a store keeps its key for life"
            )
        return key

    def _living(self, paths: Sequence[Path]) -> list[Path]:
        """Return the closed segments; what a tombstone says is gone, is removed now."""
        dropped = self._active.tombstone[0].segments if self._active.tombstone else 0
        remove([path for path in paths if segment_number(path) <= dropped])
        return [path for path in paths if segment_number(path) > dropped]

    def _watch(self, db: apsw.Connection) -> None:
        self._page_size: int = db.pragma("page_size")
        self._wal_pages = 0
        db.set_wal_hook(self._count_wal)

    @property
    def last_sequences(self) -> dict[str, int]:
        """The last recorded sequence of each stream."""
        return dict(self._active.last_sequences)

    @property
    def public_key(self) -> str:
        """The public half of the key that signs the checkpoints, in hex."""
        return self._author.key.public

    @property
    def store_id(self) -> str:
        """The name that the store gave itself."""
        return self._active.head.store

    @property
    def size_bytes(self) -> int:
        """Bytes on disk of all segments."""
        return self._archive.bytes + self._active.bytes

    def write(
        self,
        rows: Sequence[Row],
        notes: Sequence[Note] = (),
        *,
        seal: bool = False,
        covered: Mapping[str, int] = MappingProxyType({}),
        syncing: Callable[[], object] = bool,
    ) -> Written:
        """Record what is new of a batch, durably; `sift` says what is not new.

        With `seal` a checkpoint is signed over it, also if none is due. `covered` is up to where
        every sequence of a stream is accounted for. `syncing` is called when all is inserted and
        only the disk is waited for.
        """
        self._roll_if_due()
        active = self._active
        with self._transaction():
            sifted, keys = self._insert_rows(rows)
            for note in notes:
                sifted.reach(note.stream, note.stream_seq, active.last_sequences)
            sifted.notes = self._new_notes([*notes, *sifted.notes])
            if sifted.rows or sifted.notes:
                sifted.notes += self._closings
            active.seal(keys, sifted.notes, sifted.high)
            lost = {
                note.stream: rolled_back_to(note) for note in sifted.notes if note.code == ROLLBACK
            }
            active.cover({**covered, **lost})
            signed = self._sign_if_due(seal)
            syncing()
        if sifted.notes:
            self._closings = []
        return Written(sifted.rows, sifted.notes, sifted.redelivered, sifted.high, signed)

    def observe_stream(self, stream: str, last_seq: int, recorded: int, now_ns: int) -> Written:
        """Note a rollback: the stream ended at `last_seq` after `recorded` was recorded of it.

        Nothing is noted if more was recorded meanwhile; `write` sees a rollback then. How much
        of the stream is new is not known, so that its last sequence counts as 0 from here on.
        """
        if last_seq >= recorded or self._active.last_sequences.get(stream) != recorded:
            return Written()
        note = note_rollback(stream, now_ns, recorded_last=recorded, stream_last=last_seq)
        with self._transaction():
            self._active.seal(keys_of(()), [note], {stream: 0})
            self._active.cover({stream: last_seq})
        return Written(notes=(note,), last_sequences={stream: 0})

    def account(self, stream: str) -> tuple[int, list[int]]:
        """Return up to where a stream is accounted for, and the recorded sequences above that."""
        query = "SELECT covered FROM streams WHERE stream = ?"
        floor = self._active.db.execute(query, (stream,)).get or 0
        segments = [self._active.db, *self._archive.newest_first]
        return floor, sorted(recorded_above(segments, stream, floor))

    @property
    def last_commit_ns(self) -> int:
        """When the store was last written to, 0 if it never was."""
        latest = "SELECT committed_ns FROM batches ORDER BY batch DESC LIMIT 1"
        segments = (self._active.db, *self._archive.newest_first)
        return next((found for db in segments if (found := db.execute(latest).get)), 0)

    def sign_due(self) -> Signed | None:
        """Sign, durably, what no later batch has come to be signed with, if a checkpoint is due."""
        if not self._due:
            return None
        with self._transaction():
            return self._sign_if_due(forced=False)

    def tidy(self) -> None:
        """Move a large write-ahead log into the database, drop what is too old; wait for nobody."""
        if self._wal_pages * self._page_size >= CHECKPOINT_BYTES:
            with self._failing():
                self._active.db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self._retain()

    def close(self) -> None:
        """Sign what is not signed yet, close the database, then give up the lock."""
        try:
            if self._active.unsigned and not self._broken:
                with self._transaction():
                    self._active.sign()
        finally:
            with suppress(apsw.Error):
                self._active.db.close()
            self._archive.close()
            self._lock.close()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        if self._broken:
            raise StoreError("the store failed before and takes no more events")
        try:
            yield
        except BaseException as error:
            self._broken = True
            if isinstance(error, apsw.Error | OSError | OverflowError):
                text = f"the store {self._active.path} cannot be written: {error}"
                raise StoreError(text) from error
            raise

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        db = self._active.db
        with self._failing():
            try:
                db.execute("BEGIN IMMEDIATE")
                yield
                db.execute("COMMIT")
            except BaseException:
                with suppress(apsw.Error):
                    db.execute("ROLLBACK")
                raise

    def _insert_rows(self, rows: Sequence[Row]) -> tuple[Sifted, Keys]:
        """Insert what is new: all of them, which is the rule, or what sifting leaves."""
        active = self._active
        keys = keys_of(map(IDENTITY, rows))
        sifted = self._ahead(rows)
        if sifted is None or self._holds_any(rows, keys):
            segments = [active.db, *self._archive.newest_first]
            suspects = {*active.known.suspects(keys), *self._archive.suspects(keys)}
            sifted = sift(segments, rows, active.last_sequences, suspects)
            keys = keys_of(map(IDENTITY, sifted.rows))
        active.insert(sifted.rows)
        return sifted, keys

    def _holds_any(self, rows: Sequence[Row], keys: Keys) -> bool:
        """Tell whether one of the events is recorded or twice among them; exact if not so."""
        return (
            any_twice(keys)
            or self._active.holds_any(rows, keys)
            or self._archive.holds_any(rows, keys)
        )

    def _ahead(self, rows: Sequence[Row]) -> Sifted | None:
        """Return the rows as all new if each lies past what is recorded of its stream."""
        high: dict[str, int] = {}
        known = self._active.last_sequences
        for stream, of_stream in groupby(rows, STREAM):
            sequences = [high.get(stream, known.get(stream, 0)), *map(STREAM_SEQ, of_stream)]
            if not all(map(lt, sequences, sequences[1:])):
                return None
            high[stream] = sequences[-1]
        return Sifted(list(rows), high=high)

    def _new_notes(self, notes: Sequence[Note]) -> list[Note]:
        unique = {note.key: note for note in notes}
        return [note for key, note in unique.items() if not self._is_noted(key)]

    def _closed_notes(self) -> list[Note]:
        """Return the digests of closed segments that are not noted yet, for the next batch."""
        waiting = [
            one
            for one in self._archive.segments
            if not (has_log(one.path) or self._is_noted(f"closed/{one.head.segment}"))
        ]
        return [_note_closed(one, file_digest(one.path), time.time_ns()) for one in waiting]

    def _is_noted(self, key: str) -> bool:
        query = "SELECT 1 FROM notes WHERE key = ?"
        segments = (self._active.db, *self._archive.newest_first)
        return any(db.execute(query, (key,)).get for db in segments)

    @property
    def _due(self) -> bool:
        passed_s = time.monotonic() - self._signed_at
        return self._active.unsigned and passed_s >= self._limits.checkpoint_s

    def _sign_if_due(self, forced: bool) -> Signed | None:
        if not (self._due or (forced and self._active.unsigned)):
            return None
        self._signed_at = time.monotonic()
        return self._active.sign()

    def _roll_if_due(self) -> None:
        active, limits = self._active, self._limits
        if not active.born_ns or self._broken:
            return
        old = self._clock.now_ns - active.born_ns >= limits.segment_age_s * 1e9
        if old or active.bytes >= limits.segment_bytes:
            with self._failing():
                self._roll()

    def _roll(self) -> None:
        """Close the active segment with a checkpoint over its end, and begin the next one."""
        if self._active.unsigned:
            with self._transaction():
                self._active.sign()
        old = self._active
        old.db.close()
        self._archive.add(old.path, old.known)
        head = self._archive.segments[-1].head
        path = segment_path(self.folder, head.segment + 1)
        db = open_writer(path)
        try:
            streams = self._archive.segments[-1].db.execute("SELECT * FROM streams")
            create_segment(db, head.meta(head.segment + 1), streams, old.tombstone)
            self._active = Active(path, db, self._author)
        except BaseException:
            with suppress(apsw.Error):
                db.close()
            raise
        self._watch(db)
        self._closings = self._closed_notes()
        self._retain()

    def _retain(self) -> None:
        """Drop the segments that are too many: the tombstone first, durably, then the files."""
        count, reason = self._archive.due(self._active.bytes, self._clock.now_ns)
        if not count:
            return
        first, last = self._archive.segments[0].head, self._archive.segments[count - 1].head
        with self._transaction():
            why: Literal["age", "size"] = "age" if reason == "age" else "size"
            told = self._active.tombstone[0].coverage if self._active.tombstone else []
            gone = coverage_of((one.db for one in self._archive.segments[:count]), told)
            tombstone = self._active.bury(last, why, first.first_ns, gone)
            self._active.seal(keys_of(()), [_note_dropped(tombstone)], {})
            self._active.sign()
        with self._failing():
            self._archive.drop(count)

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


def _begin(db: apsw.Connection, key_path: Path, before: Sequence[Path]) -> None:
    """Make an empty file the first segment, or the one that follows those before it."""
    if not before:
        key = SigningKey.load(key_path) if key_path.exists() else SigningKey.create(key_path)
        empty = Head(SCHEMA_VERSION, uuid.uuid4().hex, 0, key.public, Tip(), Tip())
        create_segment(db, empty.meta(1))
        return
    previous = open_reader(before[-1])
    try:
        head = read_head(before[-1], previous)
        column = "covered" if head.schema > 1 else "last_seq"
        streams = list(previous.execute(select(["stream", "last_seq", column], "FROM streams")))
        tombstone = latest_tombstone(previous) if head.schema > 1 else None
    finally:
        previous.close()
    if not head.key:
        key = SigningKey.load(key_path) if key_path.exists() else SigningKey.create(key_path)
        head = replace(head, key=key.public)
    create_segment(db, head.meta(head.segment + 1), streams, tombstone)


def _note_closed(one: Closed, digest: str, now_ns: int) -> Note:
    detail = {"segment": one.head.segment, "bytes": one.path.stat().st_size, "sha256": digest}
    return Note(
        key=f"closed/{one.head.segment}",
        recorded_ns=now_ns,
        code=CLOSED,
        severity=int(CODES[CLOSED].severity),
        detail=orjson.dumps(detail).decode(),
    )


def _note_dropped(tombstone: Tombstone) -> Note:
    detail = orjson.dumps(tombstone.model_dump(include={"segments", "batch", "rows", "reason"}))
    return Note(
        key=f"dropped/{tombstone.number}",
        recorded_ns=tombstone.signed_ns,
        code=DROPPED,
        severity=int(CODES[DROPPED].severity),
        detail=detail.decode(),
    )
