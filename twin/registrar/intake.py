"""From a message to what is recorded of it: an event, or the note that it is none.

A message that is no event (broken headers, no CloudEvents attributes, no JSON where JSON is
promised, too large, nested too deep) is *poison*: it is quarantined as a note, so that it
can be acknowledged and never blocks what comes after it.
"""

from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple

import orjson

from twin.events.channels import AUDIT_SUBJECT
from twin.events.subjects import FLEET_ROOT, SubjectSpace
from twin.jetstream.message import Message
from twin.registrar.codes import CODES
from twin.registrar.envelope import (
    MAX_HEADERS,
    MAX_TEXT,
    NotAnEvent,
    Reader,
    time_of,
    trace_id,
)
from twin.registrar.record import Note, Row
from twin.registrar.rules import Classifier, Json, platform_subject

__all__ = ["MAX_PAYLOAD", "Event", "Intake"]

MAX_PAYLOAD: Final = 512 * 1024
"""Bytes of a payload above which a message is quarantined."""

MAX_DEPTH: Final = 64
KEPT: Final = 4096
MAX_SUBJECTS: Final = 100_000
OBJECT, ARRAY = b"{["
NAMING: Final = frozenset(("metadata", "request_id"))
POISON: Final = 920
AUDIT_KEY: Final = AUDIT_SUBJECT.removeprefix("qiki.")
TWIN_SOURCE: Final = "urn:twin:"

_new = tuple.__new__
"""Makes a named tuple in one step, where its constructor takes three."""


class Event(NamedTuple):
    """A row for the store, and whether it is to be fanned out as an audit record."""

    row: Row
    publish: bool


class Intake:
    """Decodes and classifies messages; pure, apart from the classifier's memory."""

    def __init__(
        self, classifier: Classifier, space: SubjectSpace, max_payload: int = MAX_PAYLOAD
    ) -> None:
        self._classifier = classifier
        self._space = space
        self._max_payload = max_payload
        self._reader = Reader()
        self._shapes = self._reader.shapes
        self._logical: dict[str, str] = {}

    def take(self, message: Message, received_ns: int) -> Event | Note | None:
        """Return what is to be recorded of a message that arrived at `received_ns`.

        None means nothing: audit records, our own among them, are never audited.
        """
        wire = message.subject
        subject = self._logical.get(wire)
        if subject is None:
            subject = self._subject(wire)
        if not subject:
            return None
        if (event := self._plain_event(message, subject, received_ns)) is not None:
            return event
        try:
            return self._event(message, subject, received_ns)
        except NotAnEvent as why:
            return self._quarantine(message, received_ns, str(why))

    def _subject(self, wire: str) -> str:
        """Return the logical subject, empty if what comes there is not recorded."""
        subject = self._space.logical(wire)
        audit = subject.endswith(AUDIT_KEY) and platform_subject(subject) == AUDIT_SUBJECT
        if len(self._logical) >= MAX_SUBJECTS:
            self._logical.clear()
        self._logical[wire] = "" if audit else subject
        return self._logical[wire]

    def _plain_event(self, message: Message, subject: str, received_ns: int) -> Event | None:
        """Return an event of a known shape with JSON content; None leaves it to the long way.

        Nearly all are such events, so that this does in one function what `_event` does in many.
        """
        _, _, headers, payload, stream, deliveries, stream_seq, _, stream_ns, _ = message
        if len(headers) > MAX_HEADERS or len(payload) > self._max_payload:
            return None
        try:
            block = headers.decode("ascii")
            values = self._shapes.read_json(block)
            if values is None:
                return None
            event_id, source, event_type, time, intended, correlation, trace = values
            content = _content(payload)
            steps, verdict, _ = plan = self._classifier.plans[event_type, subject]
            if steps or type(content) is not dict:
                verdict = plan.judge(content)
            if correlation:
                correlation = correlation[:MAX_TEXT]
            elif type(content) is dict and not NAMING.isdisjoint(content):
                correlation = _correlation(content)
            code, severity, publish = verdict
            row = (
                event_id,
                source,
                event_type,
                subject,
                stream,
                stream_seq,
                deliveries,
                time_of(time) if time else stream_ns,
                int(intended) if intended else 0,
                stream_ns,
                received_ns,
                _bot(source, subject),
                code,
                severity,
                correlation,
                trace_id(trace) if trace else "",
                block,
                payload.decode(),
            )
        except (ValueError, OverflowError):  # the long way finds it, too, and says what it is
            return None
        return _new(Event, (_new(Row, row), publish))

    def _event(self, message: Message, subject: str, received_ns: int) -> Event:
        _, _, headers, payload, stream, deliveries, stream_seq, _, stream_ns, _ = message
        if len(payload) > self._max_payload:
            raise NotAnEvent(f"the payload is larger than {self._max_payload} bytes")
        event_id, source, event_type, event_ns, intended_ns, json, correlation, trace, data = (
            self._reader.read(headers, payload)
        )
        is_json = json and data != b""
        content = _content(data) if is_json else None
        code, severity, publish = self._classifier.classify(event_type, subject, content)
        if not correlation and isinstance(content, dict) and not NAMING.isdisjoint(content):
            correlation = _correlation(content)
        row = Row(
            event_id,
            source,
            event_type,
            subject,
            stream,
            stream_seq,
            deliveries,
            stream_ns if event_ns is None else event_ns,
            intended_ns,
            stream_ns,
            received_ns,
            _bot(source, subject),
            code,
            severity,
            correlation,
            trace,
            headers.decode("ascii"),
            payload.decode() if is_json else payload,
        )
        return Event(row, publish)

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


def loose_headers(block: bytes) -> dict[str, str]:
    """Return what can be read of a broken header block; names in lower case, `ce_` as `ce-`."""
    lines = block[:MAX_HEADERS].decode(errors="replace").splitlines()[1:]
    pairs = (line.partition(":") for line in lines)
    return {
        name.lower().replace("ce_", "ce-", 1): value.strip()
        for name, colon, value in pairs
        if colon
    }


def _content(data: bytes) -> Json:
    """Return what JSON data says."""
    try:
        content: Json = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise NotAnEvent(f"the payload is no JSON: {error.msg}") from None
    if _nests(data) and _depth(content) > MAX_DEPTH:
        raise NotAnEvent(f"the payload is nested deeper than {MAX_DEPTH} levels")
    return content


def _nests(data: bytes) -> bool:
    """Tell whether JSON may be nested too deep. Most holds one object, which is seen at once."""
    inner = data[1:]
    if OBJECT not in inner and ARRAY not in inner:
        return False
    return data.count(b"[") + data.count(b"{") > MAX_DEPTH


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


@lru_cache(maxsize=100_000)
def _bot(source: str, subject: str) -> str:
    if source.startswith(TWIN_SOURCE):
        return source.rpartition(":")[2]
    if subject.startswith(FLEET_ROOT):
        return subject.removeprefix(FLEET_ROOT).partition(".")[0]
    return ""


def _correlation(content: dict[str, Json]) -> str:
    """Return the correlation id that a payload itself names."""
    metadata = content.get("metadata")
    if isinstance(metadata, dict) and isinstance(found := metadata.get("correlation_id"), str):
        return found[:MAX_TEXT]
    if isinstance(found := content.get("request_id"), str):
        return found[:MAX_TEXT]
    return ""
