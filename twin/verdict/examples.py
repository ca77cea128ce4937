"""The first members of each class: id, hop, time, and the fault that was active."""

from pathlib import Path

import numpy as np

from twin.verdict.dense import Dense, Ints, tables
from twin.verdict.facts import Fault
from twin.verdict.journal import ATTEMPT
from twin.verdict.ledger import EventClass, Hop, Ledger
from twin.verdict.measure import Events
from twin.verdict.recording import Unexpected
from twin.verdict.result import Example

__all__ = ["LISTED", "examples"]

LISTED = (
    EventClass.LOST,
    EventClass.DUPLICATE,
    EventClass.REORDERED,
    EventClass.CORRUPT,
    EventClass.UNEXPECTED,
    EventClass.GAP,
    EventClass.EXHAUSTED,
    EventClass.TERMINATED,
    EventClass.UNKNOWN,
    EventClass.EVICTED,
    EventClass.MISPLACED,
    EventClass.REFUSED,
)


def examples(
    run_dir: Path, ledger: Ledger, events: Events, faults: list[Fault], most: int = 10
) -> dict[str, list[Example]]:
    """Return for each hop the first `most` members of each class, by intended time.

    Of a class with more than KEEP members, the first are chosen among those kept.
    """
    dense = ledger.journal.dense
    chosen: list[tuple[Hop, EventClass, Ints]] = []
    for hop in ledger.hops:
        for kind in LISTED:
            numbers = np.unique(hop.members.get(kind, np.zeros(0, np.int64)))
            order = np.argsort(events.intended_ns(numbers), kind="stable")[:most]
            chosen.append((hop, kind, numbers[order]))
    sim_ns = _sim_times(run_dir, dense, np.unique(np.concatenate([c[2] for c in chosen])))
    found: dict[str, list[Example]] = {hop.name: [] for hop in ledger.hops}
    for hop, kind, numbers in chosen:
        for number, wall_ns in zip(
            numbers.tolist(), events.intended_ns(numbers).tolist(), strict=True
        ):
            found[hop.name].append(
                Example(
                    event_class=kind,
                    hop=hop.name,
                    id=dense.event_id(number),
                    subject=dense.sources[int(dense.source_of(np.array([number]))[0])].subject,
                    wall_ns=wall_ns if number in sim_ns else 0,
                    sim_ns=sim_ns.get(number),
                    faults=_active(faults, wall_ns) if number in sim_ns else (),
                )
            )
    for hop in ledger.hops:
        first = sorted(hop.recording.unexpected, key=lambda one: one.time_ns)[:most]
        found[hop.name] += [_strange(hop.name, one, faults) for one in first]
    return found


def _strange(hop: str, one: Unexpected, faults: list[Fault]) -> Example:
    return Example(
        event_class=EventClass.UNEXPECTED,
        hop=hop,
        id=one.event_id,
        subject=one.subject,
        wall_ns=one.time_ns,
        sim_ns=None,
        stream_seq=one.stream_seq,
        faults=_active(faults, one.time_ns),
        detail=one.reason,
    )


def _active(faults: list[Fault], wall_ns: int) -> tuple[str, ...]:
    return tuple(fault.fault for fault in faults if fault.active_at(wall_ns))


def _sim_times(run_dir: Path, dense: Dense, numbers: Ints) -> dict[int, int]:
    """Look up the simulated times of a few events."""
    found: dict[int, int] = {}
    if not len(numbers):
        return found
    for rows in tables(run_dir / "journal" / "attempted.bin", ATTEMPT):
        of_rows, _ = dense.numbers(rows)
        hit = np.isin(of_rows, numbers)
        found |= zip(of_rows[hit].tolist(), rows["sim_ns"][hit].tolist(), strict=True)
    return found
