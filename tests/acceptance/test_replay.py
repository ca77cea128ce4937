"""`twin replay` lives a recorded run again from its folder alone."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from in_process import twin_apart

from twin.verdict.journal import ATTEMPT
from twin.verdict.manifest import Manifest

SCENARIO = """
schema_version: 1
name: eventful
seed: 5
pace: fast
fleet:
  patrol: {count: 4, start: {power.soc_pct: {uniform: [30, 60]}}}
phases:
  - {name: calm, duration: 6s}
  - {name: busy, duration: 6s, load: {stages: [{duration: 4s, target: 3x}]}}
events:
  - {at: 3s, do: {fault: sensor.noise, sensor: imu, sd: 2, on: {fraction: 0.5}, for: 4s}}
  - {when: "fleet.patrol.power.soc_pct.p50 < 60", do: {fault: thermal.heater, for: 5s}}
"""

PRESSED = """
schema_version: 1
name: pressed
seed: 8
fleet:
  scouts:
    count: 10
    spec: builtin:scout
    policy: {above: 300ms, below: 100ms, window: 8, sample_down: 4}
phases:
  - {name: boot, duration: 5s, measure: false}
  - {name: steady, duration: 6s}
events:
  - {at: 6s, do: {fault: broker.pause, for: 2s}}
limits: {max_slip_p99_ms: 10000}
"""


def twin(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run the command line."""
    return twin_apart(cwd, *arguments)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with malfunctions by time and by condition."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "eventful.yaml").write_text(SCENARIO)
    done = twin("run", "eventful.yaml", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    run = (folder / "runs" / "last").resolve()
    assert "condition" in (run / "inputs.jsonl").read_text()
    return run


def test_the_twin_is_the_same_to_the_bit_and_the_broker_gives_the_same_verdict(
    recorded: Path, tmp_path: Path
) -> None:
    """A copy of the folder elsewhere is enough, without the scenario's file."""
    shutil.copytree(recorded, tmp_path / "run")
    done = twin("replay", "run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["twin"]["same"]
    assert found["twin"]["replayed_digest"] == Manifest.load(recorded).digest
    assert found["broker"]["verdict"] == found["broker"]["recorded_verdict"] == "PASS"
    again = tmp_path / "runs" / found["broker"]["run_id"]
    assert Manifest.load(again).digest == found["twin"]["recorded_digest"]


def test_the_first_divergence_is_named(recorded: Path, tmp_path: Path) -> None:
    """A journal that says otherwise is told by event and time."""
    run = shutil.copytree(recorded, tmp_path / "run")
    table = np.fromfile(run / "journal" / "attempted.bin", ATTEMPT)
    table["hash"][[20, 40]] += 1
    table.tofile(run / "journal" / "attempted.bin")
    Manifest.load(run).sealed(run).save(run)
    done = twin("replay", "run", "--twin-only", "--json", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    divergence = json.loads(done.stdout)["twin"]["divergence"]
    sources = [json.loads(one) for one in (run / "journal/sources.jsonl").read_text().splitlines()]
    bot = sources[int(table["source"][20])]["bot"]
    assert divergence.startswith(f"{bot}/")
    assert f"/{table['seq'][20]} at {table['sim_ns'][20] / 1e9:.3f} s" in divergence


def test_an_edited_folder_is_not_replayed(recorded: Path, tmp_path: Path) -> None:
    """Specs and scenario are under the seal: a changed one is named, with exit 3."""
    run = shutil.copytree(recorded, tmp_path / "run")
    spec = run / "specs" / "patrol.yaml"
    spec.write_text(spec.read_text() + "\n")
    done = twin("replay", "run", cwd=tmp_path)
    assert done.returncode == 3
    assert "specs/patrol.yaml" in done.stderr


def test_decisions_of_a_policy_are_replayed(tmp_path: Path) -> None:
    """What bots held back while the broker was slow is held back again."""
    (tmp_path / "pressed.yaml").write_text(PRESSED)
    done = twin("run", "pressed.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"policy"' in (tmp_path / "runs" / "last" / "inputs.jsonl").read_text()
    done = twin("replay", "runs/last", "--twin-only", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["twin"]["same"]
