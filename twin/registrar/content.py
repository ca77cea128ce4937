"""The JSON content of events: read, held to its depth, asked for the correlation it names."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import orjson

from twin.registrar.envelope import MAX_TEXT, NotAnEvent
from twin.registrar.glance import NAMING
from twin.registrar.rules import Json

__all__ = ["MAX_DEPTH", "content_of", "correlation_of", "unusual"]

MAX_DEPTH: Final = 64
BRACE: Final = ord("{")
FOLDED: Final = ord("{") ^ ord("[")
"""The bit by which the two that open a container differ."""

SPACE, BACKSLASH, ZERO = map(ord, " \\0")
TEN: Final = 10
EXPONENT, LOWER = ord("e"), ord("e") - ord("E")
LARGE: Final = re.compile(rb"\+?[0-9]{3}")
STEP: Final = 8
MANTISSA: Final = 200
"""A number of fewer digits, with an exponent of two, is not too large for a float."""

MANY_DIGITS: Final = b"\1" * (MANTISSA // STEP - 1)
"""What a mantissa leaves of it at least if only each STEP-th digit is looked at."""


def content_of(data: bytes) -> Json:
    """Return what JSON data says; NotAnEvent if it is none, or nested too deep."""
    try:
        content: Json = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise NotAnEvent(f"the payload is no JSON: {error.msg}") from None
    if _may_be_deep(data) and _depth(content) > MAX_DEPTH:
        raise NotAnEvent(f"the payload is nested deeper than {MAX_DEPTH} levels")
    return content


def unusual(payloads: Sequence[bytes]) -> set[int]:
    """Return the places of those on which parsers may differ, or that may be too deep.

    They have control characters, escapes, numbers that may be too large for a float, or many
    containers. Nothing follows of it: most of them are JSON as good as any.
    """
    text = b"%b,,,," % b",".join(payloads)
    array = np.frombuffer(text, np.uint8)
    ends = np.cumsum(np.fromiter(map(len, payloads), np.int64, len(payloads)) + 1)
    digits = array - ZERO < TEN
    if MANY_DIGITS in digits[::STEP].tobytes():
        return set(range(len(payloads)))
    opened = np.flatnonzero(array | FOLDED == BRACE)
    containers = np.diff(np.searchsorted(opened, ends), prepend=0)
    found = set(np.flatnonzero(containers > MAX_DEPTH).tolist())
    marks = list(_exponents(text, array, digits))
    if b"\\" in text or (array < SPACE).any():
        marks += np.flatnonzero((array == BACKSLASH) | (array < SPACE)).tolist()
    return found.union(np.searchsorted(ends, marks, side="right").tolist())


def _exponents(
    text: bytes, array: npt.NDArray[np.uint8], digits: npt.NDArray[np.bool_]
) -> Iterable[int]:
    """Yield where a number has an exponent of three digits or more; a text may seem to be one."""
    likely = (array[1:-3] | LOWER == EXPONENT) & digits[:-4] & digits[3:-1] & digits[4:]
    for place in (np.flatnonzero(likely) + 1).tolist():
        before = text[max(0, place - MANTISSA) : place].rstrip(b"0123456789.").rstrip(b"-")
        if before[-1:] in b",:[ " and LARGE.match(text, place + 1):
            yield place


def correlation_of(content: Json) -> str:
    """Return the correlation id that a payload itself names, empty if it names none."""
    if not isinstance(content, dict) or NAMING.isdisjoint(content):
        return ""
    metadata = content.get("metadata")
    if isinstance(metadata, dict) and isinstance(found := metadata.get("correlation_id"), str):
        return found[:MAX_TEXT]
    if isinstance(found := content.get("request_id"), str):
        return found[:MAX_TEXT]
    return ""


def _may_be_deep(data: bytes) -> bool:
    return data.count(b"[") + data.count(b"{") > MAX_DEPTH


def _depth(content: Json) -> int:
    """Return how many containers are nested in each other; stops counting past the limit."""
    depth = 0
    level = [content]
    while depth <= MAX_DEPTH:
        containers = [one for one in level if isinstance(one, list | dict)]
        if not containers:
            break
        depth += 1
        level = [child for one in containers for child in _children(one)]
    return depth


def _children(container: list[Json] | dict[str, Json]) -> Iterable[Json]:
    return container.values() if isinstance(container, dict) else container
