"""The headers of a message as a CloudEvent's attributes, fast where they are plain.

Plain is what bots send all day: binary mode, no escapes. It is read here by splitting; all
else goes through the full codec, whose word counts. The short way takes nothing that the
codec would refuse, and reads the same out of it.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from twin.events.cloudevents import CloudEvent, Finding, NonConforming, decode
from twin.events.headers import header_lines
from twin.registrar.times import parse_ns

__all__ = ["MAX_HEADERS", "MAX_TEXT", "Envelope", "NotAnEvent", "read_envelope"]

MAX_HEADERS: Final = 16 * 1024
MAX_TEXT: Final = 1024
NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
UNPLAIN: Final = bytes({*range(32), 127, *b'%"'} - {10, 13})
INT64: Final = 1 << 63


class NotAnEvent(ValueError):
    """Says why a message is no event."""


class Envelope(NamedTuple):
    """A conforming event. `event_ns` is None where it states no time.

    `fields` are the headers by their names in lower case, attributes as `ce-...`; `data` is
    the event's data: the payload, or in structured mode a part of it.
    """

    id: str
    source: str
    type: str
    event_ns: int | None
    fields: dict[str, str]
    data: bytes


def read_envelope(headers: bytes, payload: bytes) -> Envelope:
    """Return the event that a header block and a payload make; NotAnEvent for anything else."""
    if not headers:
        raise NotAnEvent("it has no headers")
    if len(headers) > MAX_HEADERS:
        raise NotAnEvent(f"the headers are larger than {MAX_HEADERS} bytes")
    return _read_plain(headers, payload) or _read_any(headers, payload)


def _read_plain(block: bytes, payload: bytes) -> Envelope | None:
    """Return the event if it is plain, None if the codec has to look at it."""
    fields = _plain_fields(block)
    if fields is None or fields.get("ce-specversion") != "1.0":
        return None
    try:
        event_id, source, event_type = fields["ce-id"], fields["ce-source"], fields["ce-type"]
        time_ns = parse_ns(fields["ce-time"]) if "ce-time" in fields else None
    except (KeyError, ValueError):
        return None
    if fields.get("content-type", "").lower().startswith("application/cloudevents"):
        return None
    if max(len(event_id), len(source), len(event_type)) > MAX_TEXT or not _fits(time_ns):
        return None
    return Envelope(event_id, source, event_type, time_ns, fields, payload)


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
    time_ns = _time_of(event)
    fields = {name.lower(): value for name, value in header_lines(block)}
    fields |= {f"ce-{name}": str(value) for name, value in event.attributes().items()}
    return Envelope(event.id, event.source, event.type, time_ns, fields, event.data)


def _time_of(event: CloudEvent) -> int | None:
    if event.time is None:
        return None
    time_ns = parse_ns(event.time)
    if not _fits(time_ns):
        raise NotAnEvent("its time is outside the years 1678 to 2261")
    return time_ns


def _fits(time_ns: int | None) -> bool:
    return time_ns is None or -INT64 <= time_ns < INT64


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


def _describe(finding: Finding) -> str:
    parts = (finding.attribute, finding.defect.value.replace("_", " "), finding.detail)
    return " ".join(part for part in parts if part)[:200]
