"""Guarantees: how many events each class may hold, over all hops."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from twin.verdict.criteria import Guarantees
from twin.verdict.ledger import EventClass, Ledger
from twin.verdict.manifest import PROVABLE, Manifest
from twin.verdict.result import Check, Example, Reason, ReasonKind
from twin.verdict.validity import invalid

__all__ = ["check_guarantees"]


NAMED = 3


@dataclass(frozen=True, slots=True)
class Meaning:
    """A guarantee's class, what to call its members, and whether more data could undo them."""

    kind: EventClass
    text: str
    final: bool


MEANINGS = {
    "lost": Meaning(EventClass.LOST, "acknowledged but not recorded", final=False),
    "duplicates": Meaning(EventClass.DUPLICATE, "recorded more than once", final=True),
    "reordered": Meaning(EventClass.REORDERED, "recorded after a later one", final=True),
    "unexpected": Meaning(EventClass.UNEXPECTED, "recorded but never attempted", final=True),
    "corrupt": Meaning(EventClass.CORRUPT, "recorded with another payload", final=True),
    "gaps": Meaning(EventClass.GAP, "missing from the sequence of a source", final=False),
    "exhausted": Meaning(EventClass.EXHAUSTED, "given up after max_deliver", final=False),
    "terminated": Meaning(EventClass.TERMINATED, "terminated by a consumer", final=False),
}


def check_guarantees(
    guarantees: Guarantees, manifest: Manifest, ledger: Ledger, found: Iterable[Example]
) -> tuple[list[Check], list[Reason]]:
    """Check every guarantee that is given; exceeding a final one is a violation.

    `found` are examples of every class; the first ones are named in the reasons.
    """
    first: dict[str, list[str]] = {}
    for one in found:
        first.setdefault(one.event_class, []).append(one.id or f"#{one.stream_seq}")
    checks, reasons = [], []
    for name, meaning in MEANINGS.items():
        limit = getattr(guarantees, name)
        if limit is None:
            continue
        measured, note = _measured(meaning.kind, guarantees, manifest, ledger)
        ok = measured <= limit
        note = "; ".join(filter(None, (note, _unproven(meaning.kind, manifest))))
        checks.append(
            Check(
                name=name,
                ok=ok,
                measured=float(measured),
                limit=f"at most {limit}",
                samples=ledger.journal.attempted,
                note=note,
            )
        )
        if ok:
            continue
        reasons.append(
            Reason(
                kind=ReasonKind.VIOLATION if meaning.final else ReasonKind.BROKEN,
                check=f"guarantee.{name}",
                message=f"{name}: {measured} {_events(measured)} {meaning.text}, "
                f"at most {limit} allowed"
                + (f" ({note})" if note else "")
                + _first(first.get(meaning.kind, [])),
                measured=float(measured),
                limit=float(limit),
            )
        )
    for check in _of_consumers(guarantees, manifest):
        checks.append(check)
        if check.ok is None:
            reasons.append(invalid("guarantee", f"{check.name}: cannot be judged: {check.note}"))
        elif not check.ok:
            message = f"{check.name}: {check.measured:g} messages given up, {check.limit} allowed"
            reasons.append(
                Reason(kind=ReasonKind.BROKEN, check=f"guarantee.{check.name}", message=message)
            )
    return checks, reasons


def _of_consumers(guarantees: Guarantees, manifest: Manifest) -> Iterator[Check]:
    """Yield a check for each bound on what a single consumer gave up."""
    for role, bounds in guarantees.consumers.items():
        own = [one for one in manifest.consumers if one.role == role]
        for kind in ("exhausted", "terminated"):
            limit = getattr(bounds, kind)
            if limit is None:
                continue
            check = Check(name=f"{kind} of {role}", ok=None, limit=f"at most {limit}")
            if not own or not all(one.advisories_read for one in own):
                note = "its advisories were not all read" if own else "it was never watched"
                yield check.model_copy(update={"note": note})
                continue
            count = sum(getattr(one, kind) for one in own)
            yield check.model_copy(update={"ok": count <= limit, "measured": float(count)})


def _measured(
    kind: EventClass, guarantees: Guarantees, manifest: Manifest, ledger: Ledger
) -> tuple[int, str]:
    """Return how many there are, and where."""
    if kind in (EventClass.EXHAUSTED, EventClass.TERMINATED):
        counts = {f"{one.role} on {one.stream}": getattr(one, kind) for one in manifest.consumers}
        return max(sum(counts.values()), ledger.total(kind)), _where(counts)
    counts = {hop.name: hop.counts.get(kind, 0) for hop in ledger.hops}
    if kind is not EventClass.LOST:
        return sum(counts.values()), _where(counts)
    for hop in ledger.hops:
        for other in (EventClass.EXHAUSTED, EventClass.TERMINATED):
            if getattr(guarantees, other) is None:
                counts[hop.name] += hop.counts.get(other, 0)
    places = dict.fromkeys(("prefix", "middle", "postfix"), 0)
    for hop in ledger.hops:
        for key, count in hop.lost_where.items():
            places[key] += count
    return sum(counts.values()), "; ".join(filter(None, (_where(counts), _places(places))))


def _unproven(kind: EventClass, manifest: Manifest) -> str:
    """Say at which observers a class cannot be told."""
    if kind not in PROVABLE:
        return ""
    blind = [one for one in manifest.observers if kind not in one.proves]
    names = ", ".join(f"{one.name} (key {one.key})" for one in blind)
    return f"cannot be told at {names}" if blind else ""


def _first(ids: list[str]) -> str:
    return f": {', '.join(ids[:NAMED])}" + (" ..." if len(ids) > NAMED else "") if ids else ""


def _events(count: int) -> str:
    return "event" if count == 1 else "events"


def _where(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} at {name}" for name, count in counts.items() if count)


def _places(places: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in places.items() if count)
