"""The pytest plugin: fixtures for a broker, a fleet and whole runs; scenarios as tests.

It is found by its entry point and does nothing until a fixture is used or scenarios are asked
for. What the fixtures give is documented in docs/pytest.md.
"""

import asyncio
import subprocess
import sys
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:  # everything else is imported when it is used: pytest starts as fast as without
    from twin.jetstream.server import NatsServer
    from twin.verdict.result import Result, Verdict

__all__ = ["FleetEvent", "RunScenario", "SimulateFleet", "TwinRun"]

SHOWN_LINES = 40
Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class TwinRun:
    """A run that was carried out: its result and its folder."""

    result: "Result"
    folder: Path

    @property
    def verdict(self) -> "Verdict":
        """PASS, FAIL or INVALID."""
        return self.result.verdict


@dataclass(frozen=True, slots=True)
class FleetEvent:
    """An event as a bot publishes it; `sim_ns` is when, since the fleet's start."""

    id: str
    subject: str
    sim_ns: int
    headers: dict[str, str]
    payload: bytes


class RunScenario(Protocol):
    """What the fixture `twin_run` is."""

    def __call__(
        self,
        scenario: str | Path,
        *,
        seed: int | None = None,
        pace: str | None = None,
        var: Mapping[str, Scalar] | None = None,
    ) -> TwinRun:
        """Run a scenario on a broker of its own; pytest.UsageError for one that cannot run."""


class SimulateFleet(Protocol):
    """What the fixture `twin_fleet` is."""

    def __call__(
        self, count: int = 1, *, spec: str = "builtin:BotSpec", seconds: float = 10.0, seed: int = 1
    ) -> list[FleetEvent]:
        """Return what `count` bots publish in so many simulated seconds; no broker is needed."""


@pytest.fixture
def twin_server(tmp_path: Path) -> Iterator["NatsServer"]:
    """A nats-server with JetStream of the test's own; its address is `twin_server.url`."""
    from twin.jetstream.server import NatsServer  # noqa: PLC0415 - see above

    server = NatsServer(tmp_path / "nats", log=tmp_path / "nats-server.log")
    _finish(server.start())
    try:
        yield server
    finally:
        _finish(server.stop())


@pytest.fixture
def twin_run(tmp_path: Path) -> RunScenario:
    """Runs scenarios in the test's own folder: `twin_run("scenarios/patrol.yaml").verdict`."""

    def run(
        scenario: str | Path,
        *,
        seed: int | None = None,
        pace: str | None = None,
        var: Mapping[str, Scalar] | None = None,
    ) -> TwinRun:
        words = [] if seed is None else ["--seed", str(seed)]
        words += [] if pace is None else ["--pace", pace]
        for name, value in (var or {}).items():
            words += ["--var", f"{name}={str(value).lower() if value is True else value}"]
        return _run(str(scenario), tmp_path / "runs", words)

    return run


@pytest.fixture
def twin_fleet() -> SimulateFleet:
    """Simulates bots and gives what they would publish, for tests of consumers and parsers."""

    def simulate(
        count: int = 1, *, spec: str = "builtin:BotSpec", seconds: float = 10.0, seed: int = 1
    ) -> list[FleetEvent]:
        return _simulate(count, spec, round(seconds * 1e9), seed)

    return simulate


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let scenarios be asked for, on the command line or in the ini file."""
    group = parser.getgroup("twin")
    group.addoption(
        "--twin-scenarios",
        action="store_true",
        help="collect scenarios/*.yaml (or the globs of the ini option twin_scenarios) as tests",
    )
    parser.addini(
        "twin_scenarios", "globs of scenario files to collect as tests", type="args", default=[]
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take a scenario file that was asked for."""
    globs = parent.config.getini("twin_scenarios")
    if not globs and parent.config.getoption("--twin-scenarios"):
        globs = ["scenarios/*.yaml"]
    if any(file_path.match(str(glob)) for glob in globs):
        return ScenarioFile.from_parent(parent, path=file_path)
    return None


class ScenarioFile(pytest.File):
    """A scenario file, which is one test."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield the scenario; a file that is none is an error of collection."""
        from twin.errors import TwinError  # noqa: PLC0415 - see above
        from twin.scenario.language.load import load_scenario  # noqa: PLC0415 - see above

        try:
            scenario = load_scenario(str(self.path)).scenario
        except TwinError as error:
            raise self.CollectError(str(error)) from None
        item = ScenarioItem.from_parent(self, name=scenario.name)
        item.extra_keyword_matches.update(scenario.tags)
        yield item


class ScenarioItem(pytest.Item):
    """A scenario as a test: FAIL is a failure, INVALID an error, nothing is a skip.

    The run is the set-up, so that a run that proves nothing is an error, as pytest has it for
    a test that could not be carried out; the test itself looks at the verdict.
    """

    done: TwinRun | None = None

    def setup(self) -> None:
        """Run the scenario; an error when it ends INVALID or cannot be carried out."""
        factory: pytest.TempPathFactory = self.config._tmp_path_factory  # type: ignore[attr-defined]
        out = factory.mktemp(self.name, numbered=True)
        try:
            self.done = _run(str(self.path), out, [])
        except pytest.UsageError as error:
            pytest.fail(str(error), pytrace=False)
        result = self.done.result
        for name, value in (
            ("run_id", result.run_id),
            ("verdict", result.verdict.value),
            ("digest", result.digest),
            ("run_folder", str(self.done.folder)),
            ("reproduce", result.reproduce),
        ):
            self.user_properties.append((name, value))
        if result.verdict.value == "INVALID":
            pytest.fail(_reasons(self.done), pytrace=False)

    def runtest(self) -> None:
        """Fail unless the verdict is PASS."""
        if self.done is not None and self.done.result.verdict.value != "PASS":
            pytest.fail(_reasons(self.done), pytrace=False)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Say where the test is."""
        return self.path, None, f"scenario {self.name}"


def _finish(work: Coroutine[object, None, None]) -> None:
    """Run a coroutine to its end on a loop of its own."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(work)
    finally:
        loop.close()


def _run(scenario: str, out: Path, words: list[str]) -> TwinRun:
    from twin.verdict.result import Result  # noqa: PLC0415 - see above

    command = [sys.executable, "-m", "twin", "run", scenario, "--out", str(out), "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1, 3) or not done.stdout:
        raise pytest.UsageError("\n".join((done.stderr or done.stdout).splitlines()[-SHOWN_LINES:]))
    result = Result.model_validate_json(done.stdout)
    return TwinRun(result, out / result.run_id)


def _reasons(run: TwinRun) -> str:
    lines = [f"{run.result.verdict} {run.result.scenario.name}"]
    lines += [f"  {one.kind}: {one.message}" for one in run.result.reasons]
    return "\n".join([*lines, f"  run folder: {run.folder}", f"  again: {run.result.reproduce}"])


def _simulate(count: int, spec: str, end_ns: int, seed: int) -> list[FleetEvent]:
    from twin.events.cloudevents import parse_headers  # noqa: PLC0415 - see above
    from twin.events.event import Event, SourceTable  # noqa: PLC0415 - see above
    from twin.events.subjects import SubjectSpace  # noqa: PLC0415 - see above
    from twin.scenario.plan import EMBEDDED_EPOCH_NS  # noqa: PLC0415 - see above
    from twin.simulation.fleet import FleetGroup  # noqa: PLC0415 - see above
    from twin.simulation.world import World  # noqa: PLC0415 - see above
    from twin.spec.load import load_spec  # noqa: PLC0415 - see above

    sources, found = SourceTable(), list[FleetEvent]()

    def take(events: list[Event]) -> None:
        for event in events:
            headers = parse_headers(event.headers + b"\r\n")
            subject = sources[event.source].subject
            one = FleetEvent(headers["ce-id"], subject, event.sim_ns, dict(headers), event.payload)
            found.append(one)

    world = World(
        [FleetGroup("bot", load_spec(spec), count, {})],
        seed=seed,
        epoch_ns=EMBEDDED_EPOCH_NS,
        run_id="pytest",
        space=SubjectSpace(),
        sources=sources,
        sink=take,
    )
    while world.peek_ns() < end_ns:
        world.step()
    return found
