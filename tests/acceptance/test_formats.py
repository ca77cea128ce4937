"""What older versions wrote is still opened: scenario, spec, run folder, result, audit store."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FORMATS = sorted((Path(__file__).parent.parent / "data" / "formats").iterdir())


def twin(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command line in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "twin", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("version", FORMATS, ids=lambda path: path.name)
def test_everything_of_a_format_is_opened(version: Path, tmp_path: Path) -> None:
    """Validated, judged to the same verdict, queried, verified."""
    run = shutil.copytree(version / "run", tmp_path / "run")
    specs = [str(path) for path in (run / "specs").glob("*.yaml")]
    for arguments in (
        ["validate", "run/scenario.yaml", *specs],
        ["registrar", "verify", "--store", "run/registrar"],
    ):
        done = twin(tmp_path, *arguments)
        assert done.returncode == 0, f"{arguments}\n{done.stdout}{done.stderr}"
    before = json.loads((run / "result.json").read_bytes())
    after = json.loads(twin(tmp_path, "judge", "run", "--json").stdout)
    assert (after["verdict"], after["reasons"]) == (before["verdict"], before["reasons"])
    assert after["totals"] == before["totals"]
    query = ["registrar", "query", "--store", "run/registrar", "--code", "101", "--format", "json"]
    rows = twin(tmp_path, *query)
    assert rows.stdout.count('"BOOT_OK"') == 2, rows.stdout + rows.stderr
