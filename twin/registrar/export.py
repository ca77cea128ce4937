"""What the verdict needs from a store, as files of a run folder.

`registrar.bin` has a COPY record per recorded event in the order in which it was recorded,
then one per quarantined message; `registrar.strange.jsonl` names those that belong to no
source of the run. `audit.json` counts codes, `audit.jsonl` lists the records of codes that
are no bulk readings.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import apsw
import orjson

from twin.errors import StoreError
from twin.events.digest import payload_hash
from twin.events.event import NO_SOURCE, TWIN_SOURCE, SourceTable, attribute
from twin.registrar.codes import CODES, Severity
from twin.registrar.fields import fields
from twin.registrar.schema import reading, segments, select
from twin.verdict.journal import COPY, TableWriter

__all__ = ["Exported", "export_observed", "recorded_per_subject"]

POISON: Final = 920
BULK: Final = frozenset(code.number for code in CODES.values() if code.bulk)


class Exported(NamedTuple):
    """How many records each kind of file got."""

    copies: int
    strange: int
    audit: int


class _Record(NamedTuple):
    id: str
    source: str
    subject: str
    stream: str
    stream_seq: int
    committed_ns: int
    deliveries: int
    code: int
    severity: int
    bot: str
    event_ns: int
    payload: str | bytes


EVENT: Final = _Record._fields
IN_NOTES: Final = {"deliveries": "0", "bot": "''", "event_ns": "recorded_ns", "payload": "detail"}
"""What of a note takes the place of an event's column that notes lack."""

NOTE: Final = tuple(IN_NOTES.get(name, name) for name in EVENT)
EVENTS: Final = select(EVENT, "FROM events JOIN batches USING (batch) ORDER BY row")
NOTES: Final = select(NOTE, "FROM notes JOIN batches USING (batch) ORDER BY note")


def export_observed(
    store: Path, sources: SourceTable, streams: Sequence[str], out: Path, run_id: str = ""
) -> Exported:
    """Write the four files into `out`; `streams` are the manifest's, by their names on the server.

    An event counts as the run's own if its id names one of `sources` and, with a `run_id`, its
    CloudEvents source is that run's bot; another run's events are in no audit count.
    StoreError when the store cannot be read.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (
        TableWriter(_fresh(out / "registrar.bin"), COPY) as copies,
        (out / "registrar.strange.jsonl").open("wb") as strange,
        (out / "audit.jsonl").open("wb") as lines,
    ):
        export = _Export(sources, streams, run_id, copies, strange, lines)
        for path in segments(store):
            with reading(path) as db:
                export.segment(db)
    document = {"schema_version": 1, "counts": export.counts()}
    (out / "audit.json").write_bytes(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))
    return Exported(export.done["copies"], export.done["strange"], export.done["audit"])


def recorded_per_subject(store: Path) -> dict[str, int]:
    """Return how many messages the store holds per logical subject, by its own counting.

    Events and quarantined messages count, notes about other things do not; the sum is the
    number of records that `export_observed` writes.
    """
    found: Counter[str] = Counter()
    for path in segments(store):
        with reading(path) as db:
            for table, where in (("events", "true"), ("notes", f"code = {POISON}")):
                query = select(
                    ("subject", "count(*)"), f"FROM {table} WHERE {where} GROUP BY subject"
                )
                found.update(dict(db.execute(query)))
    return dict(found)


@dataclass(slots=True)
class _Export:
    """Writes record after record, and counts."""

    sources: SourceTable
    streams: Sequence[str]
    run_id: str
    copies: TableWriter
    strange: BinaryIO
    lines: BinaryIO
    done: Counter[str] = field(default_factory=Counter)
    _counted: Counter[tuple[str, int, int, str]] = field(default_factory=Counter)

    def segment(self, db: apsw.Connection) -> None:
        """Write the events, then the notes of one segment."""
        index = {name: at for at, name in enumerate(self.streams)}
        for record in map(_Record._make, fields(db, "events batches", EVENT, EVENTS)):
            self._event(record, index)
            if not self._of_another_run(record):
                self._audit("event", record)
        for note in map(_Record._make, fields(db, "notes batches", NOTE, NOTES)):
            if note.code == POISON:
                self._copy(note, index, NO_SOURCE, 0, 0)
                self._stranger(note, f"quarantined: {orjson.loads(note.payload)['reason']}")
            self._audit("note", note)

    def _of_another_run(self, record: _Record) -> bool:
        ours = f"{TWIN_SOURCE}{self.run_id}:" if self.run_id else TWIN_SOURCE
        return record.source.startswith(TWIN_SOURCE) and not record.source.startswith(ours)

    def counts(self) -> list[dict[str, object]]:
        """Return one entry per kind, code and severity, with its number per bot."""
        entries: dict[tuple[str, int, int], dict[str, int]] = {}
        for (kind, code, severity, bot), count in sorted(self._counted.items()):
            entries.setdefault((kind, code, severity), {})[bot] = count
        return [
            {
                "kind": kind,
                "code": code,
                "name": CODES[code].name if code in CODES else "",
                "severity": Severity(severity).name,
                "count": sum(bots.values()),
                "bots": {bot: count for bot, count in bots.items() if bot},
            }
            for (kind, code, severity), bots in entries.items()
        ]

    def _event(self, record: _Record, index: dict[str, int]) -> None:
        source, seq, why = attribute(
            self.sources, self.run_id, record.id, record.source, record.subject
        )
        payload = record.payload
        body = payload if isinstance(payload, bytes) else payload.encode()
        self._copy(record, index, source, seq, payload_hash(body))
        if why:
            self._stranger(record, why)

    def _copy(
        self, record: _Record, index: dict[str, int], source: int, seq: int, digest: int
    ) -> None:
        stream = index.get(record.stream)
        if stream is None:
            raise StoreError(f"The store has records of a stream {record.stream} of another run")
        deliveries = min(record.deliveries, 0xFFFF)
        where = (record.stream_seq, record.committed_ns, stream, deliveries, record.code, 0)
        self.copies.append(source, seq, digest, *where)
        self.done["copies"] += 1

    def _stranger(self, record: _Record, why: str) -> None:
        ours = record.source.startswith(TWIN_SOURCE)
        line = {
            "stream": record.stream,
            "stream_seq": record.stream_seq,
            "subject": record.subject,
            "run": record.source.split(":")[2] if ours else None,
            "msg_id": record.id,
            "source": record.source,
            "reason": why,
            "time_ns": record.committed_ns,
        }
        self.strange.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        self.done["strange"] += 1

    def _audit(self, kind: str, record: _Record) -> None:
        self._counted[kind, record.code, record.severity, record.bot] += 1
        if record.code in BULK:
            return
        line = {
            "kind": kind,
            "bot": record.bot,
            "code": record.code,
            "severity": Severity(record.severity).name,
            "event_time_ns": record.event_ns,
            "id": record.id,
        }
        self.lines.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        self.done["audit"] += 1


def _fresh(path: Path) -> Path:
    path.unlink(missing_ok=True)
    return path
