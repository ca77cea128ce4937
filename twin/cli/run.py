"""`twin run`: scenarios, one after the other, each to its verdict."""

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated

import typer

from twin.errors import Interrupted, UsageError
from twin.jetstream.options import BrokerOptions
from twin.report.html import write_report
from twin.report.junit import write_junit
from twin.report.progress import Progress, SideConsole
from twin.report.terminal import print_result
from twin.scenario.load import LoadedScenario, load_scenario
from twin.scenario.model import Pace
from twin.scenario.parameters import parse_vars
from twin.scenario.plan import Settings
from twin.scenario.runner import RunOptions, run_scenario
from twin.verdict.judge import judge
from twin.verdict.result import Result, Verdict, write_result

__all__ = ["run_scenarios"]


def run_scenarios(
    scenarios: Annotated[
        list[str], typer.Argument(help="Scenario files, or builtin:NAME.", show_default=False)
    ],
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**63 - 1, help="Seed, instead of the scenario's.")
    ] = None,
    pace: Annotated[
        Pace | None, typer.Option(help="How simulated time follows the wall clock.")
    ] = None,
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
    prefix: Annotated[
        str | None,
        typer.Option(help="First tokens of all subjects on your server.", metavar="TOKENS"),
    ] = None,
    allow_time_skew: Annotated[
        bool, typer.Option(help="Allow event times that your server's clock has not reached yet.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Where run folders are made.")] = Path("runs"),
    json: Annotated[bool, typer.Option("--json", help="Print each result as JSON.")] = False,
) -> None:
    """Run scenarios on a real JetStream, and leave a run folder with the verdict of each.

    Example: twin run scenarios/patrol.yaml --var bots=100 --seed 7
    """
    for flag, value in (("--nats", nats), ("--context", context), ("--prefix", prefix)):
        if value is not None and not value.strip():
            raise UsageError(f"{flag} is empty; leave it out, or say what is meant")
    given = nats is not None or context is not None
    broker = BrokerOptions.resolve(nats or "", context or "") if given else None
    if prefix and broker is None:
        raise UsageError("--prefix belongs to --nats or --context")
    settings = Settings(
        seed=seed,
        pace=pace,
        shared_server=broker is not None,
        prefix=prefix or "",
        allow_time_skew=allow_time_skew,
    )
    loaded = [load_scenario(scenario, parse_vars(var or [])) for scenario in scenarios]
    verdicts = []
    for one in loaded:
        options = RunOptions(
            out=out,
            settings=settings,
            broker=broker,
            url=nats or "",
            context=context or "",
            reproduce=_reproduce(one, settings),
        )
        result, folder = _run_one(one, options, quiet=json)
        _show(result, folder, json)
        verdicts.append(result.verdict)
    worst = max(verdicts, key=[Verdict.PASS, Verdict.INVALID, Verdict.FAIL].index)
    raise typer.Exit(worst.exit_code)


def _run_one(one: LoadedScenario, options: RunOptions, quiet: bool) -> tuple[Result, Path]:
    """Run a scenario and judge what it left."""
    with Progress(
        one.scenario.name, SideConsole(stderr=True, highlight=False, quiet=quiet)
    ) as progress:
        folder = asyncio.run(_interruptible(run_scenario(one, options, progress)))
    result = judge(folder)
    write_result(folder, result)
    write_junit(folder / "junit.xml", result)
    write_report(folder, result)
    return result, folder


async def _interruptible(run: Coroutine[None, None, Path]) -> Path:
    """Let SIGTERM end a run as Ctrl-C does: everything is stopped, then Interrupted."""
    task = asyncio.ensure_future(run)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise Interrupted from None
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def _show(result: Result, folder: Path, as_json: bool) -> None:
    """Print the result; whoever stopped reading our output changes no verdict."""
    try:
        if as_json:
            typer.echo(result.as_json(), nl=False)
        else:
            print_result(result, folder)
        sys.stdout.flush()
    except (OSError, SystemExit):  # rich leaves with SystemExit when a pipe breaks
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _reproduce(loaded: LoadedScenario, settings: Settings) -> str:
    """Return the command line that runs the same again."""
    seed = loaded.scenario.seed if settings.seed is None else settings.seed
    pace = settings.pace or loaded.scenario.pace
    values = [f"{name}={value}" for name, value in loaded.scenario.parameters.items()]
    words = ["twin", "run", str(loaded.file), "--seed", str(seed), "--pace", pace.value]
    words += [word for value in values for word in ("--var", value)]
    return shlex.join(words)
