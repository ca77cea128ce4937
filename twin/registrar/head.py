"""What a segment says of itself: whose it is, where its chain begins and where it ends."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import apsw
import orjson

from twin.errors import StoreError
from twin.registrar.chain import Batch, Tip
from twin.registrar.fields import fields
from twin.registrar.schema import (
    BATCH_COLUMNS,
    CHECKPOINT_COLUMNS,
    check_schema,
    schema_of,
    select,
)
from twin.registrar.statements import (
    FIRST,
    Signed,
    Tombstone,
    read_checkpoint,
    read_tombstone,
)

__all__ = ["Head", "latest_tombstone", "read_head", "read_meta"]

META: Final = ("name", "value")


@dataclass(frozen=True, slots=True)
class Head:
    """Store, number and key of a segment; `base` is the end of the chain before it, `tip` now.

    `checkpoint` and `digest` are the number of the last checkpoint up to its end and what the
    next one names as predecessor, `signed` the batch that one speaks of. `first_ns` and
    `last_ns` are the times of its first and last commit, 0 if there is none.
    """

    schema: int
    store: str
    segment: int
    key: str
    base: Tip
    tip: Tip
    checkpoint: int = 0
    digest: str = FIRST
    signed: int = 0
    first_ns: int = 0
    last_ns: int = 0

    def meta(self, segment: int) -> dict[str, str]:
        """Return what the next segment says of itself, beginning where this one ends."""
        return {
            "store": self.store,
            "segment": str(segment),
            "key": self.key,
            "base": orjson.dumps(tuple(self.tip)).decode(),
            "checkpoint": str(self.checkpoint),
            "previous": self.digest,
            "signed": str(self.signed),
        }


def read_head(path: Path, db: apsw.Connection) -> Head:
    """Read it; StoreError when the file's end is not what its last batch or checkpoint says."""
    try:
        schema = schema_of(db)
        check_schema(path, schema)
        return _head(path, db, schema)
    except (TypeError, ValueError, ArithmeticError, KeyError) as error:
        raise StoreError(f"{path} is damaged; run `twin registrar verify` on it") from error


def read_meta(db: apsw.Connection) -> dict[str, str]:
    """Return what a segment says of itself, by name; Misfit where it is no text."""
    return dict(fields(db, "meta", META, select(META, "FROM meta")))


def _head(path: Path, db: apsw.Connection, schema: int) -> Head:
    meta = read_meta(db)
    base = Tip(*orjson.loads(meta["base"])) if "base" in meta else Tip()
    tip = _tip(path, db, base)
    first, last = db.execute("SELECT min(committed_ns), max(committed_ns) FROM batches").fetchone()  # type: ignore[misc]
    checkpoint, digest = int(meta.get("checkpoint", 0)), meta.get("previous", FIRST)
    signed = int(meta.get("signed", 0))
    if schema > 1 and (found := _last_checkpoint(db)) is not None:
        checkpoint, signed, digest = found
    return Head(
        schema, meta["store"], int(meta["segment"]), meta.get("key", ""), base, tip,
        checkpoint, digest, signed, first or 0, last or 0,
    )  # fmt: skip


def latest_tombstone(db: apsw.Connection) -> tuple[Tombstone, Signed] | None:
    """Return the last tombstone of a segment of schema 2 at least; StoreError if it is forged.

    A genuine one is signed by the store's key, and speaks of segments before its own only.
    """
    query = "SELECT statement, signature FROM tombstones ORDER BY tombstone DESC LIMIT 1"
    try:
        meta: dict[str, str] = dict(db.execute("SELECT name, value FROM meta"))
        row = db.execute(query).fetchone()
        if row is None:
            return None
        tombstone = read_tombstone(signed := Signed(*row))
        if tombstone.key != meta["key"] or tombstone.segments >= int(meta["segment"]):
            raise ValueError(f"tombstone {tombstone.number} is not of this store")
    except (ValueError, TypeError, LookupError) as error:
        raise StoreError(
            f"the tombstone in {db.filename} is forged ({error}); run `twin registrar verify`"
        ) from error
    return tombstone, signed


def _tip(path: Path, db: apsw.Connection, base: Tip) -> Tip:
    query = select(BATCH_COLUMNS, "FROM batches ORDER BY batch DESC LIMIT 1")
    last = next(fields(db, "batches", BATCH_COLUMNS, query), None)
    rows = db.execute("SELECT max(row) FROM events").get
    notes = db.execute("SELECT max(note) FROM notes").get
    if last is None:
        tip, stored = base, base.hash
    else:
        batch, stored = Batch(*last[:-1]), last[-1]
        tip = base.after(batch)
    ends = (rows or base.rows, notes or base.notes, stored)
    if ends != (tip.rows, tip.notes, tip.hash):
        raise StoreError(
            f"the end of {path} does not match its last batch; run `twin registrar verify` on it"
        )
    return tip


def _last_checkpoint(db: apsw.Connection) -> tuple[int, int, str] | None:
    query = select(CHECKPOINT_COLUMNS, "FROM checkpoints ORDER BY checkpoint DESC LIMIT 1")
    row = next(fields(db, "checkpoints", CHECKPOINT_COLUMNS, query), None)
    if row is None:
        return None
    number, batch, *more = row
    told = read_checkpoint(signed := Signed(*more))
    if (told.number, told.batch) != (number, batch):
        raise ValueError(f"checkpoint {number} is not what was signed")
    return number, batch, signed.digest
