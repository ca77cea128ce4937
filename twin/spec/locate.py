"""From pydantic's error locations to paths in the data.

A pydantic location names more than the data has: the tag or the member of a union is a
step too. Here every location is laid along the data, and of a union's members only the one
that was probably meant keeps its errors.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from pydantic_core import ErrorDetails

from twin.spec.findings import KEY
from twin.spec.yaml import KeyPath, Plain

__all__ = ["Fault", "locate"]

MAX_WALKS = 256


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault in the data.

    `path` leads to the value; `key` says that its key is at fault, `missing` names a key or
    index that the value at `path` lacks. `kind` and `context` are pydantic's type and ctx,
    `found` the value. `alternatives` are faults of other union members that fit no better.
    """

    path: KeyPath
    kind: str
    message: str
    context: Mapping[str, object]
    found: object
    key: bool = False
    missing: str | int | None = None
    alternatives: tuple["Fault", ...] = ()


@dataclass(frozen=True, slots=True)
class _Branch:
    """A step that is not in the data: union member `label`, taken at `path`."""

    path: KeyPath
    label: str | int


@dataclass(frozen=True, slots=True)
class _Placed:
    fault: Fault
    branches: tuple[_Branch, ...]


def locate(errors: Sequence[ErrorDetails], value: Plain) -> list[Fault]:
    """Return one Fault for each error that the user should see."""
    own = [_place(error, value) for error in errors if not _is_echo(error)]
    return [placed.fault for placed in _likely(own, 0)]


def _is_echo(error: ErrorDetails) -> bool:
    """Whether a list is called too short only because faulty entries were not counted."""
    least = error.get("ctx", {}).get("min_length")
    found = error["input"]
    return error["type"] == "too_short" and isinstance(found, list) and len(found) >= (least or 0)


def _place(error: ErrorDetails, value: Plain) -> _Placed:
    steps = error["loc"]
    kind = error["type"]
    missing: str | int | None = None
    key = False
    if kind == "missing":
        steps, missing = steps[:-1], steps[-1]
    elif steps and steps[-1] == KEY:
        steps, key = steps[:-1], True
    elif kind == "extra_forbidden":
        key = True
    path, branches = _along(steps, value, error["input"])
    context = error.get("ctx", {})
    if kind == "union_tag_invalid":
        path = (*path, str(context["discriminator"]).strip("'"))
    fault = Fault(path, kind, error["msg"], context, error["input"], key, missing)
    return _Placed(fault, branches)


def _along(steps: KeyPath, value: Plain, found: object) -> tuple[KeyPath, tuple[_Branch, ...]]:
    """Return the walk that ends at the value pydantic complained of, else the longest one."""
    walks = list(islice(_walks(steps, value, ()), MAX_WALKS))
    for path, branches, end in walks:
        if type(end) is type(found) and end == found:
            return path, branches
    return walks[0][:2]


def _walks(
    steps: KeyPath, value: Plain, path: KeyPath
) -> Iterator[tuple[KeyPath, tuple[_Branch, ...], Plain]]:
    if not steps:
        yield path, (), value
        return
    head, rest = steps[0], steps[1:]
    for child in _child(value, head):
        yield from _walks(rest, child, (*path, head))
    for whole, branches, end in _walks(rest, value, path):
        yield whole, (_Branch(path, head), *branches), end


def _child(value: Plain, step: str | int) -> list[Plain]:
    if isinstance(value, dict) and isinstance(step, str) and step in value:
        return [value[step]]
    if isinstance(value, list) and isinstance(step, int):
        return value[step : step + 1]
    return []


def _likely(placed: list[_Placed], level: int) -> list[_Placed]:
    """Keep, of every union on this level of nesting, the errors of its likeliest member."""
    kept = [one for one in placed if len(one.branches) <= level]
    unions: dict[tuple[tuple[_Branch, ...], KeyPath], list[_Placed]] = {}
    for one in placed:
        if len(one.branches) > level:
            union = (one.branches[:level], one.branches[level].path)
            unions.setdefault(union, []).append(one)
    for members in unions.values():
        kept += _one_member(members, level)
    return kept


def _one_member(placed: list[_Placed], level: int) -> list[_Placed]:
    by_label: dict[str | int, list[_Placed]] = {}
    for one in placed:
        by_label.setdefault(one.branches[level].label, []).append(one)
    if len(by_label) == 1:
        return _likely(placed, level + 1)
    inside = [
        errors for errors in by_label.values() if any(_is_inside(one, level) for one in errors)
    ]
    if inside:
        return _likely(min(inside, key=len), level + 1)
    first, *others = [errors[0] for errors in by_label.values()]
    alternatives = tuple(other.fault for other in others)
    return [replace(first, fault=replace(first.fault, alternatives=alternatives))]


def _is_inside(one: _Placed, level: int) -> bool:
    """Whether the value fits the union member as a whole, and only a part of it is wrong."""
    return one.fault.missing is not None or len(one.fault.path) > len(one.branches[level].path)
