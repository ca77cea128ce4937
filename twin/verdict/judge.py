"""The judgement: recorded facts and criteria in, a verdict with all its reasons out.

Precedence: a violation that more data cannot undo is FAIL; else anything that makes the run
prove nothing is INVALID; else a broken threshold, guarantee or expectation is FAIL; else
PASS. A run that was not sealed, or whose evidence is damaged, is INVALID without more: no
conclusion is drawn from what it holds.
"""

from collections.abc import Sequence
from pathlib import Path

from twin.errors import UsageError
from twin.verdict.bus_expectations import check_bus, read_bus
from twin.verdict.counts import subject_counts
from twin.verdict.evaluation import Evaluated, Evaluator
from twin.verdict.examples import examples
from twin.verdict.expectations import audit_counts, check_audit, read_audit
from twin.verdict.facts import BrokenEvidence, Fault, read_faults, read_lag
from twin.verdict.guarantees import check_guarantees
from twin.verdict.injection_checks import check_injections
from twin.verdict.lag_expectations import check_lag, read_statuses
from twin.verdict.ledger import EventClass, Hop, Ledger, reconcile
from twin.verdict.manifest import EDITED, MANIFEST, PROVABLE, Criteria, Manifest
from twin.verdict.measure import Events
from twin.verdict.result import (
    Check,
    Example,
    FaultResult,
    HopResult,
    Reason,
    ReasonKind,
    Result,
    Verdict,
)
from twin.verdict.steady import check_steady
from twin.verdict.summary import lag_results, latency_rows, totals
from twin.verdict.thresholds import parse_thresholds
from twin.verdict.validity import invalid, validity_reasons

__all__ = ["judge", "verdict_of"]


def judge(run_dir: Path, criteria: Criteria | None = None) -> Result:
    """Judge a run folder by its own criteria, or by others; reads files and writes none.

    Raises UsageError when `run_dir` has no manifest, BrokenManifest when it cannot be read,
    UsageError when a threshold of the criteria cannot be read.
    """
    manifest, intact = Manifest.read(run_dir)
    criteria = manifest.criteria if criteria is None else criteria
    if not intact:
        return _result(manifest, criteria, [invalid("evidence", f"{MANIFEST}: {EDITED}")])
    if manifest.state != "sealed":
        message = f"the run was not finished: its manifest says {manifest.state!r}, not 'sealed'"
        return _result(manifest, criteria, [invalid("sealed", message)])
    if damage := manifest.damage(run_dir):
        return _result(manifest, criteria, [invalid("evidence", text) for text in damage])
    try:
        return _judge_sealed(run_dir, manifest, criteria)
    except BrokenEvidence as error:
        return _result(manifest, criteria, [invalid("evidence", str(error))])


def verdict_of(reasons: Sequence[Reason]) -> Verdict:
    """Apply the precedence."""
    kinds = {reason.kind for reason in reasons}
    if ReasonKind.VIOLATION in kinds:
        return Verdict.FAIL
    if ReasonKind.INVALID in kinds:
        return Verdict.INVALID
    return Verdict.FAIL if kinds else Verdict.PASS


def _judge_sealed(run_dir: Path, manifest: Manifest, criteria: Criteria) -> Result:
    try:
        thresholds = parse_thresholds(criteria.thresholds)
    except ValueError as error:
        raise UsageError(str(error)) from error
    faults, lag, audit = read_faults(run_dir), read_lag(run_dir), read_audit(run_dir)
    ledger = reconcile(run_dir, manifest)
    events = Events(run_dir, manifest, ledger.journal)
    reasons = validity_reasons(manifest, criteria, ledger, events, faults=faults, lag=lag)
    found = examples(run_dir, ledger, events, faults)
    every = (example for hop in found.values() for example in hop)
    guarantees, broken = check_guarantees(criteria.guarantees, manifest, ledger, every)
    reasons += broken
    evaluated = Evaluator(manifest, events, lag, faults).evaluate(thresholds)
    reasons += [reason for one in evaluated if (reason := _threshold_reason(one))]
    bots = {source.bot for source in ledger.journal.dense.sources}
    statuses = read_statuses(run_dir) if any(one.lag for one in criteria.expect) else []
    expectations = tuple(
        [check_audit(one.audit, audit, bots) for one in criteria.expect if one.audit]
        + [check_lag(one.lag, statuses, faults) for one in criteria.expect if one.lag]
        + check_bus(criteria.expect, read_bus(run_dir))
        + check_injections(ledger, manifest)
        + check_steady(criteria.steady_state, manifest)
    )
    reasons += [reason for one in expectations if (reason := _expectation_reason(one))]
    reasons += _dead_services(manifest)
    reasons += _failed_rollbacks(manifest)
    reasons += _misplaced(ledger)
    return _result(manifest, criteria, reasons).model_copy(
        update={
            "totals": totals(manifest, ledger, events),
            "latency": latency_rows(manifest, events),
            "latency_resolution_ns": events.resolution_ns,
            "subjects": subject_counts(manifest, ledger),
            "hops": tuple(_hop(hop, found[hop.name], manifest) for hop in ledger.hops),
            "audit": audit_counts(audit),
            "lag": lag_results(manifest, lag),
            "thresholds": tuple(_threshold_check(one) for one in evaluated),
            "guarantees": tuple(guarantees),
            "expectations": expectations,
            "faults": tuple(_fault(fault) for fault in faults),
        }
    )


def _result(manifest: Manifest, criteria: Criteria, reasons: list[Reason]) -> Result:
    """Return a result with what the manifest alone says; reasons in order of their weight."""
    weight = list(ReasonKind)
    reasons = sorted(reasons, key=lambda reason: weight.index(reason.kind))
    return Result(
        verdict=verdict_of(reasons),
        reasons=tuple(reasons),
        run_id=manifest.run_id,
        state=manifest.state,
        scenario=manifest.scenario,
        seed=manifest.seed,
        epoch_ns=manifest.epoch_ns,
        pace=manifest.pace,
        layout=manifest.layout,
        prefix=manifest.prefix,
        started_ns=manifest.started_ns,
        ended_ns=manifest.ended_ns,
        phases=manifest.phases,
        services=manifest.services,
        criteria=criteria,
        digest=manifest.digest,
        digest_note=manifest.digest_note,
        versions=manifest.versions,
        machine=manifest.machine,
        reproduce=manifest.reproduce,
    )


def _threshold_reason(one: Evaluated) -> Reason | None:
    if one.ok:
        return None
    name, limit = str(one.threshold), one.threshold.limit
    if one.ok is None or one.measured is None:
        message = f"{name}: nothing measured: {one.note}"
        return invalid("threshold", message, None, limit, one.window)
    unit = one.threshold.unit
    shown = f"{one.measured:.2%}" if unit == "%" else f"{one.measured:.6g} {unit}".rstrip()
    return Reason(
        kind=ReasonKind.BROKEN,
        check="threshold",
        message=f"{name}: measured {shown} over {one.samples} samples in {one.window}",
        measured=one.measured,
        limit=limit,
        window=one.window,
    )


def _expectation_reason(one: Check) -> Reason | None:
    if one.ok:
        return None
    note = f": {one.note}" if one.note else ""
    if one.ok is None:
        return invalid("expectation", f"{one.name}: cannot be judged{note}")
    found = f"{one.samples} recorded, " if one.name.startswith("audit") else ""
    return Reason(
        kind=ReasonKind.BROKEN,
        check="expectation",
        message=f"{one.name}: {found}expected {one.limit}{note}",
        measured=one.measured,
    )


def _dead_services(manifest: Manifest) -> list[Reason]:
    """A user's service that ended by itself, or badly, fails the run."""
    return [
        Reason(
            kind=ReasonKind.BROKEN,
            check="service",
            message=f"service {one.name} "
            + (one.detail or f"ended by itself with exit code {one.exit_code}"),
            measured=float(one.exit_code),
        )
        for one in manifest.services
        if not one.own and one.exit_code is not None and not one.expected
    ]


def _failed_rollbacks(manifest: Manifest) -> list[Reason]:
    """What a rollback did not put back stays broken after the run."""
    return [
        Reason(
            kind=ReasonKind.BROKEN,
            check="rollback",
            message=f"rollback `{one.command}`: "
            + (one.detail or f"it ended with exit code {one.exit_code}"),
        )
        for one in manifest.rollbacks
        if one.exit_code != 0
    ]


def _misplaced(ledger: Ledger) -> list[Reason]:
    """What an observer has from where the stream does not hold it, it has from elsewhere."""
    return [
        Reason(
            kind=ReasonKind.BROKEN,
            check="observer",
            message=f"{hop.name}: {count} events recorded with a stream sequence at which the "
            "scan does not have them",
            measured=float(count),
            limit=0.0,
        )
        for hop in ledger.hops
        if (count := hop.counts.get(EventClass.MISPLACED, 0))
    ]


def _threshold_check(one: Evaluated) -> Check:
    return Check(
        name=str(one.threshold),
        ok=one.ok,
        measured=one.measured,
        limit=f"{one.threshold.expression.comparison}{one.threshold.limit:g}",
        unit=one.threshold.unit,
        window=one.window,
        samples=one.samples,
        note=one.note,
    )


def _hop(hop: Hop, found: list[Example], manifest: Manifest) -> HopResult:
    observers = {one.name: one for one in manifest.observers}
    observer = observers.get(hop.name)
    return HopResult(
        name=hop.name,
        rows=hop.recording.rows,
        events=int(hop.found_by_source.sum()),
        counts={kind.value: count for kind, count in hop.counts.items()},
        lost_where=hop.lost_where,
        examples=tuple(found),
        key=observer.key if observer else "id",
        proves=observer.proves if observer else PROVABLE,
    )


def _fault(fault: Fault) -> FaultResult:
    return FaultResult(
        fault=fault.fault,
        target=fault.target,
        outcome=fault.outcome,
        intended_sim_ns=fault.intended_sim_ns,
        fired_ns=fault.fired_wall_ns,
        healed_ns=fault.healed_wall_ns,
        detail=fault.detail,
    )
