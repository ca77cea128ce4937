"""`twin smoke`, as a user and as CI call it."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

from in_process import twin_apart, twin_here

from twin.configs.topology import spec_topology
from twin.jetstream.api import call
from twin.jetstream.connection import connect
from twin.jetstream.options import BrokerOptions
from twin.jetstream.reconcile import reconcile
from twin.jetstream.server import NatsServer
from twin.spec.load import load_spec

TWIN = Path(sys.executable).with_name("twin")


def twin(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the real command line."""
    return twin_apart(Path.cwd(), *arguments)


def test_a_deployment_of_our_own_is_green(tmp_path: Path) -> None:
    """Exit code 0; what was not given is not checked and says so; JUnit counts the same."""
    done = twin("smoke", "--json", "--junit", tmp_path / "smoke.xml")
    assert (done.returncode, done.stderr) == (0, "")
    states = {one["name"]: one["state"] for one in json.loads(done.stdout)}
    assert {name for name, state in states.items() if state != "ok"} == {"configs", "permissions"}
    suite = ET.parse(tmp_path / "smoke.xml").getroot()  # noqa: S314 - our own
    assert suite.attrib["tests"] == str(len(states))
    assert (suite.attrib["failures"], suite.attrib["skipped"]) == ("0", "2")


def test_no_broker_is_exit_code_4() -> None:
    """A server that is not there is one line, at once."""
    done = twin("smoke", "--nats", "nats://127.0.0.1:1")
    assert done.returncode == 4
    assert "127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_flags_that_make_no_sense_are_exit_code_2() -> None:
    """Pages without a server, a URL that is none, a role that is none."""
    for arguments in (
        ("--registrar", "http://127.0.0.1:9100"),
        ("--nats", "nats://127.0.0.1:1", "--monitor", "127.0.0.1:9777"),
        ("--nats", "nats://127.0.0.1:1", "--credentials", "nobody=x"),
    ):
        done = twin_here(Path(), "smoke", *arguments)
        assert done.returncode == 2
        assert done.stderr.startswith("twin: ")


async def test_a_check_that_is_terminated_leaves_nothing_behind(server: NatsServer) -> None:
    """SIGTERM in the middle, as a job that is cancelled gets it: exit 130, and no stream stays."""
    async with await connect(BrokerOptions(url=server.url), name="test") as connection:
        await reconcile(connection, spec_topology(load_spec("builtin:BotSpec")))
        child = await asyncio.create_subprocess_exec(TWIN, "smoke", "--nats", server.url)
        async with asyncio.timeout(120):
            while b"TWIN_" not in await call(connection, "STREAM.NAMES"):
                pass
        child.terminate()
        assert await child.wait() == 130
        assert b"TWIN_" not in await call(connection, "STREAM.NAMES")


def test_what_no_xml_may_hold_is_replaced_in_junit(tmp_path: Path) -> None:
    """A control character of a file that differs does not spoil the report."""
    (tmp_path / "prometheus.yml").write_text("\x1b[2J\x01\n")
    (tmp_path / "bot_config.json").write_text("\x01")
    done = twin("smoke", "--configs", tmp_path, "--junit", tmp_path / "smoke.xml")
    assert done.returncode == 1
    suite = ET.parse(tmp_path / "smoke.xml").getroot()  # noqa: S314 - our own
    assert suite.attrib["failures"] == "1"
