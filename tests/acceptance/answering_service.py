"""A service of a user's that answers every telemetry message, and with `bad` not as it should."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import nats

DROPPED, DOUBLED, DELAYED = 1, 2, 3


async def main(bad: bool) -> None:
    """Answer until asked to stop; a bad one drops, doubles and delays one in seven each."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = await nats.connect(os.environ["NATS_URL"])
    seen = 0

    async def answer(message) -> None:
        nonlocal seen
        seen += 1
        fault = seen % 7 if bad else 0
        body = json.dumps({"of": message.headers["ce-id"], "kind": "answer"}).encode()
        if fault == DELAYED:
            await asyncio.sleep(3.5)
        for _ in range({DROPPED: 0, DOUBLED: 2}.get(fault, 1)):
            await client.publish("answers.telemetry", body)

    await client.subscribe("qiki.telemetry", cb=answer)
    await client.flush()
    print("ready", flush=True)  # noqa: T201 - what `ready: {log: ...}` waits for
    await stop.wait()
    await client.close()


if "undo" in sys.argv:
    Path(os.environ["UNDONE"]).write_text(os.environ["TWIN_RUN_ID"])
    sys.exit(int(sys.argv[2]))
asyncio.run(main("bad" in sys.argv))
