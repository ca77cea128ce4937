"""The shipped lag scenarios: each status is shown by its own situation, and by no other."""

import asyncio
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from lag_witness import Reading, Witness

from twin.spec.yaml import read_text

ROOT = Path(__file__).parent.parent.parent
TWIN = Path(sys.executable).with_name("twin")
MONOTONE = ("delivered_seq", "ack_floor", "first_seq", "last_seq")


def loaded(path: Path) -> Any:
    """Return what a scenario file says."""
    return read_text(path.read_text()).value


LAG = sorted(
    path for path in ROOT.glob("scenarios/*.yaml") if "lag" in (loaded(path).get("tags") or ())
)


@pytest.mark.parametrize("path", LAG, ids=lambda path: path.stem)
async def test_a_lag_scenario_shows_its_status_and_passes(path: Path, tmp_path: Path) -> None:
    """PASS, its status and no other in time and cured, and counters that the server tells, too."""
    scenario = loaded(path)
    witness = Witness(tmp_path / "last", scenario["consumers"]["worker"]["stream"], "worker")
    done, _ = await asyncio.gather(
        asyncio.to_thread(
            subprocess.run,
            [TWIN, "run", path, "--out", tmp_path, "--json"],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        ),
        asyncio.wait_for(witness.watch(), 110),
    )
    result = json.loads(done.stdout)
    samples = (tmp_path / "last" / "lag.jsonl").read_text()
    assert (result["reasons"], done.returncode) == ([], 0), samples
    [lag] = [one for one in result["expectations"] if one["name"].startswith("lag of")]
    assert lag["ok"] is True
    watched = {one["role"]: one for one in result["lag"]}
    assert watched["worker"]["drained"] is True
    assert result["totals"]["acknowledged"] == result["totals"]["generated"]
    rows = [json.loads(line) for line in samples.splitlines()]
    told = [row for row in rows if row["role"] == "worker"]
    status = scenario["expect"][0]["lag"]["status"]
    assert {row["status"] for row in told} == {"OK", status}
    compared = [
        row["status"]
        for row, following in pairwise(told)
        if as_the_server_says(row, witness.around(row["wall_ns"], following["wall_ns"]))
    ]
    assert compared.count(status) >= 2
    assert compared.count("OK") >= 4


def as_the_server_says(row: dict[str, Any], readings: list[Reading]) -> bool:
    """Compare a row with what the server said around it; False when it was not asked then."""
    if not readings:
        return False
    there = [one.counters for one in readings if one.consumer]
    if row["error"] is not None:
        assert len(there) < len(readings), row
        return True
    assert there, row
    for name in MONOTONE:
        seen = [counters[name] for counters in there]
        assert min(seen) <= row[name] <= max(seen), (name, row, seen)
    assert readings[0].given_up <= row["exhausted"] + row["terminated"], row
    assert row["exhausted"] + row["terminated"] <= readings[-1].given_up, row
    if all(counters == there[0] for counters in there):
        assert {name: row[name] for name in there[0]} == there[0]
    return True


def test_nine_situations_are_shipped() -> None:
    """None has been lost."""
    assert len(LAG) == 9


def test_a_policy_halves_the_flood(tmp_path: Path) -> None:
    """The same overload with the policy: far fewer events wait for the broker at once."""
    waiting = {}
    for name in ("overload", "overload-policy"):
        done = subprocess.run(
            [
                *(TWIN, "run", ROOT / "scenarios" / f"{name}.yaml", "--out", tmp_path / name),
                *("--var", "bots=25"),
            ],
            capture_output=True,
            timeout=110,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        rows = (tmp_path / name / "last" / "samples" / "metrics.jsonl").read_text().splitlines()
        waiting[name] = max(json.loads(row)["publish"]["waiting"] for row in rows)
    assert waiting["overload-policy"] < 0.7 * waiting["overload"]
