"""Between the bus and the world: commands to bots go in, the bots' answers come out."""

import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import orjson
from pydantic import ValidationError

from twin.events.event import Event, SourceTable
from twin.events.subjects import FLEET_ROOT, Layout, SubjectSpace, subject_key
from twin.jetstream.connection import Connection
from twin.jetstream.wire import Delivery
from twin.simulation.inputs import Command
from twin.simulation.orders import COMMAND_MODELS

__all__ = ["Commandable", "Commands"]

MOST_REPLIES = 10_000
"""How many requests may wait for their answers; the oldest are forgotten first."""


class Commandable(Protocol):
    """The world, as far as commands are concerned."""

    @property
    def now_ns(self) -> int:
        """The last instant that happened."""

    def apply(self, given: Command) -> None:
        """Let a command take effect at the next beat."""


class Commands:
    """Subscribes to the channels of commands while a world lives, and publishes its answers.

    In the layout `fleet` the subject names the bot. In the layout `platform` a command is for
    the bot that `metadata.destination` names, and for all bots if that is no bot's id. An
    answer goes to `responses.control`, and to the reply subject if the command was a request.
    Both are best effort, as on core NATS: what comes or goes while the connection is down is
    lost. Commands that reached a bot are in the log of inputs.
    """

    def __init__(self, connection: Connection, space: SubjectSpace, sources: SourceTable) -> None:
        self._connection, self._space, self._sources = connection, space, sources
        self._replies: dict[tuple[str, str], bytes] = {}

    @asynccontextmanager
    async def reach(
        self, world: Commandable, bots: Iterable[str], log: Callable[[bytes], object]
    ) -> AsyncIterator[None]:
        """Meanwhile let commands for `bots` reach `world`; each is a line for `log`."""
        known = dict.fromkeys(bots)

        def take(batch: list[Delivery]) -> None:
            for delivery in batch:
                self._take(delivery, world, known, log)

        channels = [self._space.pattern(f"qiki.{key}") for key in COMMAND_MODELS]
        subscriptions = [
            await self._connection.subscribe(self._space.wire(channel), take)
            for channel in channels
        ]
        try:
            yield
        finally:
            for subscription in subscriptions:
                await self._connection.unsubscribe(subscription)

    def answer(self, events: Sequence[Event]) -> None:
        """Publish what bots have answered."""
        for event in events:
            source = self._sources[event.source]
            to = [self._space.wire(source.subject).encode()]
            request = str(orjson.loads(event.payload)["request_id"])
            if reply := self._replies.pop((source.bot, request), b""):
                to.append(reply)
            headers = event.headers + b"\r\n"
            self._connection.send([(subject, b"", headers, event.payload) for subject in to])

    def _take(
        self,
        delivery: Delivery,
        world: Commandable,
        known: dict[str, None],
        log: Callable[[bytes], object],
    ) -> None:
        subject, reply, _, payload = delivery
        bot, key = self._channel(subject.decode())
        request, destination = _request(key, payload)
        wanted = bot or destination
        for one in [wanted] if wanted in known else [] if bot else known:
            if reply:
                self._expect(one, request, reply)
            world.apply(Command(one, key, payload))
            log(_line(world.now_ns, one, key, payload))

    def _channel(self, wire: str) -> tuple[str, str]:
        """Return the bot that a subject names ("" in the layout of the platform), and the key."""
        logical = self._space.logical(wire)
        if self._space.layout is Layout.PLATFORM:
            return "", subject_key(logical, "")
        bot = logical.removeprefix(FLEET_ROOT).partition(".")[0]
        return bot, subject_key(logical, bot)

    def _expect(self, bot: str, request: str, reply: bytes) -> None:
        self._replies[bot, request] = reply
        if len(self._replies) > MOST_REPLIES:
            del self._replies[next(iter(self._replies))]


def _request(key: str, payload: bytes) -> tuple[str, str]:
    """Return the id that the answer will bear, and the destination; "" when it makes no sense."""
    try:
        metadata = COMMAND_MODELS[key].model_validate_json(payload).metadata
    except ValidationError:
        return "", _destination(payload)
    return metadata.correlation_id or metadata.message_id, metadata.destination


def _destination(payload: bytes) -> str:
    """Return whom a command without sense was meant for, as far as that can be read."""
    try:
        destination = orjson.loads(payload)["metadata"]["destination"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""
    return destination if isinstance(destination, str) else ""


def _line(sim_ns: int, bot: str, key: str, payload: bytes) -> bytes:
    """Return a line of `inputs.jsonl`; bytes that are no text are written in hexadecimal."""
    row: dict[str, str | int] = {"wall_ns": time.time_ns(), "sim_ns": sim_ns, "command": key}
    row["bot"] = bot
    try:
        row["payload"] = payload.decode()
    except UnicodeDecodeError:
        row["payload_hex"] = payload.hex()
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
