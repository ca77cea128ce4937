"""`twin doctor` on real servers: green means that a run passes; what it prints mends the rest."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from twin.events.topology import ConsumerDecl, StreamDecl, Topology
from twin.jetstream.api import consumer_info, stream_info
from twin.jetstream.connection import BrokerOptions, Connection, connect
from twin.jetstream.reconcile import reconcile
from twin.jetstream.server import NatsServer, find_nats_server

TWIN = Path(sys.executable).with_name("twin")
SCENARIO = """\
schema_version: 1
name: permitted
fleet: {crew: {count: 2}}
phases: [{name: all, duration: 3s}]
consumers: {reader: {stream: QIKI_TELEMETRY_V1}}
events:
  - {at: 1s, do: {fault: consumer.pause, consumer: reader, for: 500ms}}
guarantees: {lost: 0, duplicates: 0}
"""
FULL = BrokerOptions(user="full", password="full-secret")


def twin(
    *arguments: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the real command line."""
    command = [str(TWIN), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=90, check=False, cwd=cwd, env=env
    )


def started(*arguments: str | Path) -> subprocess.Popen[bytes]:
    """Start the real command line."""
    return subprocess.Popen([str(TWIN), *map(str, arguments)])


def examined(server: NatsServer, user: str, *more: str) -> tuple[int, dict[str, Any]]:
    """Let the doctor look as a user; return exit code and document."""
    done = twin("doctor", "--nats", login(server, user), "--json", *more)
    assert done.stderr == "", done.stderr
    return done.returncode, json.loads(done.stdout)


def login(server: NatsServer, user: str) -> str:
    """Return the server's URL with a user's login."""
    return server.url.replace("://", f"://{user}:{user}-secret@")


def users(**permissions: str) -> str:
    """Return the configuration of users with the given permissions, and of one with all."""
    lines = [
        f"{{user: {name}, password: {name}-secret, {text}}}" for name, text in permissions.items()
    ]
    rows = "\n".join(("{user: full, password: full-secret}", *lines))
    return f"authorization {{ users: [\n{rows}\n] }}"


@asynccontextmanager
async def serving(
    folder: Path, config: str, probe: BrokerOptions = FULL
) -> AsyncIterator[NatsServer]:
    """Run a server with a configuration."""
    async with NatsServer(
        folder / "nats", log=folder / "nats-server.log", extra_config=config, probe=probe
    ) as server:
        yield server


def states(document: dict[str, Any]) -> dict[str, str]:
    """Return the state of each check."""
    return {one["name"]: one["state"] for one in document["checks"]}


def missing(document: dict[str, Any]) -> set[tuple[str, str]]:
    """Return what is not permitted."""
    return {(one["action"], one["subject"]) for one in document["permissions"] if one["missing"]}


async def test_the_snippet_makes_it_green_and_a_run_pass_and_the_registrar_record(
    tmp_path: Path,
) -> None:
    """A user without rights is told all that is missing; pasted, nothing is, and a run passes."""
    nothing = 'permissions: {publish: "nothing", subscribe: "nothing"}'
    async with serving(tmp_path, users(poor=nothing)) as server:
        code, before = examined(server, "poor")
    assert code == 1
    assert len(missing(before)) == len(before["permissions"]) > 70
    assert states(before)["round-trip"] == "not checked"
    (tmp_path / "pasted").mkdir()
    async with serving(tmp_path / "pasted", users(poor=before["snippet"])) as server:
        code, after = examined(server, "poor")
        assert code == 0, after
        assert set(states(after).values()) == {"ok"}
        assert (after["snippet"], missing(after)) == ("", set())
        (tmp_path / "permitted.yaml").write_text(SCENARIO)
        run = ("run", "permitted.yaml", "--nats", login(server, "poor"))
        done = twin(*run, "--prefix", "twin", cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        lag = twin("lag", "watch", "--nats", login(server, "poor"), "--count", "1", "--json")
        assert lag.returncode == 0, lag.stderr
        audit = tmp_path / "audit"
        serve = ("registrar", "serve", "--store", audit, "--nats", login(server, "poor"))
        recording = started(*serve, "--prefix", "twin", "--announce", tmp_path / "up.json")
        try:
            async with asyncio.timeout(30):
                while not (tmp_path / "up.json").exists():
                    assert recording.poll() is None
                    await asyncio.sleep(0.1)
        finally:
            recording.terminate()
            assert recording.wait(10) == 0
        refused = twin(*serve, "--prefix", "other")
        assert refused.returncode == 4
        assert re.fullmatch(
            r"twin: nats://\S+ does not permit us to publish on "
            r"\$JS\.API\.STREAM\.INFO\.OTHER_\w+: `twin doctor` prints .+\n",
            refused.stderr,
        ), refused.stderr
        other = twin(*run, "--prefix", "other", cwd=tmp_path)
        assert other.returncode == 4, "permissions of one prefix are none of another"


NEEDED = [
    ("publish", "$JS.API.INFO", "may-api"),
    ("publish", "$JS.API.STREAM.CREATE.TWIN_QIKI_EVENTS_V1", "may-streams"),
    ("publish", "$JS.API.CONSUMER.MSG.NEXT.TWIN_DOCTOR.*", "may-consumers"),
    ("publish", "twin.>", "may-messages"),
    ("subscribe", "twin.>", "may-messages"),
    ("subscribe", "_INBOX.>", "may-replies"),
    ("subscribe", "$JS.EVENT.ADVISORY.CONSUMER.*.TWIN_QIKI_EVENTS_V1.*", "may-advisories"),
]


async def test_a_single_permission_that_is_missing_is_named(tmp_path: Path) -> None:
    """Whichever one is taken away, that one is found, and no other."""
    async with serving(tmp_path, users()) as server:
        _, document = examined(server, "full")
        whole = [(one["action"], one["subject"]) for one in document["permissions"]]
    less = {
        f"user{number}": permissions([one for one in whole if one != (action, subject)])
        for number, (action, subject, _) in enumerate(NEEDED)
    }
    (tmp_path / "less").mkdir()
    async with serving(tmp_path / "less", users(**less)) as server:
        for number, (action, subject, check) in enumerate(NEEDED):
            code, document = examined(server, f"user{number}")
            assert (code, missing(document)) == (1, {(action, subject)})
            found = states(document)
            assert [name for name, state in found.items() if state == "FAIL"] == [check]
            assert f'"{subject}"  # missing' in document["snippet"]


def permissions(pairs: list[tuple[str, str]]) -> str:
    """Write permissions as a server reads them."""
    listed = {
        action: ", ".join(f'"{subject}"' for verb, subject in pairs if verb == action)
        for action in ("publish", "subscribe")
    }
    parts = (f"{action}: {{allow: [{subjects}]}}" for action, subjects in listed.items())
    return f"permissions: {{ {', '.join(parts)} }}"


async def test_what_is_there_already_is_not_touched(tmp_path: Path) -> None:
    """Neither trying permissions nor the round trip changes streams, consumers or messages."""
    stream = StreamDecl("TWIN_QIKI_EVENTS_V1", ("twin.qiki.events.v1.>",))
    reader = ConsumerDecl("registrar", stream.name, "registrar")
    async with serving(tmp_path, users()) as server:
        there = await connect(BrokerOptions.resolve(login(server, "full")), name="t")
        async with there:
            await reconcile(there, Topology((stream,), (reader,)))
            await there.request("twin.qiki.events.v1.state", b"{}")
            before = await facts(there)
            code, document = examined(server, "full")
            assert code == 0, document
            assert await facts(there) == before
            assert await stream_info(there, "TWIN_DOCTOR") is None


async def facts(connection: Connection) -> tuple[object, ...]:
    """Return what a stream and its consumer are and hold."""
    stream = await stream_info(connection, "TWIN_QIKI_EVENTS_V1")
    consumer = await consumer_info(connection, "TWIN_QIKI_EVENTS_V1", "registrar")
    assert stream is not None
    assert consumer is not None
    return stream.config, stream.state, consumer.config, consumer.num_pending, consumer.delivered


async def test_a_domain_and_an_inbox_prefix_are_in_the_permissions(tmp_path: Path) -> None:
    """With them in a context, the snippet permits just that JetStream and those inboxes."""
    jetstream = f'jetstream {{ store_dir: "{tmp_path / "js"}", domain: hub }}'
    folder = tmp_path / "nats" / "context"
    folder.mkdir(parents=True)
    snippet = 'permissions: {publish: "nothing", subscribe: "nothing"}'
    for attempt, exit_code in enumerate((1, 0)):
        place = tmp_path / f"server{attempt}"
        place.mkdir()
        config = f"{jetstream}\n{users(poor=snippet)}"
        async with serving(place, config) as server:
            context = {
                "url": server.url,
                "user": "poor",
                "password": "poor-secret",
                "jetstream_domain": "hub",
                "inbox_prefix": "mine",
            }
            (folder / "lab.json").write_text(json.dumps(context))
            home = {"XDG_CONFIG_HOME": str(tmp_path)}
            done = twin("doctor", "--context", "lab", "--json", env=home)
        document = json.loads(done.stdout)
        assert done.returncode == exit_code, [x for x in document["checks"] if x["state"] != "ok"]
        snippet = document["snippet"] or snippet
    assert '"$JS.hub.API.INFO"' in snippet
    assert '"mine.>"' in snippet
    assert '"$JS.API.INFO"' in snippet, "a domain's own server checks what it maps to as well"
    assert "_INBOX" not in snippet


async def test_limits_of_the_account_are_told(tmp_path: Path) -> None:
    """Too little storage and too few streams for a run are found before it fails on them."""
    config = """accounts { A {
        jetstream { max_file: 100M, max_streams: 3 }
        users: [{user: full, password: full-secret}] } }"""
    async with serving(tmp_path, config) as server:
        code, document = examined(server, "full")
    [found] = [one for one in document["checks"] if one["state"] == "FAIL"]
    assert (code, found["name"]) == (1, "jetstream")
    assert (
        "storage: 100,000,000 left of 100,000,000, and a run needs 268,435,456" in found["detail"]
    )
    assert "streams: 3 left of 3, and a run needs 5" in found["detail"]


async def test_what_is_in_the_way_is_shown(tmp_path: Path) -> None:
    """A stream of somebody else on our subjects is named with both sides."""
    async with serving(tmp_path, users()) as server:
        theirs = Topology((StreamDecl("THEIRS", ("twin.qiki.telemetry",)),), ())
        async with await connect(BrokerOptions.resolve(login(server, "full")), name="t") as there:
            await reconcile(there, theirs)
        code, document = examined(server, "full")
        assert (code, states(document)["streams"]) == (1, "FAIL")
        assert "overlaps the stream THEIRS" in json.dumps(document)
        code, _ = examined(server, "full", "--prefix", "lab.one")
        assert code == 0


@pytest.fixture
def plain_nats(tmp_path: Path) -> Iterator[str]:
    """A nats-server without JetStream."""
    log = tmp_path / "log"
    process = subprocess.Popen([find_nats_server(), "-a", "127.0.0.1", "-p", "-1", "-l", log])
    try:
        found = None
        for _ in range(500):
            if log.exists() and (found := re.search(r"connections on ([\d.:]+)", log.read_text())):
                break
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.02)
        assert found
        yield f"nats://{found[1]}"
    finally:
        process.terminate()
        process.wait(10)


def test_without_jetstream_that_is_what_is_said(plain_nats: str) -> None:
    """The checks name what is missing, and how to get it."""
    done = twin("doctor", "--nats", plain_nats)
    assert done.returncode == 1
    assert "nobody answers $JS.API.INFO" in " ".join(done.stdout.split())
    assert "start nats-server with JetStream" in " ".join(done.stdout.split())


async def test_who_is_not_let_in_gets_one_line(tmp_path: Path) -> None:
    """Nobody there and a wrong password are exit code 4, bad options 2; no secret is shown."""
    async with serving(tmp_path, users()) as server:
        wrong = twin("doctor", "--nats", server.url.replace("://", "://full:canary-7@"))
    away = twin("doctor", "--nats", server.url)
    assert (wrong.returncode, away.returncode) == (4, 4)
    assert "Authorization" in wrong.stderr or "wrong credentials" in wrong.stderr
    for done in (wrong, away):
        assert done.stderr.count("\n") == 1
        assert "canary" not in done.stderr + done.stdout
    for bad in (("--prefix", "a b"), ("--nats", "http://x"), ("--context", "no-such-context")):
        assert twin("doctor", *bad).returncode == 2
