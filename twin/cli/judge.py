"""`twin judge`: judges a recorded run again, by its own criteria or by others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from twin.errors import InputError, TwinError, UsageError
from twin.report.html import write_report
from twin.report.junit import write_junit
from twin.report.terminal import print_result
from twin.scenario.language.foregone import check_foregone, check_steady_state
from twin.scenario.language.model import Scenario
from twin.spec.load import load_document
from twin.spec.parse import parse
from twin.verdict.foregone import foregone_threshold
from twin.verdict.judge import judge
from twin.verdict.manifest import Criteria, Manifest
from twin.verdict.thresholds import parse_threshold, parse_thresholds

__all__ = ["judge_run"]


def judge_run(
    run_dir: Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN_DIR")],
    thresholds: Annotated[
        str,
        typer.Option(
            help="YAML with thresholds, guarantees, expect or limits; each replaces the run's.",
            metavar="FILE",
        ),
    ] = "",
    threshold: Annotated[
        list[str] | None,
        typer.Option(help="One more threshold, as 'metric: expression'; may be repeated."),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(help="Also write the result as JUnit XML.", metavar="FILE")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Also write the report as HTML.", metavar="FILE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Judge a recorded run again from its files; nothing in the run folder is changed.

    Example: twin judge runs/20260101-120000-patrol-1f2e --threshold 'publish_latency: p(99)<50ms'
    """
    result = judge(run_dir, _criteria(run_dir, thresholds, threshold or []))
    if junit is not None:
        write_junit(junit, result)
    if report is not None:
        write_report(run_dir, result, report)
    if as_json:
        typer.echo(result.as_json(), nl=False)
    else:
        print_result(result, run_dir)
    raise typer.Exit(result.verdict.exit_code)


def _criteria(run_dir: Path, file: str, added: list[str]) -> Criteria | None:
    """Return the run's criteria as changed by the options; None when they are as they were."""
    if not file and not added:
        return None
    criteria = Manifest.load(run_dir).criteria
    if file:
        document = load_document(file)
        given = parse(Criteria, document)
        steady = check_steady_state(document, given, _bots(run_dir))
        if problems := [*check_foregone(document, given), *steady]:
            raise InputError(problems)
        changes = {name: getattr(given, name) for name in given.model_fields_set}
        criteria = criteria.model_copy(update=changes)
    merged = {name: list(terms) for name, terms in criteria.thresholds.items()}
    for text in added:
        selector, expression = _split(text)
        merged.setdefault(selector, []).append(expression)
    try:
        parse_thresholds(merged)
    except ValueError as error:
        raise UsageError(str(error)) from error
    frozen = {name: tuple(terms) for name, terms in merged.items()}
    return criteria.model_copy(update={"thresholds": frozen})


def _bots(run_dir: Path) -> Mapping[str, int]:
    """Return how many bots each group of the recorded scenario had; none where that is not kept."""
    try:
        scenario = parse(Scenario, load_document(str(run_dir / "scenario.yaml")))
    except TwinError:
        return {}
    return {name: fleet.count for name, fleet in scenario.fleet.items()}


def _split(text: str) -> tuple[str, str]:
    """Split `metric{tag:value}: expression` at the last colon."""
    selector, colon, expression = text.rpartition(":")
    if not colon:
        raise UsageError(f"{text!r} is no threshold: write 'metric: expression'")
    try:
        outcome = foregone_threshold(parse_threshold(selector, expression))
    except ValueError as error:
        raise UsageError(str(error)) from error
    if outcome:
        raise UsageError(f"{text.strip()!r} {outcome}: it would prove nothing")
    return selector.strip(), expression.strip()
