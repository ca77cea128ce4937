"""One table of recorded copies against the journal: what is there, doubled, altered, strange.

The same code reads the scan of the streams and the export of each observer; what is
missing is for `twin.verdict.ledger` to say, which knows what should be there.
"""

from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from twin.events.subjects import covers
from twin.verdict.dense import Bools, Dense, Ints, Records, tables
from twin.verdict.facts import BrokenEvidence, Stranger
from twin.verdict.injections import Injections
from twin.verdict.journal import COPY, NO_SOURCE

__all__ = ["KEEP", "Findings", "Recording", "Unexpected", "read_copies"]

KEEP = 100_000
"""How many members of a class are kept by number; all are counted."""
AUDIT_SUBJECT = "events.v1.audit"
STREAMS = np.uint64(64)
"""Places of this many streams do not collide."""


@dataclass(slots=True)
class Findings:
    """The members of a class: how many, and the numbers of the first KEEP of them."""

    count: int = 0
    _kept: list[Ints] = field(default_factory=list)
    _room: int = KEEP

    def add(self, numbers: Ints) -> None:
        """Add members by number."""
        self.count += len(numbers)
        if self._room > 0 and len(numbers):
            self._kept.append(numbers[: self._room].copy())
            self._room -= len(numbers)

    @property
    def numbers(self) -> Ints:
        """The kept numbers."""
        return np.concatenate(self._kept) if self._kept else np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Unexpected:
    """A recorded message that nobody of this run attempted."""

    stream: int
    stream_seq: int
    time_ns: int
    event_id: str
    subject: str
    reason: str


@dataclass(slots=True)
class Recording:
    """What one table says. `first` has each event's position in the table, from 1; 0: not there.

    `late_ok` marks events that an observer got first by a redelivery, which may come late.
    `rows_by_source` counts copies of attempted events, duplicates included; `by_subject`
    counts the strangers, and `audit` those of them that are the registrar's own records.
    `misplaced` were recorded from where the scan of the streams does not have them, and
    `deliveries` adds up, by stream, how often the rows say that their event was delivered.
    `publishers` counts messages of others on the run's own subjects, by who and subject.
    `injected` has, by its place in a stream, the codes under which an injected message is there.
    """

    first: npt.NDArray[np.uint32]
    late_ok: Bools
    rows: int = 0
    rows_by_source: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    rows_by_stream: dict[int, int] = field(default_factory=dict)
    strangers_by_subject: dict[str, int] = field(default_factory=dict)
    duplicates: Findings = field(default_factory=Findings)
    corrupt: Findings = field(default_factory=Findings)
    misplaced: Findings = field(default_factory=Findings)
    deliveries: dict[int, int] = field(default_factory=dict)
    unexpected: list[Unexpected] = field(default_factory=list)
    unexpected_count: int = 0
    unexpected_keys: set[tuple[int, int]] = field(default_factory=set)
    foreign: list[Stranger] = field(default_factory=list)
    foreign_count: int = 0
    audit_count: int = 0
    given_up: dict[tuple[str, str], Ints] = field(default_factory=dict)
    publishers: Counter[tuple[str, str]] = field(default_factory=Counter)
    injected: dict[tuple[int, int], list[int]] = field(default_factory=dict)


@dataclass(slots=True)
class Reader:
    """What is needed to read one table; `known_strange` were already counted upstream.

    Messages of other runs and audit records are nothing unexpected where they are `excused`:
    at an observer only those that the scan found in the stream too, whatever it says itself.
    `places` has where the scan found each event, 0 where it found it twice or not at all; a
    scan fills it in. `hashes` may be cut to the low bits. An observer that is not
    `placed` need not know stream sequences, one that is not `hashed` has no payloads. Others
    may publish on `external`, and nobody else on `owned` subjects.
    """

    dense: Dense
    attempted: Bools
    hashes: npt.NDArray[np.uint64] | npt.NDArray[np.uint32]
    places: npt.NDArray[np.uint32]
    streams: tuple[str, ...]
    run_id: str
    strangers: dict[tuple[int, int], Stranger]
    known_strange: set[tuple[int, int]]
    excused: Container[tuple[int, int]]
    wanted: dict[tuple[str, str], dict[int, npt.NDArray[np.uint64]]]
    in_stream_order: bool
    placed: bool = True
    hashed: bool = True
    external: tuple[str, ...] = ()
    owned: Container[str] = ()
    injections: Injections = field(default_factory=Injections)


def read_copies(path: Path, reader: Reader) -> Recording:
    """Read a whole COPY table; raises BrokenEvidence when it cannot be what it claims to be."""
    total = reader.dense.total
    late = 0 if reader.in_stream_order else total
    recording = Recording(np.zeros(total, np.uint32), np.zeros(late, np.bool_))
    recording.rows_by_source = np.zeros(len(reader.dense.sources), np.int64)
    last: dict[int, int] = {}
    met: set[tuple[int, int]] = set()
    doubled: list[Ints] = []
    for rows in tables(path, COPY):
        if (rows["stream"] >= len(reader.streams)).any():
            raise BrokenEvidence(f"{path} names a stream that the manifest does not have")
        if reader.in_stream_order:
            _check_order(path, rows, last)
        for stream, count in zip(*np.unique(rows["stream"], return_counts=True), strict=True):
            found = recording.rows_by_stream
            found[int(stream)] = found.get(int(stream), 0) + int(count)
        numbers, known = reader.dense.numbers(rows)
        ours = known & reader.attempted[numbers] if total else known
        again = _injected_again(recording, rows, reader)
        doubled.append(numbers[ours & again])
        ours &= ~again
        _ours(recording, rows[ours], numbers[ours], reader, np.flatnonzero(ours))
        met |= _strange(recording, rows[~ours & ~again], reader)
        recording.rows += len(rows)
    for numbers in doubled:  # an observer may have either copy
        reader.places[numbers] = 0
    if missing := len(set(reader.strangers) - met):
        raise BrokenEvidence(f"{path} lacks {missing} messages that its list of strangers has")
    return recording


def _injected_again(recording: Recording, rows: Records, reader: Reader) -> Bools:
    """Return which rows of a scan are events that the run injected once more, and note them."""
    found = np.zeros(len(rows), np.bool_)
    if not reader.in_stream_order:
        return found
    for stream in np.unique(rows["stream"]).tolist():
        repeated = reader.injections.repeated(stream)
        hit = (rows["stream"] == stream) & np.isin(rows["stream_seq"], list(repeated))
        for at in np.flatnonzero(hit).tolist():
            seq = int(rows["stream_seq"][at])
            if int(rows["hash"][at]) == repeated[seq].hash:
                found[at] = True
                _note_injected(recording, (stream, seq), repeated[seq].subject, 0)
    return found


def _note_injected(recording: Recording, place: tuple[int, int], subject: str, code: int) -> None:
    recording.injected.setdefault(place, []).append(code)
    counts = recording.strangers_by_subject
    counts[subject] = counts.get(subject, 0) + 1


def _check_order(path: Path, rows: Records, last: dict[int, int]) -> None:
    """Refuse a scan that lists a stream out of order, or one message twice."""
    for stream in np.unique(rows["stream"]):
        seqs = rows["stream_seq"][rows["stream"] == stream]
        if (seqs[1:] <= seqs[:-1]).any() or int(seqs[0]) <= last.get(int(stream), 0):
            raise BrokenEvidence(f"{path} does not list its streams in ascending order")
        last[int(stream)] = int(seqs[-1])


def _ours(recording: Recording, rows: Records, numbers: Ints, reader: Reader, places: Ints) -> None:
    """Account for copies of attempted events."""
    position = (recording.rows + 1 + places).astype(np.uint32)
    fresh = recording.first[numbers] == 0
    recording.first[numbers[fresh][::-1]] = position[fresh][::-1]
    is_first = recording.first[numbers] == position
    recording.duplicates.add(numbers[~is_first])
    hashes = rows["hash"].astype(reader.hashes.dtype)
    if reader.hashed:
        recording.corrupt.add(numbers[reader.hashes[numbers] != hashes])
    _delivery(recording, rows, numbers, reader, is_first)
    sources = rows["source"].astype(np.int64)
    recording.rows_by_source += np.bincount(sources, minlength=len(recording.rows_by_source))
    for key, by_stream in reader.wanted.items():
        for stream, seqs in by_stream.items():
            hit = (rows["stream"] == stream) & np.isin(rows["stream_seq"], seqs)
            if hit.any():
                earlier = recording.given_up.get(key, np.zeros(0, np.int64))
                recording.given_up[key] = np.union1d(earlier, numbers[hit])


def _delivery(
    recording: Recording, rows: Records, numbers: Ints, reader: Reader, is_first: Bools
) -> None:
    """Note where a scan found events; compare with it what an observer says of deliveries."""
    places = (rows["stream_seq"] * STREAMS + rows["stream"]).astype(np.uint32)
    if reader.in_stream_order:
        reader.places[numbers] = np.where(is_first, places, np.uint32(0))
        return
    known = reader.places[numbers]
    wrong = (known != 0) & (known != places) & (reader.placed | (rows["stream_seq"] != 0))
    recording.misplaced.add(numbers[wrong])
    recording.late_ok[numbers[is_first & (rows["deliveries"] > 1)]] = True
    sums = np.bincount(rows["stream"], weights=rows["deliveries"])
    for stream in np.flatnonzero(sums).tolist():
        earlier = recording.deliveries.get(stream, 0)
        recording.deliveries[stream] = earlier + int(sums[stream])


def _strange(recording: Recording, rows: Records, reader: Reader) -> set[tuple[int, int]]:
    """Account for copies of what was never attempted; return the keys that were explained."""
    met = set()
    for row in rows:
        key = (int(row["stream"]), int(row["stream_seq"]))
        stranger = reader.strangers.get(key) if row["source"] == NO_SOURCE else None
        place = _injected(row, key, stranger, reader)
        if place is not None and stranger is not None:
            _note_injected(recording, place, stranger.subject, int(row["code"]))
            met.add(key)
            continue
        found = _unexpected(row, stranger, reader.dense)
        count = recording.strangers_by_subject
        count[found.subject] = count.get(found.subject, 0) + 1
        if stranger is not None:
            met.add(key)
            if any(covers(one, stranger.subject) for one in reader.external):
                recording.foreign_count += 1
                continue
        if stranger is not None and key in reader.excused:
            if stranger.subject.endswith(AUDIT_SUBJECT):
                recording.audit_count += 1
                continue
            if stranger.run is not None and stranger.run != reader.run_id:
                recording.foreign_count += 1
                if len(recording.foreign) < KEEP:
                    recording.foreign.append(stranger)
                continue
        if stranger is not None and reader.in_stream_order and _elsewhere(stranger, reader):
            recording.publishers[stranger.publisher, stranger.subject] += 1
            reader.known_strange.add(key)
            continue
        if key in reader.known_strange:
            continue
        recording.unexpected_count += 1
        if len(recording.unexpected) < KEEP:
            recording.unexpected_keys.add(key)
            recording.unexpected.append(found)
    return met


def _injected(
    row: np.void, key: tuple[int, int], stranger: Stranger | None, reader: Reader
) -> tuple[int, int] | None:
    """Return the place of the injected message that a row is about, if it is, unaltered."""
    if stranger is None:
        return None
    place = reader.injections.stranger(key, stranger.msg_id, stranger.source)
    if place is None:
        return None
    injection = reader.injections.by_key[place]
    whole = reader.in_stream_order or (reader.placed and injection.expected == "recorded")
    return None if whole and int(row["hash"]) != injection.hash else place


def _elsewhere(stranger: Stranger, reader: Reader) -> bool:
    """Tell whether somebody who is no run at all published where only the run may."""
    return stranger.run is None and stranger.subject in reader.owned


def _unexpected(row: np.void, stranger: Stranger | None, dense: Dense) -> Unexpected:
    source = int(row["source"])
    event_id, subject, reason = "", "", "its id names no source of the run"
    if source < len(dense.sources):
        subject = dense.sources[source].subject
        event_id = f"{dense.sources[source].name}/{int(row['seq'])}"
        reason = "its sequence was never attempted"
    if stranger is not None:
        event_id, subject = stranger.msg_id, stranger.subject
        reason = stranger.reason or reason
    return Unexpected(
        int(row["stream"]),
        int(row["stream_seq"]),
        int(row["time_ns"]),
        event_id,
        subject,
        reason,
    )
