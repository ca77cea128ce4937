"""What the server says about messages that consumers gave up or refused."""

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from twin.events.topology import ConsumerDecl
from twin.jetstream.connection import Connection, Subscription
from twin.jetstream.wire import Delivery

__all__ = ["Advisories"]

REMEMBERED = 100_000
CONSUMERS = 10_000
REMEMBERED_OF_ALL = 1_000_000
GAPS = 1000
KINDS = {"MAX_DELIVERIES": "exhausted", "MSG_TERMINATED": "terminated", "MSG_NAKED": "nak"}
DELETED = frozenset({"Unacknowledged message was deleted", "Message deleted by stream limits"})
"""nats-server's reasons when a message left the stream while a consumer held it."""
_PREFIX = "$JS.EVENT.ADVISORY.CONSUMER"


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    stream: str
    consumer: str
    stream_seq: int
    deliveries: int = 0
    reason: str = ""


class _Distinct:
    """Counts distinct numbers in bounded memory: one that comes again after a while counts again.

    Repeats come close together (a message is refused again when it is delivered again).
    """

    def __init__(self) -> None:
        self.count = 0
        self._recent: dict[int, None] = {}

    @property
    def remembered(self) -> int:
        return len(self._recent)

    def add(self, number: int) -> None:
        if number in self._recent:
            return
        self.count += 1
        self._recent[number] = None
        if len(self._recent) > REMEMBERED:
            del self._recent[next(iter(self._recent))]

    def forget(self) -> None:
        """Keep the count alone."""
        self._recent.clear()


_Key = tuple[str, str, str]


class _Counts:
    """Distinct numbers by key, in bounded memory: 10,000 keys, and 1,000,000 numbers in all.

    Beyond that, of the keys that nothing was heard of for longest first the numbers are
    forgotten, then the counts.
    """

    def __init__(self) -> None:
        self._by_key: dict[_Key, _Distinct] = {}
        self._numbers = 0

    def of(self, key: _Key) -> int:
        seen = self._by_key.get(key)
        return seen.count if seen else 0

    def add(self, key: _Key, number: int) -> None:
        seen = self._by_key.pop(key, None) or _Distinct()
        self._by_key[key] = seen
        before = seen.remembered
        seen.add(number)
        self._numbers += seen.remembered - before
        if self._numbers > REMEMBERED_OF_ALL:
            self._forget(next(one for one in self._by_key.values() if one.remembered))
        if len(self._by_key) > CONSUMERS:
            oldest = next(iter(self._by_key))
            self._forget(self._by_key.pop(oldest))

    def _forget(self, one: _Distinct) -> None:
        self._numbers -= one.remembered
        one.forget()


class Advisories:
    """Collects the advisories of `consumers` while its context is open.

    Each is appended to `path` (if given) as one JSON line: role, stream, consumer, kind,
    stream_seq, deliveries, reason, wall_ns. `deleted` is what the server calls terminated
    because the message left the stream. Counts are of distinct messages, among the last
    100,000 of a consumer and kind; who was not heard of for longest is forgotten beyond
    10,000 of these. An advisory is a core message: what is published while this connection is
    down is not seen, `gaps` holds those times (beyond 1,000 the oldest two as one);
    `complete` is False when the server does not let us listen.
    """

    def __init__(
        self, connection: Connection, consumers: Sequence[ConsumerDecl], path: Path | None = None
    ) -> None:
        self._connection = connection
        self._roles = {(c.stream, c.name): c.role for c in consumers}
        self._path = path
        self._file: BinaryIO | None = None
        self._seen = _Counts()
        self._subscriptions: list[Subscription] = []
        self._listening = connection.listening(state=self._on_state, error=self._on_error)
        self._down_ns = 0
        self.complete = False
        self.strange = 0
        self.gaps: list[tuple[int, int]] = []

    def given_up(self, stream: str, consumer: str) -> tuple[int, int]:
        """Return how many messages were exhausted (max_deliver reached) and terminated."""
        return self._count("exhausted", stream, consumer), self._count(
            "terminated", stream, consumer
        )

    def naks(self, stream: str, consumer: str) -> int:
        """Return how many messages were refused and asked for again."""
        return self._count("nak", stream, consumer)

    def evicted(self, stream: str, consumer: str) -> int:
        """Return how many messages left the stream while the consumer held them."""
        return self._count("deleted", stream, consumer)

    async def __aenter__(self) -> Self:
        self._file = self._path.open("ab") if self._path else None
        self._listening.__enter__()
        self.complete = True
        for name in KINDS:
            for stream, consumer in self._roles:
                subject = f"{_PREFIX}.{name}.{stream}.{consumer}"
                self._subscriptions.append(await self._connection.subscribe(subject, self._receive))
        await self._connection.flush()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._listening.__exit__(None, None, None)
        for subscription in self._subscriptions:
            await self._connection.unsubscribe(subscription)
        if self._file is not None:
            self._file.close()

    def flush(self) -> None:
        """Hand what was collected so far to the operating system."""
        if self._file is not None:
            self._file.flush()

    def _count(self, kind: str, stream: str, consumer: str) -> int:
        return self._seen.of((kind, stream, consumer))

    def _receive(self, batch: list[Delivery]) -> None:
        now = time.time_ns()
        for subject, _, _, payload in batch:
            kind = KINDS[subject.split(b".")[4].decode()]
            try:
                body = _Body.model_validate_json(payload)
            except ValidationError:
                self.strange += 1
                self.complete = False
                continue
            if kind == "terminated" and body.reason in DELETED:
                kind = "deleted"
            self._seen.add((kind, body.stream, body.consumer), body.stream_seq)
            if self._file is not None:
                role = self._roles.get((body.stream, body.consumer), "")
                line = {"role": role, "kind": kind, **body.model_dump(), "wall_ns": now}
                self._file.write(orjson.dumps(line) + b"\n")

    def _on_state(self, up: bool) -> None:
        if up:
            self.gaps.append((self._down_ns, time.time_ns()))
            if len(self.gaps) > GAPS:
                self.gaps[:2] = [(self.gaps[0][0], self.gaps[1][1])]
        else:
            self._down_ns = time.time_ns()

    def _on_error(self, text: str) -> None:
        if "permissions violation for subscription" in text and _PREFIX.lower() in text.lower():
            self.complete = False
