"""A real Prometheus scrapes the exporter: a stalled consumer's alert fires, and is resolved."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from free_ports import free_ports

from twin.jetstream.api import call
from twin.jetstream.connection import Connection
from twin.jetstream.consumer import PullConsumer
from twin.jetstream.server import NatsServer

ROOT = Path(__file__).parent.parent.parent
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
pytestmark = [pytest.mark.external]


@contextmanager
def running(*command: str | Path) -> Iterator[None]:
    """Run a program meanwhile."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def prometheus() -> str:
    """Return the program; its absence is a failure, not a skip."""
    path = f"{ROOT / '.tools' / 'usr' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    found = shutil.which("prometheus", path=path)
    assert found, "prometheus is missing: run .ci/tools"
    return found


def configure(folder: Path, target: str) -> Path:
    """Write our rules with shorter waits, and a configuration that scrapes `target`."""
    (folder / "rules.yml").write_text(RULES.read_text().replace("for: 30s", "for: 2s"))
    config = {
        "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [{"job_name": "twin", "static_configs": [{"targets": [target]}]}],
    }
    path = folder / "prometheus.yml"
    path.write_text(json.dumps(config))
    return path


def alerts(port: int) -> set[tuple[str, str]]:
    """Return name and state of what is pending or firing now; nothing before it is up."""
    try:
        url = f"http://127.0.0.1:{port}/api/v1/alerts"
        answer = json.loads(urllib.request.urlopen(url, timeout=30).read())
    except OSError:
        return set()
    return {(one["labels"]["alertname"], one["state"]) for one in answer["data"]["alerts"]}


def wait_for(port: int, wanted: set[tuple[str, str]], *, within_s: float) -> None:
    """Return once exactly these alerts are there."""
    end = time.monotonic() + within_s
    while (seen := alerts(port)) != wanted:
        assert time.monotonic() < end, seen
        time.sleep(0.2)


async def test_alert_of_a_stalled_consumer_fires_and_is_resolved(
    server: NatsServer,
    connection: Connection,
    tmp_path: Path,
    until: Callable[..., Awaitable[None]],
) -> None:
    """ConsumerStalled, and no other alert, fires while nobody reads, and ends with the cure."""
    orders = {"name": "ORDERS", "subjects": ["orders.>"]}
    await call(connection, "STREAM.CREATE.ORDERS", orders)
    config = {"name": "reader", "durable_name": "reader", "ack_policy": "explicit"}
    body = {"stream_name": "ORDERS", "config": config}
    await call(connection, "CONSUMER.CREATE.ORDERS.reader", body)
    await connection.request("orders.new", b"x")
    told = tmp_path / "lag.json"
    [port] = free_ports(1)
    serve = [sys.executable, "-m", "twin", "lag", "serve", "--nats", server.url]
    with running(*serve, "--http", "127.0.0.1:0", "--announce", told, "--interval", "0.5"):
        await until(told.exists)
        target = json.loads(told.read_bytes())["http"].split("/")[2]
        with running(
            prometheus(),
            f"--config.file={configure(tmp_path, target)}",
            f"--storage.tsdb.path={tmp_path / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ):
            wait_for(port, {("ConsumerStalled", "firing")}, within_s=90)
            async with PullConsumer(connection, "ORDERS", "reader") as consumer:
                consumer.ack(await consumer.next_batch(20.0))
                await connection.flush()
            wait_for(port, set(), within_s=60)
