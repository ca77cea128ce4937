"""`twin validate`: are these files good? Nothing is run."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from twin.errors import InputError, Problem, UsageError
from twin.scenario.language.load import load_scenario
from twin.spec.builtin import PREFIX, builtin_names
from twin.spec.load import load_document, load_spec

__all__ = ["problems_of", "validate"]


def validate(
    files: Annotated[
        list[str], typer.Argument(help="Specs and scenarios: paths, or builtin:NAME.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check specs and scenarios: `file:line:col: message` for every problem, exit 2 if any.

    Example: twin validate specs/*.yaml scenarios/*.yaml
    """
    found = {file: problems_of(file) for file in files}
    if as_json:
        listed = {file: [asdict(problem) for problem in found[file]] for file in found}
        typer.echo(json.dumps({"files": listed}, indent=2))
    else:
        for file, problems in found.items():
            for line in problems or [f"{file}: ok"]:
                typer.echo(str(line))
    if any(found.values()):
        raise typer.Exit(2)


def problems_of(file: str) -> tuple[Problem, ...]:
    """Return every problem of one file, of the specs that a scenario names too."""
    try:
        _check(file)
    except InputError as error:
        return error.problems
    except UsageError as error:
        return (Problem(file, 0, 0, str(error)),)
    return ()


def _check(file: str) -> None:
    if file.startswith(PREFIX):
        is_scenario = file.removeprefix(PREFIX) in builtin_names("scenarios")
    else:
        document = load_document(file)
        keys = document.value if isinstance(document.value, dict) else {}
        if not keys.keys() & {"kind", "components", "schema_version", "phases", "fleet"}:
            message = "is neither a spec (`kind: BotSpec`) nor a scenario (`schema_version: 1`)"
            raise InputError([document.problem((), message)])
        is_scenario = not keys.keys() & {"kind", "components"}
    if is_scenario:
        load_scenario(file)
    else:
        load_spec(file)
