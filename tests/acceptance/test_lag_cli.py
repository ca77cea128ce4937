"""`twin lag` as a user types it, against a real server."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from in_process import twin_apart
from typer.testing import CliRunner

from twin.cli.main import app
from twin.errors import UsageError
from twin.jetstream.api import call
from twin.jetstream.connection import Connection
from twin.jetstream.server import NatsServer


@pytest.fixture
async def stalled(connection: Connection) -> None:
    """A stream ORDERS with five messages, and a durable `reader` that nobody reads."""
    orders = {"name": "ORDERS", "subjects": ["orders.>"], "max_msgs": 10}
    await call(connection, "STREAM.CREATE.ORDERS", orders)
    for _ in range(5):
        await connection.request("orders.new", b"x")
    config = {"name": "reader", "durable_name": "reader", "ack_policy": "explicit"}
    body = {"stream_name": "ORDERS", "config": config}
    await call(connection, "CONSUMER.CREATE.ORDERS.reader", body)


def lag(server: NatsServer, *args: str) -> "subprocess.CompletedProcess[str]":
    """Run `twin lag` to its end."""
    return twin_apart(Path.cwd(), "lag", *args, "--nats", server.url)


@pytest.mark.usefixtures("stalled")
async def test_watch_prints_a_json_line_per_consumer_and_look(server: NatsServer) -> None:
    """`watch --json --count` ends by itself, and the last line has the status."""
    done = lag(server, "watch", "--json", "--count", "4", "--interval", "0.5")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["backlog"] for row in rows] == [5] * 4
    assert (rows[0]["status"], rows[-1]["status"]) == ("OK", "STALLED")
    assert rows[-1]["draining"] is False


@pytest.mark.usefixtures("stalled")
async def test_watch_is_plain_without_a_terminal(server: NatsServer) -> None:
    """Where output goes to a file, `watch` prints plain lines without escapes."""
    done = lag(server, "watch", "--count", "1", "--interval", "0.5", "--stream", "ORD*")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("OK ORDERS/reader backlog 5 lag ")
    assert "\x1b" not in done.stdout


@pytest.mark.usefixtures("stalled")
async def test_explain_says_why_and_what_helps(server: NatsServer) -> None:
    """`explain` gives status, reason and advice; a consumer that is not there is exit 4."""
    done = lag(server, "explain", "ORDERS", "reader", "--interval", "0.5")
    assert (done.returncode, done.stderr) == (0, "")
    assert "STALLED ORDERS/reader: no progress for" in done.stdout
    assert "No pull request waits" in done.stdout
    missing = lag(server, "explain", "ORDERS", "nobody")
    assert (missing.returncode, missing.stdout) == (4, "")
    assert "There is no consumer ORDERS/nobody." in missing.stderr


@pytest.mark.usefixtures("stalled")
async def test_serve_exports_until_it_is_terminated(
    server: NatsServer, connection: Connection, tmp_path: Path
) -> None:
    """`serve` exports under the names of NATS dashboards, finds new consumers, ends on SIGTERM."""
    told = tmp_path / "lag.json"
    process = start_serving(server, told)
    try:
        page = wanted(told, 'consumer_name="reader",role="reader",status="STALLED"', "1.0")
        assert 'is_consumer_leader="true"' in page
        assert "jetstream_stream_total_messages{" in page
        assert 'twin_stream_fill_ratio{stream_name="ORDERS"} 0.5' in page
        config = {"name": "late", "durable_name": "late", "ack_policy": "none"}
        body = {"stream_name": "ORDERS", "config": config}
        await call(connection, "CONSUMER.CREATE.ORDERS.late", body)
        wanted(told, 'twin_consumer_backlog{consumer_name="late"', "5.0")
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
    assert code == 0


def start_serving(server: NatsServer, told: Path) -> "subprocess.Popen[bytes]":
    """Start `twin lag serve` on a free port, which it tells in a file."""
    command = [sys.executable, "-m", "twin", "lag", "serve", "--nats", server.url]
    command += ["--http", "127.0.0.1:0", "--announce", str(told), "--interval", "0.5"]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def wanted(told: Path, *parts: str) -> str:
    """Return the page once a line of it contains all parts."""
    end = time.monotonic() + 60
    page = ""
    while not any(all(part in line for part in parts) for line in page.splitlines()):
        assert time.monotonic() < end, page
        time.sleep(0.05)
        if told.exists():
            url = json.loads(told.read_bytes())["http"]
            page = urllib.request.urlopen(url, timeout=30).read().decode()  # noqa: S310 - our own
    return page


@pytest.mark.parametrize(
    ("words", "bad"),
    [
        (("watch", "--stream", "a b"), "'a b'"),
        (("serve", "--stream", "QIKI_*", "--stream", "qiki.telemetry"), "'qiki.telemetry'"),
        (("watch", "--stream", ""), "''"),
        (("explain", "QIKI_*", "registrar"), "'QIKI_*'"),
        (("explain", "QIKI_EVENTS_V1", "my reader"), "'my reader'"),
    ],
)
def test_a_name_that_none_can_have_is_bad_usage(words: tuple[str, ...], bad: str) -> None:
    """The name is told, before anything is tried."""
    done = CliRunner().invoke(app, ["lag", *words])
    assert isinstance(done.exception, UsageError)
    assert f"{bad} is no name" in str(done.exception)


def test_bad_address_is_bad_usage(tmp_path: Path) -> None:
    """An address without a port is exit 2, before anything is tried."""
    done = twin_apart(tmp_path, "lag", "serve", "--http", "localhost")
    assert done.returncode == 2
    assert "is not HOST:PORT" in done.stderr
