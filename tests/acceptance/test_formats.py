"""What older versions wrote is still opened: scenario, spec, run folder, result, audit store."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import get_args

import pytest
from in_process import twin_apart
from pydantic import BaseModel

from twin.registrar.schema import READABLE, SCHEMA_VERSION
from twin.report.compare import Bench
from twin.scenario.language.model import Scenario
from twin.spec.bot import BotSpec
from twin.spec.yaml import read_document
from twin.verdict.manifest import Manifest
from twin.verdict.result import Result

DATA = Path(__file__).parent.parent / "data"
RECORDED = DATA.parent.parent / "benchmarks" / "recorded"
FORMATS = sorted((DATA / "formats").iterdir())


def twin(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command line in a folder."""
    return twin_apart(folder, *arguments)


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


def test_a_run_with_other_payload_hashes_is_not_comparable(tmp_path: Path) -> None:
    """Replay of a folder from before XXH3 says so instead of calling the twin different: exit 3."""
    run = shutil.copytree(DATA / "formats" / "1" / "run", tmp_path / "run")
    done = twin(tmp_path, "replay", str(run), "--twin-only")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "payload_hash was unknown, here it is xxh3-64" in done.stdout


@pytest.mark.parametrize(
    ("model", "key", "samples"),
    [
        (Scenario, "schema_version", [path / "run" / "scenario.yaml" for path in FORMATS]),
        (BotSpec, "version", [path / "run" / "specs" / "scouts.yaml" for path in FORMATS]),
        (Manifest, "schema_version", [path / "run" / "manifest.json" for path in FORMATS]),
        (Result, "schema_version", [path / "run" / "result.json" for path in FORMATS]),
        (Bench, "schema_version", sorted(RECORDED.glob("*.json"))),
    ],
    ids=["scenario", "spec", "run folder", "result", "benchmark"],
)
def test_every_version_that_is_read_has_a_file_that_was_written_by_it(
    model: type[BaseModel], key: str, samples: list[Path]
) -> None:
    """A new version without a kept file of the old one, or of itself, is told here."""
    known = set(get_args(model.model_fields[key].annotation))
    assert known
    assert {read_document(path).value[key] for path in samples} == known


def test_every_older_schema_of_the_store_has_a_kept_store() -> None:
    """The tests of the registrar open each of them, read it and go on with it."""
    assert tuple(range(1, SCHEMA_VERSION + 1)) == READABLE
    kept = {int(path.stem.rpartition("_v")[2]) for path in DATA.glob("registrar_store_v*.sql")}
    assert kept == set(READABLE[:-1])
