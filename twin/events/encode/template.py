"""From a document and a discrete state to a `%`-template of JSON bytes.

Everything discrete about an event (flags, states, sets, which numbers are missing) is one
integer code. A fleet shows few codes at a time, so the JSON text around the numbers is made
once per code, and an event costs one dictionary look-up and one `%`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum, auto
from typing import Final, TypeAlias

import orjson

from twin.events.encode.codes import Bits
from twin.events.encode.leaves import (
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
    WhatIsMissing,
)
from twin.events.vocabulary import STATUSES

__all__ = ["Templates", "leaves_of"]

SLOT: Final = re.compile(rb'"\\u0000(\d+)"')
MOST_TEMPLATES: Final = 4096

Json: TypeAlias = "str | int | float | bool | dict[str, Json] | list[Json] | None"


class _Gone(Enum):
    """What became of a node that is not written."""

    ITSELF = auto()
    PARENT = auto()
    PARENT_NULL = auto()


def leaves_of(node: Document) -> Iterator[Leaf]:
    """Yield the leaves of a document in the order in which they are written."""
    if isinstance(node, Leaf):
        yield node
    elif isinstance(node, Mapping):
        for child in node.values():
            yield from leaves_of(child)
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for child in node:
            yield from leaves_of(child)


class Templates(dict[int, bytes]):
    """The template of each code, made when it is first asked for.

    `bits` says where the discrete leaves lie, by identity of the leaf. Slots are filled in
    the order of `slots`; one that a template does not show still takes its argument.
    """

    def __init__(
        self, document: Document, slots: Sequence[Leaf], bits: Callable[[Leaf], Bits | None]
    ) -> None:
        super().__init__()
        self._document = document
        self._slots = {id(leaf): place for place, leaf in enumerate(slots)}
        self._bits = bits

    def __missing__(self, code: int) -> bytes:
        if len(self) >= MOST_TEMPLATES:
            self.clear()
        text = orjson.dumps(self._written(self._document, code)).replace(b"%", b"%%")
        made = self[code] = self._with_slots(text)
        return made

    def _with_slots(self, text: bytes) -> bytes:
        pieces = SLOT.split(text)
        shown = dict(zip(map(int, pieces[1::2]), pieces[2::2], strict=True))
        template = pieces[0]
        for place in range(len(self._slots)):
            template += b"%b" + shown[place] if place in shown else b"%.0b"
        return template

    def _written(self, node: Document, code: int) -> "Json | _Gone":
        if isinstance(node, Leaf):
            return self._leaf(node, code)
        if isinstance(node, Mapping):
            pairs = [(key, self._written(child, code)) for key, child in node.items()]
            return _container({key: value for key, value in pairs if value is not _Gone.ITSELF})
        if isinstance(node, Sequence) and not isinstance(node, str):
            children = [self._written(child, code) for child in node]
            return [child for child in children if not isinstance(child, _Gone)]
        return node

    def _leaf(self, leaf: Leaf, code: int) -> "Json | _Gone":
        bits = self._bits(leaf)
        part = bits.of(code) if bits else 0
        match leaf:
            case OneOf() | SetOf():
                written: Json = leaf.written(part)  # type: ignore[assignment]
                return written
            case Status():
                return _Gone.ITSELF if leaf.quiet and not part else STATUSES[part]
            case WhatIsMissing():
                return self._missing(code) or _Gone.ITSELF
            case Number() if part:
                return _GONE[leaf.missing]
            case Reason() if not part:
                return _Gone.ITSELF
            case Number() | Text() | Now() | Reason():
                return f"\0{self._slots[id(leaf)]}"

    def _missing(self, code: int) -> dict[str, Json]:
        numbers = [leaf for leaf in leaves_of(self._document) if isinstance(leaf, Number)]
        found = [(leaf, self._bits(leaf)) for leaf in numbers]
        return {
            leaf.name: {"status": "failed", "reason": "no_reading"}
            for leaf, bits in found
            if bits and bits.of(code)
        }


_GONE: Final = {
    Missing.DROP: _Gone.ITSELF,
    Missing.DROP_OBJECT: _Gone.PARENT,
    Missing.NULL_OBJECT: _Gone.PARENT_NULL,
}


def _container(members: "dict[str, Json | _Gone]") -> "Json | _Gone":
    gone = [value for value in members.values() if isinstance(value, _Gone)]
    if _Gone.PARENT in gone:
        return _Gone.ITSELF
    if gone:
        return None
    return members  # type: ignore[return-value]
