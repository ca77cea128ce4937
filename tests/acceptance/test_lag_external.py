"""Alert rules and the exporter's page, as Prometheus' own tool reads them."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from twin.jetstream.api import call
from twin.jetstream.connection import Connection
from twin.lag.metrics import LagCollector
from twin.lag.sampler import LagSampler

ROOT = Path(__file__).parent.parent.parent
RULES = ROOT / "deploy" / "prometheus"
NAME = re.compile(r"\b(?:twin|jetstream)_[a-z_]+\b")
pytestmark = [pytest.mark.external]


def promtool(*args: str, page: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """Run promtool; its absence is a failure, not a skip."""
    path = f"{ROOT / '.tools' / 'usr' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    found = shutil.which("promtool", path=path)
    assert found, "promtool is missing: run .ci/tools"
    return subprocess.run(
        [found, *args], input=page, capture_output=True, check=False, timeout=240, cwd=RULES
    )


async def exporter_page(connection: Connection) -> bytes:
    """Return the page of a sampler that watches one consumer."""
    orders = {"name": "ORDERS", "subjects": ["orders.>"], "max_msgs": 10}
    await call(connection, "STREAM.CREATE.ORDERS", orders)
    config = {"name": "reader", "durable_name": "reader", "ack_policy": "explicit"}
    body = {"stream_name": "ORDERS", "config": config}
    await call(connection, "CONSUMER.CREATE.ORDERS.reader", body)
    sampler = LagSampler(connection, [], lambda stream, consumer: (0, 0), patterns=["*"])
    await sampler.sample(20.0)
    await sampler.sample(20.0)
    registry = CollectorRegistry()
    registry.register(LagCollector(sampler))
    return generate_latest(registry)


@pytest.mark.parametrize(
    "args",
    [
        ("check", "rules", "--lint-fatal", "rules.yml"),
        ("check", "config", "prometheus.yml"),
        ("test", "rules", "rules_test.yml"),
    ],
    ids=" ".join,
)
def test_rules_are_accepted_and_fire_when_they_should(args: tuple[str, ...]) -> None:
    """promtool accepts rules and configuration, and every alert's unit test passes."""
    done = promtool(*args)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


def test_every_alert_has_a_unit_test() -> None:
    """No alert is without a case in rules_test.yml."""
    alerts = {
        line.split("alert: ")[1]
        for line in (RULES / "rules.yml").read_text().splitlines()
        if "alert: " in line
    }
    tested = (RULES / "rules_test.yml").read_text()
    assert alerts
    assert not {one for one in alerts if f"alertname: {one}\n" not in tested}


async def test_dashboard_and_alerts_name_what_is_exported(
    connection: Connection, tmp_path: Path
) -> None:
    """The dashboard's expressions parse; every lag series that they or a rule name exists."""
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "lag.json").read_text())
    expressions = [t["expr"] for panel in dashboard["panels"] for t in panel["targets"]]
    assert len(expressions) > 5
    as_rules = [{"record": f"r{n}", "expr": text} for n, text in enumerate(expressions)]
    rules = tmp_path / "dashboard.yml"
    rules.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": as_rules}]}))
    done = promtool("check", "rules", str(rules))
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    exported = set(NAME.findall((await exporter_page(connection)).decode()))
    named = set(NAME.findall(" ".join(expressions) + (RULES / "rules.yml").read_text()))
    assert named <= exported


async def test_page_of_the_exporter_follows_the_conventions(connection: Connection) -> None:
    """`promtool check metrics` accepts every family, with values in all of them."""
    page = await exporter_page(connection)
    helped = {line.split()[2] for line in page.decode().splitlines() if line.startswith("# HELP")}
    filled = {line.partition("{")[0].partition(" ")[0] for line in page.decode().splitlines()}
    assert helped <= filled
    checked = promtool("check", "metrics", page=page)
    assert (checked.returncode, checked.stderr) == (0, b""), checked.stderr.decode()
