"""A payload's form: a document with leaves, rendered for many bots at once."""

from collections.abc import Sequence
from itertools import repeat
from typing import Final

import numpy as np
import orjson

from twin.events.encode.codes import Bits, CodeTable
from twin.events.encode.leaves import (
    NO_VALUE,
    Document,
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
from twin.events.encode.template import Templates, leaves_of
from twin.events.views import FloatArray, Health, IntArray
from twin.events.vocabulary import STATUSES

__all__ = ["Form"]

STATUS_BITS: Final = Bits(0, (len(STATUSES) - 1).bit_length())
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
        discrete = [leaf for leaf in leaves if isinstance(leaf, OneOf | SetOf)]
        slots = [*self._moments, *self._texts, *self._table.numbers]
        written = [leaf for leaf in leaves if isinstance(leaf, Now | Text | Reason | Number)]
        if [id(leaf) for leaf in slots] != [id(leaf) for leaf in written]:
            raise ValueError("a form has times first, then texts, then numbers")
        if len({id(leaf) for leaf in slots}) != len(slots):
            raise ValueError("a leaf stands twice in a form")
        self._tracked = [j for j, n in enumerate(self._table.numbers) if n.missing in TRACKED]
        self._codes = CodeTable(discrete, STATUS_BITS.width + len(self._tracked))
        bits: dict[int, Bits] = {id(self._table.numbers[j]): b for j, b in self._absences()}
        bits |= {id(leaf): b for leaf, b in zip(discrete, self._codes.bits, strict=True)}
        bits |= {id(leaf): STATUS_BITS for leaf in leaves if isinstance(leaf, Status | Reason)}
        self._templates = Templates(document, slots, lambda leaf: bits.get(id(leaf)))

    def _absences(self) -> list[tuple[int, Bits]]:
        """Return the numbers whose absence changes the template, and the bit that says so."""
        first = STATUS_BITS.width
        return [(j, Bits(first + place, 1)) for place, j in enumerate(self._tracked)]

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
        status = None if health is None else _statuses(health, rows)
        if status is not None:
            raw[np.ix_(status >= NO_VALUE, self._table.nullable)] = np.nan
        missing = np.isnan(raw)
        anything = bool(missing.any())
        if anything and self._status:
            silent = missing.any(axis=1) & (True if status is None else status < NO_VALUE)
            if silent.any():
                raise ValueError(f"row {int(np.argmax(silent))} has nan, and a status of a value")
        codes = self._codes.packed(view, rows)
        if status is not None:
            codes |= status << STATUS_BITS.shift
        if anything:
            for j, bits in self._absences():
                codes |= missing[:, j].astype(np.int64) << bits.shift
        return self._table.rounded(raw, missing), codes.tolist()


def _statuses(health: Health, rows: IntArray) -> IntArray:
    status = health.status[rows].astype(np.int64)
    if ((status < 0) | (status >= len(STATUSES))).any():
        raise ValueError(f"a status is outside 0..{len(STATUSES) - 1}")
    return status


def _texts(
    leaf: Text | Reason, view: object, rows: IntArray, health: Health | None
) -> Sequence[bytes]:
    if isinstance(leaf, Text):
        return leaf.read(view, rows)
    if health is None or not health.status[rows].any():
        return list(repeat(b"", len(rows)))
    return [orjson.dumps(health.reason[row]) for row in rows.tolist()]
