"""Breaking one thing in a live deployment turns exactly its own smoke check red."""

import asyncio
import itertools
import json
import re
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from twin.configs.generate import generate
from twin.configs.roles import Role, roles
from twin.configs.topology import space_of, spec_topology
from twin.jetstream.api import call, stream_names
from twin.jetstream.connection import Connection, connect
from twin.jetstream.options import BrokerOptions
from twin.jetstream.reconcile import MARK, reconcile
from twin.jetstream.server import NatsServer
from twin.jetstream.wire import Delivery
from twin.lag.monitor import open_sampler, serve_page
from twin.scenario.processes.registrar_process import RegistrarProcess
from twin.smoke.broker import round_trip
from twin.smoke.check import Broken as Wrong
from twin.smoke.check import Check, Finding, State, run_checks
from twin.smoke.deployment import CHECKS, Embedded, embedded
from twin.smoke.leftovers import leftovers
from twin.smoke.site import PROBE_BYTES, Site, publish
from twin.spec.load import load_spec

SPEC = load_spec("builtin:BotSpec")
TOPOLOGY = spec_topology(SPEC)
STREAM = "QIKI_RADAR_V1"
Alter = Callable[[bytes], bytes]


def site_of(connection: Connection, **more: object) -> Site:
    """Return what is to be checked on a server."""
    return Site(connection, SPEC, space_of(SPEC), TOPOLOGY, **more)


def red(findings: list[Finding]) -> list[str]:
    """Return the names of the checks that failed; each says what is wrong and what to do."""
    failed = [one for one in findings if one.state is State.FAIL]
    assert all(one.detail and one.remedy for one in failed)
    return [one.name for one in failed]


@asynccontextmanager
async def proxy(url: str, up: Alter, down: Alter) -> AsyncIterator[str]:
    """Put something between client and server that alters the bytes of each direction."""
    host, _, port = url.removeprefix("nats://").partition(":")
    tasks: set[asyncio.Task[None]] = set()

    async def carry(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, alter: Alter
    ) -> None:
        try:
            while data := await reader.read(1 << 16):
                writer.write(alter(data))
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        for one in (carry(reader, far_writer, up), carry(far_reader, writer, down)):
            tasks.add(asyncio.ensure_future(one))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def same(data: bytes) -> bytes:
    """Let pass as it is."""
    return data


def shifted(data: bytes) -> bytes:
    """Move the time at which JetStream stored a message by five seconds."""
    return re.sub(
        rb"(\$JS\.ACK\.TWIN_\S+?\.1\.1\.1\.)(\d{19})(\.0)",
        lambda found: found[1] + str(int(found[2]) + 5_000_000_000).encode() + found[3],
        data,
    )


def without_ids(data: bytes) -> bytes:
    """Rename a header to one of the same length."""
    return data.replace(b"Nats-Msg-Id", b"Nats-Xsg-Id")


def status_of(url: str) -> int:
    """Return the status with which a page answers."""
    try:
        with urllib.request.urlopen(url, timeout=20.0) as answer:  # noqa: S310 - our own
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


class Deployment:
    """A whole deployment with logins, nothing of it left unchecked, to be broken and mended."""

    def __init__(self, ours: Embedded, connection: Connection, configs: Path) -> None:
        self.connection, self.configs, self.url = connection, configs, ours.url
        self._numbers = itertools.count()
        self.site = site_of(
            connection,
            registrar=ours.registrar,
            monitor=ours.monitor,
            configs=configs,
            credentials={"lag": self.login("right")},
        )

    @classmethod
    @asynccontextmanager
    async def running(cls, folder: Path) -> "AsyncIterator[Deployment]":
        """Start broker, registrar, monitor; write the generated files."""
        configs = folder / "configs"
        for name, text in generate(SPEC).items():
            (configs / name).parent.mkdir(parents=True, exist_ok=True)
            (configs / name).write_text(text)
        admin = BrokerOptions(user="admin", password="secret")
        config = users(admin=None, **LOGINS)
        async with (
            embedded(folder, TOPOLOGY, config=config, login=admin) as ours,
            await connect(replace(admin, url=ours.url), name="test") as connection,
        ):
            yield cls(ours, connection, configs)

    def login(self, user: str, url: str = "") -> BrokerOptions:
        """Return the options of a user."""
        return BrokerOptions(url=url or self.url, user=user, password="secret")

    async def call(self, subject: str, body: dict[str, object] | None = None) -> None:
        """Ask JetStream's API for something."""
        await call(self.connection, subject, body)

    async def readiness(self, wanted: int) -> None:
        """Wait until the registrar says whether it consumes."""
        url = f"{self.site.registrar}/readyz"
        async with asyncio.timeout(60):
            while await asyncio.to_thread(status_of, url) != wanted:
                pass

    async def red(self, **broken: object) -> list[str]:
        """Check, and return the names of the checks that failed."""
        site = replace(self.site, token=f"smoke-{next(self._numbers)}", **broken)
        return red(await run_checks(CHECKS, site))


async def test_one_broken_thing_is_one_red_check(tmp_path: Path) -> None:
    """One live deployment, all of it green; twenty-five things are broken in turn and mended."""
    async with Deployment.running(tmp_path) as here:
        findings = await run_checks(CHECKS, here.site)
        assert {one.name: one.state for one in findings if one.state is not State.OK} == {}
        seen: set[str] = set()
        for breaking in BREAKINGS:
            async with breaking(here) as broken:
                found = await here.red(**broken)
            expected = breaking.__name__.partition("__")[0].replace("_", "-")
            assert found == [expected], breaking.__doc__
            seen.add(expected)
        assert seen == {check.name for check in CHECKS}
        assert len(BREAKINGS) == 25
        assert await here.red() == []
        assert b"TWIN_" not in await call(here.connection, "STREAM.NAMES")


Broken = AsyncIterator[dict[str, object]]


async def jetstream__not_allowed(here: Deployment) -> Broken:
    """The user may not ask for JetStream's account."""
    async with await connect(here.login("deaf"), name="test") as connection:
        yield {"connection": connection}


async def topology__consumer_gone(here: Deployment) -> Broken:
    """A consumer of the spec was deleted."""
    await here.call("CONSUMER.DELETE.QIKI_EVENTS_V1.events_audit_pull")
    yield {}
    await reconcile(here.connection, TOPOLOGY)


async def topology__durable_of_the_registrar_gone(here: Deployment) -> Broken:
    """The registrar's durable was deleted: it says itself that it is not ready."""
    await here.call("CONSUMER.DELETE.QIKI_EVENTS_V1.registrar")
    await here.readiness(503)
    yield {}
    await reconcile(here.connection, TOPOLOGY)
    await here.readiness(200)


async def topology__stream_changed(here: Deployment) -> Broken:
    """Somebody set another duplicate window by hand."""
    stream = TOPOLOGY.streams[0]
    answer = json.loads(await call(here.connection, f"STREAM.INFO.{stream.name}"))
    await here.call(
        f"STREAM.UPDATE.{stream.name}", {**answer["config"], "duplicate_window": 7_000_000_000}
    )
    yield {}
    await here.call(f"STREAM.UPDATE.{stream.name}", answer["config"])


@asynccontextmanager
async def through(here: Deployment, up: Alter, down: Alter) -> Broken:
    """Look at the deployment through something that alters bytes."""
    async with (
        proxy(here.url, up, down) as url,
        await connect(here.login("admin", url), name="test") as connection,
    ):
        yield {"connection": connection}


async def _with_limits(here: Deployment, **more: object) -> Broken:
    answer = json.loads(await call(here.connection, f"STREAM.INFO.{STREAM}"))
    await here.call(f"STREAM.UPDATE.{STREAM}", {**answer["config"], **more})
    yield {}
    await here.call(f"STREAM.UPDATE.{STREAM}", answer["config"])


async def topology__one_message_a_subject(here: Deployment) -> Broken:
    """Of each subject the stream keeps the newest message only."""
    async for broken in _with_limits(here, max_msgs_per_subject=1):
        yield broken


async def topology__few_messages(here: Deployment) -> Broken:
    """The stream keeps a hundred messages."""
    async for broken in _with_limits(here, max_msgs=100):
        yield broken


async def topology__renamed(here: Deployment) -> Broken:
    """The stream stores frames under another subject."""
    renamed = {"src": "qiki.radar.v1.frames", "dest": "qiki.radar.v1.elsewhere"}
    async for broken in _with_limits(here, subject_transform=renamed):
        yield broken


async def topology__without_payloads(here: Deployment) -> Broken:
    """A consumer gets headers only."""
    answer = json.loads(await call(here.connection, f"CONSUMER.INFO.{STREAM}.radar_tracks_pull"))
    subject = f"CONSUMER.CREATE.{STREAM}.radar_tracks_pull"
    body = {"stream_name": STREAM, "action": "update"}
    await here.call(subject, {**body, "config": {**answer["config"], "headers_only": True}})
    yield {}
    await here.call(subject, {**body, "config": answer["config"]})


async def round_trip__altered(here: Deployment) -> Broken:
    """A middlebox changes a payload."""
    async with through(here, lambda data: data.replace(b"probe 7", b"probe 6"), same) as broken:
        yield broken


async def duplicates__ids_lost(here: Deployment) -> Broken:
    """A middlebox takes the message ids away."""
    async with through(here, without_ids, same) as broken:
        yield broken


async def clock__shifted(here: Deployment) -> Broken:
    """The broker's clock is five seconds ahead."""
    async with through(here, same, shifted) as broken:
        yield broken


async def leftovers__not_to_be_deleted(here: Deployment) -> Broken:
    """Checks that were killed have left a stream, and it cannot be deleted."""
    left, delete = probe("smoke-0123abcd"), b"STREAM.DELETE.TWIN_smoke_0123abcd"
    await here.call(f"STREAM.CREATE.{left['name']}", left)
    blocked = delete.replace(b"DELETE", b"IGNORE")
    async with through(here, lambda data: data.replace(delete, blocked), same) as broken:
        yield broken | {"stale_s": 0.0}
    await here.call(f"STREAM.DELETE.{left['name']}")


async def cloudevents__foreign(here: Deployment) -> Broken:
    """Somebody publishes without the headers of a CloudEvent."""
    await here.connection.publish("qiki.events.v1.nav", b"{}", b"NATS/1.0\r\nce-id: 1\r\n\r\n")
    yield {}
    await here.call("STREAM.PURGE.QIKI_EVENTS_V1", {"filter": "qiki.events.v1.nav"})


async def registrar_pages__away(here: Deployment) -> Broken:
    """Nothing listens where the registrar should be."""
    yield {"registrar": "http://127.0.0.1:1"}


async def registrar_pages__no_http(here: Deployment) -> Broken:
    """What listens there is the broker."""
    yield {"registrar": here.url.replace("nats://", "http://")}


async def registrar_pages__another(here: Deployment) -> Broken:
    """What listens there is no registrar."""
    yield {"registrar": here.site.monitor}


async def topology__paused(here: Deployment) -> Broken:
    """The registrar's consumer is paused."""
    held: dict[str, object] = {"pause_until": "2100-01-01T00:00:00Z"}
    await here.call("CONSUMER.PAUSE.QIKI_EVENTS_V1.registrar", held)
    yield {}
    await here.call("CONSUMER.PAUSE.QIKI_EVENTS_V1.registrar", {})


async def registrar__of_another_broker(here: Deployment) -> Broken:
    """The URL is that of a registrar that records another broker; here another one records."""
    with TemporaryDirectory() as folder:
        async with embedded(Path(folder), TOPOLOGY) as other:
            yield {"registrar": other.registrar}


async def registrar__of_another_busy_broker(here: Deployment) -> Broken:
    """The same, and that registrar is recording its own bots meanwhile."""
    with TemporaryDirectory() as folder:
        async with (
            embedded(Path(folder), TOPOLOGY) as other,
            await connect(BrokerOptions(url=other.url), name="test") as there,
        ):

            async def boots() -> None:
                for number in itertools.count():
                    for subject in ("qiki.events.v1.nav", "qiki.radar.v1.frames"):
                        fields = f"NATS/1.0\r\nce-id: other/x/{number}\r\n\r\n"
                        await there.request(subject, b"{}", headers=fields.encode())

            busy = asyncio.ensure_future(boots())
            await asyncio.sleep(0.5)
            yield {"registrar": other.registrar}
            busy.cancel()


async def monitor_pages__away(here: Deployment) -> Broken:
    """Nothing listens where the monitor should be."""
    yield {"monitor": "http://127.0.0.1:1"}


async def monitor__blind(here: Deployment) -> Broken:
    """The monitor watches other streams."""
    admin = here.login("admin")
    async with open_sampler(admin, ["OTHER_*"], 0.2) as sampler:
        await sampler.sample(20.0)
        with serve_page(sampler, "127.0.0.1", 0) as url:
            yield {"monitor": url.removesuffix("/metrics")}


async def configs__edited(here: Deployment) -> Broken:
    """A generated file was edited."""
    (here.configs / "prometheus.yml").write_text("scrape_configs: []\n")
    yield {}
    (here.configs / "prometheus.yml").write_text(generate(SPEC)["prometheus.yml"])


async def configs__missing(here: Deployment) -> Broken:
    """A generated file is not there."""
    (here.configs / "prometheus.yml").unlink()
    yield {}
    (here.configs / "prometheus.yml").write_text(generate(SPEC)["prometheus.yml"])


async def permissions__narrow(here: Deployment) -> Broken:
    """A role lacks what it needs."""
    yield {"credentials": {"lag": here.login("narrow")}}


async def permissions__wide(here: Deployment) -> Broken:
    """A role may do what only another role may."""
    yield {"credentials": {"lag": here.login("wide")}}


BREAKINGS = [
    asynccontextmanager(one)
    for one in (
        jetstream__not_allowed,
        topology__consumer_gone,
        topology__durable_of_the_registrar_gone,
        topology__stream_changed,
        topology__one_message_a_subject,
        topology__few_messages,
        topology__renamed,
        topology__without_payloads,
        topology__paused,
        round_trip__altered,
        duplicates__ids_lost,
        clock__shifted,
        leftovers__not_to_be_deleted,
        cloudevents__foreign,
        registrar_pages__away,
        registrar_pages__another,
        registrar_pages__no_http,
        registrar__of_another_broker,
        registrar__of_another_busy_broker,
        monitor_pages__away,
        monitor__blind,
        configs__edited,
        configs__missing,
        permissions__narrow,
        permissions__wide,
    )
]


async def test_a_code_that_is_another_events_does_not_count(
    tmp_path: Path, server: NatsServer
) -> None:
    """A registrar with rules that swap the codes turns its check red, and is told so."""
    rules = tmp_path / "rules.yaml"
    state = "subject: qiki.events.v1.state, publish: true"
    rules.write_text(
        "version: 1\nrules:\n"
        f"  - {{{state}, where: {{kind: boot_ok}}, code: 201}}\n"
        f"  - {{{state}, where: {{kind: sensor_io_ok}}, code: 101}}\n"
    )
    async with await connect(BrokerOptions(url=server.url), name="test") as connection:
        await reconcile(connection, TOPOLOGY)
        announce = tmp_path / "announce"
        registrar = RegistrarProcess(
            [
                *("--attach", "--rules", str(rules), "--store", str(tmp_path / "store")),
                *("--http", "127.0.0.1:0", "--announce", str(announce)),
            ],
            {"NATS_URL": server.url},
            tmp_path / "registrar.log",
            announce,
        )
        await registrar.start()
        try:
            pages = str(json.loads(announce.read_text())["http"])
            findings = await run_checks(CHECKS, site_of(connection, registrar=pages))
        finally:
            await registrar.stop()
    assert red(findings) == ["registrar"]
    assert "has 201" in next(one.detail for one in findings if one.name == "registrar")


def users(**permissions: Role | None) -> str:
    """Return the users of a nats-server.conf; None may do everything."""
    lines = []
    for name, role in permissions.items():
        limits = ""
        if role is not None:
            words = {"publish": role.publish, "subscribe": role.subscribe}
            quoted = {key: ", ".join(f'"{one}"' for one in value) for key, value in words.items()}
            inner = ", ".join(f"{key}: [{value}]" for key, value in quoted.items())
            limits = f", permissions: {{{inner}}}"
        lines.append(f'{{user: {name}, password: "secret"{limits}}}')
    return f"authorization {{ users: [{', '.join(lines)}] }}\n"


LAG = {role.user: role for role in roles(SPEC, TOPOLOGY)}["lag"]
LOGINS = {
    "right": LAG,
    "narrow": replace(LAG, publish=LAG.publish[1:]),
    "wide": replace(LAG, publish=(*LAG.publish, "qiki.telemetry")),
    "purging": replace(LAG, publish=(*LAG.publish, "$JS.API.STREAM.PURGE.*")),
    "pausing": replace(LAG, publish=(*LAG.publish, "$JS.API.CONSUMER.PAUSE.*.*")),
    "reading": replace(LAG, publish=(*LAG.publish, "$JS.API.STREAM.SNAPSHOT.*")),
    "listening": replace(LAG, subscribe=(*LAG.subscribe, "qiki.commands.>")),
    "prying": replace(LAG, subscribe=(*LAG.subscribe, "_INBOX_registrar.>")),
    "deaf": replace(LAG, subscribe=("_INBOX.>",), publish=("$JS.API.STREAM.>",)),
}


async def test_every_generated_role_has_what_it_needs_and_nothing_more(tmp_path: Path) -> None:
    """The users of the generated configuration are green, all roles at once."""
    known = {role.user: role for role in roles(SPEC, TOPOLOGY)}
    server = NatsServer(
        tmp_path / "nats",
        log=tmp_path / "nats.log",
        extra_config=users(admin=None, **known),
        probe=BrokerOptions(user="admin", password="secret"),
    )
    async with server:
        logins = {user: BrokerOptions(server.url, user=user, password="secret") for user in known}
        admin = BrokerOptions(server.url, user="admin", password="secret")
        async with await connect(admin, name="test") as connection:
            await reconcile(connection, TOPOLOGY)
            asked = replace(site_of(connection), credentials=logins)
            findings = await run_checks([CHECKS[0], CHECKS[-1]], asked)
    assert not red(findings)
    assert {one.state for one in findings} == {State.OK}, findings


async def test_trying_permissions_asks_jetstream_for_nothing(tmp_path: Path) -> None:
    """The role smoke may delete streams of its own: that is tried, and deletes none of them.

    What it may publish on is tried too, and heard by nobody there.
    """
    known = {role.user: role for role in roles(SPEC, TOPOLOGY)}
    admin = BrokerOptions(user="admin", password="secret")
    server = NatsServer(
        tmp_path / "nats",
        log=tmp_path / "nats.log",
        extra_config=users(admin=None, smoke=known["smoke"]),
        probe=admin,
    )
    async with server, await connect(replace(admin, url=server.url), name="test") as connection:
        await reconcile(connection, TOPOLOGY)
        smoke = {"smoke": BrokerOptions(server.url, user="smoke", password="secret")}
        asked = replace(site_of(connection), credentials=smoke, token="smoke")
        heard: list[Delivery] = []
        for subject in ("qiki.>", "twin.>"):
            await connection.subscribe(subject, heard.extend)
        async with asked.stream("lag") as (stream, _):
            findings = await run_checks([CHECKS[0], CHECKS[-1]], asked)
            await connection.flush()
            assert heard == []
            assert stream.encode() in await call(connection, "STREAM.NAMES")
    assert not red(findings)


async def test_what_holds_all_streams_of_the_checks_up_is_one_red_check(tmp_path: Path) -> None:
    """An account without room, a mapping; that nothing may be kept in memory is no fault."""
    for number, (broken, expected) in enumerate(
        {
            "jetstream {max_streams: 7}": ["jetstream"],
            "jetstream {max_file: 3MB}": ["jetstream"],
            "jetstream {max_file: 1GB, max_mem: 0}": [],
            'jetstream: enabled, mappings {"twin.>": "elsewhere.>"}': ["round-trip"],
        }.items()
    ):
        account = f"A {{users: [{{user: a, password: secret}}], {broken}}}"
        server = NatsServer(
            tmp_path / f"nats-{number}",
            log=tmp_path / "nats.log",
            extra_config=f"accounts {{{account}}}\nno_auth_user: a\n",
        )
        async with (
            server,
            await connect(BrokerOptions(server.url), name="test") as connection,
        ):
            topology = replace(
                TOPOLOGY, streams=tuple(replace(one, max_bytes=-1) for one in TOPOLOGY.streams)
            )
            await reconcile(connection, topology)
            asked = replace(site_of(connection), topology=topology)
            assert red(await run_checks(CHECKS, asked)) == expected, broken


async def test_what_is_wrong_with_credentials_is_said(tmp_path: Path) -> None:
    """Too narrow and too wide name the subject; without JetStream nothing of it is judged."""
    async with Deployment.running(tmp_path) as here:
        for user, word in (
            ("narrow", "narrow"),
            ("wide", "wide: it may use qiki.telemetry"),
            ("purging", f"wide: it may use $JS.API.STREAM.PURGE.{here.site.token}"),
            ("pausing", f"wide: it may use $JS.API.CONSUMER.PAUSE.{here.site.token}."),
            ("reading", f"wide: it may use $JS.API.STREAM.SNAPSHOT.{here.site.token}"),
            ("listening", "wide: it may use qiki.commands.mode"),
            ("prying", "wide: it may use _INBOX_registrar.>"),
        ):
            asked = replace(here.site, credentials={"lag": here.login(user)})
            findings = await run_checks(CHECKS, asked)
            assert f"too {word}" in next(
                one.detail for one in findings if one.name == "permissions"
            )
        async with await connect(here.login("deaf"), name="test") as connection:
            findings = await run_checks(CHECKS, site_of(connection))
            assert red(findings) == ["jetstream"]
            assert {one.state for one in findings[1:]} == {State.NOT_CHECKED}


async def test_what_is_cancelled_meanwhile_leaves_no_stream(server: NatsServer) -> None:
    """Ctrl-C and SIGTERM at any moment, also while a stream is being made."""
    async with await connect(BrokerOptions(url=server.url), name="test") as connection:
        for milliseconds in range(0, 60, 3):
            checks = asyncio.ensure_future(run_checks(CHECKS[:5], site_of(connection)))
            await asyncio.sleep(milliseconds / 1000)
            checks.cancel()
            await asyncio.gather(checks, return_exceptions=True)
        assert b"TWIN_" not in await call(connection, "STREAM.NAMES")


def probe(token: str, purpose: str = "trip", **more: object) -> dict[str, object]:
    """Return the configuration of a stream that checks called `token` make."""
    return {
        "name": f"TWIN_{token.replace('-', '_')}_{purpose}",
        "subjects": [f"twin.{token}.{purpose}"],
        "max_bytes": PROBE_BYTES,
        "metadata": {MARK: "1"},
    } | more


async def test_what_killed_checks_have_left_is_deleted_and_nothing_else(
    server: NatsServer,
) -> None:
    """Only streams that are for certain those of checks, and older than any that still run."""
    left = [probe("smoke-0123abcd"), probe("smoke-0123abcd", "lag")]
    kept = [
        probe("smoke-11111111", metadata={}),
        probe("smoke-22222222", subjects=["theirs.one"]),
        probe("smoke-33333333", max_bytes=-1),
        probe("smoke-44444444", "mine"),
        probe("smoke-myrobot"),
    ]
    async with await connect(BrokerOptions(url=server.url), name="test") as connection:
        assert await leftovers(site_of(connection)) == "none"
        for config in left + kept:
            await call(connection, f"STREAM.CREATE.{config['name']}", config)
        young = await leftovers(site_of(connection))
        assert young.startswith("none; others check at this moment (TWIN_smoke_0123abcd_lag")
        told = await leftovers(site_of(connection, stale_s=0.0))
        assert told == (
            "deleted what checks that were killed had left: "
            "TWIN_smoke_0123abcd_lag, TWIN_smoke_0123abcd_trip"
        )
        assert await stream_names(connection) == sorted(str(one["name"]) for one in kept)


async def test_checks_of_the_same_name_begin_anew(server: NatsServer) -> None:
    """What checks called `smoke` left, with messages in it, spoils none of the next ones."""
    async with await connect(BrokerOptions(url=server.url), name="test") as connection:
        config = probe("smoke", storage="file")
        await call(connection, f"STREAM.CREATE.{config['name']}", config)
        await connection.request("twin.smoke.trip", b"old")
        assert "10 messages" in await round_trip(site_of(connection, token="smoke"))
        assert await stream_names(connection) == []


async def test_leftovers_that_may_not_be_deleted_are_named(tmp_path: Path) -> None:
    """Who may not look at them is told their names, who may not delete them what to do."""
    users = """
        {user: all, password: p}
        {user: blind, password: p, permissions: {publish: {allow: ["$JS.API.STREAM.NAMES"]}}}
        {user: shy, password: p, permissions: {publish: {deny: ["$JS.API.STREAM.DELETE.*"]}}}
    """
    login = BrokerOptions(user="all", password="p")
    async with NatsServer(
        tmp_path / "nats",
        log=tmp_path / "log",
        extra_config=f"authorization {{ users: [{users}] }}",
        probe=login,
    ) as server:
        one = probe("smoke-0123abcd")
        async with await connect(replace(login, url=server.url), name="test") as connection:
            await call(connection, f"STREAM.CREATE.{one['name']}", one)
        blind = replace(login, url=server.url, user="blind")
        async with await connect(blind, name="test") as connection:
            told = await leftovers(site_of(connection, stale_s=0.0))
        assert "may not look at TWIN_smoke_0123abcd_trip" in told
        shy = replace(login, url=server.url, user="shy")
        async with await connect(shy, name="test") as connection:
            with pytest.raises(Wrong, match="not to be deleted by this user: TWIN_smoke_0123abcd"):
                await leftovers(site_of(connection, stale_s=0.0))


async def test_a_check_that_does_not_expect_what_it_meets_fails_alone(server: NatsServer) -> None:
    """The others still say what they found."""

    async def surprised(_: Site) -> str:
        raise KeyError("stream")

    async with await connect(BrokerOptions(url=server.url), name="test") as connection:
        checks = [CHECKS[0], Check("surprised", "Nothing unexpected", surprised)]
        findings = await run_checks(checks, site_of(connection))
    assert [one.state for one in findings] == [State.OK, State.FAIL]
    assert "KeyError" in findings[1].detail


async def test_an_answer_that_is_not_the_streams_is_told(server: NatsServer) -> None:
    """A service that answers requests on a subject is not taken for JetStream."""
    async with await connect(BrokerOptions(url=server.url), name="test") as connection:
        for answer in (b"+OK", b"[]", b"{}", b'{"stream":1}', b""):

            def reply(batch: list[Delivery], text: bytes = answer) -> None:
                connection.send([(one[1], text, b"", b"") for one in batch])

            subscription = await connection.subscribe("service.here", reply)
            with pytest.raises(Wrong, match="no acknowledgement"):
                await publish(connection, "service.here", b"", b"NATS/1.0\r\n\r\n")
            await connection.unsubscribe(subscription)
