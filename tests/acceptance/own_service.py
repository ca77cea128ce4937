"""A service of a user's: copies what it reads into a file, a database and a stream of its own."""

import asyncio
import json
import os
import signal
import sqlite3
import sys
from pathlib import Path

import nats
from nats.js.api import StreamConfig

STREAMS = ("QIKI_RADAR_V1", "QIKI_EVENTS_V1", "QIKI_TELEMETRY_V1")


class Copies:
    """The three places to which events are copied."""

    def __init__(self, folder: Path, js) -> None:
        self.js = js
        self.lines = (folder / "lines.jsonl").open("a")
        self.db = sqlite3.connect(folder / "frames.sqlite")
        self.db.execute("create table if not exists frames (frame text, body text)")

    async def put(self, message) -> None:
        """Copy one message; audit records are nobody's business here."""
        body = json.loads(message.data)
        if message.subject.endswith(".audit"):
            return
        self.lines.write(json.dumps({"payload": body}) + "\n")
        if message.subject == "qiki.radar.v1.frames":
            row = (body["frame_id"], message.data.decode())
            self.db.execute("insert into frames values (?, ?)", row)
        if message.subject == "qiki.telemetry":
            await self.js.publish("copy.telemetry", message.data, headers=message.headers)

    async def take(self, reader) -> None:
        """Copy what comes within a moment, make it durable, and only then acknowledge it."""
        try:
            messages = await reader.fetch(200, timeout=0.1)
        except TimeoutError:
            return
        for message in messages:
            await self.put(message)
        self.lines.flush()
        self.db.commit()
        for message in messages:
            await message.ack_sync()


async def main(intrude: bool) -> None:
    """Copy until asked to stop; `intrude` publishes what only bots may, and then fails."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = await nats.connect(os.environ["NATS_URL"])
    js = client.jetstream()
    if intrude:
        print("ready", flush=True)  # noqa: T201 - what `ready: {log: ...}` waits for
        headers = {"ce-id": "x/telemetry/1", "ce-source": "urn:someone:else"}
        await js.publish("qiki.telemetry", b"{}", headers=headers)
        await js.publish("qiki.telemetry", b"{}")
        await client.close()
        sys.exit(7)
    await js.add_stream(StreamConfig(name="COPIES", subjects=["copy.>"]))
    copies = Copies(Path(os.environ["TWIN_SERVICE_DIR"]), js)
    readers = [await js.pull_subscribe(">", "copier", stream=stream) for stream in STREAMS]
    print("ready", flush=True)  # noqa: T201 - what `ready: {log: ...}` waits for
    while not stop.is_set():
        for reader in readers:
            await copies.take(reader)
    await client.flush()  # what was delivered while nobody waited any more is here then
    for reader in readers:
        while reader.pending_msgs:
            await copies.take(reader)
    await client.close()


asyncio.run(main("--intrude" in sys.argv))
