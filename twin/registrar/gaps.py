"""Why sequences of a stream were not recorded, found out while the broker can still be asked.

What the durable passed over between two deliveries does not match its filter, or was gone by
then. What is still in the stream and does match, but lies below the consumer's ack floor, was
acknowledged by somebody and recorded by nobody: `unknown`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import orjson

from twin.errors import BrokerUnreachable
from twin.events.subjects import covers
from twin.jetstream.api import (
    ApiRefused,
    ConsumerInfo,
    StreamState,
    consumer_info,
    stored_subject,
    stream_gaps,
)
from twin.jetstream.connection import Connection
from twin.jetstream.message import Message
from twin.registrar.codes import CODES, Severity
from twin.registrar.consumers import Durable
from twin.registrar.coverage import GAP
from twin.registrar.intervals import Intervals, Span
from twin.registrar.record import Note

__all__ = ["GapWatch"]

MOST_ASKED: Final = 500
Causes: TypeAlias = dict[str, list[tuple[int, ...]]]


@dataclass(slots=True)
class _Stream:
    """What is known of one stream above `floor`, up to which everything is accounted for.

    `seen` is recorded or explained; `passed` was passed over by the durable, `ours` by us.
    `start` was the last recorded sequence when the registrar began; it was down during `down`.
    Until it has `begun`, the floor is not known.
    """

    durables: list[Durable]
    floor: int = 0
    begun: bool = False
    start: int = 0
    down: Span = (0, 0)
    seen: Intervals = field(default_factory=Intervals)
    passed: Intervals = field(default_factory=Intervals)
    ours: Intervals = field(default_factory=Intervals)
    last: Message | None = None

    def advance(self) -> None:
        """Raise the floor to the first hole."""
        hole = next(self.seen.holes(self.floor + 1, self.seen.top), None)
        floor = max(self.floor, self.seen.top) if hole is None else hole[0] - 1
        if floor > self.floor:
            self.floor = floor
            for one in (self.seen, self.passed, self.ours):
                one.forget(floor)

    def holes(self) -> list[Span]:
        """Return what is neither recorded nor explained, up to the highest sequence seen."""
        return list(self.seen.holes(self.floor + 1, self.seen.top))


class GapWatch:
    """Keeps account of what is delivered, and explains what is not."""

    def __init__(self, connection: Connection, durables: Iterable[Durable]) -> None:
        self._connection = connection
        self._streams: dict[str, _Stream] = {}
        self.unknown = 0
        for durable in durables:
            self._streams.setdefault(durable.stream, _Stream([])).durables.append(durable)

    @property
    def floors(self) -> dict[str, int]:
        """Up to where every sequence is accounted for, of the streams of which that is known."""
        return {name: stream.floor for name, stream in self._streams.items() if stream.begun}

    @property
    def open(self) -> bool:
        """Whether there are holes that nothing explains yet."""
        return any(stream.holes() for stream in self._streams.values())

    def begin(self, name: str, floor: int, recorded: Iterable[int], start: int, down: Span) -> None:
        """Go on where the store was left: accounted for up to `floor`, and `recorded` above."""
        stream = self._streams[name]
        stream.floor, stream.start, stream.down, stream.begun = floor, start, down, True
        for sequence in recorded:
            stream.seen.add(sequence, sequence)
        stream.advance()

    def reset(self, name: str, floor: int) -> None:
        """Begin anew above `floor`: the stream gives its sequences out again."""
        if name in self._streams:
            self._streams[name] = _Stream(self._streams[name].durables, floor, begun=True)

    def delivered(self, name: str, messages: Sequence[Message], unrecorded: Iterable[int]) -> None:
        """Take note of messages that are durable now; `unrecorded` ones are not kept, by design."""
        stream = self._streams[name]
        for sequence in unrecorded:
            stream.ours.add(sequence, sequence)
        first, last = messages[0], messages[-1]
        in_row = last.stream_seq - first.stream_seq == len(messages) - 1
        if in_row and last.consumer_seq - first.consumer_seq == len(messages) - 1:
            self._follow(stream, first)
            stream.seen.add(first.stream_seq, last.stream_seq)
            stream.last = last
        else:
            for message in messages:
                self._follow(stream, message)
                stream.seen.add(message.stream_seq, message.stream_seq)
                stream.last = message
        stream.advance()

    def _follow(self, stream: _Stream, message: Message) -> None:
        """Learn what the durable passed over before this message."""
        last = stream.last
        if (
            last is not None
            and len(stream.durables) == 1
            and last.deliveries == message.deliveries == 1
            and message.consumer_seq == last.consumer_seq + 1
            and message.stream_seq > last.stream_seq + 1
        ):
            stream.passed.add(last.stream_seq + 1, message.stream_seq - 1)

    async def explain(self, now_ns: int) -> list[Note]:
        """Return what can be said by now of the holes; without a broker that is nothing.

        `unknown` is then the number of sequences that were newly found to be nobody knows where.
        """
        notes = []
        self.unknown = 0
        for name, stream in self._streams.items():
            if not stream.holes():
                continue
            try:
                causes = await self._causes(name, stream)
            except (BrokerUnreachable, ApiRefused):
                continue
            if causes:
                self.unknown += sum(
                    last - first + 1 for first, last, *_ in causes.get("unknown", ())
                )
                notes.append(_note(name, stream, causes, now_ns))
                stream.advance()
        return notes

    async def _causes(self, name: str, stream: _Stream) -> Causes:
        found = await stream_gaps(self._connection, name)
        if found is None:
            return {}
        state, deleted = found
        consumers = [await consumer_info(self._connection, *one) for one in stream.durables]
        infos = [one for one in consumers if one is not None]
        if len(infos) < len(stream.durables):
            return {}
        settled = min(_settled(info, state) for info in infos)
        filters = {pattern for info in infos for pattern in info.config.filters}
        causes: Causes = {}
        asked = 0
        for first, last in stream.holes():
            last = min(last, settled)  # noqa: PLW2901 - what is above may still be delivered
            for cause, span in _plain(stream, state, Intervals(deleted), first, last):
                if cause != "ask":
                    causes.setdefault(cause, []).append(span)
                    continue
                for sequence in range(span[0], min(span[1], span[0] + MOST_ASKED - asked) + 1):
                    asked += 1
                    why = await self._asked(name, sequence, filters)
                    causes.setdefault(why, []).append((sequence, sequence))
        return causes

    async def _asked(self, name: str, sequence: int, filters: set[str]) -> str:
        subject = await stored_subject(self._connection, name, sequence)
        if subject is None:
            return "deleted"
        wanted = not filters or any(covers(pattern, subject) for pattern in filters)
        return "unknown" if wanted else "filtered"


def _settled(info: ConsumerInfo, state: StreamState) -> int:
    """Return up to which sequence nothing will be delivered any more."""
    if info.num_pending == 0 and info.num_ack_pending == 0:
        return max(info.ack_floor.stream_seq, state.last_seq)
    return info.ack_floor.stream_seq


def _plain(
    stream: _Stream, state: StreamState, deleted: Intervals, first: int, last: int
) -> Iterable[tuple[str, Span]]:
    """Yield cause and interval of a hole's parts; `ask` where the message itself must tell."""
    gone = min(last, state.first_seq - 1)
    if first <= min(gone, stream.start):
        yield "expired", (first, min(gone, stream.start))
    late = max(first, stream.start + 1)
    if late <= gone:
        was_down = stream.down[0] and first <= stream.start + 1
        yield "down" if was_down else "expired", (late, gone)
    left = [(max(first, state.first_seq), last)] if max(first, state.first_seq) <= last else []
    for cause, known in (
        ("deleted", deleted),
        ("filtered", stream.ours),
        ("filtered", stream.passed),
    ):
        for hole in left:
            yield from ((cause, span) for span in known.within(*hole))
        left = [rest for hole in left for rest in known.holes(*hole)]
    yield from (("ask", span) for span in left)


def _note(name: str, stream: _Stream, causes: Causes, now_ns: int) -> Note:
    detail: dict[str, list[tuple[int, ...]]] = {}
    for cause, spans in causes.items():
        known = Intervals()
        for first, last in sorted((span[0], span[1]) for span in spans):
            known.add(first, last)
            stream.seen.add(first, last)
        more = stream.down if cause == "down" else ()
        detail[cause] = [(*span, *more) for span in known]
    severity = CODES[GAP].severity
    if {"expired", "down"} & {*causes}:
        severity = Severity.WARN
    if "unknown" in causes:
        severity = Severity.ERROR
    return Note(
        key=f"gap/{name}/{now_ns}",
        recorded_ns=now_ns,
        code=GAP,
        severity=int(severity),
        stream=name,
        detail=orjson.dumps(detail).decode(),
    )
