"""Expectations on a consumer's lag: its own status while it is broken, and no other."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twin.verdict.criteria import LagMatch
from twin.verdict.facts import BrokenEvidence, Fault, read_rows
from twin.verdict.result import Check

__all__ = ["Seen", "check_lag", "read_statuses"]

OK, UNKNOWN = "OK", "UNKNOWN"
NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Seen:
    """The status of a consumer at one sample; UNKNOWN where the poll failed."""

    role: str
    stream: str
    wall_ns: int
    status: str


def read_statuses(run_dir: Path) -> list[Seen]:
    """Return the statuses of all consumers, in the order of their samples."""
    path = run_dir / "lag.jsonl"
    found = []
    for row in read_rows(path):
        wall_ns = row.get("wall_ns")
        if not isinstance(wall_ns, int):
            raise BrokenEvidence(f"{path}: wall_ns is {wall_ns!r} where a number is due")
        found.append(
            Seen(str(row.get("role")), str(row.get("stream")), wall_ns, str(row.get("status")))
        )
    return found


def check_lag(match: LagMatch, seen: Sequence[Seen], faults: Sequence[Fault]) -> Check:
    """Check one expectation against the samples of its consumer and the faults that hit it.

    A poll that failed, between two that were answered, is no sample: it says nothing of the
    consumer, and what was not seen then is in the counters of the next.
    """
    own = _answered([one for one in seen if one.role == match.consumer], match.status)
    hit = {match.consumer, *(one.stream for one in own)}
    fired = [
        fault for fault in faults if fault.fired_wall_ns is not None and _means(fault.target, hit)
    ]
    limit = f"within {match.within} samples, OK again within {match.clears}, and no other status"
    check = Check(name=match.name, ok=None, limit=limit, samples=len(own))
    if not own:
        return check.model_copy(update={"note": "the consumer was never sampled"})
    if not fired:
        return check.model_copy(update={"note": "no fault fired on it or on its stream"})
    if any(fault.healed_wall_ns is None for fault in fired):
        return check.model_copy(update={"note": "a fault on it was not over"})
    begun = min(_begun(fault) for fault in fired)
    start = min(fault.fired_wall_ns or 0 for fault in fired)
    end = max(fault.healed_wall_ns or 0 for fault in fired)
    during = [
        one.status
        for one in own
        if one.wall_ns > start or (one.wall_ns > begun and one.status == match.status)
    ]
    place = during.index(match.status) + 1 if match.status in during else None
    note = _wrong(match, own, begun, end, place)
    return check.model_copy(
        update={
            "ok": not note,
            "measured": None if place is None else float(place),
            "unit": "samples" if place else "",
            "note": note,
        }
    )


def _answered(own: Sequence[Seen], expected: str) -> list[Seen]:
    """Leave out each UNKNOWN that stands alone, unless it is what is expected."""
    before = [UNKNOWN, *(one.status for one in own[:-1])]
    after = [*(one.status for one in own[1:]), UNKNOWN]
    return [
        one
        for one, *around in zip(own, before, after, strict=True)
        if one.status != UNKNOWN or UNKNOWN in (expected, *around)
    ]


def _begun(fault: Fault) -> int:
    """Return from when a fault may be felt: it is noted as fired when its work is done."""
    times = (fault.intended_wall_ns, fault.fired_wall_ns)
    return min(at for at in times if at is not None)


def _wrong(match: LagMatch, own: Sequence[Seen], begun: int, end: int, place: int | None) -> str:
    """Say what is not as it should be; nothing when all is."""
    others = {one.status for one in own} - {OK, match.status}
    after = [one.status for one in own if one.wall_ns > end]
    back = after.index(OK) if OK in after else match.clears
    found = (
        (others, f"it was also {', '.join(sorted(others))}"),
        (any(one.status != OK for one in own if one.wall_ns <= begun), "it was so before"),
        (place is None, "it was never shown"),
        (place is not None and place > match.within, f"it was shown only at sample {place}"),
        (back >= match.clears, f"it was not OK within {match.clears} samples after the cure"),
        (match.status in after[back:], "it came back after the cure"),
    )
    return "; ".join(text for wrong, text in found if wrong)


def _means(target: str, hit: set[str]) -> bool:
    """Tell whether a fault's target is one of these; streams may have a prefix of ours."""
    return any(one == target or one.endswith(f"_{target}") for one in hit)
