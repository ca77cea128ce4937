"""Rounding a table of numbers for JSON: fixed decimals, within bounds, never nan by accident."""

from collections.abc import Sequence

import numpy as np
import orjson

from twin.events.encode.leaves import Missing, Number
from twin.events.views import BoolArray, FloatArray, IntArray

__all__ = ["NumberTable"]


class NumberTable:
    """Gathers, checks, rounds and prints the numbers of one form."""

    def __init__(self, numbers: Sequence[Number]) -> None:
        self.numbers = tuple(numbers)
        self._readers = [number.reader() for number in numbers]
        self._scale = np.array([10.0**number.decimals for number in numbers])
        low = np.array([number.low for number in numbers])
        high = np.array([number.high for number in numbers])
        self._low = np.ceil(low * self._scale) / self._scale
        self._high = np.floor(high * self._scale) / self._scale
        self._least = low - 0.5 / self._scale
        self._most = high + 0.5 / self._scale
        self._wrapping = [j for j, number in enumerate(numbers) if number.wrap]
        self.nullable = np.array([number.missing is Missing.NULL for number in numbers])
        self._strict = np.array([number.missing is Missing.FORBIDDEN for number in numbers])

    def gather(self, view: object, rows: IntArray) -> FloatArray:
        """Return the raw numbers of the rows, (rows, numbers)."""
        table = np.empty((len(rows), len(self.numbers)))
        for j, read in enumerate(self._readers):
            table[:, j] = read(view)[rows]
        return table

    def rounded(self, raw: FloatArray, missing: BoolArray) -> FloatArray:
        """Return the numbers as they are written; a ValueError names one that cannot be."""
        self._refuse((raw < self._least) | (raw > self._most), raw, "is out of its range")
        self._refuse(missing & self._strict, raw, "must have a value")
        table: FloatArray = np.rint(raw * self._scale) / self._scale
        table = np.clip(table, self._low, self._high) + 0.0  # adding 0 makes -0.0 positive
        for j in self._wrapping:
            table[table[:, j] == self.numbers[j].high, j] = 0.0
        return table

    def _refuse(self, wrong: BoolArray, raw: FloatArray, why: str) -> None:
        if wrong.any():
            row, column = (int(axis[0]) for axis in np.nonzero(wrong))
            raise ValueError(f"{self.numbers[column].name} = {raw[row, column]} {why} (row {row})")

    @staticmethod
    def printed(table: FloatArray) -> list[bytes]:
        """Return each row as comma-separated JSON numbers, nan as null."""
        text: bytes = orjson.dumps(table, option=orjson.OPT_SERIALIZE_NUMPY)
        return text[2:-2].split(b"],[")
