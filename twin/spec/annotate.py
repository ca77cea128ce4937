"""The library of components written out as a spec, with every default and its meaning."""

import textwrap
from collections.abc import Iterator

from pydantic import BaseModel

from twin.spec.channels import CHANNELS
from twin.spec.component import ComponentKind
from twin.spec.components import KINDS
from twin.spec.dump import to_yaml
from twin.spec.units import Params
from twin.spec.yaml import Plain

__all__ = ["annotated_spec"]

WIDTH = 100
FLOW = 50

HEAD = """\
# yaml-language-server: $schema=schema/botspec.schema.json
# The bot of the platform: all components with their physics, all nine channels.
# Every value is the default; an entry without `params` means the same. Units are in the
# names and in the comments.
version: 1
kind: BotSpec
metadata: {id: QIKI-DODECA-01}
profile: qiki
components:
"""
TAIL = """\
event_bus:
  layout: platform  # fleet puts the bot's id into the subject
  channels:
{channels}
  rates: {{}}  # hertz by channel or subject, as in `qiki.telemetry: 2`
"""


def annotated_spec() -> str:
    """Return a spec of the profile qiki in which nothing is left to a default."""
    lines = [line for kind in KINDS.values() for line in _component(kind)]
    channels = "\n".join(f"    - {name}" for name in CHANNELS)
    return HEAD + "".join(f"{line}\n" for line in lines) + TAIL.format(channels=channels)


def _component(kind: ComponentKind) -> Iterator[str]:
    yield f"  {kind.name}:{_comment(kind.purpose)}"
    yield f"    type: {kind.kind}"
    for word, ports in (("provides", kind.provides), ("consumes", kind.consumes)):
        if ports:
            yield f"    {word}: {_flow(list(ports))}"
    if not kind.enabled:
        yield "    enabled: false"
    if kind.params.model_fields:
        yield "    params:"
        yield from _params(kind.params(), "      ")


def _params(params: Params, indent: str) -> Iterator[str]:
    schema = type(params).model_json_schema()["properties"]
    data = params.model_dump(mode="json")
    for name, info in type(params).model_fields.items():
        meaning = info.description or ""
        value = getattr(params, name)
        if isinstance(value, Params) and not _fits_in_a_line(value):
            yield f"{indent}{name}:{_comment(meaning)}"
            yield from _params(value, f"{indent}  ")
        elif isinstance(data[name], list) and any(isinstance(one, dict) for one in data[name]):
            yield f"{indent}{name}:{_comment(meaning)}"
            yield from (f"{indent}  - {_flow(one)}" for one in data[name])
        else:
            unit = schema[name].get("unit", "")
            yield from _line(f"{indent}{name}: {_flow(data[name])}", unit, meaning, indent)


def _line(text: str, unit: str, meaning: str, indent: str) -> Iterator[str]:
    """Yield a value with its comment behind it, or before it where that is too long."""
    comment = _comment(meaning, "" if unit == "1" else unit)
    if len(text) + len(comment) > WIDTH:
        mark = f"{indent}# "
        yield from textwrap.wrap(
            comment.removeprefix("  # "), WIDTH, initial_indent=mark, subsequent_indent=mark
        )
        comment = ""
    yield text + comment


def _fits_in_a_line(params: BaseModel) -> bool:
    """Whether a block is a small record of numbers that explain each other."""
    values = list(params.model_dump(mode="json").values())
    return (
        2 <= len(values) <= 5
        and len(_flow(list(values))) <= FLOW
        and not any(isinstance(value, dict | list) for value in values)
    )


def _comment(meaning: str, unit: str = "") -> str:
    text = meaning.rstrip(".")
    if not text[1:2].isupper():
        text = text[:1].lower() + text[1:]
    parts = ", ".join(part for part in (unit, text) if part)
    return f"  # {parts}" if parts else ""


def _flow(value: Plain) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e6 else repr(value)
    return to_yaml([value])[2:].strip()
