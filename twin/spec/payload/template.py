"""Templates: any JSON value whose texts may hold `{name}` placeholders.

A text that is exactly one placeholder takes the value's type; inside a longer text the value
is written out. `{name:2}` rounds to two decimals (3 unless told, 0 makes an integer); `{{` and
`}}` are braces. Names are those of `ALWAYS`, and `plane.quantity` for the state of the twin; a
quantity that has no value (nan) becomes null.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias

from twin.spec.findings import Findings, did_you_mean
from twin.spec.yaml import KeyPath, Plain

__all__ = [
    "ALWAYS",
    "Moment",
    "check_template",
    "compile_template",
    "rfc3339",
    "state_names",
    "template_schema",
]

DECIMALS = 3
_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_NAME = re.compile(r"([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*)(?::([0-9]))?")

Value: TypeAlias = float | int | bool | str


class Moment(NamedTuple):
    """What a payload may say: who, when, the how-manieth, and the state of the bot.

    `time_ns` counts from 1970 on the simulated clock; `state` maps `plane.quantity` to its
    value for this bot.
    """

    bot: str
    seq: int
    time_ns: int
    state: Mapping[str, Value]


ALWAYS: Mapping[str, Callable[[Moment], Value]] = {
    "bot": lambda moment: moment.bot,
    "seq": lambda moment: moment.seq,
    "time": lambda moment: rfc3339(moment.time_ns),
    "time_s": lambda moment: moment.time_ns / 1e9,
    "time_ms": lambda moment: moment.time_ns // 1_000_000,
}
"""Names that every template knows besides the state of the twin."""

Maker: TypeAlias = Callable[[Moment], Plain]


def rfc3339(time_ns: int) -> str:
    """Return UTC with milliseconds and Z."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    stamp = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{stamp}.{rest // 1_000_000:03d}Z"


def check_template(template: Plain, path: KeyPath, findings: Findings) -> None:
    """Record every placeholder that cannot be filled, at its place below `path`."""
    for inner, text in _texts(template, path):
        for match in _PART.finditer(text):
            if fault := _fault(match):
                findings.add(inner, fault)


def state_names(template: Plain) -> tuple[str, ...]:
    """Return the `plane.quantity` names that the template reads, sorted."""
    found = {
        name[1]
        for _, text in _texts(template, ())
        for match in _PART.finditer(text)
        if match[1] and (name := _NAME.fullmatch(match[1])) and name[1] not in ALWAYS
    }
    return tuple(sorted(found))


def template_schema(template: Plain) -> dict[str, Plain]:
    """Return the JSON Schema of what the template gives; a lone placeholder may be anything."""
    if isinstance(template, dict):
        properties: dict[str, Plain] = {k: template_schema(v) for k, v in template.items()}
        return {"type": "object", "properties": properties, "required": list(template)}
    if isinstance(template, list):
        return {"type": "array", "items": [template_schema(item) for item in template]}
    if not isinstance(template, str) or not _PART.search(template):
        return {"const": template}
    whole = _PART.fullmatch(template)
    return {} if whole is not None and whole[1] else {"type": "string"}


def compile_template(template: Plain) -> Maker:
    """Return a function from a moment to the template filled in; the template must be good."""
    if isinstance(template, dict):
        fields = {key: compile_template(value) for key, value in template.items()}
        return lambda moment: {key: make(moment) for key, make in fields.items()}
    if isinstance(template, list):
        items = [compile_template(item) for item in template]
        return lambda moment: [make(moment) for make in items]
    if isinstance(template, str) and _PART.search(template):
        return _compile_text(template)
    return lambda moment: template


def _compile_text(text: str) -> Maker:
    whole = _PART.fullmatch(text)
    if whole is not None and whole[1]:
        return _compile_name(whole[1])
    parts = list(_parts(text))
    return lambda moment: "".join(
        part if isinstance(part, str) else _written(part(moment)) for part in parts
    )


def _parts(text: str) -> Iterator[str | Maker]:
    end = 0
    for match in _PART.finditer(text):
        yield text[end : match.start()]
        yield _compile_name(match[1]) if match[1] else match[0][0]
        end = match.end()
    yield text[end:]


def _compile_name(placeholder: str) -> Maker:
    match = _NAME.fullmatch(placeholder)
    if match is None:
        raise ValueError(f"{placeholder!r} is no placeholder")
    name, decimals = match[1], int(match[2] or DECIMALS)
    if name in ALWAYS:
        read = ALWAYS[name]
        return lambda moment: _rounded(read(moment), decimals)
    return lambda moment: _rounded(moment.state[name], decimals)


def _rounded(value: Value, decimals: int) -> Plain:
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    return round(value, decimals) if decimals else round(value)


def _written(value: Plain) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _texts(template: Plain, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(template, str):
        yield path, template
    elif isinstance(template, dict):
        for key, value in template.items():
            yield from _texts(value, (*path, key))
    elif isinstance(template, list):
        for index, item in enumerate(template):
            yield from _texts(item, (*path, index))


def _fault(match: re.Match[str]) -> str:
    if match[0] in ("{{", "}}"):
        return ""
    if match[1] is None:
        return f"a lone {match[0]!r}: write {match[0] * 2!r} for the character itself"
    name = _NAME.fullmatch(match[1])
    if name is None:
        return f"{match[0]!r} is no placeholder: write {{plane.quantity}} or {{plane.quantity:2}}"
    if "." not in name[1] and name[1] not in ALWAYS:
        return f"unknown placeholder {match[0]!r}{did_you_mean(name[1], list(ALWAYS))}"
    return ""
