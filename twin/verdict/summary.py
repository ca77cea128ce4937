"""What was measured, as tables for `result.json`: latencies, lag maxima, totals."""

import numpy as np
import numpy.typing as npt

from twin.verdict.facts import LagSeries
from twin.verdict.ledger import EventClass, Ledger, State
from twin.verdict.manifest import Manifest
from twin.verdict.measure import Events, phase_walls
from twin.verdict.result import LagResult, LatencyRow, Totals

__all__ = ["lag_results", "latency_rows", "totals"]

QUANTILES = (0, 50, 95, 99, 100)


def latency_rows(manifest: Manifest, events: Events) -> tuple[LatencyRow, ...]:
    """Return latencies over the measured phases, per phase, and per subject."""
    series = [("publish_latency", "")]
    series += [("end_to_end_latency", observer.name) for observer in manifest.observers]
    series.append(("schedule_slip", ""))
    measured = tuple(i for i, phase in enumerate(manifest.phases) if phase.measure)
    groups: list[tuple[str | None, str | None, tuple[int, ...]]] = [(None, None, measured)]
    groups += [(phase.name, None, (i,)) for i, phase in enumerate(manifest.phases)]
    groups += [(None, channel, measured) for channel in events.channels]
    rows = [
        _row(
            LatencyRow(metric=metric, phase=phase, subject=channel, observer=observer or None),
            events.select(metric, observer, events.mask(phases, channel)),
        )
        for metric, observer in series
        for phase, channel, phases in groups
        if metric != "schedule_slip" or channel is None
    ]
    return tuple(row for row in rows if row.count)


def _row(row: LatencyRow, values: npt.NDArray[np.float32]) -> LatencyRow:
    """Fill in what `values`, which is used up, amounts to."""
    if not len(values):
        return row
    avg = float(values.mean(dtype=np.float64))
    found = np.percentile(values, QUANTILES, overwrite_input=True).tolist()
    low, p50, p95, p99, high = found
    update = {"min": low, "p50": p50, "p95": p95, "p99": p99, "max": high, "avg": avg}
    rounded = {name: round(value, 3) for name, value in update.items()}
    return row.model_copy(update={"count": len(values), **rounded})


def lag_results(manifest: Manifest, lag: list[LagSeries]) -> tuple[LagResult, ...]:
    """Return one row per watched or sampled consumer."""
    facts = {(one.role, one.stream): one for one in manifest.consumers}
    series = {(one.role, one.stream): one for one in lag}
    found = []
    for key in sorted({*facts, *series}):
        fact, samples = facts.get(key), series.get(key)
        row = LagResult(role=key[0], stream=key[1])
        if samples is not None:
            row = row.model_copy(
                update={
                    "samples": len(samples.wall_ns),
                    "failed_polls": samples.failed_polls,
                    "max_backlog": _max(samples, "consumer_backlog"),
                    "max_ack_pending": _max(samples, "consumer_ack_pending"),
                    "max_time_lag_s": _max(samples, "consumer_time_lag"),
                    "max_redeliveries": _max(samples, "consumer_redeliveries"),
                }
            )
        if fact is not None:
            row = row.model_copy(
                update={
                    "drained": fact.finished,
                    "exhausted": fact.exhausted,
                    "terminated": fact.terminated,
                    "naks": fact.naks,
                }
            )
        found.append(row)
    return tuple(found)


def _max(series: LagSeries, metric: str) -> float | None:
    values = series.values[metric]
    known = values[~np.isnan(values)]
    return float(known.max()) if len(known) else None


def totals(manifest: Manifest, ledger: Ledger, events: Events) -> Totals:
    """Return counts of the whole run, and rates over its measured phases."""
    journal, stream = ledger.journal, ledger.hops[0]
    measured = [i for i, phase in enumerate(manifest.phases) if phase.measure]
    walls = [phase_walls(manifest, manifest.phases[i]) for i in measured]
    seconds = sum(high - low for low, high in walls) / 1e9
    mask = events.mask(tuple(measured), None)
    rates = [
        events.count(name, mask) / seconds if seconds > 0 else 0.0
        for name in ("events", "events_acknowledged")
    ]
    return Totals(
        bots=len({source.bot for source in journal.dense.sources}),
        predicted=manifest.predicted.total,
        generated=journal.attempted,
        acknowledged=journal.count(State.ACKNOWLEDGED),
        recovered=ledger.total(EventClass.RECOVERED),
        unknown=stream.counts[EventClass.UNKNOWN],
        refused=journal.count(State.REFUSED),
        shed=journal.count(State.SHED),
        held=manifest.publish.held if manifest.publish else 0,
        withheld=manifest.publish.withheld if manifest.publish else 0,
        stored=stream.recording.rows
        - stream.recording.audit_count
        - len(stream.recording.injected),
        measured_s=seconds,
        generated_per_s=rates[0],
        acknowledged_per_s=rates[1],
    )
