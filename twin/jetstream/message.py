"""Messages as JetStream delivers them, made one by one or by the read buffer."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import repeat
from typing import NamedTuple

import orjson

from twin.jetstream.wire import Delivery

__all__ = ["Message", "messages_of"]

_TAIL = rb"([^.]+)\.[^.]+\.(\d+)\.(\d+)\.(\d+)\.(\d+)\.(\d+)"
_SHORT = re.compile(rb"\$JS\.ACK\." + _TAIL)
_LONG = re.compile(rb"\$JS\.ACK\.[^.]+\.[^.]+\." + _TAIL + rb"(?:\..*)?")
_PLACE = re.compile(rb"\$JS\.ACK\.([^.]+)\.[^.]+\.")
_LINES = b"0123456789.\n"
_COUNT = 5
_new = tuple.__new__


class _Fields(NamedTuple):
    subject: str
    reply: bytes
    headers: bytes
    payload: bytes
    stream: str
    deliveries: int
    stream_seq: int
    consumer_seq: int
    timestamp_ns: int
    pending: int


class Message(_Fields):
    """One delivery of a stored message.

    `subject` is the wire subject, `headers` the raw block ("" for none) as it came, `reply`
    where acknowledgements go. That tells the rest: the `stream` that it is stored in, how often
    it was delivered, this time included, its place in the stream, the number of this delivery
    among all of the consumer, when it was stored (wall time), and how many more are pending.
    """

    __slots__ = ()

    def __new__(cls, delivery: Delivery) -> "Message":
        """Take a delivery whose reply subject is JetStream's; ValueError when it is not.

        `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>`,
        or with `<domain>.<account>` before the stream and a random token at the end.
        """
        subject, reply, headers, payload = delivery
        facts = _SHORT.fullmatch(reply) or _LONG.fullmatch(reply)
        if facts is None:
            raise ValueError(f"{reply!r} is not where JetStream wants its acknowledgements")
        stream, *numbers = facts.groups()
        return _new(
            cls, (_text(subject), reply, headers, payload, _text(stream), *map(int, numbers))
        )

    def __repr__(self) -> str:
        return f"<Message {self.stream}:{self.stream_seq} {self.subject}>"


def messages_of(deliveries: Sequence[Delivery]) -> Iterator[Message]:
    """Yield the messages of deliveries, without those that are none.

    What one consumer delivers differs in its numbers only: then all are read in one step.
    """
    if (found := _alike(deliveries)) is not None:
        yield from found
        return
    for delivery in deliveries:
        try:
            yield Message(delivery)
        except ValueError:
            continue


def _alike(deliveries: Sequence[Delivery]) -> Iterator[Message] | None:
    """Return the messages if all are of one consumer, in the short form; None if they are not."""
    if not deliveries or (place := _PLACE.match(deliveries[0][1])) is None:
        return None
    subjects, replies, headers, payloads = zip(*deliveries, strict=True)
    numbers = _numbers(b"\n".join(replies), place[0], len(replies))
    if numbers is None:
        return None
    stream = repeat(_text(place[1]))
    rows = zip(map(_text, subjects), replies, headers, payloads, stream, *numbers)  # noqa: B905 - `stream` has no end
    return map(_new, repeat(Message), rows)


def _numbers(replies: bytes, place: bytes, count: int) -> list[list[int]] | None:
    """Return the five numbers of so many lines, by column; None if one is not `place` and they.

    They are read as one array in which a negative number, which no line can hold, ends a line.
    """
    lines = replies.removeprefix(place).replace(b"\n" + place, b"\n")
    if len(replies) - len(lines) != count * len(place) or lines.translate(None, _LINES):
        return None
    row = lines.replace(b".", b",").replace(b"\n", b",-1,")
    try:
        numbers: list[int] = orjson.loads(b"[%b,-1]" % row)
    except orjson.JSONDecodeError:
        return None
    ends = numbers[_COUNT :: _COUNT + 1]
    if len(numbers) != count * (_COUNT + 1) or not ends.count(-1) == count == numbers.count(-1):
        return None
    return [numbers[at :: _COUNT + 1] for at in range(_COUNT)]


@lru_cache(maxsize=65_536)
def _text(subject: bytes) -> str:
    """Return a subject as text; a stream's messages have few."""
    return subject.decode(errors="replace")
