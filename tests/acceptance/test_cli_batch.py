"""`twin run` on folders: tags, several at a time, repeated, in one report."""

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from in_process import twin_apart

SCENARIO = """
schema_version: 1
name: {name}
tags: [{tag}]
pace: fast
fleet: {{patrol: {{count: 2}}}}
phases: [{{name: steady, duration: 6s}}]
{more}
"""
MORE = {
    "fails": "expect: [{audit: {code: 101, count: 99}}]",
    "invalid": "events: [{when: 'fleet.patrol.power.soc_pct.p90 < 1', do: {fault: power.eclipse}}]",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of scenarios: three tagged smoke, of which one passes, and one that is not."""
    for name, tag in (("passes", "smoke"), ("fails", "smoke"), ("invalid", "smoke"), ("x", "slow")):
        text = SCENARIO.format(name=name, tag=tag, more=MORE.get(name, ""))
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def twin_run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command beside the scenarios."""
    return twin_apart(folder, "run", *arguments)


def test_a_folder_is_run_by_tag_and_reported_as_one(folder: Path) -> None:
    """FAIL is a failure, INVALID an error, nothing a skip; FAIL decides the exit code."""
    done = twin_run(folder, ".", "--tag", "smoke", "--jobs", "2", "--junit", "all.xml", "--json")
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    verdicts = {one["scenario"]["name"]: one["verdict"] for one in document["runs"]}
    assert verdicts == {"passes": "PASS", "fails": "FAIL", "invalid": "INVALID"}
    assert (document["verdict"], document["errors"]) == ("FAIL", [])
    suites = {suite.get("name"): suite for suite in ET.parse(folder / "all.xml").getroot()}  # noqa: S314
    assert suites["fails"].get("failures") == "1"
    assert suites["invalid"].get("errors") == "1"
    assert not any(suite.findall(".//skipped") for suite in suites.values())


def test_repeated_runs_are_all_there(folder: Path) -> None:
    """Each run counts, with an identity of its own."""
    done = twin_run(folder, "passes.yaml", "--repeat", "2", "--json", "--junit", "all.xml")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    runs = document["runs"]
    assert document["verdicts"] == {"passes": {"PASS": 2}}
    assert len({one["run_id"] for one in runs}) == 2
    assert len({one["digest"] for one in runs}) == 1
    assert len(ET.parse(folder / "all.xml").getroot()) == 2  # noqa: S314 - our own


def test_a_run_that_cannot_be_carried_out_is_an_error_beside_the_others(folder: Path) -> None:
    """An unreachable broker ends with exit 4 and an error for each, not with a traceback."""
    away = ("--nats", "nats://127.0.0.1:1", "--allow-time-skew")
    done = twin_run(folder, ".", "--tag", "smoke", "--jobs", "3", *away, "--junit", "all.xml")
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    assert ET.parse(folder / "all.xml").getroot().get("errors") == "3"  # noqa: S314 - our own


def test_one_at_a_time_an_error_does_not_end_the_others(folder: Path) -> None:
    """What has been run before and after a run that cannot be carried out is reported too."""
    (folder / "early.yaml").write_text(
        SCENARIO.format(name="early", tag="smoke", more="services: {gone: {command: [no-such]}}")
    )
    done = twin_run(folder, "early.yaml", "passes.yaml", "--repeat", "2", "--junit", "all.xml")
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    lines = done.stdout.splitlines()[-2:]
    assert lines == ["ERROR    early (2 runs)", "PASS     passes (2 runs)"]
    suites = ET.parse(folder / "all.xml").getroot()  # noqa: S314 - our own
    assert suites.get("errors") == "2"


def test_a_tag_that_nothing_has_is_a_mistake(folder: Path) -> None:
    """Running nothing is never a pass."""
    done = twin_run(folder, ".", "--tag", "smok")
    assert done.returncode == 2
    assert "there are: slow, smoke" in done.stderr
