"""Audit records for everybody else: what was recorded and matters, on the audit subject.

The store is the truth; the fan-out follows it. A record is published after its event is
durable, with a message id of its own, and tried again until JetStream has it. What waits is
bounded: past `capacity` the oldest is dropped and counted, and so is what a crash forgets.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

import orjson

from twin.errors import BrokerUnreachable
from twin.events.channels import AUDIT_SUBJECT
from twin.events.cloudevents import CloudEvent, encode_binary
from twin.events.headers import percent_encode
from twin.events.subjects import SubjectSpace
from twin.jetstream.connection import Connection
from twin.registrar.codes import CODES, Severity, category
from twin.registrar.metrics import RegistrarMetrics
from twin.registrar.record import Row
from twin.registrar.times import format_ns

__all__ = ["FanOut", "audit_record"]

SOURCE: Final = "urn:qiki:registrar"
EVENT_TYPE: Final = "qiki.events.v1.AuditRecord"
AT_ONCE: Final = 64
MAX_ID: Final = 256
NO_BOT: Final = "registrar"
TIMEOUT_S: Final = 2.0
PAUSE_S: Final = 0.5


def audit_record(row: Row) -> tuple[bytes, bytes]:
    """Return header block and payload of the audit record of an event."""
    name = CODES[row.code].name
    timestamp = format_ns(row.event_ns)
    full = f"audit/{row.source}/{row.id}"
    event = CloudEvent(
        id=full if len(full) <= MAX_ID else f"audit/{sha256(full.encode()).hexdigest()}",
        source=SOURCE,
        type=EVENT_TYPE,
        time=timestamp,
        datacontenttype="application/json",
    )
    text = isinstance(row.payload, str)
    payload = {
        "event_id": event.id,
        "event_type": name,
        "source": SOURCE,
        "timestamp": timestamp,
        "severity": Severity(row.severity).name,
        "payload": {
            "code": row.code,
            "category": category(row.code),
            "bot": row.bot,
            "id": row.id,
            "source": row.source,
            "type": row.type,
            "subject": row.subject,
            "stream": row.stream,
            "stream_seq": row.stream_seq,
            "event": orjson.Fragment(str(row.payload)) if text else None,
        },
    }
    headers = encode_binary(event, others=[("Nats-Msg-Id", percent_encode(event.id))])
    return headers + b"\r\n", orjson.dumps(payload)


class FanOut:
    """Publishes audit records in the order in which their events were recorded."""

    def __init__(
        self,
        connection: Connection,
        space: SubjectSpace,
        metrics: RegistrarMetrics,
        capacity: int = 10_000,
    ) -> None:
        self._connection = connection
        self._space = space
        self._metrics = metrics
        self._capacity = capacity
        self._waiting: deque[Row] = deque()
        self._filled = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def put(self, rows: Iterable[Row]) -> None:
        """Queue what is to be published."""
        self._waiting.extend(rows)
        while len(self._waiting) > self._capacity:
            self._waiting.popleft()
            self._metrics.fan_out.labels("dropped").inc()
        if self._waiting:
            self._empty.clear()
            self._filled.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self._filled.wait()
            batch = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            stored = await asyncio.gather(*map(self._publish, batch))
            failed = [row for row, done in zip(batch, stored, strict=True) if not done]
            self._waiting.extendleft(reversed(failed))
            if not self._waiting:
                self._filled.clear()
                self._empty.set()
            if failed:
                await asyncio.sleep(PAUSE_S)

    async def drained(self) -> None:
        """Return once nothing waits any more."""
        await self._empty.wait()

    async def _publish(self, row: Row) -> bool:
        subject = self._space.wire(self._space.subject(row.bot or NO_BOT, AUDIT_SUBJECT))
        headers, payload = audit_record(row)
        try:
            answer = await self._connection.request(
                subject, payload, headers=headers, timeout_s=TIMEOUT_S
            )
        except BrokerUnreachable:
            self._metrics.fan_out.labels("retried").inc()
            return False
        outcome = "refused" if b'"error"' in answer[3] else "published"
        self._metrics.fan_out.labels(outcome).inc()
        return True
