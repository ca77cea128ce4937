"""Plain acknowledgements of publishes, found and read many at a time."""

import re
from typing import Final, NamedTuple

import numpy as np

from twin.jetstream.wire import Stored, StoredHandler

__all__ = ["AckPattern"]

_POWERS = 10 ** np.arange(17, -1, -1)
FEW_ALIKE: Final = 16


class AckPattern(NamedTuple):
    """How the plain acknowledgements of one subscription look, and who takes them.

    `run` matches as many as stand in a row, `each` cuts such a run up.
    """

    run: re.Pattern[bytes]
    each: re.Pattern[bytes]
    stored: StoredHandler

    @classmethod
    def of(cls, subject: str, sid: bytes, stored: StoredHandler) -> "AckPattern":
        """Those of the subscription `sid` to `<subject without its last token>.*`."""
        before = re.escape(subject[:-1].encode())
        line = rb"MSG %b(?P<token>\d{1,18}+) %b (?P<size>\d++)\r\n" % (before, sid)
        name = rb'"stream":"(?P<name>[^"\r\n]++)"'
        body = rb'(?P<body>\{%b, ?+"seq":(?P<seq>\d{1,18}+)\})\r\n' % name
        each = line + body
        unnamed = re.sub(rb"\?P<\w+>", b"?:", each)
        return cls(re.compile(b"(?:%b)++" % unnamed), re.compile(each), stored)

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
        """Return all in a row, whatever their lengths, or the first if not all are sound."""
        run = self.run.match(buffer, first.start()) or first
        acks = self.each.findall(buffer, *run.span())
        tokens, sizes, bodies, names, sequences = zip(*acks, strict=True)
        if list(map(len, bodies)) != list(map(int, sizes)):
            run, tokens, sequences, names = first, tokens[:1], sequences[:1], names[:1]
        columns = (map(int, tokens), map(int, sequences), map(hash, names))
        return Stored(*(np.array(list(column), np.int64) for column in columns)), run.end()


def _sized(found: re.Match[bytes]) -> bool:
    """Whether an acknowledgement is what the server means by these bytes."""
    return found.end("body") - found.start("body") == int(found["size"])


def _alike(buffer: bytes, first: re.Match[bytes]) -> tuple[Stored, int]:
    """Return those in a row that differ from the first in no more than their numbers' digits."""
    start, length = first.start(), first.end() - first.start()
    count = (len(buffer) - start) // length
    lines = np.frombuffer(buffer, np.uint8, count * length, start).reshape(count, length).copy()
    numbers = []
    good = np.ones(count, np.bool_)
    for name in ("token", "seq"):
        column = slice(first.start(name) - start, first.end(name) - start)
        digits = lines[:, column] - ord("0")
        good &= (digits <= 9).all(axis=1)
        numbers.append(digits @ _POWERS[column.start - column.stop :])
        lines[:, column] = lines[0, column]
    if not good.all() or lines.tobytes() != first[0] * count:
        good &= (lines == lines[0]).all(axis=1)
        count = int(np.argmin(np.append(good, False)))  # up to the first that differs
    streams = np.full(count, hash(first["name"]))
    return Stored(numbers[0][:count], numbers[1][:count], streams), start + count * length
