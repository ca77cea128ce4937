"""A connection to a NATS server that survives the server, and says what happened to it."""

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar, cast, get_args

import nats.errors
from nats.aio.subscription import Subscription as NativeSubscription

from twin.errors import BrokerUnreachable, InfrastructureError, UsageError
from twin.jetstream.link import ConnectionEvent, Link, WireChoice, complained, describe
from twin.jetstream.options import BrokerOptions
from twin.jetstream.wire import Delivery, Handler, Publication, StoredHandler, Volley, Wire

__all__ = [
    "BrokerOptions",
    "Connection",
    "ConnectionEvent",
    "NoResponders",
    "NotPermitted",
    "Subscription",
    "connect",
]

T = TypeVar("T")
StateListener = Callable[[bool], None]
ErrorListener = Callable[[str], None]


class NoResponders(BrokerUnreachable):
    """Nothing on the server answers this subject."""


class NotPermitted(BrokerUnreachable):
    """The server does not let us publish on this subject."""


@dataclass(slots=True, eq=False)
class Subscription:
    """Interest in a subject, kept across reconnects and replaced clients."""

    subject: str
    handler: Handler
    stored: StoredHandler | None = None
    native: NativeSubscription | None = None

    async def renew(self, wire: Wire) -> None:
        """Subscribe over a new wire."""
        self.native = await wire.subscribe(self.subject, self.handler, self.stored)


async def connect(
    options: BrokerOptions,
    *,
    name: str,
    forever: bool = False,
    timeout_s: float = 2.0,
    wire: WireChoice | None = None,
) -> "Connection":
    """Connect; once connected, the connection is kept for ever.

    The first connect is one attempt on each server within `timeout_s`, then BrokerUnreachable;
    a service passes `forever` and waits for its broker. `wire` chooses the fast or the public
    way through nats-py, `auto` the fast one where it fits; None is what TWIN_WIRE says, or auto.
    """
    connection = Connection(options, name, wire or _wire_of(os.environ))
    await connection.open(forever=forever, timeout_s=timeout_s)
    return connection


def _wire_of(environ: Mapping[str, str]) -> WireChoice:
    choice = environ.get("TWIN_WIRE", "") or "auto"
    for known in get_args(WireChoice):
        if choice == known:
            return cast("WireChoice", known)
    raise UsageError(f"TWIN_WIRE={choice}: it is one of {', '.join(get_args(WireChoice))}")


class Connection:
    """One client of a NATS server; made by `connect`, closed by leaving its context.

    Listeners and handlers are synchronous. One that raises breaks the connection: every later
    call raises InfrastructureError from what it raised.
    """

    def __init__(self, options: BrokerOptions, name: str, wire: WireChoice) -> None:
        self.options = options
        self.name = name
        self._link = Link(
            options, name, wire, renew=self._renew, changed=self._changed, failed=self._failed
        )
        self._broken: Exception | None = None
        self._subscriptions: list[Subscription] = []
        self._state_listeners: list[StateListener] = []
        self._error_listeners: list[ErrorListener] = []
        self._replies: dict[bytes, asyncio.Future[Delivery]] = {}
        self._inbox = ""
        self._tokens = 0

    @property
    def up(self) -> bool:
        """Whether what is sent now has a chance to arrive."""
        return self._link.up

    @property
    def events(self) -> deque[ConnectionEvent]:
        """The most recent events, oldest first."""
        return self._link.events

    @property
    def disconnects(self) -> int:
        """How often the connection was lost."""
        return self._link.disconnects

    @property
    def wire_name(self) -> str:
        """`fast` or `public`: which way messages take."""
        return self._link.wire.name if self._link.wire else ""

    @property
    def server_version(self) -> str:
        """The version of the server last connected to."""
        version = self._link.client.connected_server_version
        return f"{version.major}.{version.minor}.{version.patch}"

    @property
    def advertised(self) -> tuple[str, ...]:
        """Addresses of further servers, which the server told us of."""
        return tuple(url.netloc for url in self._link.client.discovered_servers)

    @property
    def max_payload(self) -> int:
        """The largest message, headers and payload, that the server takes, in bytes."""
        return self._link.client.max_payload

    async def open(self, *, forever: bool, timeout_s: float) -> None:
        """Connect for the first time; see `connect`."""
        await self._link.open(forever=forever, timeout_s=timeout_s)

    async def wait_up(self, timeout_s: float) -> None:
        """Return once the connection is up; raises BrokerUnreachable after `timeout_s`."""
        self.check()
        await self._link.wait_up(timeout_s)

    def send(self, publications: Sequence[Publication]) -> bool:
        """Send without waiting, in this order; False when the connection is down."""
        self.check()
        if not self._link.up or self._link.wire is None:
            return False
        self._link.wire.send(publications)
        return True

    async def publish(self, subject: str, payload: bytes, headers: bytes = b"") -> None:
        """Publish on core NATS, unacknowledged; raises BrokerUnreachable when down."""
        if not self.send([(subject.encode(), b"", headers, payload)]):
            raise self._link.unreachable("not connected")

    async def request(
        self, subject: str, payload: bytes = b"", *, headers: bytes = b"", timeout_s: float = 5.0
    ) -> Delivery:
        """Return the first reply. Raises NoResponders, NotPermitted, or BrokerUnreachable in time.

        Waits for the connection when it is down; a request that was sent is not repeated.
        """
        deadline = time.monotonic() + timeout_s
        await self.wait_up(timeout_s)
        if not self._inbox:
            self._inbox = self.new_inbox()
            await self.subscribe(f"{self._inbox}.*", self._on_reply)
        self._tokens += 1
        reply = f"{self._inbox}.{self._tokens}".encode()
        future: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
        self._replies[reply] = future

        def refuse(text: str) -> None:
            if complained([text], "publish", subject) and not future.done():
                future.set_exception(
                    NotPermitted(
                        f"{self.options.shown} does not permit us to publish on {subject}: "
                        "`twin doctor` prints the permissions that are missing"
                    )
                )

        try:
            with self.listening(error=refuse):
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    self.send([(subject.encode(), reply, headers, payload)])
                    answer = await future
        except TimeoutError:
            raise self._link.unreachable(f"no answer on {subject} in {timeout_s:g} s") from None
        finally:
            del self._replies[reply]
        if answer[2].startswith(b"NATS/1.0 503"):
            raise NoResponders(f"Nothing answers {subject} at {self.options.shown}.")
        return answer

    def launch(self, inbox: bytes, volley: Volley) -> bool:
        """Send events without waiting, in this order; False when the connection is down."""
        self.check()
        if not self._link.up or self._link.wire is None:
            return False
        self._link.wire.launch(inbox, volley)
        return True

    def answer(self, subjects: Sequence[bytes], word: bytes) -> bool:
        """Send the same payload to each subject without waiting; False when down."""
        self.check()
        if not self._link.up or self._link.wire is None:
            return False
        self._link.wire.answer(subjects, word)
        return True

    async def subscribe(
        self, subject: str, handler: Handler, stored: StoredHandler | None = None
    ) -> Subscription:
        """Deliver what arrives on `subject` to `handler`, until `unsubscribe`.

        With `stored`, plain acknowledgements of a publish may go there instead.
        """
        self.check()
        subscription = Subscription(
            subject, self._guarded(handler), stored and self._guarded(stored)
        )
        self._subscriptions.append(subscription)
        if self._link.wire is not None:
            with self._translated():
                await subscription.renew(self._link.wire)
        return subscription

    async def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription; one that has ended already is left alone."""
        if subscription not in self._subscriptions:
            return
        self._subscriptions.remove(subscription)
        if subscription.native is not None and self._link.wire is not None:
            with self._translated():
                await self._link.wire.unsubscribe(subscription.native)

    async def flush(self, timeout_s: float = 5.0) -> None:
        """Return once the server has taken in everything that was sent so far.

        Over the public API twice: a ping of nats-py overtakes what it still holds back, and only
        the second one comes after that.
        """
        await self.wait_up(timeout_s)
        with self._translated():
            async with asyncio.timeout(timeout_s):
                await self._link.client.flush()
                if self.wire_name != "fast":
                    await self._link.client.flush()

    def new_inbox(self) -> str:
        """Return a subject of our own for replies."""
        return self._link.client.new_inbox()

    @contextmanager
    def listening(
        self, *, state: StateListener | None = None, error: ErrorListener | None = None
    ) -> Iterator[None]:
        """Meanwhile call `state(up)` on changes, and `error(text)` with what the server reports."""
        states = [state] if state else []
        errors = [error] if error else []
        self._state_listeners += states
        self._error_listeners += errors
        try:
            yield
        finally:
            self._state_listeners = [s for s in self._state_listeners if s not in states]
            self._error_listeners = [e for e in self._error_listeners if e not in errors]

    async def close(self) -> None:
        """Disconnect for good; requests that wait for a reply are cancelled."""
        await self._link.close()
        for reply in self._replies.values():
            reply.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.close()

    def _on_reply(self, batch: list[Delivery]) -> None:
        for delivery in batch:
            future = self._replies.get(delivery[0])
            if future is not None and not future.done():
                future.set_result(delivery)

    async def _renew(self, wire: Wire) -> None:
        for subscription in self._subscriptions:
            await subscription.renew(wire)

    def _changed(self, up: bool) -> None:
        for listener in self._state_listeners:
            self._guard(lambda listener=listener: listener(up))  # type: ignore[misc]

    def _failed(self, text: str) -> None:
        for listener in self._error_listeners:
            self._guard(lambda listener=listener: listener(text))  # type: ignore[misc]

    def _guarded(self, handler: Callable[[T], None]) -> Callable[[T], None]:
        return lambda batch: self._guard(lambda: handler(batch))

    def _guard(self, call: Callable[[], None]) -> None:
        """Keep an exception out of nats-py's tasks, and report it to whoever calls next."""
        try:
            call()
        except Exception as error:
            self._broken = self._broken or error
            self._link.note("error", f"a handler raised {describe(error)}")

    def check(self) -> None:
        """Raise InfrastructureError when the connection is broken for good."""
        if self._broken is not None:
            raise InfrastructureError(
                f"A handler of the connection {self.name!r} raised {describe(self._broken)}"
            ) from self._broken
        self._link.check()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise nats-py's errors, OS errors and timeouts as ours."""
        try:
            yield
        except (nats.errors.Error, OSError, TimeoutError) as error:
            raise self._link.unreachable(describe(error)) from error
