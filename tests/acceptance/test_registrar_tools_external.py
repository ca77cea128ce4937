"""Other people's tools read a store: the commands that the docs give, as they are written there."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from in_process import twin_apart

ROOT = Path(__file__).parent.parent.parent
PYTHON = ROOT / ".tools" / "python"
PATH = os.pathsep.join([str(PYTHON / "bin"), os.environ["PATH"]])
COMMAND = re.compile(r"^(?:sqlite3|datasette|duckdb) (?:.*\\\n)*.*$", re.MULTILINE)
PAGES = (ROOT / "docs" / "operate-the-registrar.md", ROOT / "docs" / "registrar.md")
COMMANDS = [one for page in PAGES for one in COMMAND.findall(page.read_text())]
EVENTS = ["--get", "/segment-000001/audit.csv?_size=max"]
SCENARIO = """schema_version: 1
name: audited
fleet: {crew: {count: 3}}
phases: [{name: steady, duration: 4s}]
limits: {max_slip_p99_ms: 10000}
"""
pytestmark = [pytest.mark.external]


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the store of a run and its export, under the names that the docs use."""
    folder = tmp_path_factory.mktemp("audited")
    (folder / "audited.yaml").write_text(SCENARIO)
    for command in (
        ["run", "audited.yaml", "--out", "runs"],
        ["registrar", "export", "--store", "runs/last/registrar", "-o", "audit.parquet"],
    ):
        done = twin_apart(folder, *command)
        assert done.returncode == 0, done.stdout + done.stderr
    (folder / "audit").symlink_to("runs/last/registrar")
    return folder


def test_the_docs_name_three_tools() -> None:
    """None has been lost."""
    assert {one.split()[0] for one in COMMANDS} == {"sqlite3", "datasette", "duckdb"}


@pytest.mark.parametrize("command", COMMANDS)
def test_other_tools_read_a_store(command: str, audited: Path) -> None:
    """The command works as it is written; Datasette, which serves, is asked for one page."""
    tool, *arguments = shlex.split(command)
    found = shutil.which(tool, path=PATH)
    assert found, f"{tool} is missing: run .ci/tools"
    done = subprocess.run(
        [found, *arguments, *(EVENTS if tool == "datasette" else [])],
        cwd=audited,
        env=os.environ | {"PYTHONPATH": str(PYTHON), "HOME": str(audited)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    if ".backup" in command:
        assert (audited / "copy.sqlite").read_bytes().startswith(b"SQLite format 3")
    elif "severity = 'ERROR'" in command:
        assert "event_time" in done.stdout
    else:
        assert "BOOT_OK" in done.stdout or "POWER" in done.stdout, done.stdout[:1000]
