"""`twin run --shared` on somebody else's server: what was named, so much of it, and no more."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import orjson
import pytest
from in_process import twin_apart, twin_here

from twin.events.topology import StreamDecl, Topology
from twin.jetstream.api import call, consumer_info, stream_info
from twin.jetstream.connection import Connection
from twin.jetstream.reconcile import reconcile
from twin.jetstream.server import NatsServer
from twin.jetstream.wire import Delivery

Until = Callable[..., Awaitable[None]]
TWIN = Path(sys.executable).with_name("twin")
SCENARIO = """\
schema_version: 1
name: theirs
fleet: {crew: {count: 2}}
phases: [{name: all, duration: DURATION}]
external: [registrar]
observers: {archive: {stream: THEIR_ARCHIVE, key: id}}
guarantees: {lost: 0, duplicates: 0}
limits: {max_slip_p99_ms: 10000}
"""
ALLOWED = ("--allow-subjects", "qiki.>")
CAPS = ("--max-messages", "100000", "--max-bytes", "100M", "--max-rate", "1000")


def shared(url: str, *more: str, wide: bool = True) -> list[str]:
    """Return the command line of a run on their server."""
    given = (*ALLOWED, *CAPS) if wide else ()
    return [str(TWIN), "run", "theirs.yaml", "--nats", url, "--shared", *given, *more]


def refused(folder: Path, *arguments: str) -> str:
    """Run what is bad usage; return what is said."""
    done = twin_here(folder, *arguments[1:])
    assert done.returncode == 2, done.stdout + done.stderr
    return done.stderr


def write(folder: Path, duration: str = "4s", **more: str) -> None:
    """Write the scenario, with further keys."""
    text = SCENARIO.replace("DURATION", duration)
    (folder / "theirs.yaml").write_text(text + "".join(f"{k}: {v}\n" for k, v in more.items()))


async def make_theirs(connection: Connection) -> None:
    """Make streams and a consumer of somebody else, with a message of theirs in each."""
    for name, subjects in (
        ("THEIR_EVENTS", ["qiki.events.v1.>"]),
        ("THEIR_REST", ["qiki.radar.v1.>", "qiki.telemetry"]),
        ("THEIR_COMMANDS", ["qiki.commands.>", "qiki.responses.>"]),
    ):
        no_ack = name == "THEIR_COMMANDS"
        config = {"name": name, "subjects": subjects, "no_ack": no_ack, "max_bytes": 50_000_000}
        await call(connection, f"STREAM.CREATE.{name}", config)
    archive = {
        "name": "THEIR_ARCHIVE",
        "sources": [{"name": "THEIR_EVENTS"}, {"name": "THEIR_REST"}],
    }
    await call(connection, "STREAM.CREATE.THEIR_ARCHIVE", archive)
    durable = {"durable_name": "theirs", "ack_policy": "none"}
    body = {"stream_name": "THEIR_EVENTS", "config": durable}
    await call(connection, "CONSUMER.CREATE.THEIR_EVENTS.theirs", body)
    await connection.request("qiki.events.v1.state", b"theirs")
    await connection.request("qiki.telemetry", b"theirs")


async def configurations(connection: Connection) -> dict[str, object]:
    """Return how everything of theirs is configured."""
    names = json.loads(await call(connection, "STREAM.NAMES"))["streams"]
    infos = [await stream_info(connection, name) for name in sorted(names)]
    consumer = await consumer_info(connection, "THEIR_EVENTS", "theirs")
    assert consumer is not None
    found: dict[str, object] = {info.config.name: info.config for info in infos if info}
    return (
        found
        | {"consumers": [info.state.consumer_count for info in infos if info]}
        | {"theirs": consumer.config}
    )


def test_what_may_be_done_has_to_be_said(tmp_path: Path) -> None:
    """Without subjects, caps, a server or with too little of them it is exit code 2."""
    write(tmp_path)
    url = "nats://127.0.0.1:1"
    assert "--allow-subjects, --max-messages, --max-bytes, --max-rate" in refused(
        tmp_path, *shared(url, wide=False)
    )
    run = [str(TWIN), "run", "theirs.yaml"]
    assert "belongs to --nats" in refused(tmp_path, *run, "--shared", *ALLOWED, *CAPS)
    assert "belongs to --shared" in refused(tmp_path, *run, "--nats", url, *ALLOWED)
    assert "no --prefix" in refused(tmp_path, *shared(url, "--prefix", "x"))
    said = refused(
        tmp_path, *run, "--nats", url, "--shared", "--allow-subjects", "qiki.telemetry", *CAPS
    )
    assert "--allow-subjects does not name qiki.events.v1." in said
    for wild in (">", "*.x", "$JS.API.>", "a..b", "a b", "qiki.>.x"):
        assert "is no pattern" in refused(
            tmp_path, *run, "--nats", url, "--shared", "--allow-subjects", wild, *CAPS
        )
    for flag, value in (("--max-messages", "5"), ("--max-rate", "0.5")):
        assert f"{flag} {value}: the scenario needs" in refused(tmp_path, *shared(url, flag, value))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("consumers", "{mine: {stream: QIKI_TELEMETRY_V1}}", "makes no consumers"),
        ("events", "[{at: 1s, do: {fault: stream.purge, stream: QIKI_TELEMETRY_V1}}]", "is yours"),
    ],
)
def test_what_would_change_theirs_is_refused(
    tmp_path: Path, key: str, value: str, message: str
) -> None:
    """Consumers of our own and faults of streams are exit code 2."""
    write(tmp_path, **{key: value})
    assert message in refused(tmp_path, *shared("nats://127.0.0.1:1"))


async def test_a_run_among_others_events(
    tmp_path: Path, server: NatsServer, connection: Connection
) -> None:
    """It passes on their streams, counts only its own, and leaves everything as it was."""
    await make_theirs(connection)
    before = await configurations(connection)
    write(tmp_path)
    begun = asyncio.Event()
    await connection.subscribe("qiki.telemetry", lambda batch: begun.set())
    running = asyncio.create_task(asyncio.to_thread(twin_apart, tmp_path, *shared(server.url)[1:]))
    await asyncio.wait_for(begun.wait(), 60)
    await connection.request("qiki.events.v1.theirs", b"theirs, meanwhile")
    done = await running
    assert done.returncode == 0, done.stdout + done.stderr
    assert await configurations(connection) == before
    result = orjson.loads((tmp_path / "runs" / "last" / "result.json").read_bytes())
    [stream] = [hop for hop in result["hops"] if hop["name"] == "stream"]
    assert stream["events"] == result["totals"]["acknowledged"] > 20


async def test_a_subject_that_no_stream_stores_is_a_conflict(
    tmp_path: Path, server: NatsServer, connection: Connection
) -> None:
    """Nothing is made for it: exit code 4, and no run folder."""
    config = {"name": "THEIR_EVENTS", "subjects": ["qiki.events.v1.>"]}
    await call(connection, "STREAM.CREATE.THEIR_EVENTS", config)
    write(tmp_path)
    done = await asyncio.to_thread(twin_apart, tmp_path, *shared(server.url)[1:])
    assert done.returncode == 4
    assert "No stream on the server stores qiki.telemetry" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("cap", ["--max-messages", "--max-bytes"])
async def test_a_cap_ends_the_run(
    tmp_path: Path, server: NatsServer, connection: Connection, cap: str
) -> None:
    """At the cap nothing more is published; the run ends with exit code 4 and says why."""
    await make_theirs(connection)
    write(tmp_path)
    limit = {"--max-messages": "85", "--max-bytes": "20K"}[cap]
    done = await asyncio.to_thread(twin_apart, tmp_path, *shared(server.url, cap, limit)[1:])
    assert done.returncode == 4
    assert f"{cap} " in done.stderr
    assert "is reached" in done.stderr
    assert 2 < await messages(connection) <= 2 + 85


async def messages(connection: Connection) -> int:
    """Count what their two streams of events hold."""
    infos = [await stream_info(connection, name) for name in ("THEIR_EVENTS", "THEIR_REST")]
    return sum(info.state.messages for info in infos if info)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupt_stops_publishing_within_a_second(
    tmp_path: Path, server: NatsServer, connection: Connection, until: Until, number: signal.Signals
) -> None:
    """Whatever is held back or waits is not published any more; exit code 130."""
    await make_theirs(connection)
    write(tmp_path)
    storm = "{name: storm, duration: 6s, load: {rate: 10x}}, {name: calm, duration: 90s}"
    text = (tmp_path / "theirs.yaml").read_text()
    (tmp_path / "theirs.yaml").write_text(text.replace("{name: all, duration: 4s}", storm))
    last = [0.0]

    def heard(batch: list[Delivery]) -> None:
        last[0] = time.monotonic()

    await connection.subscribe("qiki.>", heard)
    done = await asyncio.create_subprocess_exec(
        *shared(server.url, "--max-rate", "40"), cwd=tmp_path, stderr=asyncio.subprocess.DEVNULL
    )
    await until(lambda: last[0], deadline_s=60)
    began = time.monotonic()
    await until(lambda: last[0] > began + 1)
    done.send_signal(number)
    asked = time.monotonic()
    assert await asyncio.wait_for(done.wait(), 30) == 130
    await connection.flush()
    assert last[0] - asked < 2.0, "within a second, and another one on a busy machine"
    assert await messages(connection) < 2 + 40 * 10, "what was held back stays where it is"


async def test_a_lowered_limit_of_our_own_needs_permission(
    tmp_path: Path, server: NatsServer, connection: Connection
) -> None:
    """Under a prefix that stays, it is a conflict with both sides, and done with --allow-shrink."""
    longer = StreamDecl("LAB_QIKI_TELEMETRY_V1", ("lab.qiki.telemetry",), max_age_s=100_000)
    await reconcile(connection, Topology((longer,), ()))
    text = SCENARIO.partition("external:")[0].replace("DURATION", "2s")
    (tmp_path / "theirs.yaml").write_text(text)

    async def run(*more: str) -> tuple[int | None, str]:
        words = ("run", "theirs.yaml", "--nats", server.url, "--prefix", "lab", *more)
        done = await asyncio.to_thread(twin_apart, tmp_path, *words)
        return done.returncode, done.stdout + done.stderr

    code, said = await run()
    assert code == 4
    sides = "max_age: declared 86400 s, on the server 100000 s"
    assert f"stream {longer.name}: {sides}" in said
    assert "--allow-shrink" in said
    code, said = await run("--allow-shrink")
    assert code == 0, said
    info = await stream_info(connection, longer.name)
    assert info is not None
    assert info.config.max_age == 86_400 * 10**9
