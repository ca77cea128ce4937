"""`twin replay`: lives a recorded run again, from its folder alone."""

import asyncio
from pathlib import Path
from typing import Annotated

import orjson
import typer

from twin.errors import Problem
from twin.report.junit import write_junit
from twin.report.progress import Progress, SideConsole
from twin.scenario.language.load import LoadedScenario, load_recorded
from twin.scenario.plan import Settings
from twin.scenario.replay import TwinReplay, replay_twin
from twin.scenario.runner import RunOptions, run_scenario
from twin.verdict.judge import judge
from twin.verdict.manifest import BrokenManifest, Manifest
from twin.verdict.result import Result, write_result

__all__ = ["replay"]


def replay(
    run_dir: Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN_DIR")],
    twin_only: Annotated[
        bool, typer.Option("--twin-only", help="Generate and compare events; start no broker.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Where the new run's folder is made.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Live a recorded run again: the twin to the bit, the broker as far as possible.

    Exit 0 if both are as recorded, 1 if not, 3 if that cannot be told here.

    Example: twin replay runs/last --twin-only
    """
    manifest = Manifest.load(run_dir)
    damage = manifest.damage(run_dir)
    if manifest.state != "sealed":
        damage = [f"the run was not finished: its manifest says {manifest.state!r}"]
    if damage:
        raise BrokenManifest([Problem(str(run_dir), 0, 0, text) for text in damage])
    loaded = load_recorded(run_dir)
    twin = replay_twin(run_dir, manifest, loaded)
    before = judge(run_dir)
    after, why = (None, "not asked for") if twin_only else _again(loaded, manifest, out, as_json)
    if as_json:
        typer.echo(orjson.dumps(_document(twin, before, after, why), option=orjson.OPT_INDENT_2))
    else:
        _print(twin, before, after, why)
    raise typer.Exit(_exit_code(twin, before, after))


def _again(
    loaded: LoadedScenario, manifest: Manifest, out: Path, quiet: bool
) -> tuple[Result | None, str]:
    """Run the scenario again on a broker of its own; say why not where it cannot be done."""
    if loaded.scenario.services:
        return None, "its services are not in the run folder; use: " + manifest.reproduce
    settings = Settings(seed=manifest.seed, epoch_ns=manifest.epoch_ns)
    options = RunOptions(out=out, settings=settings, reproduce=manifest.reproduce)
    console = SideConsole(stderr=True, highlight=False, quiet=quiet)
    with Progress(loaded.scenario.name, console) as progress:
        folder = asyncio.run(run_scenario(loaded, options, progress))
    result = judge(folder)
    write_result(folder, result)
    write_junit(folder / "junit.xml", result)
    return result, ""


def _exit_code(twin: TwinReplay, before: Result, after: Result | None) -> int:
    if not twin.same:
        return 3 if twin.why_not else 1
    return int(after is not None and after.verdict is not before.verdict)


def _document(
    twin: TwinReplay, before: Result, after: Result | None, why: str
) -> dict[str, object]:
    return {
        "schema_version": 1,
        "twin": {
            "same": twin.same,
            "events": twin.events,
            "recorded_digest": twin.recorded,
            "replayed_digest": twin.replayed,
            "divergence": twin.divergence,
            "missing": twin.missing,
            "not_comparable": twin.why_not,
        },
        "broker": {
            "recorded_verdict": before.verdict.value,
            "verdict": after.verdict.value if after else None,
            "run_id": after.run_id if after else None,
            "not_repeated": why,
        },
    }


def _print(twin: TwinReplay, before: Result, after: Result | None, why: str) -> None:
    if twin.same:
        typer.echo(f"twin: the same {twin.events:,} events to the bit, digest {twin.replayed}")
    else:
        typer.echo(f"twin: DIFFERENT, digest {twin.replayed} where {twin.recorded} was recorded")
    if twin.divergence:
        typer.echo(f"  first divergence: {twin.divergence}")
    if twin.missing:
        typer.echo(f"  {twin.missing} events of the journal were not generated")
    if twin.why_not:
        typer.echo(f"  bits need not be equal here: {twin.why_not}")
    if after is None:
        typer.echo(f"broker: not repeated: {why}")
    else:
        same = "the same verdict" if after.verdict is before.verdict else "ANOTHER VERDICT"
        typer.echo(
            f"broker: {same}, {after.verdict} ({before.verdict} was recorded); its timing, faults "
            f"in wall time and commands from the bus are not repeated exactly: {after.run_id}"
        )
