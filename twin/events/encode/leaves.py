"""The leaves of a payload's form: what is filled in per event, and how it is written.

A `path` is a dotted attribute path in the view (`power.bus_v`); `item` picks a column of a
two-dimensional array, or a key of a mapping of arrays.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from twin.events.views import FloatArray, Health, IntArray
from twin.events.vocabulary import STATUSES

__all__ = [
    "NO_VALUE",
    "Clock",
    "Document",
    "Leaf",
    "Missing",
    "Now",
    "Number",
    "OneOf",
    "Reader",
    "Reason",
    "SetOf",
    "Status",
    "Text",
    "WhatIsMissing",
    "flag",
]

NO_VALUE: Final = STATUSES.index("failed")
"""From this status on a reading has no value."""

MAX_NUMBER: Final = 1e9
"""No physical quantity of a bot is larger; with six decimals it is still exact in a double."""


Column_co = TypeVar("Column_co", FloatArray, IntArray, covariant=True)


class Reader(Protocol[Column_co]):
    """Takes a column out of a view."""

    def __call__(self, view: object, /) -> Column_co: ...


def _reader(path: str, item: int | str | None) -> Callable[[object], Any]:
    get = attrgetter(path)
    if item is None:
        return get
    if isinstance(item, str):
        return lambda view: get(view)[item]
    return lambda view: get(view)[:, item]


class Missing(Enum):
    """What nan in a number means."""

    FORBIDDEN = "forbidden"
    NULL = "null"
    DROP = "drop"
    """Neither key nor value is written."""
    DROP_OBJECT = "drop object"
    """The object that contains the number is not written."""
    NULL_OBJECT = "null object"
    """The object that contains the number is written as null."""


class Clock(Enum):
    """How a time is written: RFC 3339 in UTC, epoch seconds, or epoch milliseconds."""

    RFC3339 = "rfc3339"
    EPOCH_S = "epoch_s"
    EPOCH_MS = "epoch_ms"


@dataclass(frozen=True, slots=True)
class Now:
    """The time of the event."""

    clock: Clock = Clock.RFC3339


@dataclass(frozen=True, slots=True)
class Number:
    """A float rounded to `decimals`, within [low, high]; with `wrap` (= high), high becomes 0.

    `label` names it in `WhatIsMissing`; by default its path and item do.
    """

    path: str
    decimals: int
    low: float = -MAX_NUMBER
    high: float = MAX_NUMBER
    item: int | str | None = None
    wrap: bool = False
    missing: Missing = Missing.FORBIDDEN
    label: str = ""

    @property
    def name(self) -> str:
        """What errors and `WhatIsMissing` call it."""
        return self.label or (self.path if self.item is None else f"{self.path}[{self.item}]")

    def reader(self) -> Reader[FloatArray]:
        """Return the function that takes the column (n,) out of a view."""
        return _reader(self.path, self.item)


@dataclass(frozen=True, slots=True)
class OneOf:
    """A code, written as the value that it stands for."""

    path: str
    values: Sequence[str | int | bool]
    item: int | None = None

    @property
    def count(self) -> int:
        """How many codes there are."""
        return len(self.values)

    def reader(self) -> Reader[IntArray]:
        """Return the function that takes the codes (n,) out of a view."""
        return _reader(self.path, self.item)

    def written(self, code: int) -> str | int | bool:
        """Return what is written for a code."""
        return self.values[code]


def flag(path: str, item: int | None = None) -> OneOf:
    """Return the leaf of a truth value."""
    return OneOf(path, (False, True), item)


@dataclass(frozen=True, slots=True)
class SetOf:
    """A bit mask, written as the list of the names whose bits are set."""

    path: str
    names: Sequence[str]

    @property
    def count(self) -> int:
        """How many masks there are."""
        return 1 << len(self.names)

    def reader(self) -> Reader[IntArray]:
        """Return the function that takes the masks (n,) out of a view."""
        return _reader(self.path, None)

    def written(self, mask: int) -> list[str]:
        """Return what is written for a mask."""
        return [name for bit, name in enumerate(self.names) if mask >> bit & 1]


@dataclass(frozen=True, slots=True)
class Status:
    """The status of the `Health` at `path`; `quiet` leaves the key out while all is well.

    None instead of a Health means well. Numbers with `Missing.NULL` become null where the
    status says that there is no value, and may be nan nowhere else.
    """

    path: str
    quiet: bool = True

    def health(self, view: object) -> Health | None:
        """Return what the view carries."""
        found: Health | None = attrgetter(self.path)(view)
        return found


@dataclass(frozen=True, slots=True)
class Reason:
    """The reason that belongs to the document's `Status`; left out while all is well."""


@dataclass(frozen=True, slots=True)
class Text:
    """Ready JSON, one piece for each of the rows to be written."""

    read: Callable[[object, IntArray], list[bytes]]


@dataclass(frozen=True, slots=True)
class WhatIsMissing:
    """An object of the labels of dropped numbers, each with status and reason; none, no key."""


Leaf: TypeAlias = Number | OneOf | SetOf | Status | Reason | Text | Now | WhatIsMissing
Document: TypeAlias = (
    "Leaf | str | int | float | bool | Mapping[str, Document] | Sequence[Document] | None"
)
