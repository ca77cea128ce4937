"""`twin doctor` on real servers: green means that a run passes; what it prints mends the rest."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from in_process import twin_apart, twin_here
from typer.testing import CliRunner

from twin.cli.main import app
from twin.configs.topology import spec_topology
from twin.errors import UsageError
from twin.events.topology import ConsumerDecl, StreamDecl, Topology
from twin.jetstream.api import call, consumer_info, stream_info
from twin.jetstream.connection import BrokerOptions, Connection, connect
from twin.jetstream.consumer import PullConsumer
from twin.jetstream.reconcile import reconcile
from twin.jetstream.server import NatsServer, find_nats_server
from twin.jetstream.wire import Delivery
from twin.spec.load import load_spec

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
limits: {max_slip_p99_ms: 10000}
"""
SHARED = """\
schema_version: 1
name: theirs
fleet: {crew: {count: 2}}
phases: [{name: all, duration: 2s}]
external: [registrar]
observers: {archive: {stream: THEIR_ARCHIVE, key: id}}
watch: {reader: {stream: THEIR_EVENTS, durable: theirs, ack_latency: true}}
guarantees: {lost: 0, duplicates: 0}
limits: {max_slip_p99_ms: 10000}
"""
ALLOWED = (
    *("--allow-subjects", "qiki.>", "--max-messages", "100000"),
    *("--max-bytes", "100M", "--max-rate", "1000"),
)
NOTHING = 'permissions: {publish: "nothing", subscribe: "nothing"}'
FULL = BrokerOptions(user="full", password="full-secret")


def twin(
    *arguments: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the real command line."""
    return twin_apart(cwd or Path.cwd(), *arguments, env=env)


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
    async with serving(tmp_path, users(poor=NOTHING)) as server:
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
            async with asyncio.timeout(120):
                while not (tmp_path / "up.json").exists():
                    assert recording.poll() is None
                    await asyncio.sleep(0.1)
        finally:
            recording.terminate()
            assert recording.wait(60) == 0
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
    snippet = NOTHING
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


async def make_theirs(there: Connection) -> None:
    """Make streams and a consumer of somebody else, on the platform's own subjects."""
    streams = {
        "THEIR_EVENTS": ["qiki.events.v1.>"],
        "THEIR_REST": ["qiki.radar.>", "qiki.telemetry"],
    }
    for name, subjects in streams.items():
        await call(there, f"STREAM.CREATE.{name}", {"name": name, "subjects": subjects})
    archive = {"name": "THEIR_ARCHIVE", "sources": [{"name": name} for name in streams]}
    await call(there, "STREAM.CREATE.THEIR_ARCHIVE", archive)
    durable = {"durable_name": "theirs", "ack_policy": "explicit"}
    body = {"stream_name": "THEIR_EVENTS", "config": durable}
    await call(there, "CONSUMER.CREATE.THEIR_EVENTS.theirs", body)


async def test_a_shared_run_passes_with_what_was_missing(tmp_path: Path) -> None:
    """Who may look streams up is told their names, who may not gets `*`; a run needs no more.

    Trying is heard by nobody on these subjects, and stored nowhere.
    """
    (tmp_path / "theirs.yaml").write_text(SHARED)
    shared = ("--shared", str(tmp_path / "theirs.yaml"), *ALLOWED)
    heard: list[Delivery] = []
    async with serving(tmp_path, users(poor=NOTHING)) as server:
        options = BrokerOptions.resolve(login(server, "full"))
        async with await connect(options, name="t") as there:
            await make_theirs(there)
            await there.subscribe("qiki.>", heard.extend)
            await there.flush()
            code, poor = await asyncio.to_thread(examined, server, "poor", *shared)
            assert (code, len(missing(poor))) == (1, len(poor["permissions"]))
            code, full = await asyncio.to_thread(examined, server, "full", *shared)
            assert (code, set(states(full).values())) == (0, {"ok"}), full
            await there.flush()
            infos = [await stream_info(there, name) for name in ("THEIR_EVENTS", "THEIR_REST")]
            assert (heard, [info.state.messages for info in infos if info]) == ([], [0, 0])
    assert '"$JS.API.STREAM.INFO.*"  # missing' in poor["snippet"]
    named = permissions([(one["action"], one["subject"]) for one in full["permissions"]])
    assert ".STREAM.INFO.*" not in named
    async with serving(tmp_path, users(any=poor["snippet"], named=named)) as server:
        for user in ("any", "named"):
            code, document = examined(server, user, *shared)
            assert (code, set(states(document).values())) == (0, {"ok"}), document
        run = ("run", "theirs.yaml", "--nats", login(server, "named"), "--shared", *ALLOWED)
        options = BrokerOptions.resolve(login(server, "full"))
        async with await connect(options, name="t") as there, reading(there):
            done = await asyncio.to_thread(twin, *run, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr


@asynccontextmanager
async def reading(there: Connection) -> AsyncIterator[None]:
    """Meanwhile read and acknowledge as their service does."""

    async def read() -> None:
        async with PullConsumer(there, "THEIR_EVENTS", "theirs") as consumer:
            while True:
                consumer.ack(await consumer.next_batch(1.0))

    task = asyncio.create_task(read())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_shared_run_that_cannot_be_is_told(tmp_path: Path) -> None:
    """A subject without a stream is a red line; options that do not fit are exit code 2."""
    (tmp_path / "theirs.yaml").write_text(SHARED)
    shared = ("--shared", str(tmp_path / "theirs.yaml"))
    async with serving(tmp_path, users()) as server:
        code, document = examined(server, "full", *shared, *ALLOWED)
        assert (code, states(document)["streams"]) == (1, "FAIL")
        assert "No stream on the server stores qiki.telemetry" in json.dumps(document)
    for bad, said in (
        ((), "--shared needs --allow-subjects, --max-messages, --max-bytes, --max-rate"),
        ((*ALLOWED, "--prefix", "lab"), "--prefix does not go with --shared"),
        ((*ALLOWED, "--max-messages", "5"), "--max-messages 5: the scenario needs"),
    ):
        done = CliRunner().invoke(app, ["doctor", *shared, *bad])
        assert isinstance(done.exception, UsageError)
        assert said in str(done.exception)


async def test_smoke_is_green_with_what_was_missing(tmp_path: Path) -> None:
    """The snippet of --smoke has what `twin smoke --name smoke` needs, that of runs has not."""
    async with serving(tmp_path, users(poor=NOTHING)) as server:
        options = BrokerOptions.resolve(login(server, "full"))
        async with await connect(options, name="t") as there:
            await reconcile(there, spec_topology(load_spec("builtin:BotSpec")))
        _, without = examined(server, "poor")
        code, document = examined(server, "poor", "--smoke")
        assert (code, states(document)["may-smoke"]) == (1, "FAIL")
    pasted = users(poor=document["snippet"], less=without["snippet"])
    async with serving(tmp_path, pasted) as server:
        code, document = examined(server, "less", "--smoke")
        assert [name for name, state in states(document).items() if state == "FAIL"] == [
            "may-smoke"
        ]
        code, document = examined(server, "poor", "--smoke")
        assert (code, set(states(document).values())) == (0, {"ok"}), document
        done = twin("smoke", "--nats", login(server, "poor"), "--name", "smoke")
        assert done.returncode == 0, done.stdout


@pytest.fixture
def plain_nats(tmp_path: Path) -> Iterator[str]:
    """A nats-server without JetStream."""
    log = tmp_path / "log"
    process = subprocess.Popen([find_nats_server(), "-a", "127.0.0.1", "-p", "-1", "-l", log])
    try:
        found = None
        for _ in range(3000):
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
        assert twin_here(tmp_path, "doctor", *bad).returncode == 2
