"""The pytest plugin, as a user's tests see it."""

import tomllib
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parent.parent.parent
OTHERS = ("cacheprovider", "asyncio", "benchmark")
PLUGIN = ("-p", "twin.pytest_plugin", *(word for one in OTHERS for word in ("-p", f"no:{one}")))
SCENARIO = """
schema_version: 1
name: {name}
tags: [{tag}]
pace: fast
fleet: {{patrol: {{count: 2}}}}
phases: [{{name: steady, duration: 6s}}]
{more}
"""
TESTS = """
import json
import urllib.parse

import pytest


def test_a_run_has_a_verdict(twin_run):
    run = twin_run("scenarios/passes.yaml", seed=9)
    assert run.verdict == "PASS"
    assert run.result.seed == 9
    assert (run.folder / "manifest.json").exists()


def test_a_scenario_that_is_none_cannot_run(twin_run):
    with pytest.raises(pytest.UsageError, match="nowhere"):
        twin_run("nowhere.yaml")


def test_a_fleet_publishes_the_same_again(twin_fleet):
    events = twin_fleet(2, seconds=3)
    assert {event.subject for event in events} >= {"qiki.telemetry"}
    assert {event.headers["ce-id"] for event in events} == {event.id for event in events}
    assert all(json.loads(event.payload) for event in events)
    assert events == twin_fleet(2, seconds=3)


@pytest.mark.parametrize("number", [1, 2])
def test_servers_are_ones_own(twin_server, number, record_property):
    assert twin_server.running
    record_property("port", str(urllib.parse.urlsplit(twin_server.url).port))
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """Three scenarios and a file of tests."""
    folder = pytester.mkdir("scenarios")
    more = {
        "passes": "",
        "fails": "expect: [{audit: {code: 101, count: 99}}]",
        "invalid": "events: [{when: 'fleet.patrol.power.soc_pct.p90 < 1', "
        "do: {fault: power.eclipse}}]",
    }
    for name, text in more.items():
        tag = "smoke" if name == "passes" else "rest"
        document = SCENARIO.format(name=name, tag=tag, more=text)
        (folder / f"{name}.yaml").write_text(document)
    pytester.makepyfile(test_mine=TESTS)
    return pytester


def test_scenarios_are_tests_on_request_and_fixtures_work_under_xdist(
    project: pytest.Pytester,
) -> None:
    """FAIL is a failure and INVALID an error in pytest's own JUnit, each with its reasons.

    Servers, fleets and runs of several workers have ports and stores of their own.
    """
    run = ("--twin-scenarios", "scenarios", "test_mine.py", "--junitxml=all.xml")
    done = project.runpytest_subprocess(*PLUGIN, *run, "-n", "2", "-W", "error")
    done.assert_outcomes(passed=1 + 5, failed=1, errors=1)
    done.stdout.fnmatch_lines(["*power.eclipse not fired*", "*audit code 101: 2 recorded*"])
    suite = ET.parse(project.path / "all.xml").getroot()[0]  # noqa: S314 - our own
    assert [suite.get(key) for key in ("failures", "errors", "skipped")] == ["1", "1", "0"]
    names = {one.get("name") for one in suite.iter("property")}
    assert {"run_id", "verdict", "digest", "reproduce"} <= names
    ports = [one.get("value") for one in suite.iter("property") if one.get("name") == "port"]
    assert len(set(ports)) == 2


def test_tags_select_and_nothing_is_collected_unasked(project: pytest.Pytester) -> None:
    """The ini option names globs, `-k` takes tags; without either YAML is not looked at."""
    project.makeini("[pytest]\ntwin_scenarios = scenarios/*.yaml\n")
    chosen = project.runpytest_subprocess(*PLUGIN, "scenarios", "-k", "smoke", "--collect-only")
    chosen.stdout.fnmatch_lines(["*ScenarioItem passes*", "*1/3 tests collected*"])
    project.makeini("[pytest]\n")
    none = project.runpytest_subprocess(*PLUGIN, "scenarios", "--collect-only")
    none.stdout.fnmatch_lines(["*no tests collected*"])


def test_pytest_finds_the_plugin_by_its_entry_point() -> None:
    """What pyproject.toml declares can be imported."""
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    for module in points["pytest11"].values():
        assert import_module(module).pytest_addoption
