"""The life of a nats-py client: first connect, reconnects, replacement when it gives up."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import nats.errors
from nats.aio.client import Client

from twin.errors import BrokerUnreachable, UsageError
from twin.jetstream import fastpath
from twin.jetstream.logins import BadLogin, CredentialsFile, read_creds, read_nkey
from twin.jetstream.options import BrokerOptions
from twin.jetstream.wire import PublicWire, Wire

__all__ = ["ConnectionEvent", "Link", "WireChoice", "complained", "describe"]

CONNECT_TIMEOUT_S = 2
RECONNECT_WAIT_S = 0.25
PING_INTERVAL_S = 2
PINGS_OUTSTANDING = 2
SILENCE_S = 15.0
REFUSED = "Authorization Violation"
_EVENTS_KEPT = 10_000
_CLOSE_S = 1.0
_LOOK_S = 1.0

WireChoice = Literal["auto", "fast", "public"]


@dataclass(frozen=True, slots=True)
class ConnectionEvent:
    """What happened to a connection; `detail` carries no secrets.

    Kinds: connected, disconnected, reconnected, replaced, error, lame_duck, closed.
    """

    wall_ns: int
    kind: str
    detail: str = ""


class Link:
    """Keeps one client connected for ever; `up` tells whether sending makes sense now.

    `renew(wire)` is awaited for every new client before the link counts as up; `changed(up)`
    and `failed(text)` are told of changes and of errors that the server reports. None of
    them may raise: an exception in a callback of nats-py can end its reconnecting.
    """

    def __init__(
        self,
        options: BrokerOptions,
        name: str,
        choice: WireChoice,
        *,
        renew: Callable[[Wire], Awaitable[None]],
        changed: Callable[[bool], None],
        failed: Callable[[str], None],
    ) -> None:
        self.options = options
        self.name = name
        self.events: deque[ConnectionEvent] = deque(maxlen=_EVENTS_KEPT)
        self.disconnects = 0
        self.client = Client()
        self.wire: Wire | None = None
        self._choice = choice
        self._renew = renew
        self._changed = changed
        self._failed = failed
        self._up = asyncio.Event()
        self._given_up = asyncio.Event()
        self._closing = False
        self._dialled = False
        self._dialling = False
        self._refusals_left: int | None = None
        self._why_down = ""
        self._last_sign = time.monotonic()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def up(self) -> bool:
        """Whether what is sent now has a chance to arrive."""
        return self._up.is_set() and self.client.is_connected

    async def open(self, *, forever: bool, timeout_s: float) -> None:
        """Connect for the first time: one round over the servers, or until it works."""
        try:
            async with asyncio.timeout(None if forever else timeout_s):
                await self._dial(None if forever else len(self.options.servers))
        except TimeoutError:
            raise self.unreachable(f"no answer within {timeout_s:g} s") from None
        finally:
            if not self._up.is_set():
                await self._discard_client()
        self._keeper = asyncio.create_task(self._keep(), name=f"{self.name}-keeper")

    def check(self) -> None:
        """Raise what ended the keeping of the link, if anything did."""
        if self._keeper is not None and self._keeper.done() and not self._closing:
            self._keeper.result()

    async def wait_up(self, timeout_s: float) -> None:
        """Return once the link is up; raises BrokerUnreachable after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._up.wait()
        except TimeoutError:
            raise self.unreachable(f"no connection within {timeout_s:g} s") from None

    async def close(self) -> None:
        """Disconnect for good."""
        self._closing = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        await self._discard_client()
        self._fall("closed")

    def unreachable(self, reason: str) -> BrokerUnreachable:
        """Return the error to raise, without secrets, with what was told last if it is down."""
        why = f" ({self._why_down})" if self._why_down and self._why_down not in reason else ""
        text = f"No NATS server answers at {self.options.shown}: {reason}{why}"
        return BrokerUnreachable(self.options.redact(text))

    def note(self, kind: str, detail: str = "") -> None:
        """Log an event."""
        self.events.append(ConnectionEvent(time.time_ns(), kind, self.options.redact(detail)))

    async def _dial(self, refusals: int | None) -> None:
        options = self.options
        if options.creds:
            read_creds(options.creds)
        seed = read_nkey(options.nkey) if options.nkey else None
        tls = options.ssl_context()
        self.client = client = Client()
        self._refusals_left = refusals
        self._dialled = self._dialling = True
        try:
            await client.connect(
                options.servers,
                name=self.name,
                error_cb=self._on_error,
                disconnected_cb=self._on_disconnected,
                reconnected_cb=self._on_reconnected,
                closed_cb=self._on_closed,
                lame_duck_mode_cb=self._on_lame_duck,
                connect_timeout=CONNECT_TIMEOUT_S,
                reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type] # slept, only
                max_reconnect_attempts=-1,
                ping_interval=PING_INTERVAL_S,
                max_outstanding_pings=PINGS_OUTSTANDING,
                tls=tls,
                tls_handshake_first=options.tls_first,
                tls_hostname=options.tls_hostname or None,
                user=options.user or None,
                password=options.password or ("" if options.user else None),
                token=options.token or None,
                user_credentials=CredentialsFile(options.creds) if options.creds else None,
                nkeys_seed_str=seed,
                inbox_prefix=options.inbox_prefix,
            )
        except nats.errors.Error as error:
            raise self.unreachable(describe(error)) from error
        finally:
            self._dialling = False
        self._refusals_left = None
        self.wire = self._choose_wire(client)
        await self._renew(self.wire)
        self._rise("connected")

    def _choose_wire(self, client: Client) -> Wire:
        missing = fastpath.missing_internals(client)
        if self._choice == "fast" and missing:
            raise UsageError(f"The fast path needs {', '.join(missing)}")
        if self._choice == "public" or missing:
            return PublicWire(client, self._on_local_error)
        return fastpath.FastWire(client, self._on_local_error)

    async def _keep(self) -> None:
        """Replace the client when it gave up for good or shows no sign of life."""
        while True:
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._given_up.wait()
            except TimeoutError:
                if self.up or time.monotonic() - self._last_sign < SILENCE_S:
                    continue
            await self._discard_client()
            self._given_up.clear()
            await self._dial_again()

    async def _dial_again(self) -> None:
        """Connect anew; a file of a login that is broken now may be whole again in a second."""
        while True:
            try:
                return await self._dial(None)
            except UsageError as error:
                self._note_failure(str(error))
                self._failed(str(error))
                await asyncio.sleep(_LOOK_S)

    async def _discard_client(self) -> None:
        if self.wire is not None:
            await self.wire.close()
            self.wire = None
        if not self._dialled:
            return
        try:
            async with asyncio.timeout(_CLOSE_S):  # a TLS transport may never say it is closed
                await self.client.close()
        except (nats.errors.Error, OSError, TimeoutError) as error:
            self.note("error", describe(error))

    def _rise(self, kind: str) -> None:
        self.note(kind, self.options.shown)
        self._last_sign = time.monotonic()
        self._why_down = ""
        self._up.set()
        self._changed(True)

    def _fall(self, kind: str) -> None:
        if not self._up.is_set():
            return
        self._up.clear()
        self._last_sign = time.monotonic()
        self.note(kind)
        if kind == "disconnected":
            self.disconnects += 1
        if self.wire is not None:
            self.wire.reset()
        self._changed(False)

    def _note_failure(self, text: str) -> None:
        """Log an error; while the link is down, it is why."""
        self.note("error", text)
        if not self._up.is_set():
            self._why_down = text

    def _on_local_error(self, error: Exception) -> None:
        self.note("error", describe(error))

    async def _on_error(self, error: Exception) -> None:
        self._last_sign = time.monotonic()
        self._note_failure(describe(error))
        if self._refusals_left is not None:
            self._refusals_left -= 1
            if self._refusals_left <= 0:
                raise self.unreachable(describe(error))  # the first connect, which nobody awaits
        if not self._dialling and (isinstance(error, BadLogin) or REFUSED in str(error)):
            self._given_up.set()  # nats-py would leave a socket open with each further try
        self._failed(describe(error))

    async def _on_disconnected(self) -> None:
        self._fall("closed" if self._closing else "disconnected")

    async def _on_reconnected(self) -> None:
        self._rise("reconnected")

    async def _on_closed(self) -> None:
        await self._on_disconnected()
        if not self._closing:
            self._given_up.set()

    async def _on_lame_duck(self) -> None:
        self.note("lame_duck")


def describe(error: BaseException) -> str:
    """Return the text of an error, its name when it has none."""
    if isinstance(error, ConnectionResetError):  # a refusal that was lost with its connection
        return "the server closed the connection at once (wrong credentials, or TLS needed?)"
    return str(error) or type(error).__name__


def complained(refused: Sequence[str], action: str, subject: str) -> bool:
    """Tell whether one of the complaints is about `publish` or `subscription` of a subject."""
    wanted = f'permissions violation for {action} to "{subject}"'.lower()
    return any(wanted in text.lower() for text in refused)
