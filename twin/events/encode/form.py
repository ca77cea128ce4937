"""A payload's form: a document with leaves, rendered for many bots at once."""

from collections.abc import Sequence
from itertools import repeat
from typing import Final

import numpy as np
import orjson

from twin.events.encode.leaves import (
    NO_VALUE,
    Document,
    Leaf,
    Missing,
    Now,
    Number,
    OneOf,
    Reason,
    SetOf,
    Status,
    Text,
)
from twin.events.encode.moment import Moment
from twin.events.encode.numbers import NumberTable
from twin.events.encode.template import Bits, Templates, leaves_of
from twin.events.views import FloatArray, Health, IntArray
from twin.events.vocabulary import STATUSES

__all__ = ["Form"]

WIDEST_CODE: Final = 62
TRACKED: Final = (Missing.DROP, Missing.DROP_OBJECT, Missing.NULL_OBJECT)


class Form:
    """The form of a channel's payload.

    In the document the times come first, then the texts, then the numbers; what is constant
    or discrete may stand anywhere. Keys are written in the order of the document.
    """

    def __init__(self, document: Document) -> None:
        leaves = list(leaves_of(document))
        self._moments = [leaf for leaf in leaves if isinstance(leaf, Now)]
        self._texts = [leaf for leaf in leaves if isinstance(leaf, Text | Reason)]
        self._table = NumberTable([leaf for leaf in leaves if isinstance(leaf, Number)])
        self._status = next((leaf for leaf in leaves if isinstance(leaf, Status)), None)
        self._discrete = [leaf for leaf in leaves if isinstance(leaf, OneOf | SetOf)]
        slots = [*self._moments, *self._texts, *self._table.numbers]
        written = [leaf for leaf in leaves if isinstance(leaf, Now | Text | Reason | Number)]
        if [id(leaf) for leaf in slots] != [id(leaf) for leaf in written]:
            raise ValueError("a form has times first, then texts, then numbers")
        if len({id(leaf) for leaf in slots}) != len(slots):
            raise ValueError("a leaf stands twice in a form")
        self._bits = self._layout()
        self._templates = Templates(document, slots, lambda leaf: self._bits.get(id(leaf)))

    def _layout(self) -> dict[int, Bits]:
        tracked: list[tuple[Leaf, int]] = [(n, 1) for n in self._table.numbers if _tracked(n)]
        tracked += [(leaf, (leaf.count - 1).bit_length()) for leaf in self._discrete]
        if self._status:
            tracked.append((self._status, (len(STATUSES) - 1).bit_length()))
        layout, shift = {}, 0
        for leaf, width in tracked:
            layout[id(leaf)] = Bits(shift, width)
            shift += width
        if shift > WIDEST_CODE:
            raise ValueError(f"a form has {shift} bits of discrete state, more than {WIDEST_CODE}")
        for leaf in self._texts:
            if isinstance(leaf, Reason) and self._status:
                layout[id(leaf)] = layout[id(self._status)]
        return layout

    def render(self, view: object, rows: IntArray, moment: Moment) -> list[bytes]:
        """Return the payloads of the rows of the view; a ValueError names what is not valid."""
        if not len(rows):
            return []
        health = self._status.health(view) if self._status else None
        raw, codes = self._read(view, rows, health)
        printed = self._table.printed(raw)
        times = [moment.written(now.clock) for now in self._moments]
        templates = self._templates
        if not self._texts:
            return [
                templates[code] % (*times, *row.split(b","))
                for code, row in zip(codes, printed, strict=True)
            ]
        texts = zip(*(_texts(leaf, view, rows, health) for leaf in self._texts), strict=True)
        return [
            templates[code] % (*times, *text, *row.split(b","))
            for code, row, text in zip(codes, printed, texts, strict=True)
        ]

    def _read(
        self, view: object, rows: IntArray, health: Health | None
    ) -> tuple[FloatArray, Sequence[int]]:
        raw = self._table.gather(view, rows)
        status = None if health is None else health.status[rows]
        if status is not None:
            raw[np.ix_(status >= NO_VALUE, self._table.nullable)] = np.nan
        missing = np.isnan(raw)
        anything = bool(missing.any())
        if anything and self._status:
            silent = missing.any(axis=1) & (True if status is None else status < NO_VALUE)
            if silent.any():
                raise ValueError(f"row {int(np.argmax(silent))} has nan, and a status of a value")
        codes = np.zeros(len(rows), dtype=np.int64)
        for leaf in self._discrete:
            codes |= _checked(leaf, view, rows) << self._bits[id(leaf)].shift
        if status is not None and self._status:
            codes |= status.astype(np.int64) << self._bits[id(self._status)].shift
        if anything:
            for j, number in enumerate(self._table.numbers):
                if _tracked(number):
                    codes |= missing[:, j].astype(np.int64) << self._bits[id(number)].shift
        return self._table.rounded(raw, missing), codes.tolist()


def _tracked(number: Number) -> bool:
    return number.missing in TRACKED


def _checked(leaf: OneOf | SetOf, view: object, rows: IntArray) -> IntArray:
    codes = leaf.read(view)[rows].astype(np.int64)
    if codes.min() < 0 or codes.max() >= leaf.count:
        raise ValueError(f"{leaf.path} has a code outside 0..{leaf.count - 1}")
    return codes


def _texts(
    leaf: Text | Reason, view: object, rows: IntArray, health: Health | None
) -> Sequence[bytes]:
    if isinstance(leaf, Text):
        return leaf.read(view, rows)
    if health is None or not health.status[rows].any():
        return list(repeat(b"", len(rows)))
    return [orjson.dumps(health.reason[row]) for row in rows.tolist()]
