"""Is the store what was written? Recomputes every leaf, root and link, checks every signature.

What it cannot see by itself: a store whose end was cut off, or made anew by somebody who has
the key. Checkpoints that were kept elsewhere (`anchors`) show both.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import apsw
import orjson

from twin.errors import StoreError
from twin.registrar.archive import file_digest, has_log
from twin.registrar.chain import Batch, Tip
from twin.registrar.fields import Columns, Misfit, fields
from twin.registrar.head import latest_tombstone, read_meta
from twin.registrar.recount import changes, marks_of, select_events, select_notes
from twin.registrar.schema import (
    BATCH_COLUMNS,
    CHECKPOINT_COLUMNS,
    TOMBSTONE_COLUMNS,
    open_reader,
    reading,
    schema_of,
    segment_number,
    segments,
    select,
)
from twin.registrar.soundness import contradictions, defects, overlaid
from twin.registrar.statements import FIRST, Signed, Tombstone, read_checkpoint, read_tombstone
from twin.registrar.verification import Break, Verification

__all__ = ["store_id", "stored_checkpoints", "verify"]

CLOSED: Final = 733


def verify(store: Path, key: str = "", anchors: Sequence[Signed] = ()) -> Verification:
    """Check the whole store; StoreError only when it is none or cannot be opened at all.

    `key` is the public key that has to have signed it, by default the one that it names;
    `anchors` are checkpoints of it that were kept elsewhere.
    """
    found = Verification(key=key)
    walk = _Walk(found, store, anchors)
    for path in segments(store):
        walk.file(path)
    walk.end()
    return found


def stored_checkpoints(store: Path) -> Iterator[Signed]:
    """Yield the checkpoints of a store as they are in it, oldest first."""
    for path in segments(store):
        with reading(path) as db:
            if schema_of(db) > 1:
                query = select(Signed._fields, "FROM checkpoints ORDER BY checkpoint")
                yield from map(Signed._make, fields(db, "checkpoints", Signed._fields, query))


def store_id(store: Path) -> str:
    """Return the name that a store gave itself."""
    with reading(segments(store)[-1]) as db:
        return str(db.execute("SELECT value FROM meta WHERE name = 'store'").get)


class _Records:
    """The records of one table in order, taken batch by batch."""

    def __init__(self, records: Iterable[Columns]) -> None:
        self.taken = 0
        self._records = iter(records)
        self._next = next(self._records, None)

    def until(self, end: int) -> Iterator[Columns]:
        """Yield the records whose number is below `end`."""
        while self._next is not None and isinstance(self._next[0], int) and self._next[0] < end:
            yield self._next
            self.taken += 1
            self._next = next(self._records, None)

    def rest(self) -> int:
        """Return how many are left."""
        return 0 if self._next is None else 1 + sum(1 for _ in self._records)


class _Walk:
    """Follows the chain through the segments of a store."""

    def __init__(self, found: Verification, store: Path, anchors: Sequence[Signed]) -> None:
        self._found = found
        self._name = store.name
        self._store = self._key = ""
        self._segment = 0
        self._digest, self._checkpoint = FIRST, 0
        self._schema = 0
        self._signed = bool(found.key)
        self._tombstone = _last_tombstone(store)
        self._anchors = self._readable(anchors)
        self._seen: dict[int, str] = {}
        self._files: dict[int, Path] = {}
        self._closed: dict[int, str] = {}

    def _break(self, batch: int, message: str) -> None:
        self._found.breaks.append(Break(self._name, batch, message))

    def _readable(self, anchors: Sequence[Signed]) -> dict[int, str]:
        """Return the hash that is expected of each anchored batch."""
        wanted: dict[int, str] = {}
        self._name = "anchors"
        for signed in anchors:
            try:
                checkpoint = read_checkpoint(signed)
            except ValueError as error:
                self._break(0, str(error))
                continue
            self._own_key(0, f"anchored checkpoint {checkpoint.number}", checkpoint.key)
            self._own_store(0, checkpoint.store)
            if wanted.setdefault(checkpoint.batch, checkpoint.hash) != checkpoint.hash:
                self._break(0, f"two checkpoints contradict each other on batch {checkpoint.batch}")
            self._found.anchored = max(self._found.anchored, checkpoint.batch)
        return wanted

    def file(self, path: Path) -> None:
        """Check one segment."""
        self._name = path.name
        number = segment_number(path)
        self._files[number] = path
        db = open_reader(path)
        try:
            self._follow(number, db)
            self._content(db)
            self._closed |= dict(_closings(db))
            self._compare_with_tombstone(number)
        except Misfit as misfit:
            self._break(self._found.tip.batch + 1, misfit.place)
        except (apsw.Error, ValueError, TypeError, AttributeError, LookupError) as error:
            self._break(self._found.tip.batch + 1, f"cannot be read: {error}")
        finally:
            db.close()

    def end(self) -> None:
        """Compare closed files with their digests, the whole with what was kept elsewhere."""
        found = self._found
        for number, path in sorted(self._files.items()):
            self._name = path.name
            if (digest := self._closed.get(number)) is None:
                continue
            if file_digest(path) != digest:
                self._break(0, "the file is not, byte for byte, what was closed")
            elif has_log(path) and overlaid(path):
                self._break(0, "a write-ahead log changes what was closed")
        dropped = self._tombstone.batch if self._tombstone else 0
        for batch, wanted in sorted(self._anchors.items()):
            if batch > found.tip.batch:
                self._break(
                    found.tip.batch + 1,
                    f"the end is cut off: an anchored checkpoint knows batch {batch}, "
                    f"the store ends with batch {found.tip.batch}",
                )
                break
            if (batch > dropped or batch in self._seen) and self._seen.get(batch) != wanted:
                self._break(batch, "is not what an anchored checkpoint says of it")
                break
        if self._signed and found.tip.batch and not found.checkpoints and not dropped:
            self._break(0, "nothing in it is signed")

    def _follow(self, number: int, db: apsw.Connection) -> None:
        """Check that a segment is the next of this store."""
        self._schema = schema_of(db)
        self._signed = self._signed or self._schema > 1
        meta = read_meta(db)
        if meta.get("segment") != str(number):
            self._break(0, f"it is segment {meta.get('segment')} of its store")
        self._own_store(0, meta.get("store", ""))
        if not self._segment and number > 1:
            if self._tombstone is not None and number <= self._tombstone.segments:
                self._begin_in_dropped(number, db)
            else:
                self._begin_after_dropped(number)
        elif self._segment and number != self._segment + 1:
            self._break(0, f"segments {self._segment + 1} to {number - 1} are missing")
        self._segment = number
        self._found.segments += 1
        if self._schema > 1:
            self._key = meta.get("key", "")
            self._own_key(0, "it", self._key)
            base = Tip(*orjson.loads(meta.get("base", "[]")))
            if base != self._found.tip:
                self._break(0, f"it begins after batch {base.batch}, not where its store was left")
        if self._schema > 2:
            told = (meta.get("checkpoint"), meta.get("previous"))
            ahead = int(meta.get("signed", "")) > self._found.signed
            if ahead or told != (str(self._checkpoint), self._digest):
                self._break(0, f"it does not begin after checkpoint {self._checkpoint}")

    def _begin_after_dropped(self, number: int) -> None:
        tombstone = self._tombstone
        if tombstone is None or tombstone.segments != number - 1:
            told = tombstone.segments if tombstone else 0
            self._break(0, f"segments {told + 1} to {number - 1} are missing without a tombstone")
            return
        self._own_store(0, tombstone.store)
        self._own_key(0, f"tombstone {tombstone.number}", tombstone.key)
        self._found.dropped = tombstone.segments
        self._found.tip = tombstone.tip
        self._found.signed = tombstone.batch
        self._digest, self._checkpoint = tombstone.previous, tombstone.checkpoint

    def _begin_in_dropped(self, number: int, db: apsw.Connection) -> None:
        """Take for granted where a segment begins that was dropped, only not removed yet.

        What vouches for it is the tombstone, which says where the last of those ends.
        """
        batches = select(Batch._fields, "FROM batches ORDER BY batch LIMIT 1")
        for one in map(Batch._make, fields(db, "batches", Batch._fields, batches)):
            before = (one.batch - 1, one.first_row - 1, one.first_note - 1)
            self._found.tip = Tip(*before, one.previous)
        query = "SELECT statement, signature FROM checkpoints ORDER BY checkpoint LIMIT 1"
        for signed in db.execute(query) if self._schema > 1 else ():
            first = read_checkpoint(Signed(*signed))
            self._digest, self._checkpoint = first.previous, first.number - 1
        self._found.signed = self._found.tip.batch
        self._found.dropped = number - 1

    def _compare_with_tombstone(self, number: int) -> None:
        tombstone = self._tombstone
        if tombstone is None or number != tombstone.segments:
            return
        told = (tombstone.tip, tombstone.checkpoint, tombstone.previous)
        if told != (self._found.tip, self._checkpoint, self._digest):
            self._break(0, f"it does not end where tombstone {tombstone.number} says")

    def _own_store(self, batch: int, store: str) -> None:
        if self._store and store != self._store:
            self._break(batch, f"it belongs to another store ({store[:12]})")
        self._store = self._store or store

    def _own_key(self, batch: int, what: str, key: str) -> None:
        if self._found.key and key != self._found.key:
            self._break(
                batch, f"{what} is signed by another key ({key[:16]}, not {self._found.key[:16]})"
            )
        self._found.key = self._found.key or key

    def _content(self, db: apsw.Connection) -> None:
        before = len(self._found.breaks)
        for message in defects(db, self._schema):
            self._break(0, message)
        rows = _Records(db.execute(select_events(self._schema)))
        notes = _Records(db.execute(select_notes(self._schema)))
        signed = _Records(
            db.execute(select(("batch", *CHECKPOINT_COLUMNS), "FROM checkpoints ORDER BY 2"))
            if self._schema > 1
            else ()
        )
        if self._schema > 1:
            self._graves(db)
        for one in signed.until(self._found.tip.batch + 1):
            self._checked(*one[1:])
        query = select(BATCH_COLUMNS, "FROM batches ORDER BY batch")
        for record in fields(db, "batches", BATCH_COLUMNS, query):
            batch, stored_hash = Batch(*record[:-1]), record[-1]
            for message in self._link(batch, stored_hash):
                self._break(batch.batch, message)
            for message in changes(
                batch,
                rows.until(batch.first_row + batch.rows),
                notes.until(batch.first_note + batch.notes),
                marks_of(db, batch.batch, self._schema),
                self._schema,
            ):
                self._break(batch.batch, message)
            self._account(batch, stored_hash)
            for one in signed.until(batch.batch + 1):
                self._checked(*one[1:])
        self._found.rows += rows.taken
        self._found.notes += notes.taken
        for table, left in (("events", rows), ("notes", notes), ("checkpoints", signed)):
            if count := left.rest():
                self._break(0, f"{count} {table} after the last batch belong to no batch")
        if len(self._found.breaks) == before:
            for message in contradictions(db, self._schema):
                self._break(0, message)

    def _link(self, batch: Batch, stored_hash: str) -> Iterator[str]:
        tip = self._found.tip
        if batch.batch != tip.batch + 1:
            yield f"batches {tip.batch + 1} to {batch.batch - 1} are missing"
        if batch.previous != tip.hash:
            yield "does not follow the batch before it"
        if batch.hash != stored_hash:
            yield "its own numbers or its hash were changed"
        if (batch.first_row, batch.first_note) != (tip.rows + 1, tip.notes + 1):
            yield (
                f"begins with row {batch.first_row} and note {batch.first_note}, "
                f"expected are {tip.rows + 1} and {tip.notes + 1}"
            )

    def _checked(self, number: int, batch: int, statement: str, signature: bytes) -> None:
        """Check a checkpoint against the chain, which is followed up to its batch by now."""
        found, signed = self._found, Signed(statement, signature)
        what = f"checkpoint {number}"
        try:
            checkpoint = read_checkpoint(signed)
        except ValueError as error:
            self._break(batch, str(error) if what in str(error) else f"{what}: {error}")
            return
        if checkpoint.key != self._key:  # of its segment, which is told already
            self._own_key(batch, what, checkpoint.key)
        self._own_store(batch, checkpoint.store)
        if checkpoint.tip != found.tip or checkpoint.segment != self._segment:
            self._break(batch, f"{what} was signed over something else")
        if (number, checkpoint.number) != (self._checkpoint + 1,) * 2:
            self._break(batch, f"{what} follows checkpoint {self._checkpoint}")
        elif checkpoint.previous != self._digest:
            self._break(batch, f"{what} does not follow the one before it")
        self._digest, self._checkpoint = signed.digest, checkpoint.number
        found.checkpoints += 1
        found.signed = batch

    def _graves(self, db: apsw.Connection) -> None:
        """Check the tombstones of a segment, which speak of those before it."""
        for number, *signed in db.execute(select(TOMBSTONE_COLUMNS, "FROM tombstones ORDER BY 1")):
            what = f"tombstone {number}"
            try:
                tombstone = read_tombstone(Signed(*signed))
            except ValueError as error:
                self._break(0, f"{what}: {error}")
                continue
            self._own_key(0, what, tombstone.key)
            self._own_store(0, tombstone.store)
            if tombstone.number != number or tombstone.segments >= self._segment:
                self._break(0, f"{what} speaks of something else")

    def _account(self, batch: Batch, stored_hash: str) -> None:
        found = self._found
        found.batches += 1
        found.tip = found.tip.after(batch)._replace(hash=stored_hash)
        if batch.batch in self._anchors:
            self._seen[batch.batch] = stored_hash


def _last_tombstone(store: Path) -> Tombstone | None:
    """Return the last genuine tombstone of the last segment; a forged one is as good as none."""
    db = open_reader(segments(store)[-1])
    try:
        found = latest_tombstone(db) if schema_of(db) > 1 else None
        return None if found is None else found[0]
    except (apsw.Error, StoreError):
        return None
    finally:
        db.close()


def _closings(db: apsw.Connection) -> Iterator[tuple[int, str]]:
    for (detail,) in db.execute("SELECT detail FROM notes WHERE code = ?", (CLOSED,)):
        closed = orjson.loads(detail)
        yield closed["segment"], closed["sha256"]
