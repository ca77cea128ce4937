"""Notes the messages that a scenario's expectations are about, from streams or off the wire.

What a stream captures is read from it at the end, complete and with the server's times. The
rest is heard while the run lasts, by a plain subscription: as such it may miss what is
published while the connection is down, and then nothing is judged from it.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import orjson

from twin.errors import InfrastructureError
from twin.events.headers import readable_headers
from twin.events.subjects import FLEET_ROOT, PLATFORM_ROOT, SubjectSpace, covers
from twin.jetstream.api import stream_info, streams_on
from twin.jetstream.connection import Connection, Subscription
from twin.jetstream.scan import scan
from twin.jetstream.wire import Delivery
from twin.scenario.evidence.rows import Json, at_path
from twin.scenario.language.values import NS_PER_S
from twin.verdict.bus_expectations import BUS
from twin.verdict.criteria import Expectation

__all__ = ["Hearing"]

Row = dict[str, object]
HEARD = "heard:"
MOST = 1_000_000
"""Messages that are kept off the wire; beyond this an expectation cannot be judged."""


@dataclass(frozen=True, slots=True)
class _Ask:
    """One side of an expectation: which messages it wants, and what of them."""

    number: int
    side: str
    pattern: str
    where: dict[str, str | int | float | bool | None]
    places: tuple[str, ...]


class _Passed(NamedTuple):
    """A message as it passed: when, and where it can be found."""

    subject: str
    time_ns: int
    headers: bytes
    payload: bytes
    place: str


@dataclass(slots=True)
class Hearing:
    """The messages of all expectations `on` a subject; `space` is where the run lives."""

    connection: Connection
    space: SubjectSpace
    expectations: Sequence[Expectation]
    _asks: list[_Ask] = field(default_factory=list)
    _first: dict[str, int] = field(default_factory=dict)
    _heard: list[tuple[str, _Passed]] = field(default_factory=list)
    _subscriptions: list[Subscription] = field(default_factory=list)
    _disconnects: int = 0
    _why: str = ""

    def __post_init__(self) -> None:
        """Work out what to listen for."""
        self.expectations = [one for one in self.expectations if one.on is not None]
        for number, one in enumerate(self.expectations):
            own, others = tuple(one.match), tuple(one.match.values())
            self._asks.append(_Ask(number, "on", self._wire(one.on), dict(one.where), own))
            other = one.per if one.per is not None else one.after
            if other is not None:
                self._asks.append(_Ask(number, "other", self._wire(other), dict(one.given), others))

    @property
    def patterns(self) -> list[str]:
        """The subjects and patterns of interest, as the broker sees them."""
        return sorted({ask.pattern for ask in self._asks})

    async def start(self) -> None:
        """Hear from now on what no stream captures, and remember where the streams begin."""
        captured: list[str] = []
        for stream in await self.streams():
            info = await stream_info(self.connection, stream)
            if info is not None:
                self._first[stream] = info.state.last_seq + 1
                captured += info.config.subjects
        for pattern in self.patterns:
            if not any(covers(one, pattern) for one in captured):
                hear = partial(self._hear, pattern)
                self._subscriptions.append(await self.connection.subscribe(pattern, hear))
        self._disconnects = self.connection.disconnects

    async def rest(self, ended_ns: int) -> None:
        """Wait until no answer to an event before `ended_ns` (wall) can still be in time."""
        patience_ns = max((one.within or 0 for one in self.expectations), default=0)
        await asyncio.sleep(max(0, ended_ns + patience_ns - time.time_ns()) / NS_PER_S)

    async def write(self, path: Path) -> None:
        """Write `observed/bus.jsonl` into a run folder; a stream that cannot be read is told."""
        if not self.expectations:
            return
        for subscription in self._subscriptions:
            await self.connection.unsubscribe(subscription)
        if self.connection.disconnects != self._disconnects and not self._why:
            self._why = "the connection was lost, and no stream captures its subjects"
        until_ns, captured = time.time_ns(), list[str]()
        rows: list[Row] = []
        why = ""
        try:
            for stream in await self.streams():
                info = await stream_info(self.connection, stream)
                if info is None:
                    continue
                captured += info.config.subjects
                first = max(self._first.get(stream, 1), info.state.first_seq)
                async for batch in scan(self.connection, stream, first, info.state.last_seq):
                    for one in batch:
                        place = f"{stream}:{one.stream_seq}"
                        passed = _Passed(
                            one.subject, one.timestamp_ns, one.headers, one.payload, place
                        )
                        rows += self._rows(passed, self._asks)
        except InfrastructureError as error:
            why = str(error).partition("\n")[0]
        for pattern, passed in self._heard:
            if not any(covers(one, passed.subject) for one in captured):
                rows += self._rows(passed, [ask for ask in self._asks if ask.pattern == pattern])
        blind = not all(any(covers(one, ask.pattern) for one in captured) for ask in self._asks)
        why = why or (self._why if blind else "")
        with (path / BUS).open("wb") as file:
            names = [one.name for one in self.expectations]
            _line(file, {"expectations": names, "until_ns": until_ns, "why": why})
            for row in rows:
                _line(file, row)

    async def streams(self) -> list[str]:
        """Return every stream that captures a subject of interest."""
        found: dict[str, None] = {}
        for pattern in self.patterns:
            found |= dict.fromkeys(await streams_on(self.connection, pattern))
        return list(found)

    def _wire(self, subject: str | None) -> str:
        """Return a logical subject or pattern as the broker sees it, in the run's layout."""
        logical = subject or ""
        if logical.startswith(PLATFORM_ROOT) and not logical.startswith(FLEET_ROOT):
            logical = self.space.pattern(logical)
        return self.space.wire(logical)

    def _hear(self, pattern: str, deliveries: list[Delivery]) -> None:
        now = time.time_ns()
        if len(self._heard) + len(deliveries) > MOST:
            self._why = f"more than {MOST} messages passed"
            return
        for subject, _, headers, payload in deliveries:
            name = subject.decode(errors="replace")
            place = f"{HEARD}{len(self._heard) + 1}"
            self._heard.append((pattern, _Passed(name, now, headers, payload, place)))

    def _rows(self, passed: _Passed, asks: Sequence[_Ask]) -> Iterator[Row]:
        """Yield a row for each side that wants a message."""
        wanting = [ask for ask in asks if covers(ask.pattern, passed.subject)]
        if not wanting:
            return
        logical = self.space.logical(passed.subject)
        message = _Message(logical, passed.headers, passed.payload)
        for ask in wanting:
            if all(message.at(one) == wanted for one, wanted in ask.where.items()):
                key, name = [message.at(one) for one in ask.places], message.id or passed.place
                yield {
                    "n": ask.number,
                    "side": ask.side,
                    "id": name,
                    "time_ns": passed.time_ns,
                    "key": ["no value", name] if None in key else key,
                    "heard": passed.place.startswith(HEARD),
                }


class _Message:
    """A message, and what lies at places in it."""

    def __init__(self, subject: str, headers: bytes, payload: bytes) -> None:
        self.fields = readable_headers(headers)
        self._tokens = subject.split(".")
        try:
            self._payload: Json = orjson.loads(payload)
        except orjson.JSONDecodeError:
            self._payload = None

    @property
    def id(self) -> str:
        """Its CloudEvents id, "" without one."""
        return self.fields.get("ce-id", "")

    def at(self, place: str) -> Json:
        """Return the value at payload.a.b, header.name or subject.0; None where there is none."""
        root, _, rest = place.partition(".")
        if root == "payload":
            return at_path(self._payload, rest)
        if root == "header":
            return self.fields.get(rest.lower())
        number = int(rest)
        return self._tokens[number] if number < len(self._tokens) else None


def _line(file: BinaryIO, row: dict[str, object]) -> None:
    file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
