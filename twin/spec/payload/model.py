"""A channel that a user defines: where, how often, and what its payload is."""

import base64
import re
from collections.abc import Callable
from typing import Annotated, TypeAlias, cast

import orjson
from pydantic import Field, JsonValue, StringConstraints, field_validator, model_validator

from twin.spec.component import Part
from twin.spec.findings import Findings
from twin.spec.payload.schema import check_schema, schema_value
from twin.spec.payload.template import Moment, check_template, compile_template, state_names
from twin.spec.yaml import Plain

__all__ = ["CustomChannel", "Payload", "PayloadMaker", "Rate", "overlap"]

Rate = Annotated[float, Field(gt=0, le=1000, json_schema_extra={"unit": "Hz"})]
PayloadMaker: TypeAlias = Callable[[Moment], bytes]

_TOKEN = r"(?:[A-Za-z0-9_-]+|\{bot\})"  # noqa: S105 - a token of a subject
_RESERVED_ROOTS = ("qiki", "twin", "_INBOX")
_RESERVED_HEADERS = re.compile(r"(?i)(ce[-_]|nats-|twin-|content-type$)")
_HEADER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,1024}")


class Payload(Part):
    """What a message carries: one of the three kinds."""

    json_schema: dict[str, JsonValue] | None = Field(
        default=None,
        description="Values are made to fit this JSON Schema (a subset), from the seed.",
    )
    template: JsonValue = Field(
        default=None,
        description="Any JSON; {bot}, {time}, {power.soc_pct} in its texts are filled in.",
    )
    samples: tuple[str, ...] = Field(
        default=(),
        description="Files beside the spec, sent in turn as they are: JSON or opaque bytes.",
    )
    inline: tuple[str, ...] = Field(
        default=(), description="Samples in base64, as they stand in the resolved copy of a spec."
    )

    @property
    def kind(self) -> str:
        """The one that is given: json_schema, template, samples or inline."""
        return next(name for name in type(self).model_fields if name in self.given())

    def given(self) -> list[str]:
        """Return the names of the kinds that are given."""
        return [name for name in type(self).model_fields if getattr(self, name) not in (None, ())]

    @property
    def state(self) -> tuple[str, ...]:
        """The `plane.quantity` names that have to be in `Moment.state`."""
        return state_names(self.template) if self.kind == "template" else ()

    @model_validator(mode="after")
    def _one_kind(self) -> "Payload":
        findings = Findings()
        given = self.given()
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            findings.add((), f"a payload is json_schema, template or samples, not {found}")
        if self.json_schema is not None:
            check_schema(cast("Plain", self.json_schema), ("json_schema",), findings)
        check_template(self.template, ("template",), findings)
        for index, text in enumerate(self.inline):
            if _decoded(text) is None:
                findings.add(("inline", index), "is not base64")
        findings.raise_any("Payload")
        return self


class CustomChannel(Part):
    """A channel of the profile custom."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")] = Field(
        description="How rates, reports and the bot's messages call it."
    )
    subject: Annotated[
        str, StringConstraints(pattern=rf"^{_TOKEN}(?:\.{_TOKEN}){{1,15}}$", max_length=200)
    ] = Field(description="Where it is published; {bot} stands for the bot's id.")
    type: str = Field(
        default="", description="CloudEvents type; made of the name where it is not given."
    )
    rate_hz: Rate = Field(default=1.0, description="Messages per second of one bot.")
    stream: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,31}$")] = Field(
        default="CUSTOM_V1", description="The JetStream stream that stores it."
    )
    content_type: str = Field(default="", description="As the payload is, where it is not given.")
    headers: dict[str, str] = Field(
        default_factory=dict, description="Further headers of every message."
    )
    payload: Payload

    @property
    def event_type(self) -> str:
        """The CloudEvents type."""
        return self.type or f"twin.custom.v1.{self.name}"

    @property
    def media_type(self) -> str:
        """The content type of the payload."""
        opaque = self.payload.kind in ("samples", "inline")
        return self.content_type or ("application/octet-stream" if opaque else "application/json")

    @property
    def pattern(self) -> str:
        """The subject with `*` for the bot."""
        return self.subject.replace("{bot}", "*")

    def subject_of(self, bot: str) -> str:
        """Return the subject on which `bot` publishes."""
        return self.subject.replace("{bot}", bot)

    def maker(self, seed: int) -> PayloadMaker:
        """Return the function from a moment to payload bytes; samples must have been read."""
        kind = self.payload.kind
        if kind == "template":
            fill = compile_template(self.payload.template)
            return lambda moment: orjson.dumps(fill(moment))
        if kind == "json_schema":
            schema = cast("Plain", self.payload.json_schema)
            return lambda moment: orjson.dumps(schema_value(schema, moment, self.name, seed))
        if kind == "samples":
            raise ValueError(f"the samples of {self.name!r} have not been read: use load_spec")
        samples = [base64.b64decode(text) for text in self.payload.inline]
        return lambda moment: samples[(moment.seq - 1) % len(samples)]

    @field_validator("subject")
    @classmethod
    def _names_the_bot(cls, subject: str) -> str:
        tokens = subject.split(".")
        if tokens.count("{bot}") != 1:
            raise ValueError(f"{subject!r} must have {{bot}} as one token, as in fleet.{{bot}}.gps")
        if tokens[0] in _RESERVED_ROOTS:
            raise ValueError(f"{subject!r} begins with {tokens[0]}, which is not free")
        return subject

    @field_validator("stream")
    @classmethod
    def _is_not_the_platforms(cls, stream: str) -> str:
        if stream.startswith("QIKI_"):
            raise ValueError(f"the stream {stream} is the platform's")
        return stream

    @field_validator("headers")
    @classmethod
    def _headers_are_safe(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no header name")
            if _RESERVED_HEADERS.match(name):
                raise ValueError(f"the header {name!r} is set by twin")
            if not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"the header {name!r} may hold printable ASCII only")
        return headers


def overlap(one: str, other: str) -> bool:
    """Say whether a subject could match both patterns, in which `*` stands for one token."""
    ones, others = one.split("."), other.split(".")
    return len(ones) == len(others) and all(
        a == b or "*" in (a, b) for a, b in zip(ones, others, strict=True)
    )


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None
