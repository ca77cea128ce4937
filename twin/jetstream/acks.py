"""Plain acknowledgements of publishes, found and read many at a time."""

import re
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from twin.jetstream.wire import Stored, StoredHandler

__all__ = ["AckPattern"]

_POWERS = 10 ** np.arange(17, -1, -1)
FEW_ALIKE: Final = 16
MOST_LOOKS: Final = 16


class AckPattern(NamedTuple):
    """How each plain acknowledgement of one subscription looks, and who takes them."""

    each: re.Pattern[bytes]
    stored: StoredHandler

    @classmethod
    def of(cls, subject: str, sid: bytes, stored: StoredHandler) -> "AckPattern":
        """Those of the subscription `sid` to `<subject without its last token>.*`."""
        before = re.escape(subject[:-1].encode())
        line = rb"MSG %b(?P<token>\d{1,18}+) %b (?P<size>\d++)\r\n" % (before, sid)
        name = rb'"stream":"(?P<name>[^"\r\n]++)"'
        body = rb'(?P<body>\{%b, ?+"seq":(?P<seq>\d{1,18}+)\})\r\n' % name
        return cls(re.compile(line + body), stored)

    def take(self, buffer: bytes, position: int) -> int:
        """Hand over what stands at `position` in a row; return where that ends."""
        taken: list[Stored] = []
        while (found := self.each.match(buffer, position)) and _sized(found):
            stored, end = _alike(buffer, found)
            if len(stored.tokens) < FEW_ALIKE:
                stored, end = self._various(buffer, found)
            taken.append(stored)
            position = end
        if taken:
            self.stored(Stored(*map(np.concatenate, zip(*taken, strict=True))))
        return position

    def _various(self, buffer: bytes, first: re.Match[bytes]) -> tuple[Stored, int]:
        """Return those in a row, sorted by how they look: each stream's are alike."""
        start = first.start()
        text = np.frombuffer(buffer, np.uint8, offset=start)
        ends = np.flatnonzero(text == ord("\n"))[1::2] + 1  # of what has two lines, as these do
        starts = np.append(0, ends[:-1])
        sizes = ends - starts
        read = np.zeros((3, len(ends)), np.int64)
        good = np.zeros(len(ends), np.bool_)
        left = np.arange(len(ends))
        for _ in range(MOST_LOOKS):
            head = int(left[0])
            found = self.each.fullmatch(buffer, start + int(starts[head]), start + int(ends[head]))
            if found is None or not _sized(found):
                break
            rows = left[sizes[left] == sizes[head]]
            stored, fits = _numbers(text[starts[rows, None] + np.arange(sizes[head])], found)
            read[:, rows[fits]] = [column[fits] for column in stored]
            good[rows[fits]] = True
            left = left[~good[left]]
            if not len(left):
                break
        count = int(np.argmin(np.append(good, False)))  # up to the first that is none
        return Stored(*read[:, :count]), start + int(ends[count - 1])


def _sized(found: re.Match[bytes]) -> bool:
    """Whether an acknowledgement is what the server means by these bytes."""
    return found.end("body") - found.start("body") == int(found["size"])


def _alike(buffer: bytes, first: re.Match[bytes]) -> tuple[Stored, int]:
    """Return those in a row that differ from the first in no more than their numbers' digits."""
    start, length = first.start(), first.end() - first.start()
    count = (len(buffer) - start) // length
    lines = np.frombuffer(buffer, np.uint8, count * length, start).reshape(count, length)
    stored, good = _numbers(lines.copy(), first)
    count = int(np.argmin(np.append(good, False)))  # up to the first that differs
    return Stored(*(column[:count] for column in stored)), start + count * length


def _numbers(
    lines: npt.NDArray[np.uint8], first: re.Match[bytes]
) -> tuple[Stored, npt.NDArray[np.bool_]]:
    """Read lines as long as the first, and tell which differ from it in digits only.

    The lines are overwritten.
    """
    numbers: list[npt.NDArray[np.int64]] = []
    good = np.ones(len(lines), np.bool_)
    for name in ("token", "seq"):
        column = slice(first.start(name) - first.start(), first.end(name) - first.start())
        digits = lines[:, column] - ord("0")
        if (digits > 9).any():
            good &= (digits <= 9).all(axis=1)
        numbers.append(digits @ _POWERS[column.start - column.stop :])
        lines[:, column] = lines[0, column]
    letters, length = lines.ravel(), len(first[0])
    if (letters[length:] != letters[:-length]).any():
        good &= (lines == lines[0]).all(axis=1)
    tokens, sequences = numbers
    return Stored(tokens, sequences, np.full(len(lines), hash(first["name"]))), good
