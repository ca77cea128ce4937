"""The shipped lag scenarios: each status is shown by its own situation, and by no other."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from twin.spec.yaml import read_text

ROOT = Path(__file__).parent.parent.parent
TWIN = Path(sys.executable).with_name("twin")
LAG = sorted(
    path
    for path in ROOT.glob("scenarios/*.yaml")
    if "lag" in (read_text(path.read_text()).value.get("tags") or ())
)


@pytest.mark.parametrize("path", LAG, ids=lambda path: path.stem)
def test_a_lag_scenario_shows_its_status_and_passes(path: Path, tmp_path: Path) -> None:
    """PASS, the expectation on the status met, and every event of the fleet accounted for."""
    done = subprocess.run(
        [TWIN, "run", path, "--out", tmp_path, "--json"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    result = json.loads(done.stdout)
    samples = (tmp_path / "last" / "lag.jsonl").read_text()
    assert (result["reasons"], done.returncode) == ([], 0), samples
    [lag] = [one for one in result["expectations"] if one["name"].startswith("lag of")]
    assert lag["ok"] is True
    watched = {one["role"]: one for one in result["lag"]}
    assert watched["worker"]["drained"] is True
    assert result["totals"]["acknowledged"] == result["totals"]["generated"]


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
