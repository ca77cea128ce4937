"""The hash chain: every byte of every record goes into it, once.

A *leaf* is SHA-256 over the fields of events in MessagePack. An event has one of its own; but to
begin and end a hash costs as much as to hash an event, so that in a large batch, which a full
load or a backlog makes, GROUP events in row order share one. A note has a leaf of its own, over
its fields as a JSON array. The leaves of a batch, events before notes, are joined by a tree with 64
branches per node to the batch's *root*, so that a few records can be proven to belong to a batch
without showing the others. A batch's hash covers its root, its numbers and the hash of the batch
before it. docs/registrar.md writes the format down for those who check it with other tools.

The *marks* of a batch, stored beside it, prove nothing: they tell which leaf was changed.
"""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import count, repeat
from operator import add
from typing import Final, NamedTuple, TypeAlias

import msgspec
import orjson

from twin.registrar.record import Note, Row

__all__ = [
    "ALONE",
    "GENESIS",
    "GROUP",
    "MARK",
    "Batch",
    "Record",
    "Tip",
    "digits",
    "leaves_of",
    "marks",
    "note_leaf",
    "proof",
    "record_leaves",
    "root",
    "row_records",
    "sharing",
]

GENESIS = "0" * 64
"""What the first batch of a store names as its predecessor."""

ALONE: Final = 128
"""Up to so many events in a batch, each has a leaf of its own."""

GROUP: Final = 8
"""How many share a leaf in a larger batch; who is shown the proof of one sees the others."""

MARK: Final = 8
"""Bytes of a mark."""

BRANCHES = 64

Record: TypeAlias = tuple[str | int | bytes, ...]
"""An event as the chain sees it: its number, its batch, its fields."""


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


def sharing(rows: int, schema: int) -> int:
    """Return how many events share a leaf in a batch of so many, in a segment of some schema."""
    if schema < 4:
        return 1
    return 1 if schema > 4 and rows <= ALONE else GROUP


def record_leaves(records: Sequence[Record], share: int) -> list[bytes]:
    """Return a leaf for each `share` of the records, of which the first begins one.

    It is SHA-256 over the records, each a MessagePack array in its shortest form, one after the
    other. They are packed as an array, whose head of one byte is left out.
    """
    leaves: list[bytes] = []
    packed = bytearray()
    pack_into, keep, sha256 = msgspec.msgpack.Encoder().encode_into, leaves.append, hashlib.sha256
    for at in range(0, len(records), share):
        pack_into(records[at : at + share], packed)
        keep(sha256(memoryview(packed)[1:]).digest())
    return leaves


def leaves_of(records: Sequence[Record], share: int, schema: int) -> list[bytes]:
    """Return the same for the events of a batch in a segment of some schema.

    Up to schema 3 a leaf is over `["event",number,batch,...]` as JSON.
    """
    if schema > 3:
        return record_leaves(records, share)
    return [_leaf(("event", *record)) for record in records]


def marks(leaves: Iterable[bytes]) -> bytes:
    """Return the marks of leaves one after the other: how each begins."""
    return b"".join(leaf[:MARK] for leaf in leaves)


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
