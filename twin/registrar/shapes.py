"""Header blocks that look alike: one pattern reads a whole block of a shape that was seen before.

A shape is the names of the headers in their order and what the event says of version and
content. Senders have few, so that nearly every block is read in one step. A pattern takes only
blocks of plain lines (ASCII, nothing quoted or escaped, no spaces in values); all else, and
what is not well-formed, is for others to judge.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from twin.events.attributes import TIME

__all__ = ["CORRELATIONS", "MAX_TEXT", "TRACES", "Shapes", "promises_json"]

MAX_TEXT: Final = 1024
CORRELATIONS: Final = ("ce-correlationid", "correlation-id", "x-correlation-id")
TRACES: Final = ("ce-traceparent", "traceparent")

MOST: Final = 8
PATIENCE: Final = 100_000
"""After so many blocks of unknown shape those that are known are given up for others."""

SIGHTINGS: Final = 3
CONTENT_TYPES: Final = ("ce-datacontenttype", "datacontenttype", "content-type")
FIXED: Final = ("ce-specversion", *CONTENT_TYPES)
VALUE: Final = r"[!#$&-~]+"
TEXT: Final = rf"[!#$&-~]{{1,{MAX_TEXT}}}"
NUMBER: Final = r"[0-8][0-9]{18}|[0-9]{1,18}"
READ: Final = {
    "ce-id": TEXT,
    "ce-source": TEXT,
    "ce-type": TEXT,
    "ce-time": TIME,
    "twin-intended-ns": NUMBER,
}

Values: TypeAlias = tuple[str, str, str, str, str, str, str]
"""Id, source, type, time, intended time, correlation, traceparent; empty where there is none."""


class _Shape(NamedTuple):
    pattern: re.Pattern[str]
    groups: tuple[int, ...]
    json: bool


class Shapes:
    """The shapes that were seen often enough."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], _Shape] = {}
        self._seen: Counter[tuple[str, ...]] = Counter()
        self._strangers = 0

    def read(self, block: str) -> tuple[Values, bool] | None:
        """Return the values of a block, and whether it promises JSON; None if it is strange."""
        for pattern, groups, json in self._known.values():
            if (found := pattern.fullmatch(block)) is not None:
                return found.group(*groups), json  # type: ignore[return-value]
        return None

    def read_json(self, block: str) -> Values | None:
        """Return the values of a block that promises JSON; None if it is strange or does not."""
        for pattern, groups, json in self._known.values():
            if (found := pattern.fullmatch(block)) is not None:
                return found.group(*groups) if json else None  # type: ignore[return-value]
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


def _shape(fields: Mapping[str, str], lines: tuple[str, ...]) -> _Shape:
    wanted = [
        *READ,
        next((name for name in CORRELATIONS if name in fields), ""),
        next((name for name in TRACES if name in fields), ""),
    ]
    pattern = r"NATS/1\.0\r\n"
    captured: list[str] = []
    for name, line in zip(fields, lines, strict=True):
        if name in FIXED:
            pattern += re.escape(line)
        elif name in wanted:
            captured.append(name)
            pattern += f"{re.escape(line)}: ({READ.get(name, VALUE)})"
        else:
            pattern += f"{re.escape(line)}: {VALUE}"
        pattern += r"\r\n"
    empty = len(captured) + 1
    groups = tuple(captured.index(name) + 1 if name in captured else empty for name in wanted)
    return _Shape(re.compile(rf"{pattern}\r\n()"), groups, promises_json(fields))
