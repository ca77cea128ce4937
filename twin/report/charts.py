"""What a report draws, read from a run folder: charts over one time axis."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from twin.report.timeline import Floats, Timeline
from twin.verdict.dense import tables
from twin.verdict.facts import BrokenEvidence, read_lag, read_rows
from twin.verdict.journal import ATTEMPT, COPY, OUTCOME, Outcome
from twin.verdict.ledger import Journal
from twin.verdict.manifest import Manifest
from twin.verdict.measure import Events

__all__ = ["Chart", "Series", "Span", "charts"]

Kind = Literal["line", "extreme", "edge"]
OBSERVED = "observed"
GROUPS = 4
"""Groups of bots that get lines of their own; more would be unreadable."""
MODES = ("booting", "idle", "active", "error", "safe_mode", "shutdown")
GAUGES = (
    ("power.soc_pct", "State of charge", "%"),
    ("thermal.core_degc", "Core temperature", "°C"),
    ("comms.queued_items", "Events waiting in outboxes, per bot", ""),
)


@dataclass(frozen=True, slots=True)
class Series:
    """One value per bucket, None where nothing is known.

    `extreme` series are drawn thin; two `edge` series bound the area of the line before them.
    """

    name: str
    values: list[float | None]
    kind: Kind = "line"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of seconds since zero in which a consumer had a status other than OK."""

    name: str
    status: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Series that share a unit."""

    title: str
    unit: str
    series: tuple[Series, ...]
    note: str = ""
    spans: tuple[Span, ...] = field(default=())


def charts(run_dir: Path, manifest: Manifest, journal: Journal, line: Timeline) -> list[Chart]:
    """Return the charts that this run has data for; raises BrokenEvidence."""
    events = Events(run_dir, manifest, journal)
    observers = [observer.name for observer in manifest.observers]
    found = [_rates(run_dir, line, observers), _latency(events, line, "publish_latency", "")]
    found += [_latency(events, line, "end_to_end_latency", name) for name in observers]
    found += [*_lag(run_dir, line), *_fleet(run_dir, line)]
    found += [_audit(run_dir, line, name) for name in observers]
    return [chart for chart in found if any(_known(series) for series in chart.series)]


def _known(series: Series) -> bool:
    return any(value is not None for value in series.values)


def _series(name: str, values: Floats, kind: Kind = "line") -> Series:
    """Round to four significant digits: more than a pixel shows."""
    return Series(
        name,
        [None if math.isnan(value) else float(f"{value:.4g}") for value in values.tolist()],
        kind,
    )


def _rates(run_dir: Path, line: Timeline, observers: list[str]) -> Chart:
    counts = {"intended": np.zeros(line.count, np.int64)}
    for rows in tables(run_dir / "journal" / "attempted.bin", ATTEMPT):
        _count(counts["intended"], line, rows["intended_ns"])
    counts["acknowledged"] = np.zeros(line.count, np.int64)
    for rows in tables(run_dir / "journal" / "acknowledged.bin", OUTCOME):
        acknowledged = rows["outcome"] == Outcome.ACKNOWLEDGED
        _count(counts["acknowledged"], line, rows["ack_ns"][acknowledged])
    for observer in observers:
        counts[f"recorded by {observer}"] = np.zeros(line.count, np.int64)
        for rows in tables(run_dir / OBSERVED / f"{observer}.bin", COPY):
            _count(counts[f"recorded by {observer}"], line, rows["time_ns"])
    series = tuple(_series(name, line.rate(count)) for name, count in counts.items())
    return Chart("Rate", "events/s", series, "Demand is what the twin intended, at its time.")


def _count(counts: npt.NDArray[np.int64], line: Timeline, wall_ns: npt.NDArray[np.int64]) -> None:
    counts += np.bincount(line.buckets(wall_ns), minlength=line.count)


def _latency(events: Events, line: Timeline, metric: str, observer: str) -> Chart:
    plane = events.plane(metric, observer)
    numbers = np.flatnonzero(~np.isnan(plane))
    values = line.quantiles(events.intended_ns(numbers), plane[numbers], (50, 95, 99, 100))
    series = [_series(name, one) for name, one in zip(("p50", "p95", "p99"), values, strict=False)]
    series.append(_series("max", values[3], "extreme"))
    title = f"End-to-end latency, {observer}" if observer else "Publish latency"
    note = "From the intended publish time, at that time; nothing is sampled."
    return Chart(title, "ms", tuple(series), note)


def _lag(run_dir: Path, line: Timeline) -> Iterator[Chart]:
    series = read_lag(run_dir)
    for metric, title, unit in (
        ("consumer_backlog", "Backlog", "messages"),
        ("consumer_time_lag", "Time lag", "s"),
    ):
        drawn = tuple(
            _series(f"{one.role}, {one.stream}", line.greatest(one.wall_ns, one.values[metric]))
            for one in series
        )
        spans = tuple(_statuses(run_dir, line)) if metric == "consumer_backlog" else ()
        yield Chart(title, unit, drawn, "The greatest sample of each interval.", spans)


def _statuses(run_dir: Path, line: Timeline) -> Iterator[Span]:
    """Yield the stretches of each consumer's samples with one status that is not OK."""
    open_spans: dict[str, Span] = {}
    for row in read_rows(run_dir / "lag.jsonl"):
        name = f"{row.get('role')}, {row.get('stream')}"
        status = "UNKNOWN" if row.get("error") is not None else str(row.get("status") or "OK")
        wall_ns = row.get("wall_ns")
        if not isinstance(wall_ns, int):
            raise BrokenEvidence(f"{run_dir / 'lag.jsonl'}: wall_ns is {wall_ns!r}")
        now = line.since(wall_ns)
        span = open_spans.pop(name, None)
        if span is not None:
            span = Span(name, span.status, span.start_s, now)
            if span.status == status:
                open_spans[name] = span
                continue
            yield span
        if status != "OK":
            open_spans[name] = Span(name, status, now, now)
    yield from open_spans.values()


def _fleet(run_dir: Path, line: Timeline) -> Iterator[Chart]:
    """Yield the state of the twin: quantiles over the bots of each group, and their modes."""
    rows = list(read_rows(run_dir / "samples" / "metrics.jsonl"))
    wall_ns = np.array([row.get("wall_ns") or 0 for row in rows], np.int64)
    fleets = [fleet if isinstance(fleet := row.get("fleet"), dict) else {} for row in rows]
    names = sorted({str(name) for fleet in fleets for name in fleet})
    groups = list(dict.fromkeys(name.split(".")[1] for name in names if name.startswith("fleet.")))

    def column(name: str) -> Floats:
        return np.array([fleet.get(name, np.nan) for fleet in fleets], np.float64)

    for gauge, title, unit in GAUGES:
        drawn = []
        for group in groups[:GROUPS]:
            base = f"fleet.{group}.{gauge}"
            drawn += [
                _series(f"{group} p50", line.greatest(wall_ns, column(f"{base}.p50"))),
                _series(f"{group} p10", line.least(wall_ns, column(f"{base}.p10")), "edge"),
                _series(f"{group} p90", line.greatest(wall_ns, column(f"{base}.p90")), "edge"),
                _series(f"{group} min", line.least(wall_ns, column(f"{base}.min")), "extreme"),
                _series(f"{group} max", line.greatest(wall_ns, column(f"{base}.max")), "extreme"),
            ]
        yield Chart(title, unit, tuple(drawn), "Over the bots of each group; the area is p10-p90.")
    modes = []
    for mode in MODES:
        columns = [column(name) for name in names if name.endswith(f".modes.{mode}")]
        values = np.sum(columns, axis=0) if columns else np.full(len(rows), np.nan)
        if np.nansum(values):
            modes.append(_series(mode, line.greatest(wall_ns, values)))
    yield Chart("Modes", "bots", tuple(modes))


def _audit(run_dir: Path, line: Timeline, observer: str) -> Chart:
    counts: dict[int, npt.NDArray[np.int64]] = {}
    for rows in tables(run_dir / OBSERVED / f"{observer}.bin", COPY):
        hundreds = rows["code"] // 100
        for hundred in np.unique(hundreds[hundreds > 0]).tolist():
            counts.setdefault(hundred, np.zeros(line.count, np.int64))
            _count(counts[hundred], line, rows["time_ns"][hundreds == hundred])
    series = tuple(_series(f"{code}xx", line.rate(counts[code])) for code in sorted(counts))
    return Chart(f"Audit by range, {observer}", "records/s", series)
