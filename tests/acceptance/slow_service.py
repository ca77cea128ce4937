"""A service of a user's that processes so many messages a second, and not one more."""

import asyncio
import os
import signal
import sys
import time

import nats

SAVED_S = 0.25
"""How late it may be and still make up for it: a busy machine does not make it any slower."""


async def main(rate: float) -> None:
    """Read telemetry until asked to stop, `rate` messages a second at most."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = await nats.connect(os.environ["NATS_URL"])
    js = client.jetstream()
    reader = await js.pull_subscribe(">", "slow", stream="QIKI_TELEMETRY_V1")
    due = time.monotonic()
    while not stop.is_set():
        try:
            messages = await reader.fetch(20, timeout=0.05)
        except TimeoutError:
            continue
        for message in messages:
            due = max(due, time.monotonic() - SAVED_S) + 1 / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await message.ack()
    await client.close()


asyncio.run(main(float(sys.argv[1])))
