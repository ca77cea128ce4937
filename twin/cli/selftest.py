"""`twin selftest`: proves on this machine that the verdict finds what it has to find."""

import asyncio
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from twin.errors import UsageError
from twin.selftest.suite import Detection, run_trials
from twin.selftest.trials import TRIALS

__all__ = ["selftest"]


def selftest(
    only: Annotated[
        list[str] | None, typer.Option(help="A trial by its name; may be repeated.", metavar="NAME")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A control and one defect only.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Keep the runs here; otherwise they are deleted.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Run services with built-in defects, each of which the verdict has to find; exit 1 if not.

    Example: twin selftest --only drop --only healthy
    """
    names = [trial.name for trial in TRIALS]
    for name in only or []:
        if name not in names:
            raise UsageError(f"there is no trial {name!r}; there are: {', '.join(names)}")
    chosen = [one for one in TRIALS if (one.name in only if only else one.quick or not quick)]
    with ExitStack() as stack:
        place = out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="twin-")))
        if out is not None and out.exists() and any(out.iterdir()):
            raise UsageError(f"{out} is not empty")
        console = Console(stderr=True, highlight=False, quiet=as_json)
        found = asyncio.run(run_trials(chosen, place, lambda one: _tell(console, one)))
    if as_json:
        rows = {"schema_version": 1, "trials": [one.as_row() for one in found]}
        typer.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
    else:
        _table(found)
    raise typer.Exit(0 if all(one.ok for one in found) else 1)


def _tell(console: Console, one: Detection) -> None:
    console.print(f"{one.name}: {one.verdict} ({one.seconds:.0f} s)", markup=False)


def _table(found: list[Detection]) -> None:
    console = Console(highlight=False)
    table = Table(title=None, box=None, pad_edge=False)
    for column in ("", "trial", "built in", "expected", "verdict"):
        table.add_column(column, overflow="fold")
    for one in found:
        mark = "[green]ok[/]" if one.ok else "[bold red]MISSED[/]"
        table.add_row(mark, one.name, one.how, one.expected, one.verdict)
    console.print(table)
    for one in found:
        if not one.ok:
            where = one.run if Path(one.run).exists() else "--out DIR keeps the runs"
            said = one.reason or "no defect was found"
            console.print(f"{one.name}: {said}; {where}", markup=False, soft_wrap=True)
    right = sum(one.ok for one in found)
    console.print(f"{right} of {len(found)} as they have to be")
