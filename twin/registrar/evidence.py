"""Evidence: records with the proof that they are in the log, checkable without it.

`evidence.md` is the format, `evidence_verifier.py` checks a pack; both are packed as well.
"""

import zipfile
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import apsw
import orjson

from twin import __version__
from twin.errors import StoreError, UsageError
from twin.registrar.chain import Batch, digits, note_leaf, proof, root, row_leaf
from twin.registrar.query import Found
from twin.registrar.record import Note, Row
from twin.registrar.schema import (
    BATCH_COLUMNS,
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

FORMAT: Final = 1
HERE: Final = Path(__file__).parent
FIRST_DAY: Final = (1980, 1, 1, 0, 0, 0)
"""What zip entries are dated, so that equal content gives equal packs."""

Fields: TypeAlias = tuple[int | str | bytes, ...]


class Packed(NamedTuple):
    """How many records a pack has, and the public key that vouches for them."""

    records: int
    key: str


@dataclass(slots=True)
class _Pack:
    """What is to be packed; batches and checkpoints by the number of their batch."""

    records: list[bytes] = field(default_factory=list)
    batches: dict[int, Batch] = field(default_factory=dict)
    checkpoints: dict[int, Signed] = field(default_factory=dict)
    store: str = ""
    key: str = ""


def write_pack(
    store: Path, records: Iterable[Found], query: Mapping[str, object], out: Path, now_ns: int
) -> Packed:
    """Write the records and their proofs as a zip file.

    StoreError when the store cannot be read, is not what was written, or no checkpoint covers
    a record yet; UsageError when `out` cannot be written.
    """
    wanted = {(one.kind, one.row) for one in records}
    if not wanted:
        raise UsageError("no record matches: there is nothing to give evidence of")
    pack = _collected(store, wanted)
    manifest = {
        "format": FORMAT,
        "created": format_ns(now_ns),
        "query": query,
        "store": pack.store,
        "key": pack.key,
        "records": len(pack.records),
        "version": __version__,
    }
    files = {
        "manifest.json": orjson.dumps(manifest, option=orjson.OPT_INDENT_2),
        "records.jsonl": b"".join(pack.records),
        "batches.jsonl": b"".join(_line([*pack.batches[at]]) for at in sorted(pack.batches)),
        "checkpoints.jsonl": b"".join(
            pack.checkpoints[at].line() for at in sorted(pack.checkpoints)
        ),
        "README.md": (HERE / "evidence.md").read_bytes(),
        "verify.py": (HERE / "evidence_verifier.py").read_bytes(),
    }
    try:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
            for name, content in files.items():
                entry = zipfile.ZipInfo(name, FIRST_DAY)
                entry.compress_type = zipfile.ZIP_DEFLATED
                target.writestr(entry, content)
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror}") from error
    return Packed(len(pack.records), pack.key)


def _collected(store: Path, wanted: set[tuple[str, int]]) -> _Pack:
    pack = _Pack()
    needed: set[int] = set()
    with ExitStack() as stack:
        readers = [stack.enter_context(reading(path)) for path in segments(store)]
        for db in readers:
            for batch in sorted(_batches_of(db, wanted)):
                pack.records += _proven(db, batch, wanted)
                needed.add(batch)
        _link(pack, readers, needed)
    if len(pack.records) != len(wanted):
        raise StoreError("the store changed while it was read; try again")
    return pack


def _batches_of(db: apsw.Connection, wanted: set[tuple[str, int]]) -> set[int]:
    """Return the batches of a segment that hold something wanted."""
    found: set[int] = set()
    for kind, number in wanted:
        table, column = ("events", "row") if kind == "event" else ("notes", "note")
        batch = db.execute(select(["batch"], f"FROM {table} WHERE {column} = ?"), (number,)).get
        if batch is not None:
            found.add(batch)
    return found


def _proven(db: apsw.Connection, number: int, wanted: set[tuple[str, int]]) -> Iterator[bytes]:
    """Yield the wanted records of a batch with their proofs."""
    batch = _batch(db, number)
    if batch is None:
        raise StoreError(f"batch {number} is missing; run `twin registrar verify`")
    leaves: list[bytes] = []
    places: list[tuple[int, Fields]] = []
    rows = "FROM events WHERE row >= ? AND row < ? ORDER BY row"
    for record in db.execute(
        select(ROW_COLUMNS, rows), (batch.first_row, batch.first_row + batch.rows)
    ):
        if ("event", record[0]) in wanted:
            places.append((len(leaves), ("event", *record)))
        leaves.append(row_leaf(record[0], record[1], Row(*record[2:])))
    notes = "FROM notes WHERE note >= ? AND note < ? ORDER BY note"
    for record in db.execute(
        select(NOTE_COLUMNS, notes), (batch.first_note, batch.first_note + batch.notes)
    ):
        if ("note", record[0]) in wanted:
            places.append((len(leaves), ("note", *record)))
        leaves.append(note_leaf(record[0], record[1], Note(*record[2:])))
    if root(leaves) != batch.root:
        raise StoreError(f"batch {number} is not what was written; run `twin registrar verify`")
    for index, fields in places:
        yield _line({"leaf": fields, "proof": proof(leaves, index)})


def _link(pack: _Pack, readers: list[apsw.Connection], needed: set[int]) -> None:
    """Add, for each batch that is needed, all up to the first checkpoint that covers it."""
    signed = sorted(
        (batch, Signed(*more)) for db in readers if schema_of(db) > 1
        for batch, *more in db.execute("SELECT batch, statement, signature FROM checkpoints")
    )  # fmt: skip
    for number in sorted(needed):
        at = bisect_left(signed, number, key=lambda one: one[0])
        if at == len(signed):
            raise StoreError(f"batch {number} is not signed yet; try again in a second")
        end, checkpoint = signed[at]
        pack.checkpoints[end] = checkpoint
        for db in readers:
            query = select(BATCH_COLUMNS[:-1], "FROM batches WHERE batch BETWEEN ? AND ?")
            pack.batches |= {one[0]: Batch(*one) for one in db.execute(query, (number, end))}
        statement = read_checkpoint(checkpoint)
        pack.store, pack.key = statement.store, statement.key


def _batch(db: apsw.Connection, number: int) -> Batch | None:
    query = select(BATCH_COLUMNS[:-1], "FROM batches WHERE batch = ?")
    found = db.execute(query, (number,)).fetchone()
    return None if found is None else Batch(*found)


def _line(value: object) -> bytes:
    return orjson.dumps(value, default=digits, option=orjson.OPT_APPEND_NEWLINE)
