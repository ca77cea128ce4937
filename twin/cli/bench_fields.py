"""`twin bench flow`, `scale`, `payload` and `lag`: whole flows beside their alternatives."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from twin.bench.fields import FIELDS, Field, measure
from twin.bench.page import part, rewritten
from twin.bench.record import rounds_document
from twin.bench.tables import Sheet, sheets
from twin.errors import UsageError
from twin.report.compare import Bench
from twin.scenario.evidence.facts import machine, versions
from twin.verdict.files import write_atomic

__all__ = ["add_fields", "report_command"]

QUICK_ROUNDS = 1


def add_fields(app: typer.Typer) -> None:
    """Give `app` a command for each comparison."""
    for field in FIELDS.values():
        app.command(field.name, help=_help(field))(_command(field))


def _help(field: Field) -> str:
    points = ", ".join(f"{point:,}" for point in field.points)
    return (
        f"{field.title}; {points} {field.point}.\n\n"
        "Contenders take turns, each in a process and with a nats-server of its own. Ratios are "
        "those of the same round, above 1 where ours does better.\n\n"
        f"Example: twin bench {field.name} --json {field.name}.json"
    )


def _command(field: Field) -> Callable[..., None]:
    def command(
        rounds: Annotated[int, typer.Option(min=1, max=100, help="Turns of everybody.")] = 5,
        at: Annotated[
            list[int] | None,
            typer.Option(min=1, max=100_000, help=f"Other {field.point}; may be repeated."),
        ] = None,
        quick: Annotated[
            bool, typer.Option("--quick", help="One short round: does it run at all?")
        ] = False,
        as_json: Annotated[
            Path | None,
            typer.Option(
                "--json", help="Also write all repeats, for twin compare.", metavar="FILE"
            ),
        ] = None,
    ) -> None:
        rounds = min(rounds, QUICK_ROUNDS) if quick else rounds
        points = tuple(at) if at else field.points
        bench = asyncio.run(
            _measure(field, points, field.quick_load if quick else field.load, rounds)
        )
        _print(sheets(bench))
        if as_json is not None:
            write_atomic(as_json, bench.model_dump_json(indent=2).encode())

    return command


async def _measure(field: Field, points: tuple[int, ...], load: float, rounds: int) -> Bench:
    began_ns = time.time_ns()
    with Console(stderr=True).status("starting") as status:
        found = await measure(field, points, load, rounds, status.update)
    return rounds_document(
        found,
        began_ns=began_ns,
        machine=machine(),
        versions=versions(found.nats_server),
        settings={"rounds": rounds, f"{field.load_unit} of a turn": load},
    )


def report_command(
    results: Annotated[
        list[Path], typer.Argument(help="Results of --json, or folders of them.", metavar="FILE...")
    ],
    page: Annotated[
        Path | None,
        typer.Option(help="Write the measured parts of this page anew.", metavar="FILE"),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only see that the page is what the results say.")
    ] = False,
) -> None:
    """Show recorded results as Markdown, or write them into a page.

    A page names its parts: <!-- measured: traffic --> ... <!-- end of traffic -->. Exit code 1
    when --check finds that it is not what the results say.

    Example: twin bench report benchmarks/recorded --page docs/benchmarks.md
    """
    if check and page is None:
        raise UsageError("--check needs a --page")
    benches = [Bench.load(path) for one in results for path in _documents(one)]
    if page is None:
        typer.echo("\n".join(f"## {bench.name}\n\n{part(bench)}" for bench in benches))
        return
    try:
        before = page.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{page}: {error.strerror}") from error
    after = rewritten(before, benches)
    if check and after != before:
        typer.echo(f"{page} is not what the results say; write it anew without --check", err=True)
        raise typer.Exit(1)
    if after != before:
        write_atomic(page, after.encode())


def _documents(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    if not (found := sorted(path.glob("*.json"))):
        raise UsageError(f"{path} holds no results")
    return found


def _print(found: list[Sheet]) -> None:
    """Print tables for people."""
    console = Console(highlight=False)
    for sheet in found:
        table = Table(title=sheet.title, title_justify="left", box=None, pad_edge=False)
        for number, column in enumerate(sheet.columns):
            table.add_column(column, justify="left" if number == 0 else "right")
        for row in sheet.rows:
            table.add_row(*row)
        console.print(table)
