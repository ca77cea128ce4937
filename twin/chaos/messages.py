"""Messages that the harness itself puts into a stream, each told to the journal.

They are made after messages that the stream holds: real events of the run, sent again, or with
an identity of their own (`ce-source` urn:twin:<run>:injected) and something wrong. Whatever is
injected is written down with its place in the stream, so that the verdict knows it.
"""

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import orjson

from twin.errors import BrokerUnreachable, InfrastructureError
from twin.events.digest import payload_hash
from twin.events.event import NO_SOURCE, TWIN_SOURCE, SourceTable, attribute
from twin.events.headers import attribute as written
from twin.events.headers import readable_headers
from twin.events.subjects import SubjectSpace
from twin.jetstream.api import stream_state
from twin.jetstream.connection import Connection
from twin.jetstream.puback import read_ack
from twin.jetstream.scan import Message, scan
from twin.verdict.injections import Expected, Injection, Outcome

__all__ = ["Injector", "Recipe", "broken", "changed", "shift", "skewed"]

ORIGIN: Final = "injected"
LOOK: Final = 500
"""Messages of a stream that are looked at for the newest events."""
ANSWER_S: Final = 3.0
DEPTH: Final = 1000
MSG_ID: Final = "Nats-Msg-Id"
UNREADABLE: Final = b"NATS/1.0\r\nce-id without a colon\r\n\xff\xfe: \x01\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One message: of which fault and kind, and what has to become of it."""

    fault: int
    kind: str
    expected: Expected
    id: str
    source: str
    headers: bytes
    payload: bytes


class Injector:
    """Publishes on a connection of its own, which the broker may close without harm.

    Streams are read on `reading`, which it does not close.
    `running` is always true: it is no process. `injections` is what was done so far.
    """

    running = True

    def __init__(
        self,
        connection: Connection,
        reading: Connection,
        space: SubjectSpace,
        sources: SourceTable,
        run_id: str,
    ) -> None:
        self._connection, self._reading, self._space = connection, reading, space
        self._sources, self._run_id = sources, run_id
        self._turn = asyncio.Lock()
        self.injections: list[Injection] = []

    @property
    def largest(self) -> int:
        """The largest message that the broker takes, in bytes."""
        return self._connection.max_payload

    def blank(self, fault: int, number: int, model: Message) -> Recipe:
        """Return message `number` of a fault as a copy of a stored one, with an id of its own."""
        return Recipe(
            fault=fault,
            kind="",
            expected="deduplicated",
            id=f"{ORIGIN}/{fault}/{number}",
            source=f"{TWIN_SOURCE}{self._run_id}:{ORIGIN}",
            headers=model.headers,
            payload=model.payload,
        )

    async def stored(self, stream: str, count: int, *, oldest: bool = False) -> list[Message]:
        """Return the newest or oldest events of the run that a stream holds.

        InfrastructureError when there are fewer than `count`.
        """
        name = self._space.stream(stream)
        state = await stream_state(self._reading, name)
        first = state.first_seq if oldest else max(state.first_seq, state.last_seq - LOOK)
        taken = {one.stream_seq for one in self.injections if one.stream == name}
        found: list[Message] = []
        async for batch in scan(self._reading, name, first, state.last_seq):
            found += [one for one in batch if one.stream_seq not in taken and self._ours(one)]
            if oldest and len(found) >= count:
                break
        if len(found) < count:
            raise InfrastructureError(f"{stream} holds only {len(found)} events to be injected")
        return found[:count] if oldest else found[-count:]

    def _ours(self, message: Message) -> bool:
        headers = readable_headers(message.headers)
        subject = self._space.logical(message.subject)
        named = written(headers, "id"), written(headers, "source")
        return attribute(self._sources, self._run_id, *named, subject)[0] != NO_SOURCE

    async def put(self, stream: str, subject: str, recipe: Recipe) -> Injection:
        """Publish on a subject of the server and write down what became of it."""
        async with self._turn:  # the broker may close the connection upon one of them
            wall_ns = time.time_ns()
            outcome, sequence, error = await self._publish(subject, recipe)
        injection = Injection(
            fault=recipe.fault,
            kind=recipe.kind,
            expected=recipe.expected,
            outcome=outcome,
            stream=self._space.stream(stream),
            stream_seq=sequence,
            subject=self._space.logical(subject),
            id=recipe.id,
            source=recipe.source,
            hash=payload_hash(recipe.payload),
            wall_ns=wall_ns,
            error=error,
        )
        self.injections.append(injection)
        return injection

    async def _publish(self, subject: str, recipe: Recipe) -> tuple[Outcome, int, str]:
        lost = self._connection.disconnects
        try:
            answer = await self._connection.request(
                subject, recipe.payload, headers=recipe.headers, timeout_s=ANSWER_S
            )
        except BrokerUnreachable as error:
            too_large = len(recipe.headers) + len(recipe.payload) > self.largest
            if not too_large or self._connection.disconnects == lost:
                return "unknown", 0, str(error)
            await self._connection.wait_up(ANSWER_S)
            return "refused", 0, "the broker closed the connection: maximum payload"
        ack = read_ack(answer[3])
        if ack is None or ack.error:
            return "refused", 0, f"error {ack.error}" if ack else "no answer of JetStream"
        return ("dropped" if ack.duplicate else "stored"), ack.seq, ""

    def save(self, path: Path) -> None:
        """Write one JSON object per injected message, in their order."""
        path.write_bytes(b"".join(orjson.dumps(asdict(one)) + b"\n" for one in self.injections))


def changed(block: bytes, values: Mapping[str, str | None]) -> bytes:
    """Return a header block with other values of these headers, without those that are None.

    Attributes (`ce-...`) keep their spelling.
    """
    left = {name.lower(): name for name in values}
    lines = []
    for line in filter(None, block.split(b"\r\n")[1:]):
        name = line.partition(b":")[0].decode(errors="replace")
        known = left.pop(name.lower().replace("ce_", "ce-", 1), "")
        if not known:
            lines.append(line)
        elif (value := values[known]) is not None:
            lines.append(f"{name}: {value}".encode())
    rest = ((name, values[name]) for name in left.values())
    lines += [f"{name}: {value}".encode() for name, value in rest if value is not None]
    return b"\r\n".join([b"NATS/1.0", *lines, b"", b""])


def broken(
    kind: str, headers: bytes, payload: bytes, chance: random.Random
) -> tuple[bytes, bytes, Expected]:
    """Return what poison of this kind makes of a message, and what has to become of it."""
    match kind:
        case "invalid_json":
            return headers, payload[: max(1, len(payload) // 2)], "quarantined"
        case "invalid_headers":
            return UNREADABLE, payload, "quarantined"
        case "binary":
            return headers, b"\xff" + chance.randbytes(max(1, len(payload))), "quarantined"
        case "deep_nesting":
            return headers, b"[" * DEPTH + b"]" * DEPTH, "quarantined"
        case "wrong_schema":
            return headers, b'{"schema_version": 999, "unknown": [null]}', "recorded"
    raise InfrastructureError(f"there is no poison {kind!r}")


def skewed(headers: bytes, offset_ns: int) -> str:
    """Return the `ce-time` of a header block with an offset; now plus the offset without one."""
    moment = _time(headers) + timedelta(microseconds=offset_ns // 1000)
    return moment.isoformat().replace("+00:00", "Z")


def shift(before: bytes, after: bytes) -> float:
    """Return by how many seconds the `ce-time` of one header block is ahead of another's."""
    return round((_time(after) - _time(before)).total_seconds(), 3)


def _time(headers: bytes) -> datetime:
    try:
        return datetime.fromisoformat(written(readable_headers(headers), "time"))
    except ValueError:
        return datetime.now(UTC)
