"""The same flows as they are usually written: the plain twin, publish_async, fetch, sqlite3.

Run as a program it records in a process of its own: URL, durable, database.
"""

import asyncio
import contextlib
import itertools
import os
import sqlite3
import sys
import time
from functools import partial
from pathlib import Path

import nats
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from twin.bench import nats_py, ours
from twin.bench.measured import Measured
from twin.bench.plain import PlainFleet
from twin.bench.rig import STREAM, Rig
from twin.errors import InfrastructureError

__all__ = ["flow", "published", "scale"]

WINDOW = 4000
FETCH, FETCH_S = 500, 0.05
"""Short waits: fetch holds a partial batch back until its time is over."""
LEAD_S = 0.2
INTENDED = "Twin-Intended-Ns"
DURABLE = "plain"
RUN = "flow"
YIELD_EVERY = 64
TABLE = "CREATE TABLE events (id TEXT PRIMARY KEY, subject, intended, payload, batch)"
INSERT = "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)"
COMMITS = ".commits"
"""Beside the database: when the batches were durable, a line each."""


async def flow(rig: Rig, bots: int, seconds: float) -> Measured:
    """Real time, with a recorder as its own process; latency from intended to committed."""
    await rig.fresh()
    await rig.durable(DURABLE)
    database = rig.folder / "plain.sqlite"
    fleet = _Fleet(bots)
    reader = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, rig.server.url, DURABLE, str(database)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        if reader.stdout is None or await reader.stdout.readline() != b"ready\n":
            raise InfrastructureError("The recording process did not start.")
        client = await nats.connect(rig.server.url)
        js = client.jetstream(publish_async_max_pending=WINDOW)
        async with await rig.connect() as watch:
            with rig.clock(reader=reader.pid) as clock:
                count = await fleet.publish(js, time.time() + LEAD_S, seconds)
                await js.publish_async_completed()
                await ours.acknowledged(watch, DURABLE, count)
        measured = Measured.of(count, clock, {"server": rig.server.pid, "reader": reader.pid})
        await client.close()
    finally:
        if reader.returncode is None:
            reader.kill()
        await reader.wait()
    return measured.with_latencies(_latencies_us(database, count))


async def scale(rig: Rig, bots: int, messages: float) -> Measured:
    """The plain twin as fast as publish_async goes."""
    await rig.fresh()
    fleet = _Fleet(bots)
    client = await nats.connect(rig.server.url)
    js = client.jetstream(publish_async_max_pending=WINDOW)
    with rig.clock() as clock:
        count = await fleet.publish_all(js, round(messages))
        await js.publish_async_completed()
    await client.close()
    return Measured.of(count, clock, {"server": rig.server.pid})


async def published(rig: Rig, size: int, messages: float) -> Measured:
    """Ready-made payloads of `size` bytes by publish_async."""
    await rig.fresh()
    ready = partial(nats_py.ready_made, size=size)
    turn = await nats_py.publish_async(rig, round(messages), RUN, ready=ready)
    return Measured.of(turn.messages, turn.clock, {"server": rig.server.pid})


class _Fleet:
    """The plain twin with what it wants to send."""

    def __init__(self, bots: int) -> None:
        self._made: list[tuple[str, bytes, dict[str, str]]] = []
        plain = PlainFleet(bots, RUN, lambda *event: self._made.append(event))
        self._environment = plain.environment

    async def publish(self, js: JetStreamContext, began_s: float, seconds: float) -> int:
        """Publish in real time from `began_s`; return how many events that were."""
        count = steps = 0
        while (now := self._environment.peek()) < seconds:
            if (early_s := began_s + now - time.time()) > 0:
                await asyncio.sleep(early_s)
            self._environment.step()
            intended = str(round((began_s + now) * 1e9))
            for subject, body, headers in self._taken():
                headers[INTENDED] = intended
                await js.publish_async(f"{ours.PREFIX}.{subject}", body, headers=headers)
                count += 1
            steps += 1
            if steps % YIELD_EVERY == 0:
                await asyncio.sleep(0)
        return count

    async def publish_all(self, js: JetStreamContext, messages: int) -> int:
        """Publish the first `messages` events."""
        count = 0
        while count < messages:
            self._environment.step()
            for subject, body, headers in self._taken():
                await js.publish_async(f"{ours.PREFIX}.{subject}", body, headers=headers)
                count += 1
        return count

    def _taken(self) -> list[tuple[str, bytes, dict[str, str]]]:
        made = self._made[:]
        self._made.clear()
        return made


def _latencies_us(database: Path, count: int) -> list[int]:
    commits = [int(line) for line in database.with_suffix(COMMITS).read_text().split()]
    with contextlib.closing(sqlite3.connect(database)) as db:
        rows = db.execute("SELECT batch, intended FROM events")
        found = [(commits[batch] - intended) // 1000 for batch, intended in rows]
    if len(found) != count:
        raise InfrastructureError(f"{len(found)} of {count} events were recorded")
    return found


async def _record(url: str, durable: str, database: Path) -> None:
    """Record until killed: commit, then acknowledge."""
    db = sqlite3.connect(database, isolation_level=None)
    db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {TABLE};")
    client = await nats.connect(url)
    subscription = await client.jetstream().pull_subscribe_bind(durable, stream=STREAM)
    os.write(sys.stdout.fileno(), b"ready\n")
    with database.with_suffix(COMMITS).open("w") as commits:
        for number in itertools.count():
            batch = await _next(subscription)
            db.execute("BEGIN")
            db.executemany(INSERT, [_row(message, number) for message in batch])
            db.execute("COMMIT")
            commits.write(f"{time.time_ns()}\n")
            commits.flush()
            for message in batch:
                await message.ack()


async def _next(subscription: JetStreamContext.PullSubscription) -> list[Msg]:
    while True:
        with contextlib.suppress(TimeoutError):
            return await subscription.fetch(FETCH, timeout=FETCH_S)


def _row(message: Msg, batch: int) -> tuple[str, str, int, bytes, int]:
    headers = message.headers or {}
    return headers["ce-id"], message.subject, int(headers[INTENDED]), message.data, batch


if __name__ == "__main__":
    asyncio.run(_record(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
