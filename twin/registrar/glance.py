"""What rules look at in the content of an event, read without the rest of it.

Most of what an event says concerns no rule. So only those fields are read that the rules for its
type and subject name; what stands in the others is held to JSON's grammar and left alone.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from operator import attrgetter
from typing import Annotated, Any, Final, NamedTuple, TypeAlias

import msgspec

__all__ = ["NAMING", "Glance", "Unclear", "Wanted"]

NAMING: Final = frozenset(("metadata", "request_id"))
"""The fields by which a payload itself may name a correlation."""

MOST_KNOWN: Final = 256
"""So many combinations of values are remembered; where there are more, each event may be new, and
is judged by itself."""

Read: TypeAlias = Callable[[bytes], object]
Values: TypeAlias = Callable[[object], tuple[object, ...]]

_Integer: TypeAlias = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""Larger ones are floats for orjson."""

_Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=128)]
"""Longer ones would be a burden to remember."""

NUMERIC: Final = _Integer | float | _Text | None
"""No truth value, which is no number for a rule, but the same as 0 or 1 for a dictionary."""

SCALAR: Final = NUMERIC | bool


class Unclear(ValueError):
    """The content has to be read whole."""


class Wanted(NamedTuple):
    """What rules look at: fields that have to be there, and fields whose values they compare.

    Of the latter True means that values are compared as numbers. `deep`: they look further than
    at scalars.
    """

    needed: frozenset[str] = frozenset()
    compared: Mapping[str, bool] = {}
    deep: bool = False


class Glance:
    """Remembers what `judge` says of an object's fields: equal fields, equal word.

    What can be told at a glance is a JSON object of well-known looks that names no correlation.
    What is taken is an object, apart from numbers that are too large for a float and from bytes
    in its texts that are no UTF-8.
    """

    __slots__ = ("known", "read", "values")

    def __init__(self, wanted: Wanted, judge: Callable[[dict[str, Any]], object]) -> None:
        self.read, self.values = _reader(wanted.needed, tuple(sorted(wanted.compared.items())))
        if wanted.deep:
            self.read = _unread
        self.known = _Known(wanted, judge)

    def word(self, payload: bytes) -> Any:
        """Return the word on a payload; ValueError or TypeError if none is told at a glance."""
        return self.known[self.values(self.read(payload))]


class _Known(dict[tuple[object, ...], Any]):
    """By the values of the compared fields in the order of their names."""

    def __init__(self, wanted: Wanted, judge: Callable[[dict[str, Any]], object]) -> None:
        super().__init__()
        self._names = sorted(wanted.compared)
        self._there = dict.fromkeys(wanted.needed)
        self._judge = judge

    def __missing__(self, values: tuple[object, ...]) -> object:
        found = zip(self._names, values, strict=False)
        content = {name: value for name, value in found if value is not msgspec.UNSET}
        word = self._judge(self._there | content)
        if len(self) < MOST_KNOWN:
            self[values] = word
        return word


def _unread(_: bytes) -> object:
    raise Unclear


@lru_cache(maxsize=1024)
def _reader(needed: frozenset[str], compared: Iterable[tuple[str, bool]]) -> tuple[Read, Values]:
    """Return what reads the fields of an object, and what takes the values of those compared.

    Behind them are the fields that name a correlation: one that is there cannot be looked up.
    """
    kinds: dict[str, Any] = dict.fromkeys(needed, msgspec.Raw)
    kinds |= {name: NUMERIC if numeric else SCALAR for name, numeric in compared}
    kinds |= dict.fromkeys(NAMING, msgspec.Raw)
    names = {name: f"field{number}" for number, name in enumerate(kinds)}
    fields = [
        (names[name], kind)
        if name in needed
        else (names[name], kind | msgspec.UnsetType, msgspec.UNSET)
        for name, kind in kinds.items()
    ]
    try:
        shape = msgspec.defstruct(
            "Shape", fields, rename={field: name for name, field in names.items()}, kw_only=True
        )
    except ValueError:  # a name with a quotation mark, say
        return _unread, lambda _: ()
    order = [name for name, _ in compared] + sorted(NAMING)
    return msgspec.json.Decoder(shape).decode, attrgetter(*(names[name] for name in order))
