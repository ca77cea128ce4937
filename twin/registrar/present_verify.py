"""What `verify` found, as lines for people and as a document for programs."""

from collections.abc import Iterator, Sequence

from twin.registrar.coverage import Stretch
from twin.registrar.times import format_ns
from twin.registrar.verification import Verification

__all__ = ["verification_document", "verification_lines"]


def verification_document(
    found: Verification, stretches: Sequence[Stretch] | None
) -> dict[str, object]:
    """Return what was found as a JSON document; `coverage` only where it was asked for.

    `good` is the chain, `unknown` how many sequences nobody knows the fate of.
    """
    document: dict[str, object] = {
        "good": found.good,
        "segments": found.segments,
        "dropped_segments": found.dropped,
        "batches": found.batches,
        "events": found.rows,
        "notes": found.notes,
        "checkpoints": found.checkpoints,
        "last_batch": found.tip.batch,
        "signed_batch": found.signed,
        "anchored_batch": found.anchored,
        "key": found.key,
        "last_hash": found.last_hash,
        "breaks": [one._asdict() for one in found.breaks],
    }
    if stretches is not None:
        document["unknown"] = _unknown(stretches)
        document["coverage"] = [one._asdict() for one in stretches]
    return document


def verification_lines(found: Verification, stretches: Sequence[Stretch]) -> Iterator[str]:
    """Yield the breaks, the verdict with what it rests on, then the stretches of each stream."""
    yield from (f"BROKEN {one}" for one in found.breaks)
    what = f"{found.batches} batches, {found.rows} events, {found.notes} notes"
    verdict = "intact" if found.good else f"{len(found.breaks)} breaks"
    yield f"{verdict}: {what}; last hash {found.last_hash}"
    if found.good:
        yield from _grounds(found)
    stream = ("", 0)
    for one in stretches:
        if one[:2] != stream:
            stream = one[:2]
            again = f" (given out again, {one.epoch - 1} times before)" if one.epoch > 1 else ""
            yield f"{one.stream}{again}"
        yield f"  {_span(one):>21}  {_fate(one)}"
    if lost := _unknown(stretches):
        yield f"NOT COVERED: {lost} sequences are recorded nowhere, and nobody knows why"


def _unknown(stretches: Sequence[Stretch]) -> int:
    return sum(one.last - one.first + 1 for one in stretches if one.cause == "unknown")


def _grounds(found: Verification) -> Iterator[str]:
    if found.key:
        yield f"{found.checkpoints} checkpoints signed by {found.key}"
    if unsigned := found.tip.batch - found.signed:
        what = "batch is" if unsigned == 1 else f"{unsigned} batches are"
        yield f"the last {what} not signed"
    if found.dropped:
        yield f"{found.dropped} segments were dropped by retention, under a tombstone"
    if found.anchored:
        yield f"batches up to {found.anchored} agree with checkpoints kept elsewhere"
    else:
        yield "no checkpoints kept elsewhere were given: a cut-off end would not show"


def _span(one: Stretch) -> str:
    return str(one.first) if one.first == one.last else f"{one.first} to {one.last}"


def _fate(one: Stretch) -> str:
    texts = {
        "expired": "expired before it was read",
        "deleted": "deleted from the stream",
        "open": "not looked at yet",
        "unknown": "UNKNOWN",
        "accounted": "recorded or explained, in dropped segments",
    }
    if one.cause == "down":
        return f"expired while the registrar was down, {_time(one.from_ns)} to {_time(one.to_ns)}"
    return texts.get(one.cause, one.cause)


def _time(time_ns: int) -> str:
    return format_ns(time_ns) if time_ns else "some time"
