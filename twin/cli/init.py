"""`twin init`: a user's own project, ready to run."""

from pathlib import Path
from typing import Annotated

import typer

from twin.errors import UsageError
from twin.spec.builtin import builtin_path

__all__ = ["init"]

TWIN_TOML = """\
# Marks the root of this project: paths in scenarios stay inside its folder. It has no keys.
"""
SCENARIO = """\
schema_version: 1
name: first
tags: [smoke]
description: Ten bots of our own spec patrol for ten seconds; every event must be audited.
seed: 1
pace: realtime
parameters: {bots: 10}
fleet:
  patrol: {count: "${bots}", spec: ../specs/bot.yaml}
phases:
  - {name: boot, duration: 3s, measure: false}
  - {name: steady, duration: 7s}
thresholds:
  publish_latency: [p(99)<500ms]
  end_to_end_latency: [p(95)<1500ms]
guarantees: {lost: 0, duplicates: 0, reordered: 0, unexpected: 0, corrupt: 0, exhausted: 0}
expect:
  - audit: {code: 101, count: "${bots}", per_bot: 1}
"""
PYTEST = '''\
"""Runs the scenarios of this project; exit code 0 is PASS, 1 FAIL, 3 INVALID."""

import subprocess
import sys
from pathlib import Path

import pytest

SCENARIOS = sorted((Path(__file__).parent.parent / "scenarios").glob("*.yaml"))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.stem)
def test_scenario_passes(scenario: Path, tmp_path: Path) -> None:
    """The scenario ends with PASS."""
    command = [sys.executable, "-m", "twin", "run", str(scenario), "--out", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
'''
GITIGNORE = "runs/\n"


def init(
    directory: Annotated[Path, typer.Argument(help="Folder of the new project.")] = Path(),
) -> None:
    """Start a project: twin.toml, a spec, a first scenario, a pytest file.

    Example: twin init my-fleet && cd my-fleet && twin run scenarios/first.yaml
    """
    files = {
        "twin.toml": TWIN_TOML,
        "specs/bot.yaml": _own_spec(),
        "scenarios/first.yaml": SCENARIO,
        "tests/test_scenarios.py": PYTEST,
        ".gitignore": GITIGNORE,
    }
    if taken := [name for name in files if (directory / name).exists()]:
        raise UsageError(f"{directory / taken[0]} exists already; nothing was written")
    try:
        for name, text in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"The project cannot be written: {error}") from error
    for name in files:
        typer.echo(f"wrote {directory / name}")
    typer.echo("next: twin run scenarios/first.yaml")


def _own_spec() -> str:
    """Return the shipped spec without the line that names the schema beside it."""
    lines = builtin_path("specs", "BotSpec").read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("# yaml-language-server:"))
