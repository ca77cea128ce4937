"""Whose limit a run has met: the generator's, the broker's, or a service's."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from twin.verdict.result import Check, LatencyRow, Reason, Result, Verdict
from twin.verdict.thresholds import Selector, parse_selector

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
LATENCIES = ("publish_latency", "end_to_end_latency")
BRACKETS = str.maketrans("", "", " ()")
NOTICEABLE = 0.1
"""A schedule that slipped by less than this part of a latency's limit is no reason for it."""


def limit_of(result: Result) -> Limit | None:
    """Return what limited a run, None for one that passed.

    The generator goes first: a fleet that could not publish on time has put nobody to a
    test. A latency counts from when an event was due, so one that would have kept its limit
    without the fleet's own lateness is the generator's too. Then services, whose backlog also
    shows when the broker is slow only if it is slow to them; then the broker.
    """
    if result.verdict is Verdict.PASS:
        return None
    found = [*_reasons(result), *_thresholds(result)]
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


def _thresholds(result: Result) -> Iterator[Limit]:
    for check in result.thresholds:
        if check.ok is not False:
            continue
        selector = parse_selector(check.name.rpartition(":")[0])
        metric, unit = selector.metric.name, check.unit
        text = f"{check.name}: measured {check.measured:g} {unit}".rstrip()
        late_ms = _lateness(check, selector, result.latency)
        if metric in GENERATOR_METRICS:
            yield Limit(Limiter.GENERATOR, "generator", text)
        elif late_ms:
            text += f", of which the schedule slipped {late_ms:.0f} ms"
            yield Limit(Limiter.GENERATOR, "generator", text)
        elif metric.startswith(BROKER_METRICS):
            yield Limit(Limiter.BROKER, "broker", text)
        else:
            name = selector.tag("consumer") or selector.tag("observer") or "registrar"
            yield Limit(Limiter.SERVICE, name, text)


def _lateness(check: Check, selector: Selector, rows: tuple[LatencyRow, ...]) -> float:
    """Return by how much the fleet was late where that alone broke a latency's limit, else 0."""
    if selector.metric.name not in LATENCIES or check.measured is None:
        return 0.0
    phase, limit = selector.tag("phase"), float(check.limit.lstrip("<=>"))
    statistic = check.name.rpartition(":")[2].partition("<")[0].translate(BRACKETS)
    for row in rows:
        if row.metric == "schedule_slip" and row.phase == phase:
            late_ms: float = getattr(row, statistic, row.p99)
            held = check.measured - late_ms <= limit
            return late_ms if held and late_ms >= NOTICEABLE * limit else 0.0
    return 0.0


def _undrained(result: Result) -> str:
    return next((one.role for one in result.lag if one.drained is False), "registrar")


def _losing(result: Result) -> str:
    """Return the observer that lost something, or the broker's stream."""
    return next((hop.name for hop in result.hops if hop.counts.get("lost")), "registrar")


def _named_in(reason: Reason, result: Result) -> str:
    return next((one.name for one in result.services if one.name in reason.message), "")
