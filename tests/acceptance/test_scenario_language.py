"""Scenarios from pieces, with answers expected, a steady state, and rollbacks that always run."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from in_process import twin_apart

HERE = Path(__file__).parent
RUN = ("run", "scenario.yaml", "--json")
PIECE = """
services:
  answerer: {command: [python, answering_service.py, "${mode}"], ready: {log: ready}}
expect:
  - on: answers.telemetry
    where: {payload.kind: answer}
    per: qiki.telemetry
    match: {payload.of: header.ce-id}
    within: 3s
  - {on: answers.telemetry, after: qiki.telemetry, match: {payload.of: header.ce-id}}
"""
SCENARIO = """
schema_version: 1
name: answers
include: [pieces/answers.yaml]
parameters: {mode: good, undo: 0, least: 0}
fleet: {patrol: {count: 3}}
phases: [{name: steady, duration: 6s}]
limits: {max_slip_p99_ms: 10000}
events: [{at: 3s, do: {fault: power.eclipse, for: 1s}}]
steady_state: [broker.up == 1, "publish.acknowledged > ${least}"]
rollbacks: [{run: [python, answering_service.py, undo, "${undo}"]}]
expect:
  - {on: qiki.events.v1.state, where: {payload.kind: boot_ok}, count: 3}
  - {on: "answers.>", where: {payload.kind: nothing}, count: 0}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the scenario, its piece and the service."""
    (tmp_path / "pieces").mkdir()
    (tmp_path / "pieces" / "answers.yaml").write_text(PIECE)
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    shutil.copy(HERE / "answering_service.py", tmp_path)
    return tmp_path


def start(project: Path) -> "subprocess.Popen[str]":
    """Start a run."""
    return subprocess.Popen(
        [sys.executable, "-m", "twin", *RUN],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env(project),
    )


def env(project: Path) -> dict[str, str]:
    """Return the environment in which a rollback writes the run's id into `undone`."""
    return {**os.environ, "UNDONE": str(project / "undone")}


def run(project: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run to the end; return the exit code and the result."""
    done = twin_apart(project, *RUN, *arguments, env=env(project))
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_service_that_answers_everything_in_time_passes(project: Path) -> None:
    """Every expectation was judged on messages, the steady state was seen twice."""
    code, result = run(project)
    assert (code, result["reasons"]) == (0, [])
    checks = {one["name"]: one for one in result["expectations"]}
    [paired] = [one for name, one in checks.items() if " per " in name]
    telemetry = {row["subject"]: row["stored"] for row in result["subjects"]}["qiki.telemetry"]
    assert paired["samples"] == telemetry > 9
    assert sum(name.startswith("steady state") for name in checks) == 4
    assert (project / "undone").read_text() == result["run_id"]


def test_missing_late_and_extra_answers_fail_by_id(project: Path) -> None:
    """What a bad service does to answers is told apart; a rollback that fails is told too."""
    code, result = run(project, "--var", "mode=bad", "--var", "undo=3")
    assert code == 1
    messages = {one["check"]: one["message"] for one in result["reasons"]}
    for words in ("missing: patrol-000", "late: heard:", "ms)", "extra: heard:"):
        assert words in messages["expectation"]
    assert "ended with exit code 3" in messages["rollback"]


def test_without_a_steady_state_before_the_fault_nothing_is_proven(project: Path) -> None:
    """INVALID, not FAIL: whatever came after it was not the fault's doing."""
    code, result = run(project, "--var", "least=1000000")
    assert code == 3
    text = " ".join(one["message"] for one in result["reasons"] if one["kind"] == "invalid")
    assert "steady state before: publish.acknowledged" in text


def test_rollbacks_run_when_the_run_is_interrupted(project: Path) -> None:
    """Ctrl-C in the middle of a run still puts back what was changed."""
    process = start(project)
    log = project / "runs" / "last" / "samples" / "metrics.jsonl"
    deadline = time.monotonic() + 60
    while not (log.exists() and log.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=240)
    assert process.returncode == 130
    assert (project / "undone").exists()
