"""A message as JetStream delivers it."""

import re

from twin.jetstream.wire import Delivery

__all__ = ["Message"]

_TAIL = rb"([^.]+)\.[^.]+\.(\d+)\.(\d+)\.(\d+)\.(\d+)\.(\d+)"
_SHORT = re.compile(rb"\$JS\.ACK\." + _TAIL)
_LONG = re.compile(rb"\$JS\.ACK\.[^.]+\.[^.]+\." + _TAIL + rb"(?:\..*)?")


class Message:
    """One delivery of a stored message.

    `subject` is the wire subject, `headers` the raw block ("" for none) as it came, `reply`
    where acknowledgements go. What that tells is read when it is asked for: most of a flood
    of messages is only acknowledged.
    """

    __slots__ = ("_facts", "headers", "payload", "reply", "subject")

    def __init__(self, delivery: Delivery) -> None:
        """Take a delivery whose reply subject is JetStream's; ValueError when it is not.

        `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>`,
        or with `<domain>.<account>` before the stream and a random token at the end.
        """
        subject, reply, self.headers, self.payload = delivery
        facts = _SHORT.fullmatch(reply) or _LONG.fullmatch(reply)
        if facts is None:
            raise ValueError(f"{reply!r} is not where JetStream wants its acknowledgements")
        self._facts = facts
        self.reply = reply
        self.subject = subject.decode(errors="replace")

    def place(self) -> tuple[str, int, int, int]:
        """Return stream, deliveries, stream sequence and the time when it was stored, at once."""
        stream, deliveries, stream_seq, timestamp_ns = self._facts.group(1, 2, 3, 5)
        return stream.decode(), int(deliveries), int(stream_seq), int(timestamp_ns)

    @property
    def stream(self) -> str:
        """The stream that the message is stored in."""
        return self._facts[1].decode()

    @property
    def deliveries(self) -> int:
        """How often the message was delivered, this time included."""
        return int(self._facts[2])

    @property
    def stream_seq(self) -> int:
        """Its place in the stream."""
        return int(self._facts[3])

    @property
    def consumer_seq(self) -> int:
        """The number of this delivery among all of the consumer."""
        return int(self._facts[4])

    @property
    def timestamp_ns(self) -> int:
        """When it was stored (wall time)."""
        return int(self._facts[5])

    @property
    def pending(self) -> int:
        """How many more the consumer has for delivery."""
        return int(self._facts[6])

    def __repr__(self) -> str:
        return f"<Message {self.stream}:{self.stream_seq} {self.subject}>"
