"""What has to become of injected messages, as checks: one for each fault that injected some."""

from itertools import groupby

from twin.verdict.injections import Injection
from twin.verdict.ledger import Hop, Ledger
from twin.verdict.manifest import Manifest
from twin.verdict.result import Check

__all__ = ["check_injections"]

NAMED = 3
LIMITS = {
    "recorded": "each recorded once",
    "quarantined": "each quarantined once (9xx)",
    "deduplicated": "each an event once more in the stream",
    "dropped": "each dropped by the broker",
    "refused": "each refused by the broker",
}


def check_injections(ledger: Ledger, manifest: Manifest) -> list[Check]:
    """Check the messages of each fault, at the stream and at the registrar.

    Other observers need not understand what is broken; that they record no event twice, and
    nothing else than events, is for the guarantees to say.
    """
    registrars = {one.name for one in manifest.observers if one.kind == "registrar"}
    hops = [hop for hop in ledger.hops[1:] if hop.name in registrars]
    ordered = sorted(ledger.injections.all, key=lambda one: one.fault)
    by_fault = groupby(ordered, key=lambda one: one.fault)
    return [_check(list(messages), ledger, hops, manifest) for _, messages in by_fault]


def _check(messages: list[Injection], ledger: Ledger, hops: list[Hop], manifest: Manifest) -> Check:
    places = {id(one): key for key, one in ledger.injections.by_key.items()}
    begins = {one.name: one.first_seq for one in manifest.streams}
    off = []
    for one in messages:
        place = places.get(id(one))
        if place is None:
            why = "" if one.as_meant else f"it was {one.outcome}"
        elif one.stream_seq < begins[one.stream]:
            why = ""  # evicted since, which the counts of the stream say
        else:
            why = _wrong(one, place, ledger.hops[0], hops)
        if why:
            off.append(f"{one.id} {why}")
    first = messages[0]
    more = " ..." if len(off) > NAMED else ""
    return Check(
        name=f"injected {first.kind} (fault {first.fault})",
        ok=not off,
        measured=float(len(messages) - len(off)),
        limit=f"{len(messages)}, {LIMITS[first.expected]}",
        samples=len(messages),
        note=f"{', '.join(off[:NAMED])}{more}",
    )


def _wrong(one: Injection, place: tuple[int, int], stream: Hop, hops: list[Hop]) -> str:
    """Say what is wrong with a message that the broker has stored."""
    if place not in stream.recording.injected:
        return "is not in the stream any more"
    if one.expected == "deduplicated":
        return ""
    for hop in hops:
        codes = hop.recording.injected.get(place, [])
        if len(codes) != 1:
            return f"was recorded {len(codes)} times by {hop.name}"
        if one.expected == "quarantined" and codes[0] // 100 != 9:
            return f"was recorded by {hop.name} under {codes[0]}"
    return ""
