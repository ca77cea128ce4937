"""The result of a run on a terminal, or as plain text where it is none."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from twin.printable import printable
from twin.verdict.manifest import PROVABLE
from twin.verdict.result import Check, Example, LatencyRow, Result, Verdict

__all__ = ["print_result"]

STYLES = {Verdict.PASS: "bold green", Verdict.FAIL: "bold red", Verdict.INVALID: "bold yellow"}
MARKS = {"ok": "green", "FAIL": "bold red", "INVALID": "bold yellow"}
NS = 1_000_000_000
SHOWN = 3
HIDDEN = {"recovered", "unknown", "refused", "shed", "foreign", "evicted"}
"""Classes of events that break no guarantee; their examples are in result.json only."""
COUNTS = (
    "generated",
    "acknowledged",
    "recovered",
    "unknown",
    "refused",
    "shed",
    "held",
    "withheld",
)
LATENCY_UNITS = ("ms", "s")
Row = Sequence[str]


def print_result(
    result: Result, folder: Path | None = None, console: Console | None = None
) -> None:
    """Print what was measured and the verdict; reasons come first unless it is PASS."""
    out = console or Console(highlight=False)
    if result.verdict is not Verdict.PASS:
        _verdict(out, result)
        _examples(out, result)
    _head(out, result)
    if result.totals.generated:
        _print(out, "Events", ("", "count", "per s"), _events(result))
        _print(
            out, "Latency, ms", ("", "over", "p50", "p95", "p99", "max", "events"), _latency(result)
        )
        _print(
            out,
            "Lag",
            ("consumer", "stream", "max backlog", "max lag s", "max ack pending", "end"),
            _lag(result),
        )
        _print(out, "Audit", tuple(result.audit.ranges), [_counts(result.audit.ranges)])
    _print(out, "Faults", ("fault", "due s", "from s", "to s", "outcome"), _faults(result))
    _print(out, "Guarantees", ("", "", "measured", "allowed"), _checks(result.guarantees))
    for hop in result.hops:
        if len(hop.proves) < len(PROVABLE):
            proved = ", ".join(hop.proves)
            out.print(f"{hop.name} is matched by {hop.key}, which proves {proved}", markup=False)
    _print(out, "Thresholds", ("", "", "measured", "limit"), _checks(result.thresholds))
    _print(out, "Expectations", ("", "", "measured", "expected"), _checks(result.expectations))
    if folder is not None:
        out.print(f"Run folder: {folder}", soft_wrap=True, markup=False)
    if result.verdict is Verdict.PASS:
        _verdict(out, result)
    else:
        out.print(_named(result), soft_wrap=True)


def _verdict(out: Console, result: Result) -> None:
    out.print(_named(result), soft_wrap=True)
    for reason in result.reasons:
        out.print(printable(f"  {reason.kind}: {reason.message}"), soft_wrap=True, markup=False)


def _named(result: Result) -> Text:
    return Text.assemble((result.verdict, STYLES[result.verdict]), f" {result.scenario.name}")


def _examples(out: Console, result: Result) -> None:
    shown: dict[tuple[str, str], int] = {}
    for example in (example for hop in result.hops for example in hop.examples):
        key = (example.hop, example.event_class)
        if example.event_class in HIDDEN or shown.get(key, 0) >= SHOWN:
            continue
        shown[key] = shown.get(key, 0) + 1
        out.print(printable(f"  {_example(example)}"), soft_wrap=True, markup=False)


def _example(example: Example) -> str:
    when = "" if example.sim_ns is None else f" due at {example.sim_ns / NS:.3f} s"
    during = f" during {', '.join(example.faults)}" if example.faults else ""
    detail = f" ({example.detail})" if example.detail else ""
    return f"{example.event_class} at {example.hop}: {example.id}{when}{during}{detail}"


def _head(out: Console, result: Result) -> None:
    parts = [f"{result.totals.bots} bots"] if result.totals.bots else []
    if result.phases:
        spans = ", ".join(
            f"{phase.name} {(phase.end_sim_ns - phase.start_sim_ns) / NS:g} s"
            for phase in result.phases
        )
        parts.append(spans)
    parts += [f"seed {result.seed}", result.pace]
    text = Text.assemble((result.scenario.name, "bold"), f"  {result.run_id}  {'; '.join(parts)}")
    out.print(text, soft_wrap=True)


def _events(result: Result) -> list[Row]:
    totals = result.totals
    rates = {"generated": totals.generated_per_s, "acknowledged": totals.acknowledged_per_s}
    rows = [("predicted, at least", totals.predicted)]
    for name in COUNTS:
        count = getattr(totals, name)
        if count or name in rates:
            rows.append((name, count))
    rows += [
        ("stored in streams" if hop.name == "stream" else f"recorded by {hop.name}", hop.events)
        for hop in result.hops
    ]
    return [
        (name, f"{count:,}", f"{rates[name]:,.1f}" if name in rates else "") for name, count in rows
    ]


def _latency(result: Result) -> list[Row]:
    return [
        (_series(row), row.phase or "measured phases", *_quantiles(row), f"{row.count:,}")
        for row in result.latency
        if row.subject is None and (row.phase is None or row.metric != "schedule_slip")
    ]


def _series(row: LatencyRow) -> str:
    name = row.metric.removesuffix("_latency").replace("_", " ")
    return f"{name} ({row.observer})" if row.observer else name


def _quantiles(row: LatencyRow) -> tuple[str, ...]:
    return tuple(f"{value:,.1f}" for value in (row.p50, row.p95, row.p99, row.max))


def _lag(result: Result) -> list[Row]:
    return [
        (
            one.role,
            one.stream,
            _number(one.max_backlog),
            "" if one.max_time_lag_s is None else f"{one.max_time_lag_s:,.2f}",
            _number(one.max_ack_pending),
            {True: "drained", False: "not drained", None: "not watched"}[one.drained],
        )
        for one in result.lag
    ]


def _faults(result: Result) -> list[Row]:
    """Times are wall seconds since the first phase began, beside the simulated second due."""
    began = (result.phases[0].start_wall_ns if result.phases else None) or result.started_ns

    def since(wall_ns: int | None) -> str:
        return "" if wall_ns is None else f"{(wall_ns - began) / NS:.1f}"

    return [
        (
            one.fault,
            "" if one.intended_sim_ns is None else f"{one.intended_sim_ns / NS:g}",
            since(one.fired_ns),
            since(one.healed_ns),
            f"{one.outcome}: {one.detail}" if one.detail else one.outcome,
        )
        for one in result.faults
    ]


def _checks(checks: Iterable[Check]) -> list[Row]:
    return [
        (
            {True: "ok", False: "FAIL", None: "INVALID"}[one.ok],
            one.name,
            _measured(one),
            f"{one.limit} {one.unit}" if one.unit in LATENCY_UNITS else one.limit,
        )
        for one in checks
    ]


def _measured(check: Check) -> str:
    if check.measured is None:
        return "nothing"
    if check.unit == "%":
        return f"{check.measured:.2%}"
    return f"{_number(check.measured)} {check.unit}".rstrip()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.6g}"


def _counts(counts: dict[str, int]) -> Row:
    return [f"{count:,}" for count in counts.values()]


def _print(out: Console, title: str, columns: Row, rows: Sequence[Row]) -> None:
    """Print a table, or nothing when it would be empty."""
    if not rows or not columns:
        return
    lines = box.SIMPLE_HEAD if out.is_terminal else None
    table = Table(title=title, title_justify="left", title_style="bold", box=lines, pad_edge=False)
    for number, column in enumerate(columns):
        numeric = number > 0 and any(row[number][:1].isdigit() for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell), style=MARKS.get(cell, "")) for cell in row))
    out.print(table)
    if lines is None:
        out.print()
