"""Plain words for a fault: what is wrong, what was found, what is allowed."""

import re
from collections.abc import Callable, Mapping

from twin.spec.findings import did_you_mean, listed
from twin.spec.locate import Fault
from twin.spec.shape import known_keys, unit_at
from twin.spec.yaml import Plain

__all__ = ["explain", "show"]

_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'")
_SWITCH = {"yes": "true", "y": "true", "on": "true", "no": "false", "n": "false", "off": "false"}

_EXPECTED: Mapping[str, str] = {
    **dict.fromkeys(("string_type", "string_sub_type"), "text"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), "a list"),
    **dict.fromkeys(("dict_type", "model_type", "mapping_type"), "a mapping (key: value)"),
    **dict.fromkeys(("model_attributes_type", "dataclass_type"), "a mapping (key: value)"),
    "none_required": "nothing (null)",
    "finite_number": "a finite number",
}
_LIMITS: Mapping[str, tuple[str, str]] = {
    "greater_than": ("gt", "must be more than"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be less than"),
    "less_than_equal": ("le", "must be at most"),
    "multiple_of": ("multiple_of", "must be a multiple of"),
}
_LENGTHS: Mapping[str, tuple[str, str]] = {
    "too_short": ("min_length", "needs at least {} entries"),
    "too_long": ("max_length", "may have at most {} entries"),
    "string_too_short": ("min_length", "needs at least {} characters"),
    "string_too_long": ("max_length", "may have at most {} characters"),
}


def explain(fault: Fault, value: Plain, schema: Mapping[str, Plain]) -> str:
    """Return one line for `fault` in the data `value`, whose JSON Schema is `schema`."""
    words = [_one(each, value, schema) for each in (fault, *fault.alternatives)]
    return " ".join(", or ".join(dict.fromkeys(words)).splitlines())


def _one(fault: Fault, value: Plain, schema: Mapping[str, Plain]) -> str:
    if fault.kind in _EXPECTED:
        return _wrong_type(fault, known_keys(schema, fault.path, value))
    if fault.kind in _LIMITS:
        return _out_of_range(fault, unit_at(schema, fault.path, value))
    if fault.kind in _LENGTHS:
        word, pattern = _LENGTHS[fault.kind]
        return f"{show(fault.found)} {pattern.format(fault.context.get(word))}"
    if fault.kind == "extra_forbidden":
        return _unknown_key(fault, known_keys(schema, fault.path[:-1], value))
    return _OTHERS.get(fault.kind, _unforeseen)(fault)


def _unknown_key(fault: Fault, known: list[str]) -> str:
    name = str(fault.path[-1])
    return f"unknown key {show(name)}{did_you_mean(name, known)}"


def _wrong_type(fault: Fault, keys: list[str]) -> str:
    """`keys` are those of the mapping that is expected, if there are any."""
    named = keys and fault.kind in ("model_type", "model_attributes_type") and fault.path
    hint = f"; its keys are {listed(keys)}" if named else ""
    if fault.kind.startswith("bool") and isinstance(fault.found, str):
        switch = _SWITCH.get(fault.found.lower())
        hint = f"; did you mean {switch}?" if switch else ""
    return f"expected {_EXPECTED[fault.kind]}, found {show(fault.found)}{hint}"


def _out_of_range(fault: Fault, unit: str) -> str:
    word, text = _LIMITS[fault.kind]
    limit = fault.context.get(word)
    number = f"{limit:g}" if isinstance(limit, float) else str(limit)
    return f"{show(fault.found)} {text} {number}{f' {unit}' if unit else ''}"


def _missing(fault: Fault) -> str:
    if isinstance(fault.missing, int):
        return f"entry {fault.missing + 1} is missing"
    return f"the key '{fault.missing}' is missing"


def _not_a_choice(fault: Fault) -> str:
    choices = _choices(str(fault.context.get("expected", "")))
    if not isinstance(fault.found, str) or not choices:
        return f"expected {fault.context.get('expected')}, found {show(fault.found)}"
    return f"{show(fault.found)} is not known here{did_you_mean(fault.found, choices)}"


def _unknown_tag(fault: Fault) -> str:
    name = _tag_name(fault)
    tag = str(fault.context.get("tag", ""))
    choices = _choices(str(fault.context.get("expected_tags", "")))
    return f"{name} {show(tag)} is not known here{did_you_mean(tag, choices)}"


def _no_tag(fault: Fault) -> str:
    if not isinstance(fault.found, dict):
        return f"expected a mapping (key: value), found {show(fault.found)}"
    return f"the key '{_tag_name(fault)}' is missing"


def _tag_name(fault: Fault) -> str:
    return str(fault.context.get("discriminator", "")).strip("'")


def _pattern(fault: Fault) -> str:
    return f"{show(fault.found)} does not match the pattern {fault.context.get('pattern')}"


def _own_words(fault: Fault) -> str:
    return str(fault.context.get("error") or fault.context.get("message") or fault.message)


def _unforeseen(fault: Fault) -> str:
    return f"{fault.message[:1].lower()}{fault.message[1:]}, found {show(fault.found)}"


_OTHERS: Mapping[str, Callable[[Fault], str]] = {
    "missing": _missing,
    "literal_error": _not_a_choice,
    "enum": _not_a_choice,
    "union_tag_invalid": _unknown_tag,
    "union_tag_not_found": _no_tag,
    "string_pattern_mismatch": _pattern,
    "value_error": _own_words,
    "assertion_error": _own_words,
    "finding": _own_words,
}


def _choices(expected: str) -> list[str]:
    return _QUOTED.findall(expected)


def show(value: object) -> str:
    """Return a value as a message names it, cut to a readable length."""
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else f"{value[:57]}...")
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)
