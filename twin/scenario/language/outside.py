"""What a scenario brings beside the fleet: services, watched consumers, observers, roles.

docs/your-own-service.md explains them to users.
"""

import re
from enum import StrEnum
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from twin.scenario.language.values import NS_PER_S, Duration, Model

__all__ = ["Observer", "Ready", "Role", "Service", "Sql", "Watch", "Word", "silenced_keys"]

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$")]
Key = Annotated[str, StringConstraints(pattern=r"^(id|hash|[A-Za-z_][\w-]*(\.[\w-]+)+)$")]
RowPath = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w-]*(\.[\w-]+)*$")]
Field_: TypeAlias = Literal[
    "id", "source", "subject", "payload", "key", "stream", "stream_seq", "time_ns", "deliveries"
]
FIELDS: tuple[Field_, ...] = (
    "id",
    "source",
    "subject",
    "payload",
    "key",
    "stream",
    "stream_seq",
    "time_ns",
    "deliveries",
)


class Role(StrEnum):
    """A part of the platform that the twin plays unless somebody else does."""

    BRIDGE = "bridge"
    BIOS = "bios"
    MODES = "modes"
    REGISTRAR = "registrar"


KEYS_OF: dict[Role, tuple[str, ...]] = {
    Role.BIOS: ("events.v1.bios_status",),
    Role.MODES: ("events.v1.system_mode",),
}
"""Channels by who publishes them; what is in no other role is the bridge's."""


def silenced_keys(external: tuple[Role, ...], keys: tuple[str, ...]) -> frozenset[str]:
    """Return which channels of `keys` somebody else publishes."""
    others = {key for role, own in KEYS_OF.items() if role is not Role.BRIDGE for key in own}
    found = {key for role in external for key in KEYS_OF.get(role, ())}
    if Role.BRIDGE in external:
        found |= set(keys) - others
    return frozenset(found)


def valid_pattern(text: str) -> str:
    """Refuse what is no regular expression."""
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None
    return text


def stream_and_durable(text: str) -> str:
    """Refuse what is not STREAM/DURABLE."""
    stream, slash, durable = text.partition("/")
    if not (stream and slash and durable) or "/" in durable:
        raise ValueError(f"{text!r} is no consumer: write STREAM/DURABLE")
    return text


def http_url(text: str) -> str:
    """Refuse what nobody could ask by HTTP."""
    try:
        url = urlsplit(text)
        fine = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        fine = False
    if not fine or not text.isascii() or any(char.isspace() for char in text):
        raise ValueError(f"{text!r} is no address: write http://HOST:PORT/PATH")
    return text


def number_as_text(value: object) -> object:
    """Take a number, as a parameter may be, for its text."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if plain else value


Word = Annotated[str, BeforeValidator(number_as_text, json_schema_input_type=str | int | float)]
Durable = Annotated[str, AfterValidator(stream_and_durable)]
HttpUrl = Annotated[str, StringConstraints(pattern=r"^https?://"), AfterValidator(http_url)]


class Ready(Model):
    """When a service counts as started; one of the three."""

    http: HttpUrl | None = Field(default=None, description="Answers 200 at this URL.")
    consumer: Durable | None = Field(default=None, description="STREAM/DURABLE exists.")
    log: Annotated[str, AfterValidator(valid_pattern)] | None = Field(
        default=None, description="A line of its output matches this regular expression."
    )
    within: Duration = Field(20 * NS_PER_S, description="Wall time after which it has failed.")

    @model_validator(mode="after")
    def one_sign(self) -> "Ready":
        """Refuse several signs, and none."""
        if sum(one is not None for one in (self.http, self.consumer, self.log)) != 1:
            raise ValueError("give one of http, consumer and log")
        return self


class Service(Model):
    """A process of yours that the run starts before the fleet, and stops at the end."""

    command: tuple[Word, ...] = Field(
        min_length=1, description="Program and arguments; `python` is the twin's interpreter."
    )
    env: dict[str, Word] = Field(default_factory=dict, description="Added to the environment.")
    ready: Ready | None = Field(default=None, description="Without it, as soon as it runs.")
    stop: Literal["TERM", "INT", "QUIT", "HUP"] = Field(
        default="TERM", description="The signal that asks it to end."
    )
    stop_within: Duration = Field(10 * NS_PER_S, description="Wall time before it is killed.")


class Watch(Model):
    """A durable consumer of yours: sampled for lag, drained, and asked what it gave up."""

    stream: str = Field(min_length=1, pattern=r"^[^.*>/\s]+$")
    durable: str = Field(min_length=1, pattern=r"^[^.*>/\s]+$")
    within: Duration = Field(10 * NS_PER_S, description="Wall time in which it must exist.")
    ack_latency: bool = Field(
        default=False,
        description="Consent to set its `sample_freq` to 100% while the run lasts, and back.",
    )


class Sql(Model):
    """A query on a SQLite database, whose columns are the fields of a row."""

    database: str = Field(min_length=1)
    query: str = Field(min_length=1)


class Observer(Model):
    """Where to read what a service recorded, and how rows are matched with events.

    Paths are relative to the folder of `service` in the run folder, or without one to the
    project. `fields` says where a row has each field, if not under the field's own name.
    """

    jsonl: str | None = Field(default=None, description="A file with one JSON object a line.")
    http: HttpUrl | None = Field(default=None, description="Answers a JSON array, or JSON lines.")
    sql: Sql | None = None
    stream: str | None = Field(default=None, pattern=r"^[^.*>/\s]+$", description="A stream.")
    service: Name | None = Field(default=None, description="Whose folder relative paths are in.")
    key: Key = Field(
        default="id",
        description="What identifies an event: id, a JSON path as payload.frame_id, or hash.",
    )
    fields: dict[Field_, RowPath] = Field(default_factory=dict)
    subjects: tuple[str, ...] = Field(
        default=(), description="Platform subjects that it has to record; all if not given."
    )
    settle: Duration = Field(
        2 * NS_PER_S, description="Wall time without a new row after which it has finished."
    )

    @model_validator(mode="after")
    def one_place(self) -> "Observer":
        """Refuse several places to read from, none, and a key without a payload behind it."""
        if sum(one is not None for one in (self.jsonl, self.http, self.sql, self.stream)) != 1:
            raise ValueError("give one of jsonl, http, sql and stream")
        if self.key not in ("id", "hash") and not self.key.startswith("payload."):
            raise ValueError(f"key {self.key!r}: a path begins with payload, as payload.frame_id")
        return self

    @property
    def kind(self) -> Literal["jsonl", "http", "sql", "stream"]:
        """Which of the four places it is."""
        if self.jsonl is not None:
            return "jsonl"
        if self.http is not None:
            return "http"
        return "sql" if self.sql is not None else "stream"
