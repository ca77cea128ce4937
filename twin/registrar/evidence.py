"""Evidence: records with the proof that they are in the log, checkable without it.

`evidence.md` is the format, `evidence_verifier.py` checks a pack; both are packed as well.
"""

import zipfile
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import apsw
import orjson

from twin import __version__
from twin.errors import StoreError, UsageError
from twin.registrar.chain import Batch, digits, leaves_of, note_leaf, proof, root, sharing
from twin.registrar.fields import Columns, fields
from twin.registrar.query import Found
from twin.registrar.record import Note
from twin.registrar.recount import in_groups
from twin.registrar.schema import (
    NOTE_COLUMNS,
    ROW_COLUMNS,
    reading,
    schema_of,
    segments,
    select,
)
from twin.registrar.statements import Signed, read_checkpoint
from twin.registrar.times import format_ns

__all__ = ["Packed", "write_pack"]

FORMAT: Final = 3
SIGNED: Final = ("batch", *Signed._fields)
HERE: Final = Path(__file__).parent
FIRST_DAY: Final = (1980, 1, 1, 0, 0, 0)
"""What zip entries are dated, so that equal content gives equal packs."""

Wanted: TypeAlias = set[tuple[int | str | bytes, int | str | bytes]]
"""Kind and number of each record that is asked for."""

Claim: TypeAlias = dict[str, object]
"""A line of `records.jsonl`."""


class Packed(NamedTuple):
    """How many records a pack has, how many it shows besides, the key that vouches for them."""

    records: int
    neighbours: int
    key: str


@dataclass(slots=True)
class _Pack:
    """What is to be packed; batches and checkpoints by the number of their batch."""

    claims: list[Claim] = field(default_factory=list)
    batches: dict[int, Batch] = field(default_factory=dict)
    checkpoints: dict[int, Signed] = field(default_factory=dict)
    store: str = ""
    key: str = ""

    records: int = 0
    neighbours: int = 0

    def add(self, claim: Claim) -> None:
        """Add a claim, and count the records in it and those that only share their leaf."""
        self.claims.append(claim)
        rows, leaf = claim.get("rows"), claim["leaf"]
        claimed = len(rows) if isinstance(rows, list) else 1
        self.records += claimed
        self.neighbours += len(leaf) - claimed if isinstance(leaf, list) else 0


def write_pack(
    store: Path, records: Iterable[Found], query: Mapping[str, object], out: Path, now_ns: int
) -> Packed:
    """Write the records and their proofs as a zip file.

    StoreError when the store cannot be read, is not what was written, or no checkpoint covers
    a record yet; OSError when `out` cannot be written.
    """
    wanted: Wanted = {(one.kind, one.row) for one in records}
    if not wanted:
        raise UsageError("no record matches: there is nothing to give evidence of")
    try:
        pack = _collected(store, wanted)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise StoreError(
            f"{store} is not what was written ({error}); run `twin registrar verify`"
        ) from error
    manifest = {
        "format": FORMAT,
        "created": format_ns(now_ns),
        "query": query,
        "store": pack.store,
        "key": pack.key,
        "records": pack.records,
        "version": __version__,
    }
    files = {
        "manifest.json": orjson.dumps(manifest, option=orjson.OPT_INDENT_2),
        "records.jsonl": b"".join(map(_line, pack.claims)),
        "batches.jsonl": b"".join(_line([*pack.batches[at]]) for at in sorted(pack.batches)),
        "checkpoints.jsonl": b"".join(
            pack.checkpoints[at].line() for at in sorted(pack.checkpoints)
        ),
        "README.md": (HERE / "evidence.md").read_bytes(),
        "verify.py": (HERE / "evidence_verifier.py").read_bytes(),
    }
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, FIRST_DAY)
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, content)
    return Packed(pack.records, pack.neighbours, pack.key)


def _collected(store: Path, wanted: Wanted) -> _Pack:
    pack = _Pack()
    needed: set[int] = set()
    with ExitStack() as stack:
        readers = [stack.enter_context(reading(path)) for path in segments(store)]
        for db in readers:
            for batch in sorted(_batches_of(db, wanted)):
                for claim in _proven(db, batch, wanted):
                    pack.add(claim)
                needed.add(batch)
        _link(pack, readers, needed)
    if pack.records != len(wanted):
        raise StoreError("the store changed while it was read; try again")
    return pack


def _batches_of(db: apsw.Connection, wanted: Wanted) -> set[int]:
    """Return the batches of a segment that hold something wanted."""
    found: set[int] = set()
    for kind, number in wanted:
        table, column = ("events", "row") if kind == "event" else ("notes", "note")
        query = select(["batch"], f"FROM {table} WHERE {column} = ?")
        found.update(batch for (batch,) in fields(db, table, ["batch"], query, [number]))
    return found


def _proven(db: apsw.Connection, number: int, wanted: Wanted) -> Iterator[Claim]:
    """Yield the wanted records of a batch with their proofs, those of a leaf together."""
    batch = next(_batches(db, number, number), None)
    if batch is None:
        raise StoreError(f"batch {number} is missing; run `twin registrar verify`")
    schema = schema_of(db)
    share = sharing(batch.rows, schema)
    leaves: list[bytes] = []
    claims: list[tuple[int, Claim]] = []
    events = _within(db, "events", ROW_COLUMNS, batch.first_row, batch.rows)
    for some in in_groups(events, batch.first_row):
        more = leaves_of(some, share, schema)
        claimed = _shared(some, share, wanted) if schema > 3 else _single("event", some, wanted)
        claims += [(at, one) for at, one in enumerate(claimed, len(leaves)) if one]
        leaves += more
    for note in _within(db, "notes", NOTE_COLUMNS, batch.first_note, batch.notes):
        claims += [(len(leaves), one) for one in _single("note", [note], wanted) if one]
        leaves.append(note_leaf(note[0], note[1], Note(*note[2:])))
    if root(leaves) != batch.root:
        raise StoreError(f"batch {number} is not what was written; run `twin registrar verify`")
    for at, claim in claims:
        yield {**claim, "proof": proof(leaves, at)}


def _within(
    db: apsw.Connection, table: str, columns: Sequence[str], first: int, count: int
) -> Iterator[Columns]:
    """Yield the records of a batch; who holds all of them may hold a whole segment."""
    where = f"{columns[0]} >= ? AND {columns[0]} < ? ORDER BY {columns[0]}"
    query = select(columns, f"FROM {table} WHERE {where}")
    return fields(db, table, columns, query, (first, first + count))


def _single(kind: str, records: Iterable[Columns], wanted: Wanted) -> Iterator[Claim | None]:
    """Yield what to claim of each leaf that is of one record as JSON, None if it is not wanted."""
    for one in records:
        yield {"leaf": (kind, *one)} if (kind, one[0]) in wanted else None


def _shared(events: Sequence[Columns], share: int, wanted: Wanted) -> Iterator[Claim | None]:
    """Yield the same of each leaf of `share` events: which of them are wanted, and all of them."""
    for at in range(0, len(events), share):
        group = events[at : at + share]
        rows = [one[0] for one in group if ("event", one[0]) in wanted]
        yield {"rows": rows, "leaf": group} if rows else None


def _link(pack: _Pack, readers: list[apsw.Connection], needed: set[int]) -> None:
    """Add, for each batch that is needed, all up to the first checkpoint that covers it."""
    signed = sorted(
        (batch, Signed(*more)) for db in readers if schema_of(db) > 1
        for batch, *more in fields(db, "checkpoints", SIGNED, select(SIGNED, "FROM checkpoints"))
    )  # fmt: skip
    for number in sorted(needed):
        at = bisect_left(signed, number, key=lambda one: one[0])
        if at == len(signed):
            raise StoreError(f"batch {number} is not signed yet; try again in a second")
        end, checkpoint = signed[at]
        pack.checkpoints[end] = checkpoint
        for db in readers:
            pack.batches |= {one.batch: one for one in _batches(db, number, end)}
        statement = read_checkpoint(checkpoint)
        pack.store, pack.key = statement.store, statement.key


def _batches(db: apsw.Connection, first: int, last: int) -> Iterator[Batch]:
    query = select(Batch._fields, "FROM batches WHERE batch BETWEEN ? AND ?")
    yield from map(Batch._make, fields(db, "batches", Batch._fields, query, (first, last)))


def _line(value: object) -> bytes:
    return orjson.dumps(value, default=digits, option=orjson.OPT_APPEND_NEWLINE)
