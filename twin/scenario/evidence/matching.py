"""Matches what a service recorded with the events of a run, by the observer's key."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from twin.events.digest import payload_hash
from twin.events.event import NO_SOURCE, SourceTable, attribute, split_event_id
from twin.events.subjects import SubjectSpace, covers
from twin.scenario.evidence.rows import Json, Row, at_path
from twin.scenario.language.outside import Observer
from twin.verdict.journal import COPY, TableWriter
from twin.verdict.manifest import PROVABLE, ObserverFacts

__all__ = ["EventIndex", "record_observed"]

Known = tuple[int, int, int]
"""Source, sequence and payload hash of a stored event."""


def canonical(payload: Json) -> bytes:
    """Return JSON with sorted keys and no spaces, or what is no JSON as it is."""
    raw = payload.encode() if isinstance(payload, str) else payload
    if isinstance(raw, bytes):
        try:
            raw = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return bytes(raw) if isinstance(raw, bytes) else b""
    return orjson.dumps(raw, option=orjson.OPT_SORT_KEYS)


@dataclass(slots=True)
class EventIndex:
    """Stored events by the value of an observer's key; filled while the streams are scanned.

    Events of one value are told apart by nothing: records are given to them in order.
    """

    observer: Observer
    patterns: tuple[str, ...]
    _events: dict[bytes, list[Known]] = field(default_factory=dict)
    _given: Counter[bytes] = field(default_factory=Counter)
    ambiguous: bool = False

    def add(self, source: int, seq: int, subject: str, payload: bytes) -> None:
        """Note an event of the run as it is stored."""
        if self.observer.key == "id" or not self.wants(subject):
            return
        value = self._value(payload)
        if value is None:
            return
        known = self._events.setdefault(value, [])
        if not any(one[:2] == (source, seq) for one in known):
            known.append((source, seq, payload_hash(payload)))
            self.ambiguous |= len(known) > 1

    def wants(self, subject: str) -> bool:
        """Tell whether the observer has to record events of a logical subject."""
        return not self.patterns or any(covers(one, subject) for one in self.patterns)

    def take(self, row: Row) -> Known | None:
        """Return the event that a record is of; once more the last when there is none left."""
        value = self._value(row.payload) if row.key is None else canonical_value(row.key)
        known = self._events.get(value) if value is not None else None
        if value is None or not known:
            return None
        number = self._given[value]
        self._given[value] += 1
        return known[min(number, len(known) - 1)]

    def _value(self, payload: Json) -> bytes | None:
        if self.observer.key == "hash":
            return None if payload is None else canonical(payload)
        if isinstance(payload, str | bytes):
            try:
                payload = orjson.loads(payload)
            except orjson.JSONDecodeError:
                return None
        found = at_path(payload, self.observer.key.removeprefix("payload."))
        return None if found is None else canonical_value(found)


def canonical_value(value: Json) -> bytes:
    """Return a value of a key as bytes that are equal when the values are."""
    if isinstance(value, bytes):  # a BLOB, which no value in JSON equals
        return b"blob " + value
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


@dataclass(slots=True)
class _Matcher:
    """Turns records into rows of a COPY table, and counts."""

    index: EventIndex
    sources: SourceTable
    run_id: str
    space: SubjectSpace
    streams: Mapping[str, int]
    rows: int = 0
    per_subject: Counter[str] = field(default_factory=Counter)
    checked: bool = True

    def copy(self, row: Row) -> tuple[tuple[int, ...], dict[str, Json] | None]:
        """Return the fields of a COPY, and a line about a record that is no event of the run."""
        source, seq, digest, why = self._match(row)
        stream = self.streams.get(row.stream, 0)
        place = row.stream_seq if row.stream in self.streams else 0
        subject = self.sources[source].subject if source != NO_SOURCE else row.subject
        self.rows += 1
        self.per_subject[self.space.logical(subject)] += 1
        fields = (source, seq, digest, place, row.time_ns, stream, min(row.deliveries, 0xFFFF))
        if source != NO_SOURCE:
            return (*fields, 0, 0), None
        line: dict[str, Json] = {
            "stream": next(iter(self.streams)) if stream == 0 else row.stream,
            "stream_seq": place or 2**62 + self.rows,
            "subject": self.space.logical(row.subject),
            "run": None,
            "msg_id": row.id or _shown(row.key),
            "reason": why,
            "time_ns": row.time_ns,
        }
        return (*fields[:3], int(str(line["stream_seq"])), *fields[4:], 0, 0), line

    def _match(self, row: Row) -> tuple[int, int, int, str]:
        if self.index.observer.key != "id":
            known = self.index.take(row)
            if known is None:
                return NO_SOURCE, 0, 0, f"no stored event has its {self.index.observer.key}"
            if self.index.observer.key == "hash":
                return *known, ""
            return *known[:2], self._hash(row), ""
        named = split_event_id(row.id)
        number = None if named is None else self.sources.find(named[0])
        subject = self.space.logical(row.subject)
        if number is not None and not subject:
            subject = self.sources[number].subject
        run_id = self.run_id if row.source else ""
        source, seq, why = attribute(self.sources, run_id, row.id, row.source, subject)
        return source, seq, self._hash(row), why

    def _hash(self, row: Row) -> int:
        """Return the hash of a record's payload; 0, and nothing is checked, if it is no text."""
        body = row.payload.encode() if isinstance(row.payload, str) else row.payload
        if isinstance(body, bytes):
            return payload_hash(body)
        self.checked = False
        return 0


async def record_observed(
    name: str,
    rows: AsyncIterator[Row],
    index: EventIndex,
    *,
    sources: SourceTable,
    run_id: str,
    space: SubjectSpace,
    streams: Sequence[str],
    out: Path,
) -> ObserverFacts:
    """Write `<name>.bin` and `<name>.strange.jsonl` into `out`, and say what they prove.

    Raises StoreError when the rows cannot be read to their end.
    """
    numbers = {stream: number for number, stream in enumerate(streams)}
    matcher = _Matcher(index, sources, run_id, space, numbers)
    for path in (out / f"{name}.bin", out / f"{name}.strange.jsonl"):
        with suppress(FileNotFoundError):
            path.unlink()
    with (
        TableWriter(out / f"{name}.bin", COPY) as copies,
        (out / f"{name}.strange.jsonl").open("wb") as strange,
    ):
        async for row in rows:
            fields, line = matcher.copy(row)
            copies.append(*fields)
            if line is not None:
                strange.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
    return ObserverFacts(
        name=name,
        kind=index.observer.kind,
        rows_total=matcher.rows,
        per_subject=dict(matcher.per_subject),
        finished=True,
        key=index.observer.key,
        proves=_proves(index, matcher.checked),
        subjects=index.patterns,
    )


def _proves(index: EventIndex, checked: bool) -> tuple[str, ...]:
    """Return the classes that the key can tell apart."""
    without = set()
    if index.observer.key == "hash" or index.ambiguous:
        without |= {"reordered", "corrupt"}
    elif not checked:
        without |= {"corrupt"}
    return tuple(name for name in PROVABLE if name not in without)


def _shown(key: Json) -> str:
    return "" if key is None else str(key)
