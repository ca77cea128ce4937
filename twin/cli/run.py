"""`twin run`: scenarios, one after the other or several at a time, each to its verdict."""

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import orjson
import typer

from twin.cli.asked_shared import Asked
from twin.cli.batch import (
    Finished,
    as_document,
    exit_code,
    find_scenarios,
    run_apart,
    verdicts,
)
from twin.errors import Interrupted, TwinError, UsageError
from twin.jetstream.options import BrokerOptions
from twin.report.html import write_report
from twin.report.junit import write_junit
from twin.report.progress import Progress, SideConsole
from twin.report.terminal import print_result
from twin.scenario.language.load import LoadedScenario
from twin.scenario.language.model import Pace
from twin.scenario.language.parameters import parse_vars
from twin.scenario.plan import Settings
from twin.scenario.runner import RunOptions, run_scenario
from twin.verdict.judge import judge
from twin.verdict.result import Result, write_result

__all__ = ["interruptible", "run_scenarios"]

T = TypeVar("T")


def run_scenarios(
    scenarios: Annotated[
        list[str],
        typer.Argument(help="Files, folders, or builtin:NAME.", show_default=False),
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
    shared: Annotated[
        bool,
        typer.Option(
            help="Publish on your own subjects, into your own streams; needs the four below."
        ),
    ] = False,
    allow_subjects: Annotated[
        list[str] | None,
        typer.Option(
            help="A pattern that may be published on; may be repeated.", metavar="SUBJECT"
        ),
    ] = None,
    max_messages: Annotated[
        int, typer.Option(min=0, help="Messages that may be published in all.")
    ] = 0,
    max_bytes: Annotated[
        str, typer.Option(help="Bytes that may be published in all, as 10M.", metavar="SIZE")
    ] = "",
    max_rate: Annotated[
        float, typer.Option(min=0, help="Messages that may be published a second.")
    ] = 0,
    allow_shrink: Annotated[
        bool, typer.Option(help="Lower limits of streams and consumers that a run has made.")
    ] = False,
    allow_time_skew: Annotated[
        bool, typer.Option(help="Allow event times that your server's clock has not reached yet.")
    ] = False,
    tag: Annotated[
        list[str] | None, typer.Option(help="Only scenarios with this tag; may be repeated.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="How many at a time.")] = 1,
    repeat: Annotated[
        int, typer.Option(min=1, max=1000, help="Run each so often; all runs count.")
    ] = 1,
    junit: Annotated[
        Path | None, typer.Option(help="Write all results as JUnit XML.", metavar="FILE")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where run folders are made.")] = Path("runs"),
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Run scenarios on a real JetStream, and leave a run folder with the verdict of each.

    Example: twin run scenarios --tag smoke --jobs 2 --junit results.xml
    """
    broker = _broker(nats, context, prefix, shared=shared)
    named = Asked(shared, tuple(allow_subjects or ()), max_messages, max_bytes, max_rate)
    settings = Settings(
        seed=seed,
        pace=pace,
        shared_server=broker is not None,
        prefix=prefix or "",
        shared=named.shared(),
        allow_shrink=allow_shrink,
        allow_time_skew=allow_time_skew,
    )
    loaded = find_scenarios(scenarios, tag or [], parse_vars(var or [])) * repeat
    options = RunOptions(out=out, settings=settings, broker=broker)
    if jobs > 1 and len(loaded) > 1:
        finished = _run_apart(loaded, options, named, jobs, quiet=json)
    else:
        finished = _run_in_turn(loaded, options, quiet=json)
    _report(finished, junit, json)


def _broker(
    nats: str | None, context: str | None, prefix: str | None, *, shared: bool
) -> BrokerOptions | None:
    """Return the server that is named, None for one of the run's own."""
    for flag, value in (("--nats", nats), ("--context", context), ("--prefix", prefix)):
        if value is not None and not value.strip():
            raise UsageError(f"{flag} is empty; leave it out, or say what is meant")
    given = nats is not None or context is not None
    broker = BrokerOptions.resolve(nats or "", context or "") if given else None
    if prefix and broker is None:
        raise UsageError("--prefix belongs to --nats or --context")
    if shared and (broker is None or prefix):
        raise UsageError("--shared belongs to --nats or --context, and has no --prefix")
    return broker


def _run_apart(
    loaded: Sequence[LoadedScenario], options: RunOptions, named: Asked, jobs: int, *, quiet: bool
) -> list[Finished]:
    """Run several at a time, each in a process of its own; show them when all have ended."""
    settings, broker = options.settings, options.broker
    flags = [*_flags(settings, broker, options.out), *named.words()]
    commands = [(one.scenario.name, [*_words(one, settings), *flags]) for one in loaded]
    tell = partial(_tell, SideConsole(stderr=True, highlight=False, quiet=quiet))
    env = broker.environment() if broker else {}
    finished = asyncio.run(run_apart(commands, jobs, tell, env))
    for done in () if quiet else finished:
        if done.result is not None:
            _show(done.result, options.out / done.result.run_id, as_json=False)
    return finished


def _run_in_turn(
    loaded: Sequence[LoadedScenario], options: RunOptions, *, quiet: bool
) -> list[Finished]:
    """Run one after the other; among several, one that cannot be carried out ends no other."""
    finished = []
    for one in loaded:
        reproduced = replace(options, reproduce=_reproduce(one, options.settings))
        try:
            result, folder = _run_one(one, reproduced, quiet=quiet)
        except TwinError as error:
            if isinstance(error, Interrupted) or len(loaded) == 1:
                raise
            failed = Finished(one.scenario.name, None, str(error), error.exit_code)
            _tell(SideConsole(stderr=True, highlight=False, quiet=quiet), failed)
            finished.append(failed)
        else:
            if not quiet:
                _show(result, folder, as_json=False)
            finished.append(Finished(one.scenario.name, result))
    return finished


def _report(finished: Sequence[Finished], junit: Path | None, as_json: bool) -> NoReturn:
    """Write what was asked for about all runs, and leave with their exit code."""
    results = [one.result for one in finished if one.result is not None]
    if junit is not None:
        errors = [(one.name, one.error) for one in finished if one.result is None]
        write_junit(junit, *results, errors=errors)
    if as_json and len(finished) == 1 and results:
        _show(results[0], Path(), as_json=True)
    elif as_json:
        _print(orjson.dumps(as_document(finished), option=orjson.OPT_INDENT_2).decode())
    elif len(finished) > 1:
        _print("\n".join(_summary(finished)))
    raise typer.Exit(exit_code(finished))


def _summary(finished: Sequence[Finished]) -> Iterator[str]:
    """Yield a line per scenario: its verdict, or how often it came to which, if it differed."""
    for name, counts in verdicts(finished).items():
        each = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        if len(counts) > 1:
            yield f"{'differs':8} {name}: {each}"
        else:
            [(verdict, count)] = counts.items()
            yield f"{verdict:8} {name}" + (f" ({count} runs)" if count > 1 else "")


def _tell(console: SideConsole, one: Finished) -> None:
    """Say that a run has ended."""
    console.print(f"{one.verdict} {one.name}", markup=False)
    if one.error:
        console.print(one.error, markup=False, soft_wrap=True)


def _flags(settings: Settings, broker: BrokerOptions | None, out: Path) -> list[str]:
    """Return the options that every run has in common; logins are in its environment."""
    given = (("--nats", broker.url if broker else ""), ("--prefix", settings.prefix))
    words = [word for flag, value in given if value for word in (flag, value)]
    words += ["--allow-time-skew"] if settings.allow_time_skew else []
    words += ["--allow-shrink"] if settings.allow_shrink else []
    return [*words, "--out", str(out)]


def _run_one(one: LoadedScenario, options: RunOptions, quiet: bool) -> tuple[Result, Path]:
    """Run a scenario and judge what it left."""
    with Progress(
        one.scenario.name, SideConsole(stderr=True, highlight=False, quiet=quiet)
    ) as progress:
        folder = asyncio.run(interruptible(run_scenario(one, options, progress)))
    result = judge(folder)
    write_result(folder, result)
    write_junit(folder / "junit.xml", result)
    write_report(folder, result)
    return result, folder


async def interruptible(run: Coroutine[None, None, T], *said: str) -> T:
    """Let SIGTERM end a run as Ctrl-C does: everything is stopped, then Interrupted(*said)."""
    task = asyncio.ensure_future(run)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise Interrupted(*said) from None
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def _show(result: Result, folder: Path, as_json: bool) -> None:
    """Print the result; whoever stopped reading our output changes no verdict."""
    with _listener_may_leave():
        if as_json:
            typer.echo(result.as_json(), nl=False)
        else:
            print_result(result, folder)
        sys.stdout.flush()


def _print(text: str) -> None:
    with _listener_may_leave():
        typer.echo(text)
        sys.stdout.flush()


@contextmanager
def _listener_may_leave() -> Iterator[None]:
    try:
        yield
    except (OSError, SystemExit):  # rich leaves with SystemExit when a pipe breaks
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _reproduce(loaded: LoadedScenario, settings: Settings) -> str:
    """Return the command line that runs the same again."""
    return shlex.join(["twin", "run", *_words(loaded, settings)])


def _words(loaded: LoadedScenario, settings: Settings) -> list[str]:
    seed = loaded.scenario.seed if settings.seed is None else settings.seed
    pace = settings.pace or loaded.scenario.pace
    values = [f"{name}={value}" for name, value in loaded.scenario.parameters.items()]
    words = [str(loaded.file), "--seed", str(seed), "--pace", pace.value]
    return words + [word for value in values for word in ("--var", value)]
