"""Checkpoints kept outside the store, on a stream, where who edits the store cannot reach them.

Only the newest checkpoint is published, at most every `every_s`: the chain makes it vouch for
all before it. It is tried again until JetStream has it.
"""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Final

from twin.errors import BrokerUnreachable, UsageError
from twin.events.cloudevents import CloudEvent, encode_binary
from twin.events.subjects import SubjectSpace
from twin.events.topology import StreamDecl, Topology
from twin.jetstream.api import stream_info
from twin.jetstream.connection import Connection
from twin.jetstream.scan import scan
from twin.registrar.metrics import RegistrarMetrics
from twin.registrar.statements import Checkpoint, Signed, read_checkpoint
from twin.registrar.times import format_ns

__all__ = ["Anchor", "fetch_anchors", "read_anchors", "with_anchors"]

STREAM: Final = "QIKI_CHECKPOINTS_V1"
SUBJECT: Final = "qiki.registrar.v1.checkpoints"
SOURCE: Final = "urn:qiki:registrar"
EVENT_TYPE: Final = "qiki.registrar.v1.Checkpoint"
STREAM_BYTES: Final = 64 * 1024 * 1024
EVERY_S: Final = 5.0
TIMEOUT_S: Final = 2.0


def with_anchors(topology: Topology) -> Topology:
    """Return a topology (not yet on the wire) with the stream for checkpoints."""
    stream = StreamDecl(STREAM, (f"{SUBJECT}.*",), max_bytes=STREAM_BYTES, max_age_s=0.0)
    return replace(topology, streams=(*topology.streams, stream))


class Anchor:
    """Publishes checkpoints."""

    def __init__(
        self,
        connection: Connection,
        space: SubjectSpace,
        metrics: RegistrarMetrics,
        every_s: float = EVERY_S,
    ) -> None:
        self._connection = connection
        self._space = space
        self._metrics = metrics
        self._every_s = every_s
        self._newest: Signed | None = None
        self._filled = asyncio.Event()

    def put(self, signed: Signed | None) -> None:
        """Take a checkpoint, if there is one, in the place of what was not published yet."""
        if signed is not None:
            self._newest = signed
            self._filled.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self._filled.wait()
            await self.flush()
            await asyncio.sleep(self._every_s)

    async def flush(self) -> None:
        """Publish what waits, now; what cannot be published goes on waiting."""
        signed = self._newest
        if signed is not None and await self._publish(signed, read_checkpoint(signed)):
            self._newest = None if self._newest is signed else self._newest
        if self._newest is None:
            self._filled.clear()

    async def _publish(self, signed: Signed, checkpoint: Checkpoint) -> bool:
        subject = self._space.wire(f"{SUBJECT}.{checkpoint.store}")
        event = CloudEvent(
            id=f"{checkpoint.store}/{checkpoint.number}",
            source=SOURCE,
            type=EVENT_TYPE,
            time=format_ns(checkpoint.signed_ns),
            datacontenttype="application/json",
        )
        headers = encode_binary(event, others=[("Nats-Msg-Id", event.id)]) + b"\r\n"
        try:
            answer = await self._connection.request(
                subject, signed.line(), headers=headers, timeout_s=TIMEOUT_S
            )
        except BrokerUnreachable:
            self._metrics.anchors.labels("retried").inc()
            return False
        refused = b'"error"' in answer[3]
        self._metrics.anchors.labels("refused" if refused else "published").inc()
        if not refused:
            self._metrics.anchored_batch.set(checkpoint.batch)
        return not refused


def read_anchors(path: Path) -> list[Signed]:
    """Read checkpoints from a file of JSON lines; UsageError names the line that is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(Signed.parse(line))
        except ValueError as error:
            raise UsageError(f"{path}:{number}:1: this is no signed checkpoint") from error
    return found


async def fetch_anchors(
    connection: Connection, space: SubjectSpace, store: str = ""
) -> list[Signed]:
    """Return the checkpoints on the stream, of one store or of all.

    UsageError without a stream, or if one of them is none.
    """
    name = space.stream(STREAM)
    info = await stream_info(connection, name)
    if info is None:
        raise UsageError(f"there is no stream {name} with checkpoints on this server")
    found: list[Signed] = []
    async for batch in scan(connection, name, info.state.first_seq, info.state.last_seq):
        for message in batch:
            if not store or message.subject.endswith(f".{store}"):
                try:
                    found.append(Signed.parse(message.payload))
                except ValueError as error:
                    what = f"message {message.stream_seq} of {name}"
                    raise UsageError(f"{what} is no signed checkpoint") from error
    return found
