"""From a message to what is recorded of it: an event, or the note that it is none.

A message that is no event (broken headers, no CloudEvents attributes, no JSON where JSON is
promised, too large, nested too deep) is *poison*: it is quarantined as a note, so that it
can be acknowledged and never blocks what comes after it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

import orjson

from twin.events.subjects import SubjectSpace
from twin.jetstream.message import Message
from twin.registrar.alike import Alike
from twin.registrar.codes import CODES
from twin.registrar.content import content_of, correlation_of
from twin.registrar.envelope import MAX_HEADERS, MAX_TEXT, NotAnEvent, Reader, bot_of
from twin.registrar.places import Places
from twin.registrar.record import Note, Row
from twin.registrar.records import Batch, Event, Records
from twin.registrar.rules import Classifier
from twin.registrar.shapes import Shape

__all__ = ["MAX_PAYLOAD", "Intake"]

MAX_PAYLOAD: Final = 512 * 1024
"""Bytes of a payload above which a message is quarantined."""

KEPT: Final = 4096
POISON: Final = 920
PARTS: Final = 8
"""Into so many parts messages that look alike are divided to find the strange one among them."""


class Intake:
    """Decodes and classifies messages; pure, apart from what it remembers of how they look."""

    def __init__(
        self, classifier: Classifier, space: SubjectSpace, max_payload: int = MAX_PAYLOAD
    ) -> None:
        self._classifier = classifier
        self._space = space
        self._max_payload = max_payload
        self._reader = Reader()
        self._alike = Alike(classifier, max_payload)
        self._places = Places(space)

    def take_all(self, messages: Sequence[Message], received_ns: int) -> Records:
        """Return what is to be recorded of messages that arrived at `received_ns`.

        It is what `take` says of each; those that look alike are read together. Which do is
        guessed by their subjects, and looked at closer where that was wrong.
        """
        batch = Batch(messages, [self._places[message.subject] for message in messages])
        for shape, members in batch.by_subject():
            if not self._together(batch, shape, members, received_ns):
                for found, alike in self._by_look(batch, members):
                    self._divide(batch, found, alike, received_ns)
        return batch.records()

    def _together(
        self, batch: Batch, shape: Shape | None, members: Sequence[int], received_ns: int
    ) -> bool:
        """Read members of a batch at once; False if they are not all for that."""
        if shape is None:
            return False
        subjects = [batch.places[at].subject for at in members]
        rows = self._alike.read(shape, batch.of(members), subjects, received_ns)
        if rows is not None:
            batch.put(members, rows)
        return rows is not None

    def _by_look(
        self, batch: Batch, members: Sequence[int]
    ) -> Iterable[tuple[Shape | None, list[int]]]:
        """Sort members by the shapes that they really have."""
        groups: dict[Shape | None, list[int]] = defaultdict(list)
        for at in members:
            place = batch.places[at]
            shape = self._reader.shape_of(batch.messages[at].headers) if place.subject else None
            place.shape = shape
            groups[shape].append(at)
        return groups.items()

    def _divide(
        self, batch: Batch, shape: Shape | None, members: Sequence[int], received_ns: int
    ) -> None:
        """Read members of one shape together; a strange one and its neighbours one by one."""
        if self._together(batch, shape, members, received_ns):
            return
        if shape is None or len(members) <= PARTS:
            for at in members:
                batch.put_one(at, self.take(batch.messages[at], received_ns))
            return
        size = -(-len(members) // PARTS)
        for start in range(0, len(members), size):
            self._divide(batch, shape, members[start : start + size], received_ns)

    def take(self, message: Message, received_ns: int) -> Event | Note | None:
        """Return what is to be recorded of a message that arrived at `received_ns`.

        None means nothing: audit records, our own among them, are never audited.
        """
        subject = self._places[message.subject].subject
        if not subject:
            return None
        try:
            return self._event(message, subject, received_ns)
        except NotAnEvent as why:
            return self._quarantine(message, received_ns, str(why))

    def _event(self, message: Message, subject: str, received_ns: int) -> Event:
        _, _, headers, payload, stream, deliveries, stream_seq, _, stream_ns, _ = message
        if len(payload) > self._max_payload:
            raise NotAnEvent(f"the payload is larger than {self._max_payload} bytes")
        event_id, source, event_type, event_ns, intended_ns, json, correlation, trace, data = (
            self._reader.read(headers, payload)
        )
        is_json = json and data != b""
        content = content_of(data) if is_json else None
        code, severity, publish = self._classifier.classify(event_type, subject, content)
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
            bot_of(source, subject),
            code,
            severity,
            correlation or correlation_of(content),
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
