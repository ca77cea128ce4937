"""What publisher and consumer need of a connection, and the way over nats-py's public API.

A message is a plain tuple, because tens of thousands a second pass here: subject, reply
subject, header block, payload. A header block is b"" or `NATS/1.0` lines with the closing
empty line.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error

__all__ = [
    "INTENDED_HEADER",
    "Delivery",
    "Handler",
    "PublicWire",
    "Publication",
    "Stored",
    "StoredHandler",
    "Volley",
    "Wire",
    "stamp",
]

INTENDED_HEADER = "Twin-Intended-Ns"

Publication = tuple[bytes, bytes, bytes, bytes]
Delivery = tuple[bytes, bytes, bytes, bytes]
Handler = Callable[[list[Delivery]], None]
"""Takes deliveries in order, is synchronous and does not raise."""


class Stored(NamedTuple):
    """Plain acknowledgements of publishes: each one's last subject token, and stream sequence.

    `streams` holds a hash of each one's stream: equal within this process for equal names.
    """

    tokens: npt.NDArray[np.int64]
    sequences: npt.NDArray[np.int64]
    streams: npt.NDArray[np.int64]


StoredHandler = Callable[[Stored], None]


class Volley(NamedTuple):
    """Events to be sent together, column by column, in this order.

    `<inbox>.<token>` is where each one's acknowledgement is to go. `headers` lack the end of
    the block, which `closings` have. `heads` are the sizes of these blocks, `sizes` those of
    block and payload.
    """

    subjects: Sequence[bytes]
    tokens: Sequence[bytes]
    heads: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    headers: Sequence[bytes]
    closings: Sequence[bytes]
    payloads: Sequence[bytes]


_BURST = 64


def stamp(intended_ns: int) -> bytes:
    """Return what closes the header block of an event: its intended wall time, an empty line."""
    return b"Twin-Intended-Ns: %d\r\n\r\n" % intended_ns


class Wire(Protocol):
    """One client's way to send and receive; replaced together with the client."""

    name: str

    def send(self, publications: Sequence[Publication]) -> None:
        """Send in this order, without waiting; only while the client is connected."""

    def launch(self, inbox: bytes, volley: Volley) -> None:
        """Send events, without waiting, as `send` does."""

    def answer(self, subjects: Sequence[bytes], word: bytes) -> None:
        """Send the same payload to each subject, as `send` does."""

    async def subscribe(
        self, subject: str, handler: Handler, stored: StoredHandler | None = None
    ) -> Subscription:
        """Deliver what arrives on `subject` to `handler`, across reconnects.

        With `stored`, plain acknowledgements of a publish may go there instead; the last
        token of `subject` is a wildcard then.
        """

    async def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription of this wire."""

    def reset(self) -> None:
        """Forget what was not handed over yet: the connection is gone."""

    async def close(self) -> None:
        """Stop; the client stays open."""


class PublicWire:
    """The slower way: `Client.publish` and subscription callbacks, nothing private."""

    name = "public"

    def __init__(self, client: Client, on_error: Callable[[Exception], None]) -> None:
        self._client = client
        self._on_error = on_error
        self._queue: deque[Publication] = deque()
        self._filled = asyncio.Event()
        self._task = asyncio.create_task(self._drain(), name="nats-public-wire")

    def send(self, publications: Sequence[Publication]) -> None:
        """Queue for the sending task."""
        self._queue.extend(publications)
        self._filled.set()

    def launch(self, inbox: bytes, volley: Volley) -> None:
        """Queue for the sending task."""
        self.send(
            [
                (subject, b"%b.%b" % (inbox, token), headers + closing, payload)
                for subject, token, _, _, headers, closing, payload in zip(*volley, strict=True)
            ]
        )

    def answer(self, subjects: Sequence[bytes], word: bytes) -> None:
        """Queue for the sending task."""
        self.send([(subject, b"", b"", word) for subject in subjects])

    async def subscribe(
        self, subject: str, handler: Handler, stored: StoredHandler | None = None
    ) -> Subscription:
        """Subscribe with a callback and without pending limits (they would drop messages)."""

        async def forward(message: Msg) -> None:
            handler([_delivery(message)])

        return await self._client.subscribe(
            subject, cb=forward, pending_msgs_limit=0, pending_bytes_limit=0
        )

    async def unsubscribe(self, subscription: Subscription) -> None:
        """End it; a client that is closed has none any more."""
        if not self._client.is_closed:
            await subscription.unsubscribe()

    def reset(self) -> None:
        """Drop the queue."""
        self._queue.clear()

    async def close(self) -> None:
        """End the sending task."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _drain(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            sent = 0
            while self._queue:
                await self._publish(self._queue.popleft())
                sent += 1
                if sent % _BURST == 0:
                    await asyncio.sleep(0)

    async def _publish(self, publication: Publication) -> None:
        subject, reply, headers, payload = publication
        try:
            fields = dict(_header_lines(headers)) or None
            await self._client.publish(subject.decode(), payload, reply.decode(), fields)
        except (Error, ValueError) as error:  # whoever waits for an answer gets none
            self._on_error(error)


def _header_lines(block: bytes) -> list[tuple[str, str]]:
    pairs = (line.partition(b":") for line in block.split(b"\r\n")[1:] if line)
    return [(name.decode(), value.strip().decode()) for name, _, value in pairs]


def _delivery(message: Msg) -> Delivery:
    """Rebuild the raw form; repeated and malformed header lines are lost in nats-py."""
    fields = dict(message.headers or {})
    block = b""
    if fields:
        status, description = fields.pop("Status", ""), fields.pop("Description", "")
        first = " ".join(part for part in ("NATS/1.0", status, description) if part)
        lines = [first, *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        block = "\r\n".join(lines).encode()
    return message.subject.encode(), message.reply.encode(), block, message.data
