"""What of a batch is new, and what the rest of it is.

An event is known by (id, source), never by its stream sequence: a broker that lost its tail
gives the same sequences out again.

- same event, same sequence of the stream: a *redelivery*, only counted;
- same event at another sequence: a *duplicate* in the stream, noted;
- same id and source with another payload: a *conflict*, noted with the second payload whole;
- another event at a sequence that was recorded already: a *rollback* of the stream, noted.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field

import apsw
import orjson

from twin.registrar.codes import CODES
from twin.registrar.lookup import stored_as, stored_at
from twin.registrar.record import Note, Row

__all__ = ["Sifted", "note_rollback", "rolled_back_to", "sift"]

DUPLICATE, CONFLICT, ROLLBACK = 440, 921, 922


@dataclass(slots=True)
class Sifted:
    """A batch after sifting. `high` is the last sequence of each stream that it touched."""

    rows: list[Row] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    high: dict[str, int] = field(default_factory=dict)
    redelivered: int = 0

    def reach(self, stream: str, stream_seq: int, known: dict[str, int]) -> None:
        """Account for a message of a stream that is no row."""
        if stream_seq > self.high.get(stream, known.get(stream, 0)):
            self.high[stream] = stream_seq


def sift(
    segments: Sequence[apsw.Connection],
    rows: Iterable[Row],
    known: dict[str, int],
    suspects: Container[int],
) -> Sifted:
    """Compare a batch with the store's segments and with itself.

    `known` is the last sequence per stream. Rows past it are looked up where their place in the
    batch is among `suspects`, all others always.
    """
    sifted = Sifted()
    seen: dict[tuple[str, str], Row] = {}
    for place, row in enumerate(rows):
        high = sifted.high.get(row.stream, known.get(row.stream, 0))
        before = seen.get((row.id, row.source))
        if before is None and (row.stream_seq <= high or place in suspects):
            before = stored_as(segments, row.id, row.source)
        if before is not None:
            _again(sifted, before, row)
        else:
            late = row.stream_seq <= high
            if late and (other := stored_at(segments, row.stream, row.stream_seq)) is not None:
                high = _rolled_back(sifted, other, row, high)
            seen[row.id, row.source] = row
            sifted.rows.append(row)
        sifted.high[row.stream] = max(high, row.stream_seq)
    return sifted


def note_rollback(stream: str, now_ns: int, **detail: str | int) -> Note:
    """Return the note that a stream lost messages which were recorded."""
    text = orjson.dumps(detail).decode()
    key = f"rollback/{stream}/{now_ns}"
    return Note(key, now_ns, ROLLBACK, int(CODES[ROLLBACK].severity), stream, detail=text)


def rolled_back_to(note: Note) -> int:
    """Return the last sequence below which a stream with this note of a rollback was kept."""
    detail: dict[str, int] = orjson.loads(note.detail)
    return detail["sequence"] - 1 if "sequence" in detail else detail["stream_last"]


def _again(sifted: Sifted, before: Row, row: Row) -> None:
    same_place = (before.stream, before.stream_seq) == (row.stream, row.stream_seq)
    detail: dict[str, str | int] = {
        "recorded_stream": before.stream,
        "recorded_seq": before.stream_seq,
    }
    if before.payload != row.payload:
        detail["headers"] = row.headers
        body = row.payload.encode() if isinstance(row.payload, str) else row.payload
        sifted.notes.append(_note(CONFLICT, "conflict", row, detail, body))
    elif same_place:
        sifted.redelivered += 1
    else:
        sifted.notes.append(_note(DUPLICATE, "duplicate", row, detail))


def _rolled_back(sifted: Sifted, other: Row, row: Row, high: int) -> int:
    """Note the rollback once: the stream's last sequence begins again here."""
    note = note_rollback(
        row.stream,
        row.received_ns,
        sequence=row.stream_seq,
        recorded_last=high,
        recorded_id=other.id,
        recorded_source=other.source,
        now_id=row.id,
        now_source=row.source,
    )
    sifted.notes.append(note)
    return row.stream_seq


def _note(code: int, kind: str, row: Row, detail: dict[str, str | int], body: bytes = b"") -> Note:
    return Note(
        key=f"{kind}/{row.stream}/{row.stream_seq}/{row.stream_ns}",
        recorded_ns=row.received_ns,
        code=code,
        severity=int(CODES[code].severity),
        stream=row.stream,
        stream_seq=row.stream_seq,
        subject=row.subject,
        id=row.id,
        source=row.source,
        detail=orjson.dumps(detail).decode(),
        body=body,
    )
