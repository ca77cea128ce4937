"""The built wheel works alone, in an empty folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_wheel_starts_a_project_and_runs_its_scenario(tmp_path: Path) -> None:
    """From the unpacked wheel alone, `twin init` and `twin run` end with PASS."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=240,
    )
    [wheel] = tmp_path.glob("*.whl")
    unpacked, project = tmp_path / "site", tmp_path / "project"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    project.mkdir()
    env = {**os.environ, "PYTHONPATH": str(unpacked)}
    for arguments in (
        ["init"],
        ["validate", "builtin:BotSpec", "builtin:patrol", "scenarios/first.yaml"],
        ["run", "scenarios/first.yaml", "--var", "bots=3"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "twin", *arguments],
            cwd=project,
            env=env,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        if arguments == ["init"]:
            first = project / "scenarios" / "first.yaml"
            text = first.read_text().replace("<500ms", "<60s").replace("<1500ms", "<60s")
            first.write_text(f"{text}limits: {{max_slip_p99_ms: 10000}}\n")
    where = subprocess.run(
        [sys.executable, "-c", "import twin; print(twin.__file__)"],
        cwd=project,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.startswith(str(unpacked))
