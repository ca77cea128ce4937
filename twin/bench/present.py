"""A benchmark's outcome as tables, and as the document that `twin compare` reads."""

import statistics

from rich.table import Table

from twin.bench.soak import SoakResult
from twin.bench.traffic import Contender, Outcome
from twin.report.compare import Bench, Metric

__all__ = [
    "document",
    "floor_table",
    "pieces_table",
    "rate_table",
    "soak_table",
]


def rate_table(field: list[Contender], outcome: Outcome) -> Table:
    """Return rates, ratios to the first of the group, and processor time, by contender."""
    table = Table(title="msg/s, medians", title_justify="left")
    table.add_column("contender", no_wrap=True)
    for name in ("msg/s", "ratio", "cpu us/msg"):
        table.add_column(name, justify="right")
    group, base = "", ""
    for one in field:
        if one.group != group:
            if group:
                table.add_section()
            group, base = one.group, one.name
        spent = " + ".join(f"{us:.1f} {party}" for party, us in outcome.cpu_us(one.name).items())
        ratio = f"{outcome.ratio(one.name, base):.2f}"
        table.add_row(one.name, f"{outcome.rate(one.name):,.0f}", ratio, spent)
    return table


def floor_table(outcome: Outcome) -> Table:
    """Return what was promised beside what was reached."""
    table = Table(title="floors (median of each round's ratio)", title_justify="left")
    table.add_column("contender", no_wrap=True)
    table.add_column("over", no_wrap=True)
    table.add_column("floor", justify="right")
    table.add_column("reached", justify="right")
    table.add_column("")
    for floor, ratio in outcome.floors():
        met = "met" if ratio >= floor.ratio else "[yellow]below[/]"
        table.add_row(floor.name, floor.base, f"{floor.ratio:g}", f"{ratio:.2f}", met)
    return table


def document(
    outcome: Outcome,
    *,
    began_ns: int,
    machine: dict[str, str | int | float],
    versions: dict[str, str],
    settings: dict[str, str | int | float],
) -> Bench:
    """Return rates, processor times and floor ratios, with all repeats."""
    metrics: dict[str, Metric] = {}
    for name, turns in outcome.turns.items():
        rates = tuple(turn.rate for turn in turns)
        metrics[f"rate{{{name}}}"] = Metric(unit="1/s", better="higher", samples=rates)
        for party in turns[0].clock.cpu_s:
            spent = tuple(turn.cpu_us()[party] for turn in turns)
            metrics[f"cpu{{{name};{party}}}"] = Metric(unit="us", better="lower", samples=spent)
    for floor, _ in outcome.floors():
        pairs = zip(outcome.turns[floor.name], outcome.turns[floor.base], strict=True)
        metrics[f"ratio{{{floor.name};{floor.base}}}"] = Metric(
            unit="", better="higher", samples=tuple(one.rate / two.rate for one, two in pairs)
        )
    return Bench(
        name="traffic",
        began_ns=began_ns,
        machine=machine,
        versions=versions,
        settings=settings,
        metrics=metrics,
    )


def soak_table(result: SoakResult) -> Table:
    """Return what a soak found, line by line."""
    title = f"{'PASS' if result.passed else 'FAIL'}: {result.events:,} events"
    table = Table(title=title, title_justify="left", show_header=False)
    places = ("attempted", "acknowledged", "stored", "recorded")
    for name in (*places, "lost", "duplicates", "reordered", "corrupt", "unexpected"):
        table.add_row(name, f"{getattr(result, name):,}")
    table.add_section()
    away = ", ".join(f"{gone:.1f} s" for gone in result.server_downtime_s)
    table.add_row("broker kills", f"{result.kills} (away {away})" if away else "0")
    table.add_row("disconnects, re-sent", f"{result.disconnects}, {result.resent:,}")
    table.add_row("published at", f"{result.events / result.publish_s:,.0f}/s")
    table.add_row("audited at", f"{result.events / result.audit_s:,.0f}/s")
    table.add_row("memory, peak", f"{result.peak_mib:.0f} MiB")
    table.add_row("memory, last less second quarter", f"{result.growth_mib:+.0f} MiB")
    return table


def pieces_table(bench: Bench) -> Table:
    """Return median and range of every piece."""
    table = Table(title="processor time", title_justify="left")
    table.add_column("piece", no_wrap=True)
    for name in ("median us", "least", "most"):
        table.add_column(name, justify="right")
    for name, metric in bench.metrics.items():
        costs = (statistics.median(metric.samples), min(metric.samples), max(metric.samples))
        table.add_row(name, *(f"{cost:.3g}" for cost in costs))
    return table
