"""`twin selftest` runs faulty services and says whether each was found."""

import json
import subprocess
from pathlib import Path

import pytest
from in_process import twin_apart

from twin.selftest.trials import TRIALS


def selftest(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command."""
    return twin_apart(Path.cwd(), "selftest", *arguments)


def test_a_loss_is_found_and_a_healthy_service_passes(tmp_path: Path) -> None:
    """The loss of one event in 10,000 is found and named; the control passes; the runs stay."""
    done = selftest("--quick", "--json", "--out", str(tmp_path / "runs"))
    assert done.returncode == 0, done.stdout + done.stderr
    trials = {one["name"]: one for one in json.loads(done.stdout)["trials"]}
    assert trials["healthy"]["verdict"] == "PASS"
    assert trials["drop"]["verdict"] == "FAIL"
    assert "acknowledged but not recorded" in trials["drop"]["reason"]
    assert "patrol-" in trials["drop"]["reason"]
    assert (Path(trials["drop"]["run"]) / "result.json").exists()


def test_a_lost_write_and_a_blind_monitor_are_found() -> None:
    """Acknowledging before fsync loses events in a kill; a monitor that reads 0 is contradicted."""
    done = selftest("--only", "no fsync", "--only", "blind monitor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = [(one["name"], one["verdict"]) for one in json.loads(done.stdout)["trials"]]
    assert verdicts == [("no fsync", "FAIL"), ("blind monitor", "INVALID")]


def test_an_unknown_trial_is_named() -> None:
    """A misspelt trial is the user's mistake."""
    done = selftest("--only", "drops")
    assert done.returncode == 2
    assert "there is no trial 'drops'" in done.stderr


@pytest.mark.parametrize("kind", ["control", "defect", "positive control"])
def test_the_table_has_trials_of_every_kind(kind: str) -> None:
    """Detecting everything would prove nothing without controls that pass."""
    assert any(trial.kind == kind for trial in TRIALS)
