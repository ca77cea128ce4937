"""Sending and receiving in bulk through nats-py's own connection.

Connecting, TLS, authentication, reconnecting, pings and the replay of subscriptions stay
nats-py's. Bypassed are its header encoding, its write per message and its parser. This rests
on private names of nats-py 2.16, all of them used in this module only; `attach` returns None
where they are not as expected, and the public way is used instead.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from nats.aio.client import Client, __version__
from nats.aio.subscription import Subscription
from nats.aio.transport import TcpTransport
from nats.protocol.parser import Parser

from twin.jetstream.acks import AckPattern
from twin.jetstream.frames import cut
from twin.jetstream.wire import (
    Delivery,
    Handler,
    Publication,
    PublicWire,
    StoredHandler,
    Volley,
)

__all__ = ["FastParser", "FastWire", "attach", "missing_internals"]

SUPPORTED = "2.16."
MOST_SIZES: Final = 100_000
SIZE_BITS: Final = 32
READ_AHEAD: Final = 512 * 1024


def missing_internals(client: Client) -> list[str]:
    """Name what a connected client lacks for the fast way; empty when it will work."""
    missing = []
    if not __version__.startswith(SUPPORTED):
        missing.append(f"nats-py {SUPPORTED}x")
    if type(getattr(client, "_ps", None)) not in (Parser, FastParser):
        missing.append("Client._ps")
    transport = getattr(client, "_transport", None)
    if not isinstance(transport, TcpTransport):
        missing.append("Client._transport over TCP")
    elif not hasattr(getattr(transport, "_io_writer", None), "transport"):
        missing.append("TcpTransport._io_writer")
    elif not isinstance(
        getattr(getattr(transport, "_io_reader", None), "_buffer", None), bytearray
    ):
        missing.append("TcpTransport._io_reader with a buffer")
    missing += [
        f"Client.{name}"
        for name in ("_process_msg", "_process_ping", "_process_pong", "_process_err")
        if not callable(getattr(client, name, None))
    ]
    missing += [
        f"Client.{name}"
        for name, kind in (("_subs", dict), ("_pending", list), ("_pending_data_size", int))
        if not isinstance(getattr(client, name, None), kind)
    ]
    return missing


def attach(client: Client, on_error: Callable[[Exception], None]) -> "FastWire | None":
    """Return the fast wire of a connected client, None where nats-py is not as we know it."""
    return None if missing_internals(client) else FastWire(client, on_error)


class FastWire:
    """Frames written in one piece, buffers split in one piece."""

    name = "fast"

    def __init__(self, client: Client, on_error: Callable[[Exception], None]) -> None:
        self._client = client
        _read_ahead(client)
        self._parser = FastParser(client)
        cast("Any", client)._ps = self._parser
        self._slow = PublicWire(client, on_error)
        self._openings: dict[bytes, _Openings] = {}
        self._sizes = _Sizes()

    def send(self, publications: Sequence[Publication]) -> None:
        """Write straight to the transport: nothing is left to be sent late on a reconnect.

        What nats-py has pending (a SUB, an UNSUB) goes first, as its own flusher would do it.
        """
        frames = [
            b"HPUB %b %b %d %d\r\n%b%b\r\n"
            % (subject, reply, len(headers), len(headers) + len(payload), headers, payload)
            if headers
            else b"PUB %b %b %d\r\n%b\r\n" % (subject, reply, len(payload), payload)
            for subject, reply, headers, payload in publications
        ]
        self._write(frames)

    def launch(self, inbox: bytes, volley: Volley) -> None:
        """Write events as `send` does; no frame is made on its own, all are joined in one step."""
        subjects, tokens, heads, sizes, headers, closings, payloads = volley
        opening = self._openings.setdefault(inbox, _Openings(inbox)).__getitem__
        pieces = [b""] * (6 * len(subjects))
        pieces[0::6] = map(opening, subjects)
        pieces[1::6] = tokens
        pieces[2::6] = map(self._sizes.__getitem__, (heads << SIZE_BITS | sizes).tolist())
        pieces[3::6] = headers
        pieces[4::6] = closings
        pieces[5::6] = payloads
        pieces[0] = pieces[0].removeprefix(b"\r\n")
        pieces.append(b"\r\n")
        self._write(pieces)

    def answer(self, subjects: Sequence[bytes], word: bytes) -> None:
        """Write the frames as `send` does, all but the subjects in one piece."""
        if subjects:
            end = b" %d\r\n%b\r\n" % (len(word), word)
            self._write([b"PUB ", (end + b"PUB ").join(subjects), end])

    def _write(self, pieces: list[bytes]) -> None:
        client = cast("Any", self._client)
        writer = client._transport._io_writer
        if writer.transport.is_closing():
            return
        if client._pending:
            pieces = client._pending + pieces
            client._pending = []
            client._pending_data_size = 0
        writer.write(b"".join(pieces))

    async def subscribe(
        self, subject: str, handler: Handler, stored: StoredHandler | None = None
    ) -> Subscription:
        """Subscribe through nats-py, which replays it, and take the deliveries before it does."""
        subscription = await self._slow.subscribe(subject, handler)
        sid = self._sid(subscription)
        self._parser.handlers[sid] = handler
        if stored is not None:
            self._parser.acks[sid] = AckPattern.of(subject, sid, stored)
        return subscription

    async def unsubscribe(self, subscription: Subscription) -> None:
        """End it through nats-py."""
        sid = self._sid(subscription)
        self._parser.handlers.pop(sid, None)
        self._parser.acks.pop(sid, None)
        await self._slow.unsubscribe(subscription)

    def _sid(self, subscription: Subscription) -> bytes:
        known: dict[int, Subscription] = cast("Any", self._client)._subs
        return next((b"%d" % sid for sid, one in known.items() if one is subscription), b"")

    def reset(self) -> None:
        """Nothing is queued here; the parser is reset by nats-py."""

    async def close(self) -> None:
        """Hand the deliveries back to nats-py."""
        self._parser.handlers.clear()
        self._parser.acks.clear()
        await self._slow.close()


def _read_ahead(client: Client) -> None:
    """Let more arrive before the socket is left alone, which costs two system calls each time."""
    reader = getattr(cast("Any", client)._transport, "_io_reader", None)
    if isinstance(getattr(reader, "_limit", None), int):
        cast("Any", reader)._limit = READ_AHEAD


class _Openings(dict[bytes, bytes]):
    """By subject: the end of the frame before, and what stands before the token."""

    def __init__(self, inbox: bytes) -> None:
        super().__init__()
        self._inbox = inbox

    def __missing__(self, subject: bytes) -> bytes:
        made = self[subject] = b"\r\nHPUB %b %b." % (subject, self._inbox)
        return made


class _Sizes(dict[int, bytes]):
    """By sizes of header block and of all, in one number: what stands behind the token."""

    def __missing__(self, sizes: int) -> bytes:
        if len(self) >= MOST_SIZES:
            self.clear()
        made = self[sizes] = b" %d %d\r\n" % (sizes >> SIZE_BITS, sizes & (1 << SIZE_BITS) - 1)
        return made


class FastParser(Parser):
    """nats-py's parser for everything but messages, which are cut out of the buffer in bulk."""

    def __init__(self, client: Client) -> None:
        self.handlers: dict[bytes, Handler] = {}
        """By subscription id, as it stands in a MSG line."""
        self.acks: dict[bytes, AckPattern] = {}
        """Of those subscriptions to which a stream's plain acknowledgements come."""
        self._rest = b""
        super().__init__(client)

    def reset(self) -> None:
        """Forget a half-received message: a new connection begins with a new line."""
        self._rest = b""
        super().reset()

    async def parse(self, data: bytes = b"") -> None:
        """Take in what was read from the socket."""
        if self.nc.is_reconnecting or self.nc.is_closed:
            return  # the end of a connection that is gone already
        buffer = self._rest + data + await self._further()
        position = 0
        batches: dict[bytes, list[Delivery]] = {}
        while True:
            before = position
            for acks in self.acks.values():
                position = acks.take(buffer, position)
            position = cut(buffer, position, self.handlers, batches)
            if position != before:
                continue  # acknowledgements may stand there
            if (end := buffer.find(b"\r\n", position)) < 0:
                break
            fields = buffer[position:end].split(b" ")  # a subject may hold other blanks
            kind = fields[0]
            start = end + 2
            if kind == b"HMSG":
                middle, stop = start + int(fields[-2]), start + int(fields[-1])
                has_reply = len(fields) == 6
            elif kind == b"MSG":
                middle, stop = start, start + int(fields[-1])
                has_reply = len(fields) == 5
            else:
                self._rest = b""
                self._hand_over(batches)
                batches = {}
                await super().parse(buffer[position:start])
                position = start
                continue
            if len(buffer) < stop + 2:
                break
            sid = fields[2]
            message = (
                fields[1],
                fields[3] if has_reply else b"",
                buffer[start:middle],
                buffer[middle:stop],
            )
            if sid in batches:
                batches[sid].append(message)
            elif sid in self.handlers:
                batches[sid] = [message]
            else:
                subject, reply, headers, payload = message
                await self.nc._process_msg(int(sid), subject, reply, payload, headers)
            position = stop + 2
        self._rest = buffer[position:]
        self._hand_over(batches)

    async def _further(self) -> bytes:
        """Return what has come besides: nats-py takes 32 KiB at a time out of what was read."""
        reader = getattr(getattr(self.nc, "_transport", None), "_io_reader", None)
        waiting = len(getattr(reader, "_buffer", b""))
        return await reader.read(waiting) if reader is not None and waiting else b""

    def _hand_over(self, batches: dict[bytes, list[Delivery]]) -> None:
        for sid, batch in batches.items():
            handler = self.handlers.get(sid)
            if handler is not None:
                handler(batch)
