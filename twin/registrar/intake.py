"""From a message to what is recorded of it: an event, or the note that it is none.

A message that is no event (broken headers, no CloudEvents attributes, no JSON where JSON is
promised, too large, nested too deep) is *poison*: it is quarantined as a note, so that it
can be acknowledged and never blocks what comes after it.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple
from urllib.parse import unquote

import orjson

from twin.events.subjects import FLEET_ROOT, SubjectSpace
from twin.registrar.codes import CODES
from twin.registrar.record import Note, Row
from twin.registrar.rules import Classifier, Json
from twin.registrar.times import parse_ns

__all__ = ["MAX_PAYLOAD", "Event", "Intake", "Message"]

MAX_PAYLOAD: Final = 512 * 1024
"""Bytes of a payload above which a message is quarantined."""

MAX_HEADERS: Final = 16 * 1024
MAX_TEXT: Final = 1024
MAX_DEPTH: Final = 64
KEPT: Final = 4096
POISON: Final = 920
TWIN_SOURCE: Final = "urn:twin:"
REQUIRED: Final = ("ce-id", "ce-source", "ce-type")
CONTENT_TYPES: Final = ("content-type", "ce-datacontenttype", "datacontenttype")
CORRELATIONS: Final = ("ce-correlationid", "correlation-id", "x-correlation-id")
CONTROL: Final = bytes({*range(32), 127} - {9, 10, 13})
INT64: Final = 1 << 63


class Message(NamedTuple):
    """A message as it was delivered; `subject` and `stream` as the server calls them."""

    stream: str
    stream_seq: int
    deliveries: int
    stream_ns: int
    subject: str
    headers: bytes
    payload: bytes


class Event(NamedTuple):
    """A row for the store, and whether it is to be fanned out as an audit record."""

    row: Row
    publish: bool


class _Poison(Exception):
    """Says why a message is no event."""


class Intake:
    """Decodes and classifies messages; pure, apart from the classifier's memory."""

    def __init__(
        self, classifier: Classifier, space: SubjectSpace, max_payload: int = MAX_PAYLOAD
    ) -> None:
        self._classifier = classifier
        self._space = space
        self._max_payload = max_payload

    def take(self, message: Message, received_ns: int) -> Event | Note:
        """Return what is to be recorded of a message that arrived at `received_ns`."""
        try:
            return self._event(message, received_ns)
        except _Poison as why:
            return self._quarantine(message, received_ns, str(why))

    def _event(self, message: Message, received_ns: int) -> Event:
        if len(message.payload) > self._max_payload:
            raise _Poison(f"the payload is larger than {self._max_payload} bytes")
        block, attributes = read_headers(message.headers)
        event_id, source, event_type = (_required(attributes, name) for name in REQUIRED)
        subject = self._space.logical(message.subject)
        payload, content = _content(message.payload, attributes)
        verdict = self._classifier.classify(event_type, subject, content)
        row = Row(
            id=event_id,
            source=source,
            type=event_type,
            subject=subject,
            stream=message.stream,
            stream_seq=message.stream_seq,
            deliveries=message.deliveries,
            event_ns=_event_ns(attributes, message.stream_ns),
            intended_ns=_intended_ns(attributes),
            stream_ns=message.stream_ns,
            received_ns=received_ns,
            bot=_bot(source, subject),
            code=verdict.code,
            severity=verdict.severity,
            correlation=_correlation(attributes, content),
            trace=_trace(attributes),
            headers=block,
            payload=payload,
        )
        return Event(row, verdict.publish)

    def _quarantine(self, message: Message, received_ns: int, reason: str) -> Note:
        digest = sha256(message.headers + message.payload).hexdigest()
        detail = {
            "reason": reason,
            "sha256": digest,
            "size": len(message.payload),
            "headers": message.headers[:KEPT].decode(errors="backslashreplace"),
        }
        known = loose_headers(message.headers)
        return Note(
            key=f"poison/{message.stream}/{message.stream_seq}/{digest}",
            recorded_ns=received_ns,
            code=POISON,
            severity=int(CODES[POISON].severity),
            stream=message.stream,
            stream_seq=message.stream_seq,
            subject=self._space.logical(message.subject),
            id=known.get("ce-id", "")[:MAX_TEXT],
            source=known.get("ce-source", "")[:MAX_TEXT],
            detail=orjson.dumps(detail).decode(),
            body=message.payload[:KEPT],
        )


def read_headers(block: bytes) -> tuple[str, dict[str, str]]:
    """Return a NATS header block as text and as fields; names in lower case, `ce_` as `ce-`."""
    if not block:
        raise _Poison("it has no headers")
    if len(block) > MAX_HEADERS:
        raise _Poison(f"the headers are larger than {MAX_HEADERS} bytes")
    try:
        text = block.decode()
    except UnicodeDecodeError:
        raise _Poison("the headers are not UTF-8") from None
    lines = text.split("\r\n")
    if not lines[0].startswith("NATS/1.0") or lines[-2:] != ["", ""]:
        raise _Poison("the header block is malformed")
    breaks = len(lines) - 1
    if block.count(b"\r") != breaks or block.count(b"\n") != breaks or block != _plain(block):
        raise _Poison("the headers hold control characters")
    fields: dict[str, str] = {}
    for line in lines[1:-2]:
        name, colon, value = line.partition(":")
        key = _field_name(name)
        if not colon or not key:
            raise _Poison(f"the header line {line[:80]!r} is malformed")
        if key in fields and key.startswith("ce-"):
            raise _Poison(f"the header {key} is repeated")
        fields[key] = value.strip(" \t")
    return text, fields


def loose_headers(block: bytes) -> dict[str, str]:
    """Return what can be read of a broken header block."""
    fields = {}
    for line in block[:MAX_HEADERS].decode(errors="replace").splitlines()[1:]:
        name, colon, value = line.partition(":")
        if colon:
            fields[_field_name(name)] = value.strip()
    return fields


@lru_cache(maxsize=1024)
def _field_name(name: str) -> str:
    key = name.lower()
    if key.startswith("ce_"):
        key = f"ce-{key[3:]}"
    return "" if key.strip() != key else key


def _plain(block: bytes) -> bytes:
    return block.translate(None, CONTROL)


def _required(attributes: Mapping[str, str], name: str) -> str:
    value = attributes.get(name, "")
    if not value:
        raise _Poison(f"the header {name} is missing")
    if len(value) > MAX_TEXT:
        raise _Poison(f"the header {name} is longer than {MAX_TEXT} characters")
    return unquote(value) if "%" in value else value


def _content(payload: bytes, attributes: Mapping[str, str]) -> tuple[str | bytes, Json]:
    """Return the payload as it is stored, text where it is JSON, and what it says."""
    if not payload or not _promises_json(attributes):
        return payload, None
    try:
        content: Json = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise _Poison(f"the payload is no JSON: {error.msg}") from None
    if payload.count(b"[") + payload.count(b"{") > MAX_DEPTH and _depth(content) > MAX_DEPTH:
        raise _Poison(f"the payload is nested deeper than {MAX_DEPTH} levels")
    return payload.decode(), content


def _promises_json(attributes: Mapping[str, str]) -> bool:
    for name in CONTENT_TYPES:
        if name in attributes:
            return "json" in attributes[name].lower()
    return True


def _depth(content: Json) -> int:
    """Return how many containers are nested in each other; stops counting past the limit."""
    depth = 0
    level = [content]
    while depth <= MAX_DEPTH:
        containers = [one for one in level if isinstance(one, list | dict)]
        if not containers:
            break
        depth += 1
        level = [child for one in containers for child in _children(one)]
    return depth


def _children(container: list[Json] | dict[str, Json]) -> Iterable[Json]:
    return container.values() if isinstance(container, dict) else container


def _event_ns(attributes: Mapping[str, str], otherwise: int) -> int:
    text = attributes.get("ce-time")
    if text is None:
        return otherwise
    try:
        time_ns = parse_ns(text)
    except ValueError:
        raise _Poison("the header ce-time is no RFC 3339 time") from None
    if not -INT64 <= time_ns < INT64:
        raise _Poison("the header ce-time is outside the years 1678 to 2261")
    return time_ns


def _intended_ns(attributes: Mapping[str, str]) -> int:
    text = attributes.get("twin-intended-ns", "")
    value = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
    return value if value < INT64 else 0


def _bot(source: str, subject: str) -> str:
    if source.startswith(TWIN_SOURCE):
        return source.rpartition(":")[2]
    if subject.startswith(FLEET_ROOT):
        return subject.removeprefix(FLEET_ROOT).partition(".")[0]
    return ""


def _correlation(attributes: Mapping[str, str], content: Json) -> str:
    for name in CORRELATIONS:
        if name in attributes:
            return attributes[name][:MAX_TEXT]
    if isinstance(content, dict):
        metadata = content.get("metadata")
        if isinstance(metadata, dict) and isinstance(found := metadata.get("correlation_id"), str):
            return found[:MAX_TEXT]
        if isinstance(found := content.get("request_id"), str):
            return found[:MAX_TEXT]
    return ""


def _trace(attributes: Mapping[str, str]) -> str:
    """Return the trace id of a W3C traceparent."""
    parts = attributes.get("ce-traceparent", attributes.get("traceparent", "")).split("-")
    return parts[1] if len(parts) >= 4 and len(parts[1]) == 32 else ""
