"""The containers, as docker compose, hadolint and Prometheus read them."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml
from rehearsal import Rehearsal
from test_containers import checkout

__all__ = ["checkout"]

ROOT = Path(__file__).parent.parent.parent
PATHS = [ROOT / ".tools" / "python" / "bin", ROOT / ".tools" / "usr" / "bin"]
PATH = os.pathsep.join([*map(str, PATHS), os.environ["PATH"]])
DEADLINE_S = 30.0
pytestmark = [pytest.mark.external]


def tool(name: str) -> str:
    """Return where a program is; its absence is a failure, not a skip."""
    found = shutil.which(name, path=PATH)
    assert found, f"{name} is missing: run .ci/tools"
    return found


def compose(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run docker compose, which needs no engine to read its file."""
    return subprocess.run(
        [tool("docker-compose"), "--profile", "*", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_docker_compose_takes_the_file(checkout: Path) -> None:
    """`docker compose config` accepts it and resolves what each service needs."""
    done = compose(checkout, "config", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    services = json.loads(done.stdout)["services"]
    assert set(services) == set(yaml.safe_load((ROOT / "compose.yaml").read_text())["services"])
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service.get("user", "nobody") not in ("root", "0", "0:0"), name
        assert all(port["host_ip"] == "127.0.0.1" for port in service.get("ports", [])), name
        secrets = {one["source"] for one in service.get("secrets", [])}
        assert len(secrets) <= 1, f"{name} needs one secret at most, not {secrets}"
        assert not any(
            "PASSWORD" in key and "__FILE" not in key for key in service.get("environment", {})
        )
        checked = service.get("healthcheck", {})
        assert checked.get("test") or checked.get("disable"), name


@pytest.mark.parametrize(
    ("change", "to"),
    [("condition: service_healthy", "condition: service_happy"), ("    depends_on:", "    after:")],
)
def test_docker_compose_refuses_a_file_that_is_wrong(
    checkout: Path, tmp_path: Path, change: str, to: str
) -> None:
    """The check above can fail: a condition and a key that do not exist are refused."""
    text = (checkout / "compose.yaml").read_text()
    (tmp_path / "compose.yaml").write_text(text.replace(change, to, 1))
    assert compose(tmp_path, "config", "--quiet").returncode != 0


def test_compose_file_follows_the_specification() -> None:
    """The JSON Schema of the Compose Specification finds nothing wrong."""
    program = Path(sys.executable).parent / "check-jsonschema"
    done = subprocess.run(
        [program, "--builtin-schema", "vendor.compose-spec", ROOT / "compose.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    """No rule is ignored."""
    done = subprocess.run(
        [tool("hadolint"), ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_prometheus_of_the_stack_scrapes_every_service(checkout: Path, tmp_path: Path) -> None:
    """With its own command line and configuration, all its targets are up and its rules loaded."""
    os.environ["PATH"] = PATH
    with Rehearsal.of(checkout, tmp_path, prometheus="prometheus") as stack:
        stack.up("prometheus")
        base = f"http://{stack.url('prometheus', 9090)}/api/v1"
        end = time.monotonic() + DEADLINE_S
        up: dict[str, str] = {}
        while list(up.values()) != ["up"] * 3:
            assert time.monotonic() < end, f"{up} {stack.said('prometheus')[-2000:]}"
            assert stack.processes["prometheus"].poll() is None, stack.said("prometheus")
            time.sleep(0.3)
            try:
                found = ask(f"{base}/targets")["activeTargets"]
            except OSError:
                continue
            up = {one["labels"]["job"]: one["health"] for one in found}
        assert set(up) == {"twin-lag", "twin-registrar", "twin-fleet"}
        assert len(ask(f"{base}/rules")["groups"]) > 0


def ask(url: str) -> dict[str, list[dict[str, dict[str, str]]]]:
    """Return the data of an answer of Prometheus' API."""
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own Prometheus
        data: dict[str, list[dict[str, dict[str, str]]]] = json.load(answer)["data"]
    return data


def test_the_image_is_built_from_hashed_locks(tmp_path: Path) -> None:
    """The RUN lines of the build stage, carried out here, give a program that knows its version."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    build = text.partition("\nFROM ")[2].partition("\nFROM ")[0]
    steps = re.findall(r"^RUN (.*)$", build, re.MULTILINE)
    assert len(steps) == 2
    source = tmp_path / "src"
    source.mkdir()
    for name in (
        "requirements.lock",
        "requirements-build.lock",
        "pyproject.toml",
        "README.md",
        "LICENSE",
    ):
        shutil.copy(ROOT / name, source)
    for name in ("specs", "scenarios", "twin"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for step in steps:
        assert "--require-hashes" in step or "--no-deps" in step
        command = step.replace("/opt/", f"{tmp_path}/opt/")
        done = subprocess.run(
            ["/bin/sh", "-ec", command], cwd=source, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    program = tmp_path / "opt" / "twin" / "bin" / "twin"
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("twin "), done.stderr
    assert (program.parent / "nats-server").is_file()
