"""`twin run`, as a user calls it: verdicts, exit codes, what is left behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from in_process import twin_apart, twin_here

from twin.events.streams import build_topology
from twin.events.subjects import SubjectSpace
from twin.jetstream.api import streams_on
from twin.jetstream.connection import Connection
from twin.jetstream.consumer import PullConsumer
from twin.jetstream.reconcile import reconcile
from twin.jetstream.server import NatsServer

TWIN = [sys.executable, "-m", "twin"]
SCENARIO = """\
schema_version: 1
name: tiny
parameters: {bots: 8}
fleet:
  scouts: {count: "${bots}"}
phases:
  - {name: boot, duration: 2s, measure: false}
  - {name: steady, duration: 2s}
limits: {max_slip_p99_ms: 10000}
expect:
  - audit: {code: 101, count: "${bots}", per_bot: 1}
"""
SKIPPING_REGISTRAR = '''\
"""A registrar that acknowledges everything and records all but every 50th event."""
import itertools
import sys
from twin.cli.main import run
from twin.registrar import service

class Skipping(service.Intake):
    counter = itertools.count(1)

    def take_all(self, messages, received_ns):
        kept = [message for message in messages if next(self.counter) % 50]
        return super().take_all(kept, received_ns)

service.Intake = Skipping
run()
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with one short scenario."""
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "tiny.yaml").write_text(SCENARIO)
    return tmp_path


def twin(
    folder: Path, *arguments: str, env: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end in `folder`."""
    return twin_apart(folder, *arguments, env={**os.environ, **(env or {})})


def change(project: Path, *extra: str) -> None:
    """Append lines to the scenario."""
    path = project / "scenarios" / "tiny.yaml"
    path.write_text(path.read_text() + "\n".join(extra) + "\n")


def run_folder(project: Path) -> Path:
    """Return the one run folder."""
    [folder] = (path for path in (project / "runs").iterdir() if not path.is_symlink())
    assert (project / "runs" / "last").resolve() == folder
    return folder


def children_of(folder: Path) -> list[str]:
    """Return the command lines of living processes that work in a run folder below `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                there = (entry / "cwd").readlink()
            except OSError:
                continue
            if there == folder and ("nats-server" in command or "registrar" in command):
                found.append(command)
    return found


def test_healthy_run_passes_and_every_count_agrees(project: Path) -> None:
    """PASS, exit 0; journal, streams and store hold the same numbers for every subject."""
    run = twin(project, "run", "scenarios/tiny.yaml", "--json")
    assert run.returncode == 0, run.stdout + run.stderr
    result = json.loads(run.stdout)
    folder = run_folder(project)
    assert (
        json.loads((folder / "result.json").read_text())["verdict"] == result["verdict"] == "PASS"
    )
    manifest = json.loads((folder / "manifest.json").read_text())
    server = {
        subject: count
        for stream in manifest["streams"]
        for subject, count in stream["subjects"].items()
        if not subject.endswith("events.v1.audit")
    }
    store = manifest["observers"][0]["per_subject"]
    journal = {
        row["subject"]: row["acknowledged"] for row in result["subjects"] if row["acknowledged"]
    }
    assert server == store == journal
    assert sum(server.values()) > 300
    assert not children_of(project)
    stats = twin(
        project,
        "registrar",
        "query",
        "--store",
        str(folder / "registrar"),
        "--code",
        "101",
        "--format",
        "json",
    )
    assert len(stats.stdout.splitlines()) == 8


def test_impossible_threshold_fails_and_names_what_was_measured(project: Path) -> None:
    """FAIL, exit 1, with the threshold, the value and the window; judging again may pass."""
    change(project, "thresholds: {publish_latency: [p(99)<1us]}")
    run = twin(project, "run", "scenarios/tiny.yaml")
    assert run.returncode == 1, run.stdout + run.stderr
    assert "publish_latency: p(99)<1us" in run.stdout
    assert "measured phases" in run.stdout
    assert run.stdout.rstrip().splitlines()[-1].startswith("FAIL")
    again = project / "again.yaml"
    again.write_text("thresholds: {publish_latency: [p(99)<60s]}\n")
    judged = twin(project, "judge", str(run_folder(project)), "--thresholds", str(again))
    assert judged.returncode == 0, judged.stdout


def test_registrar_stopped_for_good_is_invalid(project: Path) -> None:
    """A registrar that is killed and not restarted leaves the run undrained: INVALID, exit 3."""
    change(project, "drain_timeout: 3s", "events: [{at: 2s, do: {fault: registrar.kill}}]")
    run = twin(project, "run", "scenarios/tiny.yaml")
    assert run.returncode == 3, run.stdout + run.stderr
    assert "drain" in run.stdout


def test_broker_dead_for_good_is_invalid_and_says_so_soon(project: Path) -> None:
    """Without its broker a run is sealed and INVALID, long before any patience ends."""
    change(project, "drain_timeout: 3s", "events: [{at: 2s, do: {fault: broker.kill}}]")
    run = twin(project, "run", "scenarios/tiny.yaml")
    assert run.returncode == 3, run.stdout + run.stderr
    assert "was not scanned" in run.stdout
    assert json.loads((run_folder(project) / "manifest.json").read_text())["state"] == "sealed"


def test_lost_output_changes_no_verdict(project: Path) -> None:
    """Whoever stops reading what a run prints changes neither its end nor its exit code."""
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            [*TWIN, "run", "scenarios/tiny.yaml"],
            cwd=project,
            stdout=full,
            stderr=full,
            timeout=240,
            check=False,
        )
    assert run.returncode == 0
    assert json.loads((run_folder(project) / "result.json").read_text())["verdict"] == "PASS"


def test_registrar_restarted_loses_and_doubles_nothing(project: Path) -> None:
    """A registrar that is killed under load and restarted records every event once."""
    change(project, "events: [{at: 2s, do: {fault: registrar.kill, restart_after: 500ms}}]")
    run = twin(project, "run", "scenarios/tiny.yaml", "--var", "bots=30")
    assert run.returncode == 0, run.stdout + run.stderr


def test_registrar_that_skips_events_fails(project: Path) -> None:
    """A registrar that acknowledges what it does not record is caught, with the first lost ids."""
    script = project / "skipping.py"
    script.write_text(SKIPPING_REGISTRAR)
    run = subprocess.run(
        [sys.executable, "-c", RUN_WITH_REGISTRAR, str(script)],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.stdout.splitlines()[-1].startswith("FAIL"), run.stdout + run.stderr
    assert "lost" in run.stdout


RUN_WITH_REGISTRAR = """\
import asyncio, sys
from pathlib import Path
from twin.scenario.language.load import load_scenario
from twin.scenario.runner import RunOptions, run_scenario
from twin.verdict.judge import judge
command = (sys.executable, sys.argv[1], "registrar", "serve")
options = RunOptions(out=Path("runs"), registrar_command=command)
folder = asyncio.run(run_scenario(load_scenario("scenarios/tiny.yaml"), options, lambda now: None))
result = judge(folder)
for reason in result.reasons:
    print(reason.check, reason.message)
print(result.verdict)
"""


def test_broken_files_give_positions_and_exit_2(project: Path) -> None:
    """A broken scenario is refused before anything starts, with file, line and column."""
    change(project, "thresholds: {publish_latncy: [p(99)<1us]}")
    run = twin(project, "run", "scenarios/tiny.yaml")
    assert run.returncode == 2
    assert "scenarios/tiny.yaml:12:14: " in run.stderr
    assert "did you mean 'publish_latency'" in run.stderr
    assert not (project / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pace", "fast"], "cannot run at pace fast"),
        (["--var", "bot=3"], "declares no such parameter"),
        (["--prefix", "x"], "--prefix belongs to"),
        (["--nats", ""], "--nats is empty"),
        (["--nats", "nats://127.0.0.1:1", "--prefix", "a b"], "is no beginning of a subject"),
    ],
)
def test_contradicting_flags_exit_2(project: Path, arguments: list[str], said: str) -> None:
    """What cannot be meant is refused with one message and leaves no folder."""
    change(project, "thresholds: {publish_latency: [p(99)<10s]}")
    run = twin_here(project, "run", "scenarios/tiny.yaml", *arguments)
    assert (run.returncode, run.stdout) == (2, "")
    assert said in run.stderr
    assert not (project / "runs").exists()


def test_unreachable_server_exits_4_without_a_traceback(project: Path) -> None:
    """No server at the URL: one line, exit 4, no folder."""
    run = twin(project, "run", "scenarios/tiny.yaml", "--nats", "nats://127.0.0.1:1")
    assert run.returncode == 4
    assert run.stderr.splitlines()[0].startswith(
        "twin: No NATS server answers at nats://127.0.0.1:1"
    )
    assert "Traceback" not in run.stderr
    assert not (project / "runs").exists()


@pytest.mark.parametrize("prefix", ["", "same.prefix"])
async def test_twice_against_one_persistent_server(
    server: NatsServer, connection: Connection, project: Path, prefix: str
) -> None:
    """Two runs on a user's server pass one after the other; what is left has the user's prefix."""
    chosen = ["--prefix", prefix] if prefix else []
    for bots in ("bots=8", "bots=4"):
        run = twin(
            project, "run", "scenarios/tiny.yaml", "--nats", server.url, "--var", bots, *chosen
        )
        assert run.returncode == 0, run.stdout + run.stderr
    left = await streams_on(connection, ">")
    assert all(name.startswith("SAME_PREFIX_") for name in left)
    assert bool(left) == bool(prefix)


async def test_second_reader_of_a_prefix_is_refused(
    server: NatsServer, connection: Connection, project: Path
) -> None:
    """While somebody pulls from the registrar's durable, a run on that prefix exits with 4."""
    topology = build_topology(SubjectSpace(prefix="same")).on_wire(SubjectSpace(prefix="same"))
    await reconcile(connection, topology)
    reader = topology.consumers[0]
    async with PullConsumer(connection, reader.stream, reader.name) as other:
        await other.next_batch(0.2)
        run = await asyncio.to_thread(
            twin, project, "run", "scenarios/tiny.yaml", "--nats", server.url, "--prefix", "same"
        )
    assert run.returncode == 4, run.stdout + run.stderr
    assert f"pulls from {reader.stream}/registrar" in run.stderr


@pytest.fixture
def started(project: Path) -> Iterator[Callable[[], "subprocess.Popen[str]"]]:
    """Start a run in the background and return once events flow."""
    processes = []

    def start() -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [*TWIN, "run", "scenarios/tiny.yaml"],
            cwd=project,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        wait_for(lambda: list(project.glob("runs/*/journal/attempted.bin")), 60)
        assert children_of(project)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], object], deadline_s: float) -> None:
    """Return once the condition holds; fail after the deadline."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.01)


def test_killed_harness_leaves_no_process_and_an_invalid_folder(
    project: Path, started: Callable[[], "subprocess.Popen[str]"]
) -> None:
    """After kill -9 neither nats-server nor registrar lives, and judge says INVALID."""
    process = started()
    process.kill()
    process.wait(60)
    wait_for(lambda: not children_of(project), 60)
    judged = twin(project, "judge", str(run_folder(project)))
    assert judged.returncode == 3
    assert "not finished" in judged.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_stops_everything_and_exits_130(
    project: Path, started: Callable[[], "subprocess.Popen[str]"], number: signal.Signals
) -> None:
    """Ctrl-C and SIGTERM end the run, its children, and say so."""
    process = started()
    process.send_signal(number)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 130
    assert "nterrupted" in errors
    assert "Traceback" not in errors
    assert not children_of(project)
    assert twin(project, "judge", str(run_folder(project))).returncode == 3
