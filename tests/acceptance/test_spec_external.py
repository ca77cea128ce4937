"""Programs of others accept what we generate: the AsyncAPI parser, the YAML language server."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from twin.configs.asyncapi import asyncapi
from twin.spec.builtin import builtin_names
from twin.spec.load import load_spec

pytestmark = [pytest.mark.external, pytest.mark.timeout(600)]

ROOT = Path(__file__).parent.parent.parent
PROJECT = ROOT / "tests" / "external" / "node"
Node = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """Install the locked packages into a folder of its own; return how to run a script there."""
    folder = tmp_path_factory.mktemp("node")
    for path in PROJECT.glob("*.js*"):
        shutil.copy(path, folder)
    install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(install, cwd=folder, check=True, capture_output=True, timeout=200)

    def run(script: str, *files: Path) -> subprocess.CompletedProcess[str]:
        command = ["node", script, *map(str, files)]
        return subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=200, check=False
        )

    return run


def test_generated_asyncapi_documents_are_valid(node: Node, tmp_path: Path) -> None:
    """The shipped specs, one in the layout fleet too, have valid AsyncAPI 3 documents."""
    specs = {name: load_spec(f"builtin:{name}") for name in builtin_names("specs")}
    bus = specs["scout"].event_bus.model_copy(update={"layout": "fleet"})
    specs["scout"] = specs["scout"].model_copy(update={"event_bus": bus})
    paths = [tmp_path / f"{name}.json" for name in specs]
    for path, spec in zip(paths, specs.values(), strict=True):
        path.write_text(asyncapi(spec))
    result = node("asyncapi.js", *paths)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count(" channels") == len(paths)


def test_the_asyncapi_parser_would_object(node: Node, tmp_path: Path) -> None:
    """A document with a reference into nowhere is refused: the check can fail."""
    document = json.loads(asyncapi(load_spec("builtin:rover")))
    document["operations"]["send_gps"]["channel"]["$ref"] = "#/channels/none"
    path = tmp_path / "asyncapi.json"
    path.write_text(json.dumps(document))
    assert node("asyncapi.js", path).returncode == 1


def test_editors_accept_the_shipped_files(node: Node) -> None:
    """The YAML language server finds the schema named in line 1, and nothing to complain of."""
    files = sorted([*(ROOT / "specs").glob("*.yaml"), *(ROOT / "scenarios").glob("*.yaml")])
    result = node("yaml.js", *files)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.splitlines() == [f"{file}: ok" for file in files]


@pytest.mark.parametrize(
    ("good", "bad", "complaint"),
    [
        ("cruise_mps", "cruse_mps", "Property cruse_mps is not allowed."),
        ("type: dc_bus", "type: ac_bus", 'Value must be "dc_bus".'),
        ("- NavState", "- NavStat", "Array does not contain required item."),
        ("  shields:", "  lidar:", 'Missing property "shields".'),
        ("propellant_kg: 6", "propellant_kg: -6", "Value is below the minimum of 0."),
    ],
)
def test_editors_see_mistakes(
    node: Node, tmp_path: Path, good: str, bad: str, complaint: str
) -> None:
    """What `twin validate` refuses is underlined while it is written."""
    shutil.copytree(ROOT / "specs" / "schema", tmp_path / "schema")
    path = tmp_path / "scout.yaml"
    text = (ROOT / "specs" / "scout.yaml").read_text()
    assert good in text
    path.write_text(text.replace(good, bad, 1))
    result = node("yaml.js", path)
    assert result.returncode == 1
    assert complaint in result.stdout
