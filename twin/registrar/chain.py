"""The hash chain: every byte of every record goes into it, once.

A record's *leaf* is SHA-256 over its fields as a JSON array. The leaves of a batch (events in row
order, then notes) are joined by a tree with 64 branches per node to the batch's *root*, so
that one record can be proven to belong to a batch without showing the others. A batch's
hash covers its root, its numbers and the hash of the batch before it. docs/registrar.md
writes the format down for those who check it with other tools.
"""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import count, repeat
from operator import add
from typing import NamedTuple, TypeAlias

import orjson

from twin.registrar.record import Note, Row

__all__ = [
    "GENESIS",
    "Batch",
    "Record",
    "Tip",
    "digits",
    "note_leaf",
    "proof",
    "record_leaves",
    "root",
    "row_leaf",
    "row_records",
]

GENESIS = "0" * 64
"""What the first batch of a store names as its predecessor."""

BRANCHES = 64

Record: TypeAlias = tuple[str | int | bytes, ...]
"""What a leaf is made of: the kind of the record, its number, its batch, its fields."""


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
    """Return `("event", number, batch, ...)` for each event, numbered from `first` on."""
    return list(map(add, zip(repeat("event"), count(first), repeat(batch)), rows))


def record_leaves(records: Iterable[Record]) -> list[bytes]:
    """Return the leaf of each record: SHA-256 over it as an array in compact JSON.

    Bytes appear as an array of one text, their hexadecimal digits.
    """
    dumps, sha256 = orjson.dumps, hashlib.sha256
    return [sha256(dumps(record, digits)).digest() for record in records]


def row_leaf(number: int, batch: int, row: Row) -> bytes:
    """Return the leaf of an event, of `["event",number,batch,...]` with its fields in order."""
    return _leaf(("event", number, batch, *row))


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
