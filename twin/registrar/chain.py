"""The hash chain: every byte of every record goes into it, once.

To begin and end a hash costs as much as to hash an event: GROUP events of a batch, in row order,
share a *leaf*, SHA-256 over their fields in MessagePack. A note has a leaf of its own, over its
fields as a JSON array. The leaves of a batch, events before notes, are joined by a tree with 64
branches per node to the batch's *root*, so that a few records can be proven to belong to a batch
without showing the others. A batch's hash covers its root, its numbers and the hash of the batch
before it. docs/registrar.md writes the format down for those who check it with other tools.

Each event has a *mark* besides, which proves nothing: it tells which event of a group was changed.
"""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import count, repeat
from operator import add
from typing import Final, NamedTuple, TypeAlias

import msgspec
import orjson
from xxhash import xxh3_64_digest

from twin.registrar.record import Note, Row

__all__ = [
    "GENESIS",
    "GROUP",
    "MARK",
    "Batch",
    "Hashed",
    "Record",
    "Tip",
    "digits",
    "leaves_of",
    "note_leaf",
    "proof",
    "record_leaves",
    "root",
    "row_records",
]

GENESIS = "0" * 64
"""What the first batch of a store names as its predecessor."""

GROUP: Final = 8
"""How many events share a leaf; who is shown the proof of one sees the others."""

MARK: Final = 8
"""Bytes of a mark."""

BRANCHES = 64

Record: TypeAlias = tuple[str | int | bytes, ...]
"""An event as the chain sees it: its number, its batch, its fields."""


class Hashed(NamedTuple):
    """The leaves of some events, and the mark of each event."""

    leaves: list[bytes]
    marks: list[bytes]


class Batch(NamedTuple):
    """One commit; the fields are the columns of `batches` before `hash`.

    `first_row` and `first_note` are the numbers of the first of `rows` events and `notes`
    notes, or what they would be if there were any. `rules` is the hash of the rule file,
    `version` the software's.
    """

    batch: int
    first_row: int
    rows: int
    first_note: int
    notes: int
    committed_ns: int
    rules: str
    version: str
    root: str
    previous: str

    @property
    def hash(self) -> str:
        """The link: SHA-256 in hex over `["batch",...]` with all fields in order."""
        return _leaf(("batch", *self)).hex()


class Tip(NamedTuple):
    """Where a chain ends: its last batch, the numbers of the last event and note, the last hash."""

    batch: int = 0
    rows: int = 0
    notes: int = 0
    hash: str = GENESIS

    def after(self, batch: Batch) -> "Tip":
        """Return where it ends once `batch` is appended."""
        return Tip(
            batch.batch,
            batch.first_row + batch.rows - 1,
            batch.first_note + batch.notes - 1,
            batch.hash,
        )


def row_records(first: int, batch: int, rows: Iterable[Row]) -> list[Record]:
    """Return `(number, batch, ...)` for each event, numbered from `first` on."""
    return list(map(add, zip(count(first), repeat(batch)), rows))


def record_leaves(records: Sequence[Record]) -> Hashed:
    """Return a leaf for each GROUP of the records, the first of which begins one, and their marks.

    The leaf is SHA-256 over the records, each a MessagePack array in its shortest form, one
    after the other; the mark of a record is XXH3 over the same bytes, big endian.
    """
    leaves: list[bytes] = []
    marks: list[bytes] = []
    packed = bytearray()
    pack_into, keep = msgspec.msgpack.Encoder().encode_into, marks.append
    for at in range(0, len(records), GROUP):
        update = (group := hashlib.sha256()).update
        for record in records[at : at + GROUP]:
            pack_into(record, packed)
            keep(xxh3_64_digest(packed))
            update(packed)
        leaves.append(group.digest())
    return Hashed(leaves, marks)


def leaves_of(records: Sequence[Record], schema: int) -> Hashed:
    """Return the same for the events of a batch in a segment of some schema.

    Up to schema 3 each has a leaf of its own, of `["event",number,batch,...]` as JSON, by which
    it is found as well.
    """
    if schema > 3:
        return record_leaves(records)
    leaves = [_leaf(("event", *record)) for record in records]
    return Hashed(leaves, leaves)


def note_leaf(number: int, batch: int, note: Note) -> bytes:
    """Return the leaf of a note, of `["note",number,batch,...]`."""
    return _leaf(("note", number, batch, *note))


def _leaf(fields: tuple[object, ...]) -> bytes:
    return hashlib.sha256(orjson.dumps(fields, default=digits)).digest()


def digits(value: object) -> tuple[str]:
    """Return bytes as they appear in a leaf: an array of one text; for orjson's `default`."""
    if isinstance(value, bytes):
        return (value.hex(),)
    raise TypeError(f"{value!r} is no field of a record")


def root(leaves: Sequence[bytes]) -> str:
    """Return the root of the tree over the leaves, in hex; an empty batch has that of nothing."""
    level = list(leaves)
    if not level:
        return hashlib.sha256(b"node").hexdigest()
    while len(level) != 1:
        level = _joined(level)
    return level[0].hex()


def proof(leaves: Sequence[bytes], index: int) -> list[tuple[int, list[str]]]:
    """Return what leads from leaf `index` to the root: a step per level of the tree.

    A step is the place among the children of a node, and all of them in hex but that one;
    joining them all again gives the child of the next step.
    """
    steps: list[tuple[int, list[str]]] = []
    level = list(leaves)
    while len(level) != 1:
        node, place = divmod(index, BRANCHES)
        children = level[node * BRANCHES : (node + 1) * BRANCHES]
        steps.append((place, [one.hex() for at, one in enumerate(children) if at != place]))
        level, index = _joined(level), node
    return steps


def _joined(level: list[bytes]) -> list[bytes]:
    return [
        hashlib.sha256(b"node" + b"".join(level[at : at + BRANCHES])).digest()
        for at in range(0, len(level), BRANCHES)
    ]
