"""`twin compare`: says of each metric of two benchmark results whether it has changed."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from twin.errors import UsageError
from twin.printable import printable
from twin.report.compare import (
    FLOOR,
    Bench,
    Change,
    NoComparison,
    Outcome,
    compare,
    differences,
    other_versions,
    regressed,
    undecided,
)

__all__ = ["as_markdown", "compare_benches", "exit_code", "print_changes"]

STYLES = {
    Outcome.REGRESSED: "bold red",
    Outcome.IMPROVED: "green",
    Outcome.SAME: "",
    Outcome.INCONCLUSIVE: "yellow",
}


def compare_benches(
    base: Annotated[Path, typer.Argument(help="The result to compare with.", metavar="BASE")],
    current: Annotated[Path, typer.Argument(help="The result in question.", metavar="CURRENT")],
    floor: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Changes up to this fraction are of no interest."),
    ] = FLOOR,
    anyway: Annotated[
        bool,
        typer.Option("--anyway", help="Compare results of different machines or settings too."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Compare two results of `twin bench --json`, repeat by repeat.

    Exit code 1 when a metric has regressed, 3 when the two are no comparison or nothing was
    shown: every metric is inconclusive and may have regressed.

    Example: twin compare base.json current.json
    """
    one, other = Bench.load(base), Bench.load(current)
    unlike = differences(one, other)
    if unlike and not anyway:
        lines = "".join(f"\n  {line}" for line in unlike)
        raise NoComparison(f"the two results are no comparison (--anyway compares them):{lines}")
    if not {*one.metrics} & {*other.metrics}:
        raise UsageError(f"{base} and {current} have no metric in common")
    changes = compare(one, other, floor)
    for line in other_versions(one, other):
        typer.echo(f"a change may come from {line}", err=True)
    if as_json:
        document = [change.model_dump(mode="json") for change in changes]
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    else:
        print_changes(changes)
    raise typer.Exit(exit_code(changes, floor))


def exit_code(changes: Sequence[Change], floor: float = FLOOR) -> int:
    """Return 1 when a metric has regressed, 3 when nothing was shown of any, otherwise 0."""
    if regressed(changes):
        return 1
    return 3 if undecided(changes, floor) else 0


def as_markdown(changes: Sequence[Change]) -> str:
    """Return the comparison as a table for a job summary."""
    lines = [
        "| metric | outcome | base | current | better by | 99 % interval |",
        "|---|---|---:|---:|---:|---|",
    ]
    for one in changes:
        better, interval, _ = _ratios(one)
        base, current = (f"{value:,.4g} {one.unit}" for value in (one.base, one.current))
        lines.append(f"| {one.name} | {one.outcome} | {base} | {current} | {better} | {interval} |")
    return "\n".join(lines) + "\n"


def print_changes(changes: Sequence[Change]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("metric", "outcome", "base", "current", "better by", "99 % interval", "repeats"):
        table.add_column(column, justify="left" if column in ("metric", "outcome") else "right")
    for change in changes:
        sides = (change.base, change.current)
        table.add_row(
            Text(printable(change.name)),
            Text(change.outcome, style=STYLES[change.outcome]),
            *(Text(printable(f"{value:,.4g} {change.unit}")) for value in sides),
            *_ratios(change),
        )
    console = Console(highlight=False)
    console.print(table)
    for change in changes:
        if change.note:
            told = printable(f"{change.name}: {change.note}")
            console.print(told, markup=False, soft_wrap=True)


def _ratios(change: Change) -> tuple[str, str, str]:
    if math.isnan(change.ratio):
        return "", "", ""
    percent = [f"{value - 1:+.1%}" for value in (change.ratio, change.low, change.high)]
    return percent[0], f"{percent[1]} to {percent[2]}", str(change.repeats)
