"""Whose limit a run has met: the generator's, the broker's, or a service's."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from twin.verdict.result import Check, Reason, Result, Verdict
from twin.verdict.thresholds import parse_selector

__all__ = ["Limit", "Limiter", "limit_of"]


class Limiter(StrEnum):
    """Who could not do more. UNKNOWN: the run failed for a reason that is no load's doing."""

    GENERATOR = "generator"
    BROKER = "broker"
    SERVICE = "service"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Limit:
    """What broke: whose it is, its name (a service's role), and the reason in words."""

    kind: Limiter
    name: str
    reason: str


GENERATOR = {"schedule", "events", "clocks", "predicted"}
BROKER = {"outcomes", "counts", "nothing"}
BROKER_METRICS = ("publish_", "events_acknowledged")
GENERATOR_METRICS = ("schedule_slip", "events")


def limit_of(result: Result) -> Limit | None:
    """Return what limited a run, None for one that passed.

    The generator goes first: a fleet that could not publish on time has put nobody to a
    test. Then services, whose backlog also shows when the broker is slow only if it is slow
    to them; then the broker.
    """
    if result.verdict is Verdict.PASS:
        return None
    found = [*_reasons(result), *_thresholds(result.thresholds)]
    ranked = (Limiter.GENERATOR, Limiter.SERVICE, Limiter.BROKER, Limiter.UNKNOWN)
    found.sort(key=lambda one: ranked.index(one.kind))
    if found:
        return found[0]
    return Limit(Limiter.UNKNOWN, "", result.reasons[0].message if result.reasons else "")


def _reasons(result: Result) -> Iterator[Limit]:
    for reason in result.reasons:
        if reason.check in GENERATOR:
            yield Limit(Limiter.GENERATOR, "generator", reason.message)
        elif reason.check == "drained":
            yield Limit(Limiter.SERVICE, _undrained(result), reason.message)
        elif reason.check == "service":
            yield Limit(Limiter.SERVICE, _named_in(reason, result), reason.message)
        elif reason.check in BROKER:
            yield Limit(Limiter.BROKER, "broker", reason.message)
        elif reason.check.startswith("guarantee."):
            yield Limit(Limiter.SERVICE, _losing(result), reason.message)


def _thresholds(checks: tuple[Check, ...]) -> Iterator[Limit]:
    for check in checks:
        if check.ok is not False:
            continue
        selector = parse_selector(check.name.rpartition(":")[0])
        metric, unit = selector.metric.name, check.unit
        text = f"{check.name}: measured {check.measured:g} {unit}".rstrip()
        if metric in GENERATOR_METRICS:
            yield Limit(Limiter.GENERATOR, "generator", text)
        elif metric.startswith(BROKER_METRICS):
            yield Limit(Limiter.BROKER, "broker", text)
        else:
            name = selector.tag("consumer") or selector.tag("observer") or "registrar"
            yield Limit(Limiter.SERVICE, name, text)


def _undrained(result: Result) -> str:
    return next((one.role for one in result.lag if one.drained is False), "registrar")


def _losing(result: Result) -> str:
    """Return the observer that lost something, or the broker's stream."""
    return next((hop.name for hop in result.hops if hop.counts.get("lost")), "registrar")


def _named_in(reason: Reason, result: Result) -> str:
    return next((one.name for one in result.services if one.name in reason.message), "")
