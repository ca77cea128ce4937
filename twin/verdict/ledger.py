"""The ledger: every event of a run, from attempt over stream to each observer, in one class.

`reconcile` reads the journal, the scan of the streams and what each observer recorded, and
returns counts, the first members of each class, and planes of one entry per event. Memory
is a few bytes per event (about 15 while reading), never a set of ids. docs/verdicts.md
defines the classes.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from twin.events.subjects import covers
from twin.verdict.dense import Dense, Ints, tables
from twin.verdict.facts import (
    BrokenEvidence,
    given_up_by_role,
    read_sources,
    strangers_by_key,
)
from twin.verdict.injections import Injections, read_injections
from twin.verdict.journal import ATTEMPT, OUTCOME, LocalRefusal, Outcome
from twin.verdict.manifest import Manifest, ObserverFacts
from twin.verdict.order import inversions, whereabouts
from twin.verdict.recording import KEEP, Findings, Reader, Recording, read_copies

__all__ = ["STREAM", "EventClass", "Hop", "Journal", "Ledger", "State", "reconcile"]

STREAM = "stream"
"""Name of the hop from the publisher to the stream; other hops bear their observer's name."""


class EventClass(StrEnum):
    """What may become of an event; docs/verdicts.md has the definitions."""

    LOST = "lost"
    RECOVERED = "recovered"
    UNKNOWN = "unknown"
    DUPLICATE = "duplicate"
    REORDERED = "reordered"
    CORRUPT = "corrupt"
    UNEXPECTED = "unexpected"
    FOREIGN = "foreign"
    GAP = "gap"
    REFUSED = "refused"
    SHED = "shed"
    EXHAUSTED = "exhausted"
    TERMINATED = "terminated"
    EVICTED = "evicted"
    MISPLACED = "misplaced"


class State:
    """Bits of an event's state in `Journal.state`; plain numbers, which numpy takes as they are."""

    ATTEMPTED: Final = 1
    ACKNOWLEDGED: Final = 2
    UNKNOWN: Final = 4
    REFUSED: Final = 8
    SHED: Final = 16
    STORED: Final = 32
    EVICTED: Final = 64
    INVERTED: Final = 128
    CORRUPT: Final = 256
    RECORDED: Final = 512  # by the observer that is being judged
    GIVEN_UP: Final = 1024  # by its consumer


PIECE = 1 << 20
OUTCOME_BITS = State.ACKNOWLEDGED | State.UNKNOWN | State.REFUSED | State.SHED
BIT_OF = {
    Outcome.ACKNOWLEDGED: State.ACKNOWLEDGED,
    Outcome.REFUSED: State.REFUSED,
    Outcome.UNKNOWN: State.UNKNOWN,
    Outcome.SHED: State.SHED,
}
UNSENT = (LocalRefusal.OVERFLOW, LocalRefusal.NOT_SENT)


@dataclass(slots=True)
class Journal:
    """What the publisher knew: a state and a payload hash for each number."""

    dense: Dense
    state: npt.NDArray[np.uint16]
    attempted: int = 0
    outcomes: int = 0
    unsent: int = 0  # refused by the publisher itself, for want of room or time
    reused: int = 0  # first attempts that the server called duplicates

    def has(self, bits: int) -> npt.NDArray[np.bool_]:
        """Return a plane of the events that have any of the bits."""
        found = np.zeros(len(self.state), np.bool_)
        for low in range(0, len(self.state), PIECE):
            found[low : low + PIECE] = (self.state[low : low + PIECE] & bits) != 0
        return found

    def count(self, bits: int) -> int:
        """Return how many events have any of the bits."""
        return int(np.count_nonzero(self.has(bits)))

    def numbers(self, yes: int, no: int = 0) -> Ints:
        """Return the numbers of events that have all bits of `yes` and none of `no`."""
        found = [
            np.flatnonzero((self.state[low : low + PIECE] & (yes | no)) == yes) + low
            for low in range(0, len(self.state), PIECE)
        ]
        return np.concatenate(found) if found else np.zeros(0, np.int64)

    def set(self, bit: int, plane: npt.NDArray[np.generic]) -> None:
        """Set one bit where `plane` is not zero, and clear it elsewhere."""
        for low in range(0, len(self.state), PIECE):
            piece = self.state[low : low + PIECE]
            piece &= np.uint16(0xFFFF ^ bit)
            piece[plane[low : low + PIECE] != 0] |= bit


@dataclass(slots=True)
class Hop:
    """What one hop did: counts per class and their first members.

    `found_by_source` counts the events that are there at least once; `recording` has lost
    its planes of one entry per event. `wanted` says of how many sources an observer has to
    record events.
    """

    name: str
    recording: Recording
    found_by_source: Ints
    counts: dict[EventClass, int] = field(default_factory=dict)
    members: dict[EventClass, Ints] = field(default_factory=dict)
    lost_where: dict[str, int] = field(default_factory=dict)
    wanted: int = 0

    def put(self, kind: EventClass, numbers: Ints | Findings) -> None:
        """Set the members of a class."""
        if isinstance(numbers, Findings):
            self.counts[kind], self.members[kind] = numbers.count, numbers.numbers
        else:
            self.counts[kind], self.members[kind] = len(numbers), numbers[:KEEP].copy()


@dataclass(slots=True)
class Ledger:
    """The whole account. `hops` begins with the stream; observers follow."""

    journal: Journal
    hops: list[Hop]
    run_dir: Path
    injections: Injections

    def total(self, kind: EventClass) -> int:
        """Return how many events are in a class, over all hops."""
        return sum(hop.counts.get(kind, 0) for hop in self.hops)

    @property
    def accepted(self) -> int:
        """How many events were acknowledged or recovered, hence checked."""
        return self.journal.count(State.ACKNOWLEDGED) + self.total(EventClass.RECOVERED)


def reconcile(run_dir: Path, manifest: Manifest) -> Ledger:
    """Read the tables of a sealed run; raises BrokenEvidence when they contradict themselves."""
    attempted = run_dir / "journal" / "attempted.bin"
    dense = Dense.of_journal(read_sources(run_dir), attempted)
    journal, hashes = _read_attempts(attempted, dense)
    streams = tuple(stream.name for stream in manifest.streams)
    strangers = strangers_by_key(run_dir / "stream" / "strange.jsonl", streams)
    reader = Reader(
        dense=dense,
        attempted=journal.has(State.ATTEMPTED),
        hashes=hashes,
        places=np.zeros(dense.total, np.uint32),
        streams=streams,
        run_id=manifest.run_id,
        strangers=strangers,
        known_strange=set(),
        excused=strangers.keys(),
        wanted=given_up_by_role(run_dir, streams),
        in_stream_order=True,
        external=manifest.external,
        owned={source.subject for source in dense.sources},
        injections=Injections(read_injections(run_dir), streams),
    )
    del hashes
    stream = read_copies(run_dir / "stream" / "stored.bin", reader)
    reader.hashes = reader.hashes.astype(np.uint32)
    journal.set(State.STORED, stream.first)
    _read_outcomes(run_dir / "journal" / "acknowledged.bin", journal, manifest)
    hops = [_judge_stream(journal, stream)]
    reader.wanted, reader.in_stream_order = {}, False
    reader.known_strange |= stream.unexpected_keys
    for observer in manifest.observers:
        path = run_dir / "observed" / f"{observer.name}.bin"
        reader.strangers = strangers_by_key(path.with_suffix(".strange.jsonl"), streams)
        reader.placed = observer.kind == "registrar"
        reader.hashed = EventClass.CORRUPT in observer.proves
        recording = read_copies(path, reader)
        recording.late_ok &= _credible(recording, manifest, observer.name)
        hops.append(_judge_observer(observer, journal, recording, stream.given_up))
    return Ledger(journal, hops, run_dir, reader.injections)


def _credible(recording: Recording, manifest: Manifest, role: str) -> bool:
    """Tell whether the server delivered as often as an observer says, where that is known."""
    made = {(one.role, one.stream): one.deliveries for one in manifest.consumers}
    for number, claimed in recording.deliveries.items():
        known = made.get((role, manifest.streams[number].name))
        if known is not None and claimed > known:
            return False
    return True


def _read_attempts(path: Path, dense: Dense) -> tuple[Journal, npt.NDArray[np.uint64]]:
    journal = Journal(dense, np.zeros(dense.total, np.uint16))
    hashes = np.zeros(dense.total, np.uint64)
    for rows in tables(path, ATTEMPT):
        numbers, _ = dense.numbers(rows)
        journal.state[numbers] = State.ATTEMPTED
        hashes[numbers] = rows["hash"]
        journal.attempted += len(rows)
    if journal.count(State.ATTEMPTED) != journal.attempted:
        raise BrokenEvidence(f"{path} lists an event twice")
    return journal, hashes


def _read_outcomes(path: Path, journal: Journal, manifest: Manifest) -> None:
    """Mark each event's outcome; the scan of the streams has been read before."""
    first_seq = _first_seq_by_source(journal.dense, manifest)
    bits = np.zeros(256, np.uint16)
    bits[list(BIT_OF)] = list(BIT_OF.values())
    for rows in tables(path, OUTCOME):
        numbers, known = journal.dense.numbers(rows)
        state = journal.state[numbers]
        if not known.all() or not (state & State.ATTEMPTED).all():
            raise BrokenEvidence(f"{path} has outcomes of events that were never attempted")
        mark = bits[rows["outcome"]]
        if not mark.all() or (state & OUTCOME_BITS).any():
            raise BrokenEvidence(f"{path} has outcomes that cannot be, or two for one event")
        stored = (state & State.STORED) != 0
        mark[(mark == State.REFUSED) & stored & (rows["tries"] > 1)] = State.UNKNOWN
        gone = rows["stream_seq"] < first_seq[rows["source"]]
        mark[(mark == State.ACKNOWLEDGED) & ~stored & gone] |= State.EVICTED
        journal.state[numbers] |= mark
        first_try = (rows["outcome"] == Outcome.ACKNOWLEDGED) & (rows["tries"] <= 1)
        journal.reused += int(np.count_nonzero(first_try & (rows["duplicate"] != 0)))
        unsent = np.isin(rows["error"], UNSENT) & (rows["outcome"] == Outcome.REFUSED)
        journal.unsent += int(np.count_nonzero(unsent))
        journal.outcomes += len(rows)
    if journal.count(OUTCOME_BITS) != journal.outcomes:
        raise BrokenEvidence(f"{path} has two outcomes for one event")


def _first_seq_by_source(dense: Dense, manifest: Manifest) -> npt.NDArray[np.uint64]:
    """Return where the stream of each source begins; 0 where the stream is not known."""
    begins = {
        subject: stream.first_seq for stream in manifest.streams for subject in stream.subjects
    }
    for subject in {source.subject for source in dense.sources} - set(begins):
        for stream in manifest.streams:
            if any(covers(pattern, subject) for pattern in stream.captures):
                begins[subject] = stream.first_seq
    return np.array([begins.get(source.subject, 0) for source in dense.sources], np.uint64)


def _judge_stream(journal: Journal, stream: Recording) -> Hop:
    """Put every event into its class at the hop from publisher to stream."""
    hop = Hop(STREAM, stream, journal.dense.sums(stream.first))
    lost = journal.numbers(State.ACKNOWLEDGED, State.STORED | State.EVICTED)
    hop.put(EventClass.LOST, lost)
    hop.lost_where = whereabouts(journal.dense, stream.first, lost)
    hop.put(EventClass.EVICTED, journal.numbers(State.EVICTED))
    hop.put(EventClass.RECOVERED, journal.numbers(State.UNKNOWN | State.STORED))
    hop.put(EventClass.UNKNOWN, journal.numbers(State.UNKNOWN, State.STORED))
    hop.put(EventClass.REFUSED, journal.numbers(State.REFUSED))
    hop.put(EventClass.SHED, journal.numbers(State.SHED))
    hop.put(EventClass.GAP, journal.numbers(0, State.ATTEMPTED))
    reordered = inversions(journal.dense, stream.first)
    journal.state[reordered] |= State.INVERTED
    journal.state[stream.corrupt.numbers] |= State.CORRUPT
    hop.put(EventClass.REORDERED, reordered)
    hop.put(EventClass.CORRUPT, stream.corrupt)
    _put_common(hop, _contradicted(journal, State.STORED))
    return hop


def _judge_observer(
    observer: ObserverFacts,
    journal: Journal,
    recording: Recording,
    given_up: dict[tuple[str, str], Ints],
) -> Hop:
    """Put every stored event into its class at the hop from stream to one observer."""
    hop = Hop(observer.name, recording, journal.dense.sums(recording.first))
    journal.set(State.RECORDED, recording.first)
    journal.state &= np.uint16(0xFFFF ^ State.GIVEN_UP)
    for kind in (EventClass.EXHAUSTED, EventClass.TERMINATED):
        numbers = given_up.get((observer.name, kind.value), np.zeros(0, np.int64))
        numbers = numbers[(journal.state[numbers] & (State.RECORDED | State.GIVEN_UP)) == 0]
        journal.state[numbers] |= State.GIVEN_UP
        hop.put(kind, numbers)
    there = State.RECORDED | State.GIVEN_UP
    lost = np.union1d(journal.numbers(State.STORED, there), journal.numbers(State.EVICTED, there))
    wanted = _wanted(observer, journal.dense)
    hop.wanted = int(np.count_nonzero(wanted))
    lost = lost[wanted[journal.dense.source_of(lost)]]
    hop.put(EventClass.LOST, lost)
    hop.lost_where = whereabouts(journal.dense, recording.first, lost)
    elsewhere = State.RECORDED | State.UNKNOWN
    hop.put(EventClass.RECOVERED, journal.numbers(elsewhere, State.STORED))
    late = inversions(journal.dense, recording.first)
    excused = recording.late_ok[late] | ((journal.state[late] & State.INVERTED) != 0)
    ordered = EventClass.REORDERED in observer.proves
    hop.put(EventClass.REORDERED, late[~excused] if ordered else late[:0])
    altered = recording.corrupt.numbers
    upstream = (journal.state[altered] & State.CORRUPT) != 0
    hop.put(EventClass.CORRUPT, altered[~upstream])
    hop.counts[EventClass.CORRUPT] = recording.corrupt.count - int(np.count_nonzero(upstream))
    hop.put(EventClass.MISPLACED, recording.misplaced)
    _put_common(hop, _contradicted(journal, State.RECORDED, State.STORED))
    return hop


def _wanted(observer: ObserverFacts, dense: Dense) -> npt.NDArray[np.bool_]:
    """Return which sources an observer has to record."""
    patterns = observer.subjects
    found = [
        not patterns or any(covers(one, source.subject) for one in patterns)
        for source in dense.sources
    ]
    return np.array(found, np.bool_)


def _contradicted(journal: Journal, found: int, no: int = 0) -> Ints:
    """Return the events that were found although they were refused or never sent."""
    refused, shed = (journal.numbers(found | bit, no) for bit in (State.REFUSED, State.SHED))
    return np.union1d(refused, shed)


def _put_common(hop: Hop, contradicted: Ints) -> None:
    """Put what both hops have; `contradicted` are there although never accepted. Free planes."""
    recording = hop.recording
    hop.put(EventClass.DUPLICATE, recording.duplicates)
    hop.put(EventClass.UNEXPECTED, contradicted)
    hop.counts[EventClass.UNEXPECTED] += recording.unexpected_count
    hop.counts[EventClass.FOREIGN] = recording.foreign_count
    recording.first = np.zeros(0, np.uint32)
    recording.late_ok = np.zeros(0, np.bool_)
