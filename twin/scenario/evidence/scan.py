"""Reads the streams of a run from end to end, as evidence that no consumer is needed for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import orjson

from twin.errors import InfrastructureError
from twin.events.digest import payload_hash
from twin.events.event import NO_SOURCE, TWIN_SOURCE, SourceTable, attribute
from twin.events.headers import attribute as written
from twin.events.headers import readable_headers
from twin.events.subjects import SubjectSpace
from twin.jetstream.api import StreamState, stream_state
from twin.jetstream.connection import Connection
from twin.jetstream.scan import Message, scan
from twin.scenario.evidence.folder import RunFolder
from twin.scenario.evidence.matching import EventIndex
from twin.verdict.journal import COPY, TableWriter
from twin.verdict.manifest import StreamFacts

__all__ = ["StreamScan", "states"]

PATIENCE_S = 2.0
"""How long a scan waits for a broker that is away: everything was drained before."""


async def states(connection: Connection, streams: Iterable[str]) -> dict[str, StreamState]:
    """Return what each stream holds now, with its messages counted per subject."""
    return {name: await stream_state(connection, name) for name in streams}


@dataclass(frozen=True, slots=True)
class StreamScan:
    """Scans what came into the streams of a run since `before`; `captures` are their subjects.

    What belongs to the run is noted in `indexes` too.
    """

    connection: Connection
    space: SubjectSpace
    sources: SourceTable
    run_id: str
    before: Mapping[str, StreamState]
    captures: Mapping[str, tuple[str, ...]]
    indexes: Sequence[EventIndex] = ()

    async def write(self, folder: RunFolder) -> tuple[StreamFacts, ...]:
        """Write `stream/stored.bin` and `strange.jsonl`; return the server's own counts.

        A stream that cannot be read to its end is a fact too: it counts as not scanned.
        """
        with (
            TableWriter(folder.stream / "stored.bin", COPY) as copies,
            (folder.stream / "strange.jsonl").open("wb") as strange,
        ):
            return tuple(
                [
                    await self._stream(number, name, copies, strange)
                    for number, name in enumerate(self.before)
                ]
            )

    async def _stream(
        self, number: int, name: str, copies: TableWriter, strange: BinaryIO
    ) -> StreamFacts:
        before = self.before[name]
        try:
            await self.connection.wait_up(PATIENCE_S)
            state = await stream_state(self.connection, name)
            first = max(before.last_seq + 1, state.first_seq)
            async for batch in scan(self.connection, name, first, state.last_seq):
                for message in batch:
                    line = self._copy(copies, number, name, message)
                    if line:
                        strange.write(orjson.dumps(line) + b"\n")
        except InfrastructureError:
            return StreamFacts(name=name, first_seq=0, last_seq=0, subjects={}, scanned=False)
        return self._facts(name, before, state)

    def _copy(
        self, copies: TableWriter, number: int, stream: str, message: Message
    ) -> dict[str, str | int | None] | None:
        """Append one message; return a line for `strange.jsonl` when it is not an event of ours."""
        headers = readable_headers(message.headers)
        event_id, ce_source = written(headers, "id"), written(headers, "source")
        subject = self.space.logical(message.subject)
        source, seq, why = attribute(self.sources, self.run_id, event_id, ce_source, subject)
        copies.append(
            source,
            seq,
            payload_hash(message.payload),
            message.stream_seq,
            message.timestamp_ns,
            number,
            0,
            0,
            0,
        )
        if source != NO_SOURCE:
            for index in self.indexes:
                index.add(source, seq, subject, message.payload)
            return None
        return {
            "stream": stream,
            "stream_seq": message.stream_seq,
            "subject": subject,
            "run": ce_source.split(":")[2] if ce_source.startswith(TWIN_SOURCE) else None,
            "msg_id": event_id,
            "reason": why,
            "source": ce_source,
            "time_ns": message.timestamp_ns,
        }

    def _facts(self, name: str, before: StreamState, after: StreamState) -> StreamFacts:
        counts = {
            self.space.logical(subject): count - before.subjects.get(subject, 0)
            for subject, count in after.subjects.items()
        }
        return StreamFacts(
            name=name,
            first_seq=after.first_seq,
            last_seq=after.last_seq,
            subjects={subject: count for subject, count in counts.items() if count},
            scanned=True,
            captures=tuple(self.space.logical(one) for one in self.captures.get(name, ())),
        )
