"""Somebody else who looks at a run's consumer: the server's own counters, by a plain nats-py."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error

LISTENS = re.compile(r"Listening for client connections on (\S+)")
GIVEN_UP = ("MAX_DELIVERIES", "MSG_TERMINATED")
PATIENCE_S = 30
DELETED = "Unacknowledged message was deleted"


@dataclass(frozen=True)
class Reading:
    """What the server said between two times; `consumer` is empty where there is none.

    `given_up` is how many messages it had told of as given up: before the first, by the second.
    """

    began_ns: int
    ended_ns: int
    consumer: dict[str, object]
    stream: dict[str, object]
    given_up: tuple[int, int]

    @property
    def created(self) -> object:
        """When the consumer was made: another one of the same name has another time."""
        return self.consumer.get("created")

    @property
    def stream_counters(self) -> dict[str, int]:
        """The stream's counters under the names of a row of `lag.jsonl`."""
        return {name: int(str(self.stream[name])) for name in ("first_seq", "last_seq")}

    @property
    def counters(self) -> dict[str, int]:
        """The consumer's counters under the names of a row of `lag.jsonl`; none without one."""
        if not self.consumer:
            return {}
        one, delivered, floor = (
            self.consumer,
            self.consumer["delivered"],
            self.consumer["ack_floor"],
        )
        assert isinstance(delivered, dict)
        assert isinstance(floor, dict)
        return {
            "num_pending": int(str(one["num_pending"])),
            "num_ack_pending": int(str(one["num_ack_pending"])),
            "delivered_seq": int(delivered["stream_seq"]),
            "ack_floor": int(floor["stream_seq"]),
        }


class Witness:
    """Reads a consumer ten times a second, and counts its advisories, until the server is gone."""

    def __init__(self, run_dir: Path, stream: str, consumer: str) -> None:
        self.readings: list[Reading] = []
        self._log = run_dir / "nats-server.log"
        self._stream, self._consumer = stream, consumer
        self._given_up: set[int] = set()
        self._advisories: list[Subscription] = []

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Wait for the server and read while it answers, until the context ends."""
        watch = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError, Error):
                await watch

    async def _watch(self) -> None:
        client = await nats.connect(
            await self._address(), allow_reconnect=False, connect_timeout=PATIENCE_S
        )
        async with client:
            for kind in GIVEN_UP:
                subject = f"$JS.EVENT.ADVISORY.CONSUMER.{kind}.{self._stream}.{self._consumer}"
                self._advisories.append(await client.subscribe(subject, cb=self._hear))
            while True:
                await self._read(client)
                await asyncio.sleep(0.1)

    async def _address(self) -> str:
        while True:
            found = LISTENS.search(self._log.read_text()) if self._log.exists() else None
            if found:
                return found[1]
            await asyncio.sleep(0.05)

    async def _hear(self, message: Msg) -> None:
        body = json.loads(message.data)
        if body.get("reason") != DELETED:
            self._given_up.add(body["stream_seq"])

    async def _read(self, client: Client) -> None:
        began_ns, told_before = time.time_ns(), len(self._given_up)
        stream = await self._ask(client, f"STREAM.INFO.{self._stream}")
        consumer = await self._ask(client, f"CONSUMER.INFO.{self._stream}.{self._consumer}")
        while any(one.pending_msgs for one in self._advisories):  # noqa: ASYNC110 - no Event
            await asyncio.sleep(0)
        if "state" in stream:
            told = (told_before, len(self._given_up))
            self.readings.append(Reading(began_ns, time.time_ns(), consumer, stream["state"], told))

    async def _ask(self, client: Client, verb: str) -> dict[str, dict[str, object]]:
        answer = json.loads((await client.request(f"$JS.API.{verb}", timeout=PATIENCE_S)).data)
        return {} if "error" in answer else answer

    def around(self, from_ns: int, to_ns: int) -> tuple[Reading, Reading] | None:
        """Return the last reading that ended by `from_ns` and the first that began at `to_ns`."""
        before = [one for one in self.readings if one.ended_ns <= from_ns]
        after = [one for one in self.readings if one.began_ns >= to_ns]
        return (before[-1], after[0]) if before and after else None
