"""What makes a run prove nothing: each check returns the reasons for INVALID that it found."""

from collections.abc import Iterator

import numpy as np

from twin.verdict.counts import disagreements, expected_offered
from twin.verdict.facts import Fault, LagSeries
from twin.verdict.lagcheck import contradictions
from twin.verdict.ledger import EventClass, Ledger
from twin.verdict.manifest import Criteria, Manifest
from twin.verdict.measure import Events
from twin.verdict.result import Reason, ReasonKind
from twin.verdict.thresholds import WALL_METRICS, parse_selector

__all__ = ["invalid", "run_reasons", "validity_reasons"]

NS = 1_000_000_000
EARLIEST_MS = -1000.0
"""An acknowledgement this long before the intended publish time means that a clock jumped."""
LISTED = 5


def invalid(
    check: str,
    message: str,
    measured: float | None = None,
    limit: float | None = None,
    window: str = "",
) -> Reason:
    """Return a reason for INVALID."""
    return Reason(
        kind=ReasonKind.INVALID,
        check=check,
        message=message,
        measured=measured,
        limit=limit,
        window=window,
    )


def validity_reasons(
    manifest: Manifest,
    criteria: Criteria,
    ledger: Ledger,
    events: Events,
    *,
    faults: list[Fault],
    lag: list[LagSeries],
) -> list[Reason]:
    """Return every reason for INVALID of a sealed run with intact evidence."""
    return [
        *_criteria(manifest, criteria),
        *_wall_time(manifest, criteria),
        *run_reasons(manifest, criteria, faults),
        *_amounts(manifest, criteria, ledger),
        *_idle(manifest, ledger),
        *_publisher(ledger),
        *_slip(manifest, criteria, events),
        *_clocks(manifest, events),
        *_foreign_publishers(ledger),
        *_monitor(manifest, ledger, lag),
        *_disagreements(manifest, ledger),
    ]


def run_reasons(manifest: Manifest, criteria: Criteria, faults: list[Fault]) -> list[Reason]:
    """Return the reasons that the manifest and the log of faults give by themselves."""
    return [
        *_drain(manifest),
        *_advisories(manifest, criteria),
        *_observers(manifest),
        *_services(manifest),
        *_faults(manifest, faults),
    ]


def _criteria(manifest: Manifest, criteria: Criteria) -> Iterator[Reason]:
    asked = any(criteria.thresholds.values()) or criteria.expect or criteria.steady_state
    if not (asked or criteria.guarantees.judges):
        yield invalid("nothing", "nothing was asked: no threshold, guarantee or expectation")
    if not manifest.streams:
        yield invalid("nothing", "no stream was scanned")
    if not manifest.observers and not manifest.consumers:
        yield invalid("nothing", "nobody observed the streams")


def _wall_time(manifest: Manifest, criteria: Criteria) -> Iterator[Reason]:
    """A run as fast as possible has no intended wall time to be late against."""
    if manifest.pace != "fast":
        return
    for selector in criteria.thresholds:
        if parse_selector(selector).metric.name in WALL_METRICS:
            yield invalid("pace", f"at pace fast {selector} measures nothing")


def _drain(manifest: Manifest) -> Iterator[Reason]:
    for one in manifest.consumers:
        if one.finished:
            continue
        detail = f" ({one.detail})" if one.detail else ""
        yield invalid(
            "drained",
            f"{one.role} did not drain {one.stream}: {one.num_pending} pending, "
            f"{one.num_ack_pending} ack pending, ack floor {one.ack_floor} "
            f"of {one.last_matching_seq}{detail}",
            float(one.num_pending + one.num_ack_pending),
            0.0,
        )


def _advisories(manifest: Manifest, criteria: Criteria) -> Iterator[Reason]:
    wanted = [
        name
        for name in ("exhausted", "terminated")
        if getattr(criteria.guarantees, name) is not None
    ]
    if not wanted:
        return
    if not manifest.consumers:
        yield invalid("advisories", f"{' and '.join(wanted)}: no consumer was watched")
    for one in manifest.consumers:
        if not one.advisories_read:
            yield invalid(
                "advisories",
                f"the advisories of {one.role} on {one.stream} could not be read, so "
                f"{' and '.join(wanted)} cannot be judged",
            )


def _observers(manifest: Manifest) -> Iterator[Reason]:
    for stream in manifest.streams:
        if not stream.scanned:
            yield invalid("scanned", f"stream {stream.name} was not scanned to its end")
    for observer in manifest.observers:
        detail = f": {observer.detail}" if observer.detail else ""
        if not observer.finished:
            yield invalid("observer", f"{observer.name} did not finish{detail}")
        if observer.kind == "registrar" and observer.name not in {
            consumer.role for consumer in manifest.consumers
        }:
            yield invalid("drained", f"no consumer of {observer.name} was watched")


def _services(manifest: Manifest) -> Iterator[Reason]:
    for service in manifest.services:
        if service.own and service.exit_code is not None and not service.expected:
            detail = f": {service.detail}" if service.detail else ""
            yield invalid(
                "service",
                f"{service.name} ended by itself with exit code {service.exit_code}{detail}",
                float(service.exit_code),
            )


def _faults(manifest: Manifest, faults: list[Fault]) -> Iterator[Reason]:
    for fault in faults:
        if not fault.fired:
            detail = f": {fault.detail}" if fault.detail else ""
            yield invalid("fault", f"fault {fault.fault} {fault.outcome}{detail}")
    if len(faults) < manifest.faults_declared:
        yield invalid(
            "fault",
            f"{manifest.faults_declared} faults were declared, {len(faults)} are in the log",
            float(len(faults)),
            float(manifest.faults_declared),
        )


def _amounts(manifest: Manifest, criteria: Criteria, ledger: Ledger) -> Iterator[Reason]:
    journal, limits = ledger.journal, criteria.limits
    if not journal.attempted:
        yield invalid("events", "no event was generated", 0.0)
        return
    if not ledger.accepted:
        yield invalid("events", "no event was acknowledged, so nothing was checked", 0.0)
    if not manifest.predicted.total:
        yield invalid("events", "the run was too short for any event to be predicted", 0.0)
    least = limits.min_events_fraction * manifest.predicted.total
    offered = expected_offered(manifest, ledger)
    withheld = manifest.publish.withheld if manifest.publish else 0
    if offered + withheld < least:
        yield invalid(
            "events",
            f"{offered} of the {manifest.predicted.total} predicted events were generated and "
            f"not refused, fewer than {limits.min_events_fraction:.0%}",
            float(offered),
            least,
        )
    unknown = ledger.hops[0].counts[EventClass.UNKNOWN] + journal.attempted - journal.outcomes
    known = 1 - unknown / journal.attempted
    if known < limits.min_known_fraction:
        yield invalid(
            "outcomes",
            f"what became of {unknown} of {journal.attempted} events is unknown, "
            f"more than {1 - limits.min_known_fraction:.0%}",
            known,
            limits.min_known_fraction,
        )


def _idle(manifest: Manifest, ledger: Ledger) -> Iterator[Reason]:
    """Who had nothing to do could do nothing wrong."""
    for hop in ledger.hops[1:]:
        if ledger.journal.attempted and not hop.wanted:
            yield invalid(
                "nothing", f"{hop.name} had nothing to record: no event is on its subjects"
            )
    for role in dict.fromkeys(one.role for one in manifest.consumers):
        own = [one for one in manifest.consumers if one.role == role]
        if all(one.finished and not (one.last_matching_seq or one.deliveries) for one in own):
            yield invalid("nothing", f"{role} had nothing to read: no message matches its filter")


def _publisher(ledger: Ledger) -> Iterator[Reason]:
    journal = ledger.journal
    if missing := journal.attempted - journal.outcomes:
        yield invalid(
            "outcomes", f"the journal has no outcome for {missing} events", float(missing), 0.0
        )
    if journal.reused:
        yield invalid(
            "run id",
            f"the server called {journal.reused} events duplicates at their first attempt: "
            "the run id was used before",
            float(journal.reused),
            0.0,
        )


def _slip(manifest: Manifest, criteria: Criteria, events: Events) -> Iterator[Reason]:
    any_measured = any(phase.measure for phase in manifest.phases)
    for index, phase in enumerate(manifest.phases):
        if any_measured and not phase.measure:
            continue
        values = events.select("schedule_slip", "", events.mask((index,), None))
        slip = float(np.percentile(values, 99)) if len(values) else 0.0
        if slip > criteria.limits.max_slip_p99_ms:
            yield invalid(
                "schedule",
                f"the generator missed its schedule in phase {phase.name}: slip p(99) "
                f"{slip:.1f} ms, limit {criteria.limits.max_slip_p99_ms:g} ms",
                slip,
                criteria.limits.max_slip_p99_ms,
                f"{phase.name} ({phase.start_sim_ns / NS:g} s to {phase.end_sim_ns / NS:g} s)",
            )


def _clocks(manifest: Manifest, events: Events) -> Iterator[Reason]:
    if manifest.clocks.wall_backwards:
        detail = f": {manifest.clocks.detail}" if manifest.clocks.detail else ""
        yield invalid("clocks", f"the wall clock ran backwards{detail}")
    if manifest.ended_ns is None or manifest.ended_ns < manifest.started_ns:
        yield invalid("clocks", "the run has no end after its start")
    planes = [("publish_latency", "", "acknowledged")]
    planes += [
        ("end_to_end_latency", one.name, f"recorded by {one.name}") for one in manifest.observers
    ]
    for metric, observer, done in planes:
        plane = events.plane(metric, observer)
        earliest = float(np.nanmin(plane)) if not np.isnan(plane).all() else 0.0
        if earliest < EARLIEST_MS:
            yield invalid(
                "clocks",
                f"an event was {done} {-earliest:.0f} ms before it was due",
                earliest,
                EARLIEST_MS,
            )


def _monitor(manifest: Manifest, ledger: Ledger, lag: list[LagSeries]) -> Iterator[Reason]:
    for series, backlog in contradictions(manifest, ledger, lag):
        yield invalid(
            "lag",
            f"the monitor says that {series.role} had nothing to do on {series.stream} while "
            f"at least {backlog} messages were stored and not yet recorded",
            float(backlog),
        )


def _foreign_publishers(ledger: Ledger) -> Iterator[Reason]:
    found = ledger.hops[0].recording.publishers
    for (publisher, subject), count in found.most_common(LISTED):
        yield invalid(
            "publisher",
            f"{publisher} published {count} messages on {subject}, which is the run's own; "
            "name its role under `external`, or keep it away",
            float(count),
            0.0,
        )
    if len(found) > LISTED:
        yield invalid("publisher", f"and {len(found) - LISTED} more publishers and subjects")


def _disagreements(manifest: Manifest, ledger: Ledger) -> Iterator[Reason]:
    found = disagreements(manifest, ledger)
    for text in found[:LISTED]:
        yield invalid("counts", text)
    if len(found) > LISTED:
        yield invalid("counts", f"and {len(found) - LISTED} more counts disagree")
