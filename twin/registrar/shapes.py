"""Header blocks that look alike: one pattern reads a whole block of a shape that was seen before.

A shape is the names of the headers in their order and what the event says of version and
content. Senders have few, so that nearly every block is read in one step, and many blocks of one
shape in one step, too. A pattern takes only blocks of plain lines (ASCII, nothing quoted or
escaped, no spaces in values); all else, and what is not well-formed, is for others to judge.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from twin.events.attributes import TIME

__all__ = ["CORRELATIONS", "MAX_TEXT", "TRACES", "Columns", "Shape", "Shapes", "promises_json"]

MAX_TEXT: Final = 1024
CORRELATIONS: Final = ("ce-correlationid", "correlation-id", "x-correlation-id")
TRACES: Final = ("ce-traceparent", "traceparent")

MOST: Final = 8
PATIENCE: Final = 100_000
"""After so many blocks of unknown shape those that are known are given up for others."""

SIGHTINGS: Final = 3
CONTENT_TYPES: Final = ("ce-datacontenttype", "datacontenttype", "content-type")
FIXED: Final = ("ce-specversion", *CONTENT_TYPES)
VALUE: Final = r"[!#$&-~]++"
TEXT: Final = rf"[!#$&-~]{{1,{MAX_TEXT}}}+"
NUMBER: Final = r"[0-8][0-9]{18}|[0-9]{1,18}"
READ: Final = {
    "ce-id": TEXT,
    "ce-source": TEXT,
    "ce-type": TEXT,
    "ce-time": TIME,
    "twin-intended-ns": NUMBER,
}
LINE: Final = r"[^\r]++"
"""Takes more than a plain value, in a third of the time."""

TEXT_LINE: Final = rf"[^\r]{{1,{MAX_TEXT}}}+"
LINES: Final = {
    "ce-id": TEXT_LINE,
    "ce-source": TEXT_LINE,
    "ce-type": TEXT_LINE,
    "twin-intended-ns": NUMBER,
}
LAST_LOW: Final = ord(" ")
UNPLAIN: Final = (b'"', b"%", b"\x7f")
"""What no plain block holds, besides further spaces and control characters."""

Values: TypeAlias = tuple[str, str, str, str, str, str, str]
"""Id, source, type, time, intended time, correlation, traceparent; empty where there is none."""


class Columns(NamedTuple):
    """The values of many blocks, by column, empty where there is none; times as they came."""

    ids: Sequence[str]
    sources: Sequence[str]
    types: Sequence[str]
    times: Sequence[str]
    intended: Sequence[str]
    correlations: Sequence[str]
    traces: Sequence[str]


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What reads the blocks of one shape: one of them, or many, each behind a zero byte.

    `groups` are the places of Values in `one`, of which the last is empty; `low` is how many
    spaces and control characters stand in a plain block and before it.
    """

    one: re.Pattern[str]
    many: re.Pattern[str]
    groups: tuple[int, ...]
    json: bool
    low: int

    def columns(self, blocks: Sequence[bytes]) -> Columns | None:
        """Return the values of these blocks; None if one is not plain or of another shape.

        `many` takes any character within a line. So there has to be a match for each zero byte,
        and no more low characters than a plain block's own; ValueError for what is not ASCII.
        """
        joined = b"\0" + b"\0".join(blocks)
        low = np.count_nonzero(np.frombuffer(joined, np.uint8) <= LAST_LOW)
        if low != self.low * len(blocks) or any(one in joined for one in UNPLAIN):
            return None
        found = self.many.findall(joined.decode("ascii"))
        if len(found) != len(blocks):
            return None
        columns = [*zip(*found, strict=True), ()]
        return Columns(*(columns[group - 1] for group in self.groups))


class Shapes:
    """The shapes that were seen often enough."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Shape] = {}
        self._seen: Counter[tuple[str, ...]] = Counter()
        self._strangers = 0

    def find(self, block: str) -> Shape | None:
        """Return the shape of a plain block; None if it is strange."""
        for shape in self._known.values():
            if shape.one.fullmatch(block) is not None:
                return shape
        return None

    def read(self, block: str) -> tuple[Values, bool] | None:
        """Return the values of a block, and whether it promises JSON; None if it is strange."""
        for shape in self._known.values():
            if (found := shape.one.fullmatch(block)) is not None:
                return found.group(*shape.groups), shape.json  # type: ignore[return-value]
        return None

    def learn(self, block: str, fields: Mapping[str, str]) -> None:
        """Remember the shape of a conforming event's plain block; `fields` as `ce-...` by name."""
        self._strangers += 1
        if self._strangers > PATIENCE:
            self._known, self._strangers = {}, 0
        lines = tuple(
            line if name in FIXED else line.partition(":")[0]
            for name, line in zip(fields, block.split("\r\n")[1:], strict=False)
        )
        if len(self._known) == MOST or lines in self._known:
            return
        self._seen[lines] += 1
        if self._seen[lines] == SIGHTINGS:
            self._known[lines] = _shape(fields, lines)
        if len(self._seen) > MOST * MOST:
            self._seen.clear()


def promises_json(fields: Mapping[str, str]) -> bool:
    """Tell whether headers by name in lower case say that the content is JSON, or nothing."""
    for name in CONTENT_TYPES:
        if name in fields:
            return "json" in fields[name].lower()
    return True


def _shape(fields: Mapping[str, str], lines: tuple[str, ...]) -> Shape:
    wanted = [
        *READ,
        next((name for name in CORRELATIONS if name in fields), ""),
        next((name for name in TRACES if name in fields), ""),
    ]
    one = many = r"NATS/1\.0\r\n"
    captured: list[str] = []
    for name, line in zip(fields, lines, strict=True):
        start = re.escape(line)
        if name in FIXED:
            one, many = one + start, many + start
        elif name in wanted:
            captured.append(name)
            one += f"{start}: ({READ.get(name, VALUE)})"
            many += f"{start}: ({LINES.get(name, LINE)})"
        else:
            one, many = f"{one}{start}: {VALUE}", f"{many}{start}: {LINE}"
        one, many = rf"{one}\r\n", rf"{many}\r\n"
    empty = len(captured) + 1
    spaces = sum(map(str.count, lines, repeat(" "))) + sum(name not in FIXED for name in fields)
    return Shape(
        re.compile(rf"{one}\r\n()"),
        re.compile(rf"\0{many}\r\n(?=\0|\Z)"),
        tuple(captured.index(name) + 1 if name in captured else empty for name in wanted),
        promises_json(fields),
        low=1 + 2 * (len(lines) + 2) + spaces,
    )
