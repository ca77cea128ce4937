"""A message as JetStream delivers it."""

from twin.jetstream.wire import Delivery

__all__ = ["Message"]

_ACK = [b"$JS", b"ACK"]
_SHORT = 9
_LONG = 11


class Message:
    """One delivery of a stored message; `timestamp_ns` is when it was stored (wall time).

    `subject` is the wire subject, `headers` the raw block ("" for none) as it came, `reply`
    where acknowledgements go, `pending` how many more the consumer has for delivery.
    """

    __slots__ = (
        "consumer_seq",
        "deliveries",
        "headers",
        "payload",
        "pending",
        "reply",
        "stream",
        "stream_seq",
        "subject",
        "timestamp_ns",
    )

    def __init__(self, delivery: Delivery) -> None:
        """Read a delivery whose reply subject is JetStream's; ValueError when it is not.

        `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>`,
        or with `<domain>.<account>` before the stream and a random token at the end.
        """
        subject, self.reply, self.headers, self.payload = delivery
        tokens = self.reply.split(b".")
        count = len(tokens)
        if tokens[:2] != _ACK or (count != _SHORT and count < _LONG):
            raise ValueError(f"{self.reply!r} is not where JetStream wants its acknowledgements")
        first = 2 if count == _SHORT else 4
        self.subject = subject.decode(errors="replace")
        self.stream = tokens[first].decode()
        (
            self.deliveries,
            self.stream_seq,
            self.consumer_seq,
            self.timestamp_ns,
            self.pending,
        ) = map(int, tokens[first + 2 : first + 7])

    def __repr__(self) -> str:
        return f"<Message {self.stream}:{self.stream_seq} {self.subject}>"
