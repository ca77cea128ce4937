"""`twin capacity` finds the limit of a service that is slow on purpose, and names it."""

import json
import shutil
import subprocess
from pathlib import Path

from in_process import twin_apart

HERE = Path(__file__).parent
LIMIT, BOTS = 35, 10
SCENARIO = f"""
schema_version: 1
name: slow
fleet: {{patrol: {{count: {BOTS}, spec: builtin:scout}}}}
phases:
  - {{name: boot, duration: 4s, measure: false}}
  - {{name: steady, duration: 8s}}
services:
  slow: {{command: [python, slow_service.py, {LIMIT}], ready: {{consumer: QIKI_TELEMETRY_V1/slow}}}}
watch:
  slow: {{stream: QIKI_TELEMETRY_V1, durable: slow}}
thresholds:
  consumer_backlog{{consumer:slow}}: [p(90)<40]
limits: {{max_slip_p99_ms: 10000}}
"""


def capacity(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Ask for the capacity of the scenario in a folder."""
    (folder / "slow.yaml").write_text(SCENARIO)
    shutil.copy(HERE / "slow_service.py", folder)
    return twin_apart(folder, "capacity", "slow.yaml", *arguments)


def test_the_limit_of_a_slow_service_is_found_and_named(tmp_path: Path) -> None:
    """Telemetry comes once per second and bot: 35 a second are three and a half times ten bots.

    Of the three loads, one is well below, one well above, and one so near that it may go both ways.
    """
    done = capacity(tmp_path, "--start", "2.5", "--tolerance", "0.5", "--repeats", "1", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    low, high = found["passed"], found["failed"]
    assert 2.5 <= low < high <= 5.0
    assert high / low <= 1.5
    assert low / 1.1 < LIMIT / BOTS < high * 1.1
    assert (found["limit"]["kind"], found["limit"]["name"]) == ("service", "slow")
    assert len(found["trials"]) == 3


def test_a_scenario_that_nothing_could_break_is_refused(tmp_path: Path) -> None:
    """Without thresholds there is no too much; a search needs room."""
    done = capacity(tmp_path, "--start", "4", "--most", "2")
    assert done.returncode == 2
    assert "--most 2 is less than --start 4" in done.stderr
    (tmp_path / "bare.yaml").write_text(SCENARIO.partition("thresholds:")[0])
    done = twin_apart(tmp_path, "capacity", "bare.yaml")
    assert done.returncode == 2
    assert "has no thresholds" in done.stderr
