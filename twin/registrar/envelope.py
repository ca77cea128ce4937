"""The headers of a message as a CloudEvent's attributes, fast where they are plain.

Plain is what bots send all day: binary mode, no escapes. It is read by the pattern of its
shape or, the first times, by splitting; all else goes through the full codec, whose word
counts. The short ways take nothing that the codec would refuse, and read the same out of it.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from twin.events.attributes import is_time
from twin.events.cloudevents import CloudEvent, Finding, NonConforming, decode
from twin.events.headers import header_lines
from twin.events.subjects import FLEET_ROOT
from twin.registrar.shapes import CORRELATIONS, MAX_TEXT, TRACES, Shape, Shapes, promises_json
from twin.registrar.times import parse_ns

__all__ = ["MAX_HEADERS", "MAX_TEXT", "Envelope", "NotAnEvent", "Reader", "bot_of", "trace_id"]

MAX_HEADERS: Final = 16 * 1024
NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
UNPLAIN: Final = bytes({*range(32), 127, *b'%"'} - {10, 13})
INT64: Final = 1 << 63
TWIN_SOURCE: Final = "urn:twin:"


class NotAnEvent(ValueError):
    """Says why a message is no event."""


class Envelope(NamedTuple):
    """A conforming event. `event_ns` is None where it states no time.

    `json` tells whether its content is to be JSON, `correlation` and `trace` are the ids in
    its headers; `data` is the event's data: the payload, or in structured mode a part of it.
    """

    id: str
    source: str
    type: str
    event_ns: int | None
    intended_ns: int
    json: bool
    correlation: str
    trace: str
    data: bytes


class Reader:
    """Reads envelopes; remembers only what header blocks look like."""

    def __init__(self) -> None:
        self._shapes = Shapes()

    def shape_of(self, headers: bytes) -> Shape | None:
        """Return the shape of a plain header block that promises JSON; None for any other."""
        if len(headers) > MAX_HEADERS or not headers.isascii():
            return None
        shape = self._shapes.find(headers.decode())
        return shape if shape is not None and shape.json else None

    def read(self, headers: bytes, payload: bytes) -> Envelope:
        """Return the event that header block and payload make; NotAnEvent for anything else."""
        if not headers:
            raise NotAnEvent("it has no headers")
        if len(headers) > MAX_HEADERS:
            raise NotAnEvent(f"the headers are larger than {MAX_HEADERS} bytes")
        if headers.isascii():
            block = headers.decode()
            if (found := self._shapes.read(block)) is not None:
                values, json = found
                event_id, source, event_type, time, intended, correlation, trace = values
                try:
                    return Envelope(
                        event_id,
                        source,
                        event_type,
                        _time_of(time) if time else None,
                        int(intended) if intended else 0,
                        json,
                        correlation[:MAX_TEXT],
                        trace_id(trace) if trace else "",
                        payload,
                    )
                except (ValueError, OverflowError):
                    pass  # the codec says what is wrong with its time
            elif (fields := _read_plain(headers)) is not None:
                self._shapes.learn(block, fields)
                return _envelope(fields, payload)
        return _read_any(headers, payload)


def _envelope(fields: Mapping[str, str], data: bytes) -> Envelope:
    """Return the event of these headers by name in lower case, attributes as `ce-...`."""
    return Envelope(
        fields["ce-id"],
        fields["ce-source"],
        fields["ce-type"],
        _time_of(fields["ce-time"]) if "ce-time" in fields else None,
        _intended_ns(fields.get("twin-intended-ns", "")),
        promises_json(fields),
        next((fields[name] for name in CORRELATIONS if name in fields), "")[:MAX_TEXT],
        trace_id(next((fields[name] for name in TRACES if name in fields), "")),
        data,
    )


def _read_plain(block: bytes) -> dict[str, str] | None:
    """Return the headers of an event if it is plain, None if the codec has to look at it."""
    fields = _plain_fields(block)
    if fields is None or fields.get("ce-specversion") != "1.0":
        return None
    try:
        texts = fields["ce-id"], fields["ce-source"], fields["ce-type"]
        if "ce-time" in fields:
            _time_of(fields["ce-time"])
            if not is_time(fields["ce-time"]):
                return None
    except (KeyError, ValueError, OverflowError):
        return None
    if fields.get("content-type", "").lower().startswith("application/cloudevents"):
        return None
    return None if max(map(len, texts)) > MAX_TEXT else fields


def _plain_fields(block: bytes) -> dict[str, str] | None:
    """Return the fields of a block of ASCII lines `name: value` that need no decoding."""
    if not block.isascii() or len(block.translate(None, UNPLAIN)) != len(block):
        return None
    text = block.decode().rstrip("\r\n")
    first, *lines = text.split("\r\n")
    if first != "NATS/1.0" or not text.count("\n") == text.count("\r") == len(lines):
        return None
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        key = _field_name(name)
        if not key or not value or value[0] == " " or value[-1] == " " or key in fields:
            return None
        fields[key] = value
    return fields


def _read_any(block: bytes, payload: bytes) -> Envelope:
    event = decode(block, payload)
    if isinstance(event, NonConforming):
        raise NotAnEvent(", ".join(map(_describe, event.findings)))
    for name in ("id", "source", "type"):
        if len(getattr(event, name)) > MAX_TEXT:
            raise NotAnEvent(f"the attribute {name} is longer than {MAX_TEXT} characters")
    fields = {name.lower(): value for name, value in header_lines(block)}
    fields |= _attributes(event)
    try:
        return _envelope(fields, event.data)
    except OverflowError:
        raise NotAnEvent("its time is outside the years 1678 to 2261") from None


def _attributes(event: CloudEvent) -> dict[str, str]:
    return {f"ce-{name}": str(value) for name, value in event.attributes().items()}


@lru_cache(maxsize=100_000)
def bot_of(source: str, subject: str) -> str:
    """Return the bot that a source or a logical subject names, empty if there is none."""
    if source.startswith(TWIN_SOURCE):
        return source.rpartition(":")[2]
    if subject.startswith(FLEET_ROOT):
        return subject.removeprefix(FLEET_ROOT).partition(".")[0]
    return ""


@lru_cache(maxsize=4096)
def _time_of(text: str) -> int:
    """Return a time that fits the store; ValueError if it is none, OverflowError if it does not."""
    time_ns = parse_ns(text)
    if not -INT64 <= time_ns < INT64:
        raise OverflowError(text)
    return time_ns


@lru_cache(maxsize=1024)
def _field_name(name: str) -> str:
    """Return a header's name in lower case, `ce_` as `ce-`; empty if the codec must judge it."""
    lower = name.lower()
    if not NAME.fullmatch(name):
        return ""
    if not lower.startswith(("ce-", "ce_")):
        return lower
    attribute = lower[3:]
    plain = attribute.isascii() and attribute.isalnum() and attribute != "data"
    return f"ce-{attribute}" if plain else ""


def _intended_ns(text: str) -> int:
    value = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
    return value if value < INT64 else 0


def trace_id(text: str) -> str:
    """Return the trace id of a W3C traceparent."""
    parts = text.split("-")
    return parts[1] if len(parts) >= 4 and len(parts[1]) == 32 else ""


def _describe(finding: Finding) -> str:
    parts = (finding.attribute, finding.defect.value.replace("_", " "), finding.detail)
    return " ".join(part for part in parts if part)[:200]
