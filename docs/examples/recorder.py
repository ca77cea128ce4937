"""An audit service of one's own: reads durable consumers, appends JSON lines, acknowledges.

It knows nats-py and nothing of the twin; the broker's address and the folder to write to come
from the environment. `--lose-one-in N` builds in the defect that a verdict has to find: one
event in N is acknowledged and never written.
"""

import argparse
import asyncio
import json
import os
import signal
import time
from pathlib import Path

import nats
from nats.js.api import AckPolicy, ConsumerConfig

STREAMS = ("QIKI_RADAR_V1", "QIKI_EVENTS_V1", "QIKI_TELEMETRY_V1")
BATCH = 500


class Recorder:
    """Writes each event once, however often it is delivered."""

    def __init__(self, path: Path, lose_one_in: int) -> None:
        self.file = path.open("a")
        self.lose_one_in = lose_one_in
        self.seen = 0
        self.known = {json.loads(line)["id"] for line in path.open()}

    def take(self, messages) -> None:
        """Write what is new, and make it durable."""
        for message in messages:
            headers = message.headers or {}
            event_id = headers.get("ce-id", "")
            if message.subject.endswith(".audit") or event_id in self.known:
                continue
            self.known.add(event_id)
            self.seen += 1
            if self.lose_one_in and self.seen % self.lose_one_in == 0:
                continue
            record = {
                "id": event_id,
                "source": headers.get("ce-source", ""),
                "subject": message.subject,
                "payload": message.data.decode(),
                "stream": message.metadata.stream,
                "stream_seq": message.metadata.sequence.stream,
                "deliveries": message.metadata.num_delivered,
                "time_ns": time.time_ns(),
            }
            self.file.write(json.dumps(record) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())


async def consume(client, stream: str, recorder: Recorder, stop: asyncio.Event) -> None:
    """Record a stream: written and made durable first, acknowledged then."""
    config = ConsumerConfig(durable_name="recorder", ack_policy=AckPolicy.EXPLICIT, ack_wait=5)
    js = client.jetstream()
    subscription = await js.pull_subscribe(">", "recorder", stream=stream, config=config)
    while not stop.is_set():
        try:
            messages = await subscription.fetch(BATCH, timeout=0.25)
        except TimeoutError:
            continue
        recorder.take(messages)
        for message in messages:
            await message.ack()


async def main(lose_one_in: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    recorder = Recorder(Path(os.environ["TWIN_SERVICE_DIR"]) / "recorded.jsonl", lose_one_in)
    client = await nats.connect(os.environ["NATS_URL"], max_reconnect_attempts=-1)
    async with asyncio.TaskGroup() as group:
        for stream in STREAMS:
            group.create_task(consume(client, stream, recorder, stop))
        print("recording", flush=True)
    await client.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lose-one-in", type=int, default=0, metavar="N")
    asyncio.run(main(parser.parse_args().lose_one_in))
