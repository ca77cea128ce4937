"""The shipped scenarios of faults: each fault fires, and what they teach holds."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
TWIN = Path(sys.executable).with_name("twin")


def run(scenario: str | Path, out: Path) -> tuple[dict[str, Any], Path]:
    """Run a scenario, and return its result and its run folder."""
    done = subprocess.run(
        [TWIN, "run", scenario, "--out", out, "--json"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout), (out / "last").resolve()


def written(folder: Path, events: str, more: str = "") -> Path:
    """Write a short scenario with these events."""
    file = folder / "scenarios" / "short.yaml"
    file.parent.mkdir()
    file.write_text(
        "schema_version: 1\nname: short\nfleet: {scouts: {count: 5, spec: 'builtin:scout'}}\n"
        "phases: [{name: boot, duration: 3s, measure: false}, {name: steady, duration: 4s}]\n"
        "limits: {max_slip_p99_ms: 1000}\ndrain_timeout: 6s\n"
        f"events:\n{events}\n{more}\n"
    )
    return file


def test_bots_on_a_slow_network_get_everything_through(tmp_path: Path) -> None:
    """Under latency of the network publishing takes long, and all arrives in the end."""
    result, _ = run(ROOT / "scenarios" / "slow-network.yaml", tmp_path)
    assert result["reasons"] == []
    [fault] = result["faults"]
    assert fault["outcome"] == "fired"
    assert fault["healed_ns"] - fault["fired_ns"] > 4.5e9


def test_bots_on_a_flaky_network_lose_nothing(tmp_path: Path) -> None:
    """Resets of bots and registrar cost neither events nor order."""
    result, _ = run(ROOT / "scenarios" / "flaky-network.yaml", tmp_path)
    assert result["reasons"] == []
    hits = [int(fault["detail"].split()[1]) for fault in result["faults"]]
    assert hits[0] >= 4
    assert hits[1] == 1


def test_a_fault_hits_the_client_that_it_names(tmp_path: Path) -> None:
    """With the registrar's network down bots publish on, and the registrar falls behind."""
    file = written(
        tmp_path,
        "  - {at: 4s, do: {fault: net.down, client: registrar, for: 2s}}",
        "thresholds: {publish_latency: [p(90)<500ms], end_to_end_latency: [max>1500ms]}",
    )
    result, _ = run(file, tmp_path / "runs")
    assert result["reasons"] == []


def test_a_toxic_without_traffic_makes_the_run_invalid(tmp_path: Path) -> None:
    """A limit that no connection reached did not fire: INVALID, and it says so."""
    file = written(tmp_path, "  - {at: 4s, do: {fault: net.limit_data, bytes: 100000000, for: 1s}}")
    result, _ = run(file, tmp_path / "runs")
    assert result["verdict"] == "INVALID"
    [reason] = result["reasons"]
    assert "net.limit_data failed: nothing of bots" in reason["message"]
