"""The JSON content of events: read, held to its depth, asked for the correlation it names."""

from collections.abc import Iterable, Sequence
from secrets import randbits
from typing import Final

import numpy as np
import orjson

from twin.registrar.envelope import MAX_TEXT, NotAnEvent
from twin.registrar.rules import Json

__all__ = ["MAX_DEPTH", "content_of", "contents_of", "correlation_of"]

MAX_DEPTH: Final = 64
NAMING: Final = frozenset(("metadata", "request_id"))
BRACE: Final = ord("{")
FOLDED: Final = ord("{") ^ ord("[")
"""The bit by which the two that open a container differ."""


def content_of(data: bytes) -> Json:
    """Return what JSON data says; NotAnEvent if it is none, or nested too deep."""
    try:
        content: Json = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise NotAnEvent(f"the payload is no JSON: {error.msg}") from None
    if _may_be_deep(data) and _depth(content) > MAX_DEPTH:
        raise NotAnEvent(f"the payload is nested deeper than {MAX_DEPTH} levels")
    return content


def contents_of(payloads: Sequence[bytes]) -> list[Json]:
    """Return what each says, read as one array; ValueError if one is not for `content_of`.

    Between two of them stands a number that no sender can know. All of these come out where
    they belong only if what stands between is one value each time.
    """
    mark = randbits(62)
    array = b"[%b]" % (b",%d," % mark).join(payloads)
    values: list[Json] = orjson.loads(array)
    contents, marks = values[::2], values[1::2]
    if len(values) != 2 * len(payloads) - 1 or marks.count(mark) != len(marks):
        raise ValueError("they are not one value each")
    opened = np.count_nonzero(np.frombuffer(array, np.uint8) | FOLDED == BRACE) - 1
    kinds = list(map(type, contents))
    if opened - kinds.count(dict) - kinds.count(list) >= MAX_DEPTH:
        for payload, content in zip(payloads, contents, strict=True):
            if _may_be_deep(payload) and _depth(content) > MAX_DEPTH:
                raise ValueError("one is nested too deep")
    return contents


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
