"""`twin spec generate` and `twin spec defaults`, as a user or a pipeline types them."""

import json
import subprocess
from pathlib import Path

import pytest
from in_process import twin_here

ROOT = Path(__file__).parent.parent.parent
NAMES = sorted(path.stem for path in (ROOT / "specs").glob("*.yaml"))


def twin(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return twin_here(ROOT, *arguments)


def test_configs_are_written_and_checked(tmp_path: Path) -> None:
    """Generated files are current at once; after an edit the check shows it and exits with 1."""
    written = twin("spec", "generate", "specs/BotSpec.yaml", "-o", tmp_path)
    assert written.returncode == 0, written.stderr
    config = json.loads((tmp_path / "bot_config.json").read_text())
    assert config["bot_id"] == "QIKI-DODECA-01"
    check = ("spec", "generate", "specs/BotSpec.yaml", "-o", tmp_path, "--check")
    current = twin(*check)
    assert (current.returncode, current.stderr) == (0, "")
    assert current.stdout == f"{tmp_path}: 15 files are current\n"

    stream = tmp_path / "streams" / "QIKI_RADAR_V1.json"
    stream.write_text(stream.read_text().replace("10485760", "1048576"))
    drifted = twin(*check)
    assert drifted.returncode == 1
    assert '-  "max_bytes": 1048576,' in drifted.stdout
    assert '+  "max_bytes": 10485760,' in drifted.stdout
    assert json.loads(stream.read_text())["max_bytes"] == 1048576


def test_another_spec_is_a_difference_too(tmp_path: Path) -> None:
    """Configs of one bot do not pass for those of another."""
    assert twin("spec", "generate", "builtin:scout", "-o", tmp_path).returncode == 0
    result = twin("spec", "generate", "builtin:hauler", "-o", tmp_path, "--check")
    assert result.returncode == 1
    assert '-  "bot_id": "QIKI-SCOUT-01",' in result.stdout


def test_left_over_files_are_named_and_not_deleted(tmp_path: Path) -> None:
    """A stream that the spec no longer has stays on disk, and is spoken of until it is gone."""
    old = tmp_path / "streams" / "OLD.json"
    old.parent.mkdir()
    old.write_text("{}\n")
    result = twin("spec", "generate", "builtin:rover", "-o", tmp_path)
    assert result.returncode == 0
    assert f"{old} belongs to no stream or consumer of the spec: delete it" in result.stdout
    assert old.is_file()
    assert twin("spec", "generate", "builtin:rover", "-o", tmp_path, "--check").returncode == 1
    old.unlink()
    assert twin("spec", "generate", "builtin:rover", "-o", tmp_path, "--check").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.yaml", "-o", "x"), "none.yaml: cannot be read: No such file or directory"),
        (("builtin:BotSpek", "-o", "x"), "did you mean 'BotSpec'?"),
        (("builtin:BotSpec", "-o", "/dev/null/x"), "cannot write /dev/null"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: tuple[str, ...], message: str) -> None:
    """A bad spec or folder is exit code 2 with one plain sentence."""
    result = twin("spec", "generate", *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_the_printed_defaults_are_a_valid_spec(tmp_path: Path) -> None:
    """What `twin spec defaults` prints can be saved, changed and validated."""
    spec = tmp_path / "bot.yaml"
    spec.write_text(twin("spec", "defaults").stdout)
    assert twin("validate", spec).returncode == 0
