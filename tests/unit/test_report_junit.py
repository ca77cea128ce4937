"""JUnit XML: what continuous integration reads."""

from pathlib import Path
from xml.etree import ElementTree as ET

from verdict_folder import Folder, healthy

from twin.report.junit import junit_document, write_junit
from twin.verdict.judge import judge


def document(folder: Folder, path: Path) -> ET.Element:
    """Judge, write and parse."""
    write_junit(path / "junit.xml", judge(folder.write(path / "run")))
    return ET.parse(path / "junit.xml").getroot()  # noqa: S314 - written by us a line above


def test_every_check_is_a_case_and_a_pass_has_no_failure(tmp_path: Path) -> None:
    """One case for the run, and one per threshold, guarantee and expectation."""
    suites = document(healthy(), tmp_path)
    suite = suites[0]
    assert (suite.get("name"), suite.get("tests"), suite.get("time")) == (
        "synthetic",
        "15",
        "12.000",
    )
    assert (suites.get("failures"), suites.get("errors")) == ("0", "0")
    names = [case.get("name") for case in suite.iter("testcase")]
    assert names[:2] == ["run", "threshold publish_latency{phase:steady}: p(99)<250ms"]
    assert "guarantee lost, at most 0" in names
    assert "expectation audit range 6xx, at least 1" in names
    assert len(set(names)) == len(names) == 15


def test_a_broken_guarantee_is_a_failure(tmp_path: Path) -> None:
    """FAIL becomes a failure of its own case, with the figures."""
    folder = healthy()
    folder.drop("observed", 4, 17)
    suites = document(folder, tmp_path)
    (failure,) = suites.iter("failure")
    assert failure.get("message") == ("lost: measured 1, limit at most 0; 1 at registrar; 1 middle")
    assert (suites.get("failures"), suites.get("errors")) == ("1", "0")


def test_invalid_is_an_error_of_the_run(tmp_path: Path) -> None:
    """INVALID becomes an error, never a skip and never a pass."""
    folder = healthy()
    folder.manifest["consumers"][0].update(num_pending=3)
    folder.manifest["criteria"]["thresholds"]["publish_latency{phase:nope}"] = ["max<1s"]
    suites = document(folder, tmp_path)
    errors = {error.get("type"): error.text or "" for error in suites.iter("error")}
    assert set(errors) == {"INVALID", "threshold"}
    assert "drained: registrar did not drain RADAR: 3 pending" in errors["INVALID"]
    assert not list(suites.iter("skipped"))


def test_an_unsealed_run_is_an_error(tmp_path: Path) -> None:
    """A run that left no measurement still shows up red."""
    result = judge(healthy().write(tmp_path, seal=False))
    suite = ET.fromstring(junit_document([result]))[0]  # noqa: S314 - made by us
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")


def test_a_dead_service_of_the_user_is_a_failure_of_the_run(tmp_path: Path) -> None:
    """A reason that belongs to no check fails the case of the run."""
    folder = healthy()
    folder.manifest["services"].append(
        {"name": "orders", "exit_code": 3, "expected": False, "own": False}
    )
    suites = document(folder, tmp_path)
    (failure,) = suites.iter("failure")
    assert "orders ended by itself with exit code 3" in (failure.text or "")


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    """Markup is escaped, and characters that XML cannot hold are replaced."""
    folder = healthy()
    name = "a<b>&\"'\x00\x1b[31m\ud7ff\x85"
    folder.manifest["scenario"]["name"] = name
    folder.manifest["consumers"][0].update(num_pending=3, detail="</error>]]>\x08")
    suites = document(folder, tmp_path)
    assert suites[0].get("name") == "a<b>&\"'\ufffd\ufffd[31m\ud7ff\x85"
    (error,) = suites.iter("error")
    assert "</error>]]>\ufffd" in (error.text or "")


def test_several_results_are_suites_of_one_document(tmp_path: Path) -> None:
    """A command that ran two scenarios writes one file."""
    good = judge(healthy().write(tmp_path / "good"))
    bad = judge(healthy().write(tmp_path / "bad", seal=False))
    root = ET.fromstring(junit_document([good, bad]))  # noqa: S314 - made by us
    assert [suite.get("errors") for suite in root] == ["0", "1"]
    assert (root.get("tests"), root.get("errors")) == ("16", "1")
