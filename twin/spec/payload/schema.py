"""Values by JSON Schema: a small, checked subset, filled from a hash of (seed, bot, channel, seq).

Understood: type, properties, items, minItems, maxItems, minimum, maximum, minLength,
maxLength, enum, const, format (date-time, uuid) and annotations. All properties are made,
required or not. Numbers lie in 0..1 and integers in 0..100 where bounds are not given.
"""

import hashlib
import uuid
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from twin.spec.findings import Findings, did_you_mean
from twin.spec.payload.template import Moment, rfc3339
from twin.spec.yaml import KeyPath, Plain

__all__ = ["check_schema", "schema_value"]

Schema: TypeAlias = Mapping[str, Plain]

TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
FORMATS = ("date-time", "uuid")
_ANNOTATIONS = ("$schema", "$id", "title", "description", "default", "examples", "required")
_ANYWHERE = ("type", "enum", "const", "additionalProperties", *_ANNOTATIONS)
_KEYWORDS: Mapping[str, tuple[str, ...]] = {
    "object": ("properties",),
    "array": ("items", "minItems", "maxItems"),
    "string": ("format", "minLength", "maxLength"),
    "number": ("minimum", "maximum"),
    "integer": ("minimum", "maximum"),
    "boolean": (),
    "null": (),
}
_DEFAULTS: Mapping[str, tuple[str, str, float, float]] = {
    "array": ("minItems", "maxItems", 0, 100),
    "string": ("minLength", "maxLength", 0, 1000),
    "number": ("minimum", "maximum", 0, 1),
    "integer": ("minimum", "maximum", 0, 100),
}
_MOST = {"array": 100, "string": 10_000}
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def check_schema(schema: Plain, path: KeyPath, findings: Findings) -> None:
    """Record everything in the schema that no value could be made for, at its place."""
    if not isinstance(schema, dict):
        findings.add(path, "a schema is a mapping with a `type`, `enum` or `const`")
        return
    if "const" in schema or "enum" in schema:
        if "enum" in schema and not (isinstance(schema["enum"], list) and schema["enum"]):
            findings.add((*path, "enum"), "an enum is a list with at least one value")
        return
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        found = f"{kind!r}{did_you_mean(str(kind), list(TYPES))}"
        findings.add((*path, "type"), f"`type` must be one of the JSON types, not {found}")
        return
    _check_keywords(schema, kind, path, findings)
    _check_bounds(schema, kind, path, findings)
    for inner, child in _children(schema, kind):
        check_schema(child, (*path, *inner), findings)


def _check_keywords(schema: Schema, kind: str, path: KeyPath, findings: Findings) -> None:
    known = [*_KEYWORDS[kind], *_ANYWHERE]
    for key in schema:
        if key not in known:
            message = f"the keyword {key!r} is not understood for {kind}{did_you_mean(key, known)}"
            findings.add((*path, key), message, key=True)
    form = schema.get("format")
    if kind == "string" and form is not None and form not in FORMATS:
        message = f"the format {form!r} is not understood{did_you_mean(str(form), list(FORMATS))}"
        findings.add((*path, "format"), message)
    if kind == "array" and "items" not in schema:
        findings.add(path, "an array needs `items`")
    if kind == "object" and not isinstance(schema.get("properties", {}), dict):
        findings.add((*path, "properties"), "`properties` is a mapping from name to schema")


def _check_bounds(schema: Schema, kind: str, path: KeyPath, findings: Findings) -> None:
    if kind not in _DEFAULTS:
        return
    for name in _DEFAULTS[kind][:2]:
        value = schema.get(name, 0)
        whole = kind != "number"
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            word = "a whole number" if whole else "a number"
            findings.add((*path, name), f"{name} must be {word}")
            return
    low, high = _bounds(schema, kind)
    if low > high:
        findings.add(path, f"{_DEFAULTS[kind][0]} {low:g} is above {_DEFAULTS[kind][1]} {high:g}")
    elif kind in _MOST and not 0 <= low <= high <= _MOST[kind]:
        findings.add(path, f"{_DEFAULTS[kind][1]} must be at most {_MOST[kind]}, and none negative")


def _children(schema: Schema, kind: str) -> Iterator[tuple[KeyPath, Plain]]:
    properties = schema.get("properties")
    if kind == "object" and isinstance(properties, dict):
        for name, child in properties.items():
            yield ("properties", name), child
    if kind == "array" and "items" in schema:
        yield ("items",), schema["items"]


def _bounds(schema: Schema, kind: str) -> tuple[float, float]:
    """Return the bounds of a number, length or count; one alone brings the other with it."""
    low_name, high_name, low, high = _DEFAULTS[kind]
    span = high - low if kind in ("number", "integer") else 8
    given_low, given_high = schema.get(low_name), schema.get(high_name)
    if isinstance(given_low, int | float):
        low = given_low
        high = low + span
    if isinstance(given_high, int | float):
        high = given_high
        low = low if isinstance(given_low, int | float) else min(low, high)
    elif given_low is None and kind not in ("number", "integer"):
        high = span
    return low, high


class _Draws:
    """Uniform numbers in [0, 1) from a hash: the same for the same event, wherever it is made."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        self._count = 0

    def next(self) -> float:
        self._count += 1
        digest = hashlib.blake2b(self._key, digest_size=8, salt=self._count.to_bytes(16, "big"))
        return (int.from_bytes(digest.digest(), "big") >> 11) / (1 << 53)

    def below(self, n: int) -> int:
        return int(self.next() * n)


def schema_value(schema: Plain, moment: Moment, channel: str, seed: int) -> Plain:
    """Return a value that fits the (checked) schema, always the same for the same event."""
    draws = _Draws(f"{seed}/{moment.bot}/{channel}/{moment.seq}")
    return _value(schema, moment, draws)


def _value(schema: Plain, moment: Moment, draws: _Draws) -> Plain:
    if not isinstance(schema, dict):
        raise TypeError("the schema was not checked")
    if "const" in schema:
        return schema["const"]
    choices = schema.get("enum")
    if isinstance(choices, list):
        return choices[draws.below(len(choices))]
    return _of_type(schema, str(schema["type"]), moment, draws)


def _of_type(schema: Schema, kind: str, moment: Moment, draws: _Draws) -> Plain:
    if kind == "object":
        children = _children(schema, kind)
        return {str(path[-1]): _value(child, moment, draws) for path, child in children}
    if kind == "null":
        return None
    if kind == "string" and "format" in schema:
        return _formatted(str(schema["format"]), moment, draws)
    return _measured(schema, kind, moment, draws)


def _measured(schema: Schema, kind: str, moment: Moment, draws: _Draws) -> Plain:
    low, high = (0.0, 1.0) if kind == "boolean" else _bounds(schema, kind)
    if kind == "number":
        return min(max(round(low + (high - low) * draws.next(), 3), low), high)
    count = int(low) + draws.below(int(high) - int(low) + 1)
    if kind == "array":
        return [_value(schema["items"], moment, draws) for _ in range(count)]
    if kind == "string":
        return "".join(_LETTERS[draws.below(len(_LETTERS))] for _ in range(count))
    return count == 1 if kind == "boolean" else count


def _formatted(form: str, moment: Moment, draws: _Draws) -> str:
    if form == "date-time":
        return rfc3339(moment.time_ns)
    bits = (draws.below(1 << 53) << 75) | (draws.below(1 << 53) << 22) | draws.below(1 << 22)
    return str(uuid.UUID(int=bits, version=4))
