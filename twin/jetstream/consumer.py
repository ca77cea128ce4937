"""A pull consumer that never stalls: our own pull loop over one inbox."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import orjson

from twin.errors import BrokerUnreachable
from twin.jetstream.connection import Connection, Subscription
from twin.jetstream.message import Message, messages_of
from twin.jetstream.wire import Delivery

__all__ = ["PullConsumer"]

ACK = b"+ACK"
NAK = b"-NAK"
PROGRESS = b"+WPI"
TERM = b"+TERM"
_ACKED = "ack-"

_NS = 1_000_000_000
_WATCH_S = 0.1
_MISSED = 2.2
_PAUSE_S = 0.2
_REMAINING = b"Nats-Pending-Messages:"


class PullConsumer:
    """Keeps messages of a durable coming while its context is open.

    At most `batch` messages are asked for at a time, and at most twice that many wait here
    to be taken. A request is renewed when it ends, after a reconnect, and when two idle
    heartbeats (every `heartbeat_s`) are missed. `missing` tells that the server knows no
    such consumer at the moment; asking goes on, so that one made later is found.
    """

    def __init__(
        self,
        connection: Connection,
        stream: str,
        durable: str,
        *,
        batch: int = 500,
        heartbeat_s: float = 1.0,
        expires_s: float = 30.0,
    ) -> None:
        self._connection = connection
        self._next = f"{connection.options.api}.CONSUMER.MSG.NEXT.{stream}.{durable}".encode()
        self._batch = batch
        self._heartbeat_s = heartbeat_s
        self._expires_s = expires_s
        self._messages: deque[Message] = deque()
        self._filled = asyncio.Event()
        self._inbox = ""
        self._pulls = 0
        self._acks = 0
        self._unconfirmed: set[bytes] = set()
        self._confirmed = asyncio.Event()
        self._first_valid = 1
        self._outstanding = 0
        self._last_sign = 0.0
        self._resume_at = 0.0
        self._subscription: Subscription | None = None
        self._watch: asyncio.Task[None] | None = None
        self.missing = False
        self.strange = 0
        self.status = ""

    async def next_batch(self, max_wait_s: float) -> list[Message]:
        """Return what is there, at most `batch`, as soon as there is something.

        Returns an empty list after `max_wait_s`. Raises InfrastructureError when the
        connection is broken for good.
        """
        if not self._messages:
            self._filled.clear()
            try:
                async with asyncio.timeout(max_wait_s):
                    await self._filled.wait()
            except TimeoutError:
                self._connection.check()
        count = min(self._batch, len(self._messages))
        taken = [self._messages.popleft() for _ in range(count)]
        self._pull()
        return taken

    def ack(self, messages: Sequence[Message]) -> None:
        """Acknowledge each; what is lost on the way is delivered again."""
        self._answer(messages, ACK)

    def ack_all(self, messages: Sequence[Message]) -> None:
        """Acknowledge everything up to the last of them (ack policy `all` only)."""
        if messages:
            self._answer([max(messages, key=lambda message: message.consumer_seq)], ACK)

    async def ack_sync(self, messages: Sequence[Message], timeout_s: float = 5.0) -> None:
        """Acknowledge each and return once the server has confirmed all of them.

        Raises BrokerUnreachable when that takes longer than `timeout_s`.
        """
        replies = [f"{self._inbox}.{_ACKED}{self._acks + n}".encode() for n in range(len(messages))]
        self._acks += len(messages)
        self._unconfirmed.update(replies)
        try:
            self._connection.send(
                [(m.reply, reply, b"", ACK) for m, reply in zip(messages, replies, strict=True)]
            )
            async with asyncio.timeout(timeout_s):
                while not self._unconfirmed.isdisjoint(replies):
                    self._confirmed.clear()
                    await self._confirmed.wait()
        except TimeoutError:
            left = len(self._unconfirmed.intersection(replies))
            raise BrokerUnreachable(
                f"{left} of {len(messages)} acknowledgements were not confirmed."
            ) from None
        finally:
            self._unconfirmed.difference_update(replies)

    def nak(self, messages: Sequence[Message], delay_s: float = 0.0) -> None:
        """Ask for another delivery of each, after `delay_s`."""
        delay = b' {"delay": %d}' % round(delay_s * _NS) if delay_s else b""
        self._answer(messages, NAK + delay)

    def term(self, messages: Sequence[Message], reason: str = "") -> None:
        """Ask for no further delivery of any."""
        words = " ".join(reason.split())
        self._answer(messages, f"{TERM.decode()} {words}".encode() if words else TERM)

    def in_progress(self, messages: Sequence[Message]) -> None:
        """Start the ack wait of each anew."""
        self._answer(messages, PROGRESS)

    async def __aenter__(self) -> Self:
        self._inbox = self._connection.new_inbox()
        self._subscription = await self._connection.subscribe(f"{self._inbox}.*", self._receive)
        self._pull()
        self._watch = asyncio.create_task(self._keep_pulling(), name="pull-consumer")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        if self._subscription is not None:
            await self._connection.unsubscribe(self._subscription)

    def _answer(self, messages: Sequence[Message], word: bytes) -> None:
        self._connection.answer([message.reply for message in messages], word)

    def _pull(self) -> None:
        """Ask for more when at least half a batch fits."""
        wanted = self._batch - self._outstanding
        if (
            wanted * 2 < self._batch
            or len(self._messages) + self._outstanding > self._batch
            or time.monotonic() < self._resume_at
        ):
            return
        self._pulls += 1
        body = orjson.dumps(
            {
                "batch": wanted,
                "expires": round(self._expires_s * _NS),
                "idle_heartbeat": round(self._heartbeat_s * _NS),
            }
        )
        reply = f"{self._inbox}.{self._pulls}".encode()
        if self._connection.send([(self._next, reply, b"", body)]):
            self._outstanding += wanted
            self._last_sign = time.monotonic()

    def _forget_pulls(self) -> None:
        """Start counting anew; what the server still says of earlier requests is ignored."""
        self._outstanding = 0
        self._first_valid = self._pulls + 1

    def _receive(self, batch: list[Delivery]) -> None:
        self._last_sign = time.monotonic()
        before = len(self._messages)
        deliveries = [delivery for delivery in batch if delivery[1]]
        self._messages.extend(messages_of(deliveries))
        arrived = len(self._messages) - before
        self.strange += len(deliveries) - arrived
        for delivery in batch:
            if not delivery[1]:
                self._on_word(delivery)
        if arrived:
            self.missing = False
            self._outstanding = max(0, self._outstanding - arrived)
            self._filled.set()
        self._pull()

    def _on_word(self, delivery: Delivery) -> None:
        """Take in what is no message: a confirmation, or the end or a heartbeat of a request."""
        subject, _, headers, _ = delivery
        number = subject[len(self._inbox) + 1 :].decode()
        if number.isdigit():
            self._on_status(int(number), headers)
        elif not headers.startswith(b"NATS/1.0 503"):
            self._unconfirmed.discard(subject)
            self._confirmed.set()

    def _on_status(self, pull: int, headers: bytes) -> None:
        """Handle a request's end: 404 and 408 are ordinary, others are not asked again at once.

        The server says how much of a request was left; where it does not, a new count begins.
        """
        line, _, lines = headers.partition(b"\r\n")
        code = line[9:12]
        if code == b"100":
            self.missing = False
            return
        if pull < self._first_valid:
            return
        _, found, rest = lines.partition(_REMAINING)
        left = int(rest.partition(b"\r\n")[0]) if found else self._outstanding
        self._outstanding = max(0, self._outstanding - left)
        self.status = line[9:].decode(errors="replace")
        self.missing = code == b"503" or b"Consumer Deleted" in line
        if code not in (b"404", b"408"):
            self._resume_at = time.monotonic() + _PAUSE_S

    async def _keep_pulling(self) -> None:
        with self._connection.listening(state=self._on_state):
            while True:
                await asyncio.sleep(_WATCH_S)
                silence = time.monotonic() - self._last_sign
                if self._outstanding and silence > _MISSED * self._heartbeat_s:
                    self._forget_pulls()
                self._pull()

    def _on_state(self, up: bool) -> None:
        if up:
            self._forget_pulls()
            self._resume_at = 0.0
            self._pull()
