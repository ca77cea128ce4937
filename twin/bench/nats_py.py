"""The usual ways through nats-py, tuned as its documentation advises.

With `plain_flow` the only module outside `twin.jetstream` that imports it: what we compare with.
Run as a program it fetches in a process of its own: URL, durable and count.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import nats
from nats.js import JetStreamContext
from nats.js.api import PubAck

from twin.bench.rig import (
    PAYLOAD_BYTES,
    SOURCES,
    STREAM,
    Clock,
    ReadyMade,
    Rig,
    Turn,
    header_fields,
    payload,
)
from twin.errors import InfrastructureError

__all__ = ["async_and_fetch", "fetch", "fetch_lines", "one_by_one", "publish_async", "ready_made"]

WINDOW = 4000
FETCH = 1000

Ready: TypeAlias = Callable[[str, int], list[ReadyMade]]
"""Makes so many messages of a run."""


def ready_made(run: str, count: int, size: int = PAYLOAD_BYTES) -> list[ReadyMade]:
    """Return the events of 2,000 sources that everybody publishes."""
    body = payload(size)
    return [ReadyMade(f"bench.{n % SOURCES}", header_fields(run, n), body) for n in range(count)]


async def publish_async(rig: Rig, count: int, run: str, *, ready: Ready = ready_made) -> Turn:
    """publish_async with a window of 4,000; ready-made payloads and dictionaries of headers."""
    messages = ready(run, count)
    client = await nats.connect(rig.server.url)
    with rig.clock() as clock:
        await _publish_all(client.jetstream(publish_async_max_pending=WINDOW), messages)
    await client.close()
    return Turn(count, clock)


async def _publish_all(js: JetStreamContext, messages: list[ReadyMade]) -> None:
    futures: list[asyncio.Future[PubAck]] = [
        await js.publish_async(subject, body, headers=dict(fields))
        for subject, fields, body in messages
    ]
    await js.publish_async_completed()
    if not all(future.done() and not future.exception() for future in futures):
        raise InfrastructureError("publish_async has left messages unacknowledged.")


async def one_by_one(rig: Rig, count: int, run: str) -> Turn:
    """publish, awaited each time."""
    fields = [header_fields(run, n) for n in range(count)]
    body = payload()
    client = await nats.connect(rig.server.url)
    js = client.jetstream()
    with rig.clock() as clock:
        for n, one in enumerate(fields):
            await js.publish(f"bench.{n % SOURCES}", body, headers=one)
    await client.close()
    return Turn(count, clock)


async def fetch(rig: Rig, count: int, run: str) -> Turn:
    """fetch(1000) on stored messages, each acknowledged."""
    await publish_async(rig, count, run)
    await rig.durable(run)
    client = await nats.connect(rig.server.url)
    subscription = await client.jetstream().pull_subscribe_bind(run, stream=STREAM)
    with rig.clock() as clock:
        await _fetch_all(subscription, count)
        await client.flush()
    await client.close()
    return Turn(count, clock)


async def _fetch_all(subscription: JetStreamContext.PullSubscription, count: int) -> None:
    taken = 0
    while taken < count:
        try:
            batch = await subscription.fetch(min(FETCH, count - taken), timeout=1)
        except TimeoutError:
            continue
        taken += len(batch)
        for message in batch:
            await message.ack()


async def fetch_lines(rig: Rig, count: int, durable: str, path: Path) -> Clock:
    """fetch(1000), each message appended to a file as a line of JSON, then acknowledged."""
    client = await nats.connect(rig.server.url)
    subscription = await client.jetstream().pull_subscribe_bind(durable, stream=STREAM)
    path.parent.mkdir()
    with path.open("w", encoding="utf-8") as file, rig.clock() as clock:
        taken = 0
        while taken < count:
            batch = await subscription.fetch(min(FETCH, count - taken), timeout=1)
            for message in batch:
                line = {
                    "subject": message.subject,
                    "stream_seq": message.metadata.sequence.stream,
                    "headers": message.headers,
                    "payload": json.loads(message.data),
                }
                file.write(json.dumps(line) + "\n")
                await message.ack()
            taken += len(batch)
        await client.flush()
    await client.close()
    return clock


async def async_and_fetch(rig: Rig, count: int, run: str, *, ready: Ready = ready_made) -> Turn:
    """publish_async here and fetch in another process, at once."""
    await rig.durable(run)
    messages = ready(run, count)
    reader = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "twin.bench.nats_py", rig.server.url, run, str(count)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        if reader.stdout is None or await reader.stdout.readline() != b"ready\n":
            raise InfrastructureError("The fetching process did not start.")
        client = await nats.connect(rig.server.url)
        with rig.clock(reader=reader.pid) as clock:
            await _publish_all(client.jetstream(publish_async_max_pending=WINDOW), messages)
            if await reader.stdout.readline() != b"done\n":
                raise InfrastructureError("The fetching process did not finish.")
        await client.close()
    finally:
        if reader.returncode is None:
            reader.kill()
        await reader.wait()
    return Turn(count, clock)


async def _read(url: str, durable: str, count: int, say: Callable[[str], object]) -> None:
    client = await nats.connect(url)
    subscription = await client.jetstream().pull_subscribe_bind(durable, stream=STREAM)
    say("ready\n")
    await _fetch_all(subscription, count)
    await client.flush()
    say("done\n")
    await asyncio.sleep(60)  # until our processor time has been read


if __name__ == "__main__":

    def _say(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    asyncio.run(_read(sys.argv[1], sys.argv[2], int(sys.argv[3]), _say))
