"""The workflows, hooks and targets that ship with the repository are what they claim to be."""

import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from in_process import twin_apart

from twin.spec.yaml import read_document, read_text

ROOT = Path(__file__).parent.parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CHECK = Path(sys.executable).with_name("check-jsonschema")


def run(*arguments: str | Path, timeout: float = 60) -> "subprocess.CompletedProcess[str]":
    """Run a program in the repository."""
    return subprocess.run(
        [str(one) for one in arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def lines_of(workflow: Path) -> list[str]:
    """Return every line that a workflow runs."""
    jobs = read_document(workflow).value["jobs"].values()
    steps = [step for job in jobs for step in job["steps"] if "run" in step]
    return [line for step in steps for line in step["run"].splitlines()]


def test_workflows_fit_their_schema() -> None:
    """As GitHub publishes it, and as shipped with the checker: nothing is fetched."""
    done = run(CHECK, "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(WORKFLOWS) == 4


def test_the_snippet_for_users_fits_too(tmp_path: Path) -> None:
    """The workflow in docs/ci.md is one that can be copied."""
    blocks = re.findall(r"```text\n(name: twin\n.*?)```", (ROOT / "docs/ci.md").read_text(), re.S)
    (tmp_path / "twin.yml").write_text(blocks[0])
    done = run(CHECK, "--builtin-schema", "vendor.github-workflows", tmp_path / "twin.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert read_text(blocks[0]).value["jobs"]["scenarios"]["timeout-minutes"] == 20


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_what_a_workflow_runs_exists(workflow: Path) -> None:
    """Its make targets are in the Makefile, its twin commands and their flags are there."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in lines_of(workflow):
        if line.startswith("make "):
            assert line.split()[1] in targets
        elif found := re.match(r"\.venv/bin/twin ((?:[a-z]+ ?)+)", line):
            words = [word for word in found[1].split() if word not in ("scenarios", "main")]
            done = twin_apart(ROOT, *words, "--help")
            assert done.returncode == 0, line
            for flag in re.findall(r" (--[a-z-]+)", line):
                assert flag in done.stdout, line


def test_tests_of_other_programs_are_where_they_are_run() -> None:
    """`make test` leaves them out, and `make test-external` looks in one folder."""
    mark = "pytest.mark." + "external"
    marked = [path for path in (ROOT / "tests").rglob("test_*.py") if mark in path.read_text()]
    assert {path.parent for path in marked} == {ROOT / "tests" / "acceptance"}
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(
        r"^test-external:.*\n\t\S+ -m pytest tests/acceptance .*-m external$", makefile, re.M
    )


def test_both_sides_of_a_comparison_are_kept() -> None:
    """Where two versions are measured, the figures of either are uploaded."""
    [job] = read_document(ROOT / ".github/workflows/benchmark.yml").value["jobs"].values()
    [written] = [found for step in job["steps"] for found in _json_files(step.get("run", ""))]
    [kept] = [step["with"]["path"] for step in job["steps"] if "upload" in step.get("uses", "")]
    for name in (written, Path(written).with_suffix(".base.json").name):
        assert fnmatch(name, kept), name


def _json_files(command: str) -> list[str]:
    return re.findall(r"--json (\S+)", command)


def test_hooks_name_commands_that_are_there() -> None:
    """Of pre-commit: ours for this repository, and one for those of users."""
    config = read_document(ROOT / ".pre-commit-config.yaml").value
    [hook] = read_document(ROOT / ".pre-commit-hooks.yaml").value
    assert hook["entry"] == "twin validate"
    for one in config["repos"][0]["hooks"]:
        program = one["entry"].split()[0].replace(".venv/bin", str(Path(sys.executable).parent))
        assert Path(program).exists()
