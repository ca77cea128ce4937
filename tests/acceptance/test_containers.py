"""The containers, as far as they can be checked without an engine for them."""

import json
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from rehearsal import Rehearsal, RehearsalFailed

ROOT = Path(__file__).parent.parent.parent
TWIN = Path(sys.executable).parent / "twin"
ROLES = ("bot", "fleet", "operator", "registrar", "lag", "provisioner", "smoke")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `docker compose` is run in: the files of the repository, and fresh secrets."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("compose.yaml", "Dockerfile"):
        shutil.copy(ROOT / name, folder)
    for name in ("deploy/prometheus", "deploy/grafana", "specs"):
        shutil.copytree(ROOT / name, folder / name)
    command = ["spec", "generate", "specs/BotSpec.yaml", "-o", "deploy/generated"]
    subprocess.run(
        [TWIN, *command, "--secrets", "deploy/secrets"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    (folder / "deploy" / "secrets" / "grafana-password").write_text("made up")
    return folder


@pytest.fixture(scope="module")
def stack(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """All services of our image, up in the declared order."""
    with Rehearsal.of(checkout, tmp_path_factory.mktemp("stack")) as rehearsal:
        rehearsal.up()
        for name in ("registrar", "lag", "fleet"):
            rehearsal.await_condition(name, "service_healthy")
        yield rehearsal


def changed(checkout: Path, folder: Path, change: str, to: str) -> Rehearsal:
    """Return a rehearsal of a compose file in which one thing is different."""
    root = folder / "checkout"
    shutil.copytree(checkout, root)
    text = (root / "compose.yaml").read_text()
    assert text.count(change) == 1, change
    (root / "compose.yaml").write_text(text.replace(change, to))
    (folder / "stack").mkdir()
    return Rehearsal.of(root, folder / "stack")


def metric(rehearsal: Rehearsal, name: str, port: int, series: str, **labels: str) -> float:
    """Return a series of a service, added up over the labels that are not given."""
    url = f"http://{rehearsal.url(name, port)}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == series and labels.items() <= sample.labels.items()
    )


def test_the_stack_comes_up_and_its_smoke_is_green(stack: Rehearsal) -> None:
    """Started as declared, with the generated users, `smoke` finds nothing wrong, twice."""
    for attempt in (1, 2):
        stack.processes.pop("smoke", None)
        done = stack.run("smoke")
        assert done.returncode == 0, f"{attempt}: {done.stdout}"
        assert "11 ok, 2 not checked" in done.stdout, done.stdout


def test_what_the_fleet_publishes_is_recorded(stack: Rehearsal) -> None:
    """Everything is acknowledged, nothing refused, and the registrar has all of it soon."""
    end = time.monotonic() + 60
    seen = ("registrar", 9100, "registrar_events_total")
    while metric(stack, *seen) < 500:
        assert time.monotonic() < end, stack.said("registrar")
        time.sleep(0.2)
    published = ("fleet", 9778, "twin_fleet_events_total")
    assert metric(stack, *published, outcome="acknowledged") > 400
    assert metric(stack, *published, outcome="refused") == 0
    assert metric(stack, *published, outcome="unknown") == 0
    assert metric(stack, "lag", 9777, "twin_lag_connected") == 1


def test_each_user_may_do_its_work_and_no_more(stack: Rehearsal, checkout: Path) -> None:
    """`twin smoke --credentials` tries every role's secret against its permissions."""
    flags = [f"--credentials={role}={role}" for role in ROLES]
    done = subprocess.run(
        [
            TWIN,
            "smoke",
            "--nats",
            f"nats://{stack.url('nats', 4222)}",
            "--context=smoke",
            "--name=smoke",
            "--json",
            *flags,
        ],
        env={**stack.environment("smoke"), "XDG_CONFIG_HOME": str(checkout / "deploy" / "secrets")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert found["permissions"]["state"] == "ok", found["permissions"]


def test_no_service_tells_its_secret(stack: Rehearsal, checkout: Path) -> None:
    """Passwords are in no argument, no environment, no log and no page."""
    contexts = (checkout / "deploy" / "secrets" / "nats" / "context").glob("*.json")
    passwords = [json.loads(path.read_text())["password"] for path in contexts]
    assert len(passwords) >= len(ROLES)
    texts = [stack.said(name) for name in stack.processes]
    for process in stack.processes.values():
        for name in ("cmdline", "environ"):
            path = Path(f"/proc/{process.pid}/{name}")
            texts.append(path.read_text(errors="replace") if process.poll() is None else "")
    conf = (checkout / "deploy" / "secrets" / "nats-server.conf").read_text()
    assert conf.count('password: "$2a$') == len(passwords)
    for password in passwords:
        assert all(password not in text for text in [*texts, conf])


@pytest.mark.parametrize(
    ("change", "to", "sick"),
    [
        ("--context, provisioner]", "--context, registrar]", "provision"),
        (
            "source: registrar, target: /run/twin/nats/context/registrar.json",
            "source: fleet, target: /run/twin/nats/context/registrar.json",
            "registrar",
        ),
        ("http://127.0.0.1:9100/readyz", "http://127.0.0.1:9100/ready", "registrar"),
        ("http://127.0.0.1:8222/healthz", "http://127.0.0.1:8222/nothing", "nats"),
    ],
    ids=["wrong user", "wrong permissions", "wrong page", "wrong page of nats"],
)
def test_what_is_wrong_keeps_the_rest_from_starting(
    checkout: Path, tmp_path: Path, change: str, to: str, sick: str
) -> None:
    """A wrong user, permission or health check is red, names its service, and stops there."""
    with changed(checkout, tmp_path, change, to) as rehearsal:
        rehearsal.services[sick].get("healthcheck", {})["start_period"] = "4s"
        with pytest.raises(RehearsalFailed, match=f"^{sick} "):
            rehearsal.up("fleet")
        assert "fleet" not in rehearsal.processes


def test_secrets_are_for_their_owner_and_stay(checkout: Path, tmp_path: Path) -> None:
    """Files are 0600, made again with the same passwords, and with others when rotated."""

    def make(*flags: str) -> dict[str, Any]:
        subprocess.run(
            [TWIN, "spec", "generate", "builtin:BotSpec", "-o=out", "--secrets=secrets", *flags],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
        files = [path for path in (tmp_path / "secrets").rglob("*") if path.is_file()]
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
        contexts = (tmp_path / "secrets" / "nats" / "context").glob("*.json")
        return {path.stem: json.loads(path.read_text())["password"] for path in contexts}

    first = make()
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert len(set(first.values())) == len(first) >= len(ROLES)
    assert make() == first
    assert not set(make("--rotate").values()) & set(first.values())
