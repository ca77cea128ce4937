"""Reads a stream of a rover fleet as any NATS user would: nats-py and nothing of ours.

Usage: rover_consumer.py URL STREAM IDLE_S; prints one JSON document when nothing has come for
IDLE_S seconds after the first message.
"""

import asyncio
import json
import sys
from collections import Counter

import nats
from nats.js.api import ConsumerConfig
from nats.js.errors import NotFoundError


async def main(url: str, stream: str, idle_s: float) -> None:
    """Read to the end of the stream, acknowledge, and tell what came."""
    client = await nats.connect(url)
    js = client.jetstream()
    while True:
        try:
            reader = await js.pull_subscribe_bind(await durable(js, stream), stream)
            break
        except NotFoundError:
            await asyncio.sleep(0.1)
    subjects: Counter[str] = Counter()
    ids: set[str] = set()
    errors: list[str] = []
    patience_s = 30.0
    while True:
        try:
            messages = await reader.fetch(50, timeout=patience_s)
        except TimeoutError:
            break
        for message in messages:
            subjects[message.subject] += 1
            headers = message.headers or {}
            ids.add(headers["ce-id"])
            if headers["ce-datacontenttype"] == "application/json":
                document = json.loads(message.data)
                if "rover" in document and document["rover"] != headers["ce-twinbot"]:
                    errors.append(headers["ce-id"])
            elif not message.data.startswith(b"P5"):
                errors.append(headers["ce-id"])
            await message.ack()
        patience_s = idle_s
    await client.close()
    print(json.dumps({"subjects": subjects, "ids": len(ids), "errors": errors}))  # noqa: T201


async def durable(js: nats.js.JetStreamContext, stream: str) -> str:
    """Make a durable of our own."""
    await js.add_consumer(stream, ConsumerConfig(durable_name="somebody_else"))
    return "somebody_else"


asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
