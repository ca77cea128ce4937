"""`twin capacity`: the highest load that a scenario still passes, and what breaks beyond it."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from twin.capacity.blame import Limit, Limiter, limit_of
from twin.capacity.scaled import Vary, fit_count, scaled
from twin.capacity.search import Found, Search, Trial
from twin.cli.run import interruptible
from twin.errors import UsageError
from twin.jetstream.options import BrokerOptions
from twin.report.progress import Progress, SideConsole
from twin.scenario.language.load import LoadedScenario, load_scenario
from twin.scenario.language.parameters import parse_vars
from twin.scenario.plan import Settings
from twin.scenario.runner import RunOptions, run_scenario
from twin.verdict.judge import judge
from twin.verdict.result import write_result

__all__ = ["find_capacity"]

FOUND, NONE_PASSES, NO_ANSWER = 0, 1, 3
RAISE = "raise --most"


def find_capacity(
    scenario: Annotated[str, typer.Argument(help="A file, or builtin:NAME.")],
    vary: Annotated[Vary, typer.Option(help="What is multiplied.")] = Vary.RATE,
    start: Annotated[float, typer.Option(min=0.01, max=1000, help="The first load.")] = 1.0,
    most: Annotated[float, typer.Option(min=0.01, max=1000, help="The highest load.")] = 64.0,
    tolerance: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="How narrow the answer must be.")
    ] = 0.05,
    repeats: Annotated[
        int, typer.Option(min=1, max=25, help="Runs at a load; the majority decides.")
    ] = 3,
    var: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for a parameter; may be repeated.")
    ] = None,
    nats: Annotated[
        str | None,
        typer.Option(help="A server of yours, instead of an embedded one.", metavar="URL"),
    ] = None,
    context: Annotated[
        str | None, typer.Option(help="A nats CLI context that names your server.", metavar="NAME")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where run folders are made.")] = Path("runs"),
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Find the highest load that a scenario passes: ramp, then bisect, and name what broke.

    Loads are multiples of the scenario's own. Exit code 0 with an answer, 1 when no load passes,
    3 when there is none: the generator was the limit, or nothing broke.

    Example: twin capacity scenarios/load.yaml --vary rate --tolerance 0.1
    """
    if most < start:
        raise UsageError(f"--most {most:g} is less than --start {start:g}")
    loaded = load_scenario(scenario, parse_vars(var or []))
    if not loaded.scenario.thresholds:
        raise UsageError(f"{scenario} has no thresholds: no load would be too much for it")
    given = nats is not None or context is not None
    broker = BrokerOptions.resolve(nats or "", context or "") if given else None
    options = RunOptions(
        out=out,
        settings=Settings(shared_server=broker is not None),
        broker=broker,
    )
    console = SideConsole(stderr=True, highlight=False, quiet=json)
    search = Search(
        partial(_trial, loaded, vary, options, console),
        start=start,
        most=most,
        tolerance=tolerance,
        repeats=repeats,
        fit=partial(fit_count, loaded) if vary is Vary.COUNT else float,
    )
    found = asyncio.run(interruptible(search.run()))
    if json:
        typer.echo(orjson.dumps(_document(loaded, vary, found), option=orjson.OPT_INDENT_2))
    else:
        _print(Console(), loaded, found)
    raise typer.Exit(_exit_code(found))


async def _trial(
    loaded: LoadedScenario, vary: Vary, options: RunOptions, console: SideConsole, load: float
) -> Trial:
    """Run the scenario at a load, and judge it."""
    one = scaled(loaded, vary, load)
    bar = SideConsole(stderr=True, quiet=not console.is_terminal or console.quiet)
    with Progress(f"{load:.3g}x {one.scenario.name}", bar) as progress:
        folder = await run_scenario(one, options, progress)
    result = await asyncio.to_thread(judge, folder)
    write_result(folder, result)
    limit = limit_of(result)
    trial = Trial(load, result.totals.generated_per_s, limit, result.run_id)
    told = "passes" if limit is None else f"{_whose(limit)}: {limit.reason}"
    line = f"{load:8.3g}x {trial.events_per_s:10,.0f} events/s  {told}"
    console.print(line, markup=False, soft_wrap=True)
    return trial


def _exit_code(found: Found) -> int:
    if found.passed is None:
        return NONE_PASSES if _is_answer(found) else NO_ANSWER
    return FOUND if _is_answer(found) else NO_ANSWER


def _is_answer(found: Found) -> bool:
    """Tell whether the system under test was the limit."""
    limit = found.limit
    return limit is not None and limit.kind in (Limiter.SERVICE, Limiter.BROKER)


def _whose(limit: Limit) -> str:
    """Name the generator and the broker by their kind, a service by its role."""
    return f"{limit.kind} {limit.name}".strip() if limit.kind != limit.name else limit.name


def _sentence(found: Found) -> str:
    limit = found.limit
    if limit is None:
        return f"INVALID: nothing broke up to {found.passed or 0:.3g}x; {found.beyond or RAISE}"
    broke = f"{_whose(limit)} broke at {found.failed or 0:.3g}x: {limit.reason}"
    if not _is_answer(found):
        return f"INVALID: the limit was not the platform's. The {broke}"
    if found.passed is None:
        return f"no load passes. The {broke}"
    rate = max(trial.events_per_s for trial in found.at(found.passed))
    return f"capacity {found.passed:.3g}x ({rate:,.0f} events/s). The {broke}"


def _print(console: Console, loaded: LoadedScenario, found: Found) -> None:
    table = Table(title=f"capacity of {loaded.scenario.name}", title_justify="left")
    for name in ("load", "events/s", "runs", "passed", "limit"):
        table.add_column(name, justify="left" if name == "limit" else "right")
    for load in sorted({trial.load for trial in found.trials}):
        trials = found.at(load)
        passed = sum(one.limit is None for one in trials)
        broken = next((one.limit for one in trials if one.limit), None)
        name = _whose(broken) if broken else ""
        rate = f"{trials[0].events_per_s:,.0f}"
        table.add_row(f"{load:.3g}x", rate, str(len(trials)), str(passed), Text(name))
    console.print(table)
    console.print(_sentence(found), markup=False, highlight=False, soft_wrap=True)


def _document(loaded: LoadedScenario, vary: Vary, found: Found) -> dict[str, object]:
    limit = found.limit
    rates = {trial.load: trial.events_per_s for trial in found.trials}
    return {
        "schema_version": 1,
        "scenario": loaded.scenario.name,
        "vary": vary.value,
        "answer": _is_answer(found),
        "passed": found.passed,
        "failed": found.failed,
        "events_per_s": rates.get(found.passed) if found.passed is not None else None,
        "limit": limit and {"kind": limit.kind, "name": limit.name, "reason": limit.reason},
        "text": _sentence(found),
        "trials": [
            {
                "load": one.load,
                "events_per_s": one.events_per_s,
                "run_id": one.run_id,
                "limit": one.limit
                and {
                    "kind": one.limit.kind,
                    "name": one.limit.name,
                    "reason": one.limit.reason,
                },
            }
            for one in found.trials
        ],
    }
