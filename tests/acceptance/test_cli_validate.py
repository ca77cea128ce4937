"""`twin validate` and `twin spec schema`, as a user types them."""

import json
import subprocess
from pathlib import Path

import pytest
from in_process import twin_here

ROOT = Path(__file__).parent.parent.parent


def twin(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return twin_here(cwd, *arguments)


def test_everything_that_we_ship_is_valid() -> None:
    """All shipped specs and scenarios are good, by path."""
    files = sorted([*ROOT.glob("specs/*.yaml"), *ROOT.glob("scenarios/*.yaml")])
    assert files
    result = twin("validate", *files)
    assert result.stdout.splitlines() == [f"{file}: ok" for file in files]
    assert (result.returncode, result.stderr) == (0, "")


def test_every_problem_of_every_file_is_printed(tmp_path: Path) -> None:
    """Faults of several files come in one go as file:line:col, and the exit code is 2."""
    spec = tmp_path / "bot.yaml"
    text = (ROOT / "tests/data/platform_botspec.yaml").read_text()
    spec.write_text(text.replace("  lidar:", "  lidra:").replace("type: dc_bus", "type: ac_bus"))
    scenario = tmp_path / "first.yaml"
    scenario.write_text("schema_version: 1\nname: first\nphasis: []\n")
    result = twin("validate", spec, scenario, "builtin:BotSpec", tmp_path / "none.yaml")
    lines = result.stdout.splitlines()
    assert result.returncode == 2
    assert result.stderr == ""
    assert lines[0].startswith(f"{spec}:6:17: 'ac_bus' is not known here; did you mean 'dc_bus'?")
    assert f"{spec}:26:3: unknown key 'lidra'; did you mean 'lidar'?" in lines
    assert f"{scenario}:3:1: unknown key 'phasis'; did you mean 'phases'?" in lines
    assert "builtin:BotSpec: ok" in lines
    assert lines[-1] == f"{tmp_path}/none.yaml: cannot be read: No such file or directory"


def test_problems_can_be_read_by_a_program(tmp_path: Path) -> None:
    """`--json` gives the problems of each file, with their positions."""
    bad = tmp_path / "bad.yaml"
    bad.write_text("kind: BotSpec\nkind: BotSpec\n")
    result = twin("validate", "--json", bad, "builtin:BotSpec")
    assert result.returncode == 2
    assert json.loads(result.stdout) == {
        "files": {
            str(bad): [
                {
                    "file": str(bad),
                    "line": 2,
                    "column": 1,
                    "message": "the key 'kind' is already set in line 1",
                }
            ],
            "builtin:BotSpec": [],
        }
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: is neither a spec (`kind: BotSpec`) nor a scenario (`schema_version: 1`)"),
        ("rules: []", "1:1: is neither a spec"),
        ("- kind: BotSpec", "1:1: is neither a spec"),
        ("kind: Deployment\nspec: {}", "1:7: 'Deployment' is not known here"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    """A file of some other sort is told so, without a traceback."""
    path = tmp_path / "f.yaml"
    path.write_text(text)
    result = twin("validate", path)
    assert result.returncode == 2
    assert f"{path}:{message}" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


def test_committed_schemas_are_current(tmp_path: Path) -> None:
    """The schemas beside the shipped specs are what `twin spec schema` writes today."""
    assert twin("spec", "schema", "--out", tmp_path).returncode == 0
    for path in sorted(tmp_path.iterdir()):
        committed = ROOT / "specs" / "schema" / path.name
        hint = "run: twin spec schema -o specs/schema"
        assert path.read_text() == committed.read_text(), hint


@pytest.mark.parametrize("folder", ["specs", "scenarios"])
def test_shipped_files_name_their_schema(folder: str) -> None:
    """Line 1 of every shipped file tells editors a schema that exists."""
    for file in (ROOT / folder).glob("*.yaml"):
        first = file.read_text().splitlines()[0]
        assert first.startswith("# yaml-language-server: $schema=")
        assert (file.parent / first.partition("$schema=")[2]).is_file(), file
