"""Somebody else who looks at a run's consumer: the server's own counters, by a plain nats-py."""

import asyncio
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error

LISTENS = re.compile(r"Listening for client connections on (\S+)")
GIVEN_UP = ("MAX_DELIVERIES", "MSG_TERMINATED")
DELETED = "Unacknowledged message was deleted"


@dataclass(frozen=True)
class Reading:
    """What the server said between two times; `consumer` is empty where there is none."""

    began_ns: int
    ended_ns: int
    consumer: dict[str, object]
    stream: dict[str, object]
    given_up: int

    @property
    def counters(self) -> dict[str, int]:
        """The counters under the names of a row of `lag.jsonl`."""
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
            "first_seq": int(str(self.stream["first_seq"])),
            "last_seq": int(str(self.stream["last_seq"])),
        }


class Witness:
    """Reads a consumer ten times a second, and counts its advisories, until the server is gone."""

    def __init__(self, run_dir: Path, stream: str, consumer: str) -> None:
        self.readings: list[Reading] = []
        self._log = run_dir / "nats-server.log"
        self._stream, self._consumer = stream, consumer
        self._given_up: set[int] = set()

    async def watch(self) -> None:
        """Wait for the server, then read for as long as it answers."""
        client = await nats.connect(await self._address(), allow_reconnect=False)
        for kind in GIVEN_UP:
            subject = f"$JS.EVENT.ADVISORY.CONSUMER.{kind}.{self._stream}.{self._consumer}"
            await client.subscribe(subject, cb=self._hear)
        try:
            while True:
                await self._read(client)
                await asyncio.sleep(0.1)
        except Error:
            return

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
        began_ns, given_up = time.time_ns(), len(self._given_up)
        stream = await self._ask(client, f"STREAM.INFO.{self._stream}")
        consumer = await self._ask(client, f"CONSUMER.INFO.{self._stream}.{self._consumer}")
        if "state" in stream:
            self.readings.append(
                Reading(began_ns, time.time_ns(), consumer, stream["state"], given_up)
            )

    async def _ask(self, client: Client, verb: str) -> dict[str, dict[str, object]]:
        answer = json.loads((await client.request(f"$JS.API.{verb}", timeout=5)).data)
        return {} if "error" in answer else answer

    def around(self, from_ns: int, to_ns: int) -> list[Reading]:
        """Return the readings from the last before `from_ns` to the first after `to_ns`."""
        before = [one for one in self.readings if one.ended_ns <= from_ns][-1:]
        after = [one for one in self.readings if one.began_ns >= to_ns][:1]
        if not before or not after:
            return []
        between = slice(self.readings.index(before[0]), self.readings.index(after[0]) + 1)
        return self.readings[between]
