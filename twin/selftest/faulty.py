"""An audit service with one defect, as a process of its own: `python -m twin.selftest.faulty`.

Without a defect it does what a registrar should: write, make durable, then acknowledge, each
event once. The defects are those that such services have in practice.

A kill leaves written bytes in the page cache, so that it cannot show a missing fsync. Hence
every start, of the service without a defect too, begins with what a cut of the power would
have done: the file is cut off where the last fsync had ended.
"""

import asyncio
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import orjson

from twin.events.cloudevents import parse_headers
from twin.events.streams import AUDITED_STREAMS
from twin.events.topology import ConsumerDecl, Topology
from twin.jetstream.connection import BrokerOptions, Connection, connect
from twin.jetstream.consumer import PullConsumer
from twin.jetstream.message import Message
from twin.jetstream.reconcile import reconcile
from twin.jetstream.wire import Delivery

__all__ = ["DURABLE", "STREAMS"]

DURABLE = "selftest"
STREAMS = AUDITED_STREAMS[:3]
ONE_IN = 10_000
LATE_S = 10.0
"""Later than any kill, so that what a defect puts off is never done before one."""
RETRY_S = 1.0
Record = dict[str, str | int]


class Recorder:
    """Writes JSON lines, or rows of SQLite, with a defect; `take` says what may be acknowledged."""

    def __init__(self, folder: Path, defect: str) -> None:
        self.defect = defect
        self.count = 0
        self.held: Record | None = None
        self.path = folder / "recorded.jsonl"
        self.mark = folder / "synced"
        if self.path.exists():
            os.truncate(self.path, int(self.mark.read_text()) if self.mark.exists() else 0)
        self.known = self._read()
        self.file = self.path.open("ab", buffering=0)
        self.late: list[Record] = []
        self.since = time.monotonic()
        self.db: sqlite3.Connection | None = None
        if defect == "ack-before-commit":
            self.db = sqlite3.connect(folder / "recorded.sqlite", isolation_level=None)
            self.db.execute("create table if not exists log (row text)")
            rows = self.db.execute("select row from log")
            self.known = {str(json.loads(row)["id"]) for (row,) in rows}
            self.db.execute("begin")

    def take(self, messages: Sequence[Message]) -> None:
        """Record a batch as the defect has it; what is left over waits for `idle`."""
        rows = [row for message in messages if (row := self._record(message)) is not None]
        damaged = [one for row in rows for one in self._damage(row)]
        if self.db is not None:
            lines = [(orjson.dumps(row).decode(),) for row in damaged]
            self.db.executemany("insert into log values (?)", lines)
        elif self.defect == "early-ack":
            self.late += damaged
        else:
            self._write(damaged)
        self.idle()

    def idle(self, *, last: bool = False) -> None:
        """Do what a defect puts off, when it is time."""
        if not last and time.monotonic() - self.since < LATE_S:
            return
        self.since = time.monotonic()
        if last and self.held is not None:
            self._write([self.held])
            self.held = None
        if self.db is not None:
            self.db.execute("commit")
            self.db.execute("begin")
        self._write(self.late)
        self.late = []
        if self.defect == "no-fsync":
            self._sync()

    def _read(self) -> set[str]:
        if not self.path.exists():
            return set()
        return {str(orjson.loads(line)["id"]) for line in self.path.read_bytes().splitlines()}

    def _write(self, rows: Sequence[Record]) -> None:
        if rows:
            self.file.write(b"".join(orjson.dumps(row) + b"\n" for row in rows))
            if self.defect != "no-fsync":
                self._sync()

    def _sync(self) -> None:
        """Make durable what is written, and note how much that is."""
        os.fsync(self.file.fileno())
        part = self.mark.with_suffix(".part")
        part.write_text(str(self.path.stat().st_size))
        part.replace(self.mark)

    def _record(self, message: Message) -> Record | None:
        headers = parse_headers(message.headers)
        event_id = headers.get("ce-id", "")
        if event_id in self.known:
            return None
        self.known.add(event_id)
        return {
            "id": event_id,
            "source": headers.get("ce-source", ""),
            "subject": message.subject,
            "payload": message.payload.decode(),
            "stream": message.stream,
            "stream_seq": message.stream_seq,
            "deliveries": message.deliveries,
            "time_ns": time.time_ns(),
        }

    def _damage(self, row: Record) -> list[Record]:
        """Return what is recorded in place of a row."""
        self.count += 1
        if self.held is not None and _source(self.held) == _source(row):
            found, self.held = [row, self.held], None
            return found
        if self.count % ONE_IN:
            return [row]
        if self.defect == "swap":
            self.held = row
        return {
            "drop": [],
            "duplicate": [row, row],
            "swap": [],
            "alter": [{**row, "payload": str(row["payload"]).replace("1", "2", 1)}],
            "phantom": [row, {**row, "id": f"{_source(row)}/99999999"}],
        }.get(self.defect, [row])


def _source(row: Record) -> str:
    return str(row["id"]).rpartition("/")[0]


async def record(connection: Connection, defect: str, stop: asyncio.Event) -> None:
    """Record all streams until stopped."""
    recorder = Recorder(Path(os.environ["TWIN_SERVICE_DIR"]), defect)
    consumers = tuple(ConsumerDecl("selftest", one, DURABLE, ack_wait_s=2.0) for one in STREAMS)
    await reconcile(connection, Topology((), consumers))
    async with asyncio.TaskGroup() as group:
        for one in STREAMS:
            group.create_task(_read(connection, one, recorder, stop))
    recorder.idle(last=True)


async def _read(
    connection: Connection, stream: str, recorder: Recorder, stop: asyncio.Event
) -> None:
    async with PullConsumer(connection, stream, DURABLE, batch=500) as consumer:
        while not stop.is_set():
            messages = await consumer.next_batch(0.2)
            recorder.take(messages)
            consumer.ack(messages)
        await connection.flush()


async def retry(connection: Connection, stop: asyncio.Event) -> None:
    """Send some events again after a while, as a client does whose acknowledgement got lost."""
    seen: set[bytes] = set()
    loop = asyncio.get_running_loop()

    def take(batch: list[Delivery]) -> None:
        for subject, _, headers, payload in batch:
            if headers in seen or len(seen) % 100 or subject.startswith(b"qiki.commands"):
                seen.add(headers)
                continue
            seen.add(headers)
            again = (subject, b"", headers, payload)
            loop.call_later(RETRY_S, connection.send, [again])

    subscription = await connection.subscribe("qiki.>", take)
    await connection.flush()
    await stop.wait()
    await connection.unsubscribe(subscription)


async def main(defect: str) -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    options = BrokerOptions(url=os.environ["NATS_URL"])
    async with await connect(options, name=f"selftest-{defect}", forever=True) as connection:
        work = retry(connection, stop) if defect == "retry" else record(connection, defect, stop)
        task = asyncio.create_task(work)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await task


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
