"""`twin judge`, as a user types it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from in_process import twin_here
from verdict_folder import healthy

SCENARIO = """\
schema_version: 1
name: synthetic
fleet: {crew: {count: 2}}
phases: [{name: all, duration: 10s}]
"""


def twin(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return twin_here(Path(), *arguments)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded run in which all went well."""
    return healthy().write(tmp_path_factory.mktemp("healthy"))


def test_a_recorded_run_passes_again_and_is_left_as_it_was(run: Path) -> None:
    """Exit code 0, the verdict in the last line, nothing written into the run folder."""
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    done = twin("judge", run)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "PASS synthetic"
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_a_stricter_threshold_fails_with_value_and_window(run: Path, tmp_path: Path) -> None:
    """Exit code 1; the reason names threshold, measured value and window; JUnit says the same."""
    junit = tmp_path / "junit.xml"
    done = twin("judge", run, "--threshold", "publish_latency: max<1ms", "--junit", junit)
    assert (done.returncode, done.stderr) == (1, "")
    first, second = done.stdout.splitlines()[:2]
    assert first == "FAIL synthetic"
    assert second.startswith("  broken: publish_latency: max<1ms: measured 3.1 ms over 480 sam")
    assert second.endswith("in steady (2 s to 10 s)")
    assert 'failures="1" errors="0"' in junit.read_text()


def test_criteria_from_a_file_replace_those_of_the_run(run: Path, tmp_path: Path) -> None:
    """Each key that the file has takes the place of the run's; --json prints the whole result."""
    file = tmp_path / "strict.yaml"
    file.write_text(
        "thresholds: {events: [count>1M]}\nexpect:\n  - audit: {code: 602, per_bot: {max: 1}}\n"
    )
    done = twin("judge", run, "--thresholds", file, "--json")
    assert (done.returncode, done.stderr) == (1, "")
    result = json.loads(done.stdout)
    assert [one["check"] for one in result["reasons"]] == ["threshold", "expectation"]
    assert [one["name"] for one in result["thresholds"]] == ["events: count>1M"]
    assert len(result["guarantees"]) == 8


def test_a_killed_run_is_invalid(tmp_path: Path) -> None:
    """Exit code 3 for a run that was never sealed."""
    done = twin("judge", healthy().write(tmp_path, seal=False))
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.splitlines()[-1] == "INVALID synthetic"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--threshold", "publish_latncy: max<1s"], "did you mean 'publish_latency'?"),
        (["--threshold", "max<1s"], "write 'metric: expression'"),
        (["--thresholds", "FILE"], "2:3: "),
    ],
)
def test_mistakes_of_the_user_are_explained(
    run: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    """Exit code 2 and one line that says what to write; a file's faults come with their place."""
    file = tmp_path / "wrong.yaml"
    file.write_text("guarantees:\n  lots: 0\n")
    done = twin("judge", run, *(str(file) if one == "FILE" else one for one in arguments))
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_terms_that_always_hold_are_refused_in_a_file_too(run: Path, tmp_path: Path) -> None:
    """Exit code 2 and where they are: judged by them any run would pass."""
    file = tmp_path / "lenient.yaml"
    file.write_text("thresholds: {events: [count>=0]}\nexpect:\n  - audit: {code: 602, min: 0}\n")
    done = twin("judge", run, "--thresholds", file)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{file}:1:23: count>=0 of events always holds\n" in done.stderr
    assert f"{file}:3:29: at least 0 always holds: give 1 or more\n" in done.stderr
    counted = shutil.copytree(run, tmp_path / "run")
    (counted / "scenario.yaml").write_text(SCENARIO)
    steady = ("fleet.crew.power.soc_pct.min >= 0", "fleet.crew.modes.idle <= 2", "up up and away")
    file.write_text("steady_state:\n" + "".join(f"  - {one}\n" for one in steady))
    done = twin("judge", counted, "--thresholds", file)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{file}:2:5: {steady[0]} always holds\n" in done.stderr
    assert f"{file}:3:5: {steady[1]} always holds\n" in done.stderr
    assert f"{file}:4:5: {steady[2]!r} is no condition" in done.stderr


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    """Exit code 2 for a path without a manifest."""
    done = twin("judge", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{tmp_path} is no run folder" in done.stderr
