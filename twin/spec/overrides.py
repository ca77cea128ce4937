"""A spec with some values changed, each named by a dotted path such as `power.soc_pct`."""

import re
from collections.abc import Mapping

from pydantic import ValidationError

from twin.errors import InputError, Problem
from twin.spec.bot import BotSpec
from twin.spec.component import NoParams
from twin.spec.components import KINDS
from twin.spec.dump import plain_spec
from twin.spec.findings import did_you_mean
from twin.spec.parse import faults, validate_plain
from twin.spec.units import Params
from twin.spec.yaml import Document, KeyPath, Plain

__all__ = ["block_names", "with_overrides"]


def with_overrides(
    spec: BotSpec,
    overrides: Mapping[str, Plain],
    document: Document | None = None,
    path: KeyPath = (),
) -> BotSpec:
    """Return the spec with other params, validated again.

    The first word of a key is a component (`radar_360`) or a block of params (`radar`); the
    rest leads into its params, list entries by index; `COMPONENT.enabled` is its switch.
    `document` and `path` say where the overrides are written. Raises InputError.
    """
    data, problems = plain_spec(spec), []
    places: dict[KeyPath, str] = {}
    for key, value in overrides.items():
        try:
            places[_put(data, key, value)] = key
        except ValueError as error:
            problems.append(_problem(key, str(error), document, path, at_key=True))
    if problems:
        raise InputError(problems)
    try:
        return validate_plain(BotSpec, data)
    except ValidationError as error:
        found = faults(BotSpec, data, error)
        raise InputError(
            [
                _problem(_responsible(fault.path, places), message, document, path, fault.key)
                for fault, message in found
            ]
        ) from error


def block_names() -> dict[str, KeyPath]:
    """Return what a dotted path may begin with, and where in `components` that leads."""
    names: dict[str, KeyPath] = {}
    for component, kind in KINDS.items():
        names.setdefault(_short_name(kind.params), (component, "params"))
        for field, info in kind.params.model_fields.items():
            inner = info.annotation
            if isinstance(inner, type) and _is_block(inner, field):
                names.setdefault(field, (component, "params", field))
    names.pop(_short_name(NoParams), None)
    return names | {component: (component, "params") for component in KINDS}


def _is_block(annotation: type, field: str) -> bool:
    return issubclass(annotation, Params) and _short_name(annotation) == field


def _short_name(params: type[Params]) -> str:
    """Return `star_tracker` for StarTrackerParams."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", params.__name__.removesuffix("Params")).lower()


def _put(data: dict[str, Plain], key: str, value: Plain) -> KeyPath:
    """Set the value in `data` and return its path; ValueError says why the key leads nowhere."""
    first, *rest = key.split(".")
    names = block_names()
    if first not in names:
        raise ValueError(f"unknown component or block {first!r}{did_you_mean(first, list(names))}")
    if not rest:
        raise ValueError(f"{key!r} names no value: write {key}.NAME")
    path: KeyPath = ("components", *names[first], *map(_step, rest))
    if rest == ["enabled"]:
        path = ("components", names[first][0], "enabled")
    holder = _descend(data, path[:-1])
    if isinstance(holder, dict):
        holder[str(path[-1])] = value
    elif isinstance(holder, list) and isinstance(path[-1], int) and path[-1] < len(holder):
        holder[path[-1]] = value
    else:
        raise ValueError(f"{path[-2]!r} has nothing inside that {path[-1]!r} could name")
    return path


def _step(word: str) -> str | int:
    return int(word) if word.isdecimal() else word


def _descend(data: Plain, path: KeyPath) -> Plain:
    for step in path:
        if isinstance(data, dict) and isinstance(step, str):
            if step not in data:
                raise ValueError(f"there is no {step!r} here{did_you_mean(step, list(data))}")
            data = data[step]
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            raise ValueError(f"{step!r} leads nowhere")
    return data


def _responsible(fault: KeyPath, places: Mapping[KeyPath, str]) -> str:
    """Return the override that the fault comes from, "" where no single one is at fault."""
    related = (key for path, key in places.items() if _on_one_line(path, fault))
    return next(related, "")


def _on_one_line(one: KeyPath, other: KeyPath) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _problem(
    key: str, message: str, document: Document | None, path: KeyPath, at_key: bool
) -> Problem:
    if document is None:
        return Problem(key or "overrides", 0, 0, message)
    return document.problem((*path, key) if key else path, message, key=at_key)
