"""Everything discrete about an event as one integer: where each leaf lies in it, and its value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from twin.events.encode.leaves import OneOf, SetOf
from twin.events.views import IntArray

__all__ = ["Bits", "CodeTable"]

WIDEST: Final = 62


@dataclass(frozen=True, slots=True)
class Bits:
    """Where a leaf's code lies within the code of an event."""

    shift: int
    width: int

    def of(self, code: int) -> int:
        """Return the leaf's part of a code."""
        return code >> self.shift & ((1 << self.width) - 1)


class CodeTable:
    """Gathers, checks and packs the discrete leaves of one form, from bit `shift` upwards."""

    def __init__(self, leaves: Sequence[OneOf | SetOf], shift: int) -> None:
        self.bits: list[Bits] = []
        self._leaves = tuple(leaves)
        self._readers = [leaf.reader() for leaf in leaves]
        for leaf in leaves:
            self.bits.append(Bits(shift, (leaf.count - 1).bit_length()))
            shift += self.bits[-1].width
        if shift > WIDEST:
            raise ValueError(f"a form has {shift} bits of discrete state, more than {WIDEST}")
        self._shifts = np.array([bits.shift for bits in self.bits], dtype=np.int64)
        self._counts = np.array([leaf.count for leaf in leaves], dtype=np.int64)

    def packed(self, view: object, rows: IntArray) -> IntArray:
        """Return the codes (rows,); a ValueError names a leaf with a code that means nothing."""
        table = np.empty((len(rows), len(self._leaves)), dtype=np.int64)
        for j, read in enumerate(self._readers):
            table[:, j] = read(view)[rows]
        wrong = (table < 0) | (table >= self._counts)
        if wrong.any():
            leaf = self._leaves[int(np.argmax(wrong.any(axis=0)))]
            raise ValueError(f"{leaf.path} has a code outside 0..{leaf.count - 1}")
        codes: IntArray = np.bitwise_or.reduce(table << self._shifts, axis=1)
        return codes
