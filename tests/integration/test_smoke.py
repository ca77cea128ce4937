"""Breaking one thing in a live deployment turns exactly its own smoke check red."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from twin.configs.generate import generate
from twin.configs.roles import Role, roles
from twin.configs.topology import space_of, spec_topology
from twin.jetstream.api import call
from twin.jetstream.connection import Connection, connect
from twin.jetstream.options import BrokerOptions
from twin.jetstream.reconcile import reconcile
from twin.jetstream.server import NatsServer
from twin.lag.monitor import open_sampler, serve_page
from twin.smoke.check import Finding, State, run_checks
from twin.smoke.deployment import CHECKS, embedded
from twin.smoke.site import Site
from twin.spec.load import load_spec

SPEC = load_spec("builtin:BotSpec")
TOPOLOGY = spec_topology(SPEC)
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


async def test_one_broken_thing_is_one_red_check(tmp_path: Path) -> None:
    """On one live deployment, eight things are broken in turn and mended again."""
    configs = tmp_path / "configs"
    for name, text in generate(SPEC).items():
        (configs / name).parent.mkdir(parents=True, exist_ok=True)
        (configs / name).write_text(text)
    async with (
        embedded(tmp_path, TOPOLOGY) as ours,
        await connect(BrokerOptions(url=ours.url), name="test") as connection,
    ):
        site = site_of(connection, registrar=ours.registrar, monitor=ours.monitor, configs=configs)

        numbers = itertools.count()

        async def after(**broken: object) -> list[str]:
            fresh = replace(site, token=f"smoke-{next(numbers)}", **broken)
            return red(await run_checks(CHECKS, fresh))

        findings = await run_checks(CHECKS, site)
        assert [one.name for one in findings if one.state is not State.OK] == ["permissions"]

        await call(connection, "CONSUMER.DELETE.QIKI_EVENTS_V1.events_audit_pull")
        assert await after() == ["topology"]
        await reconcile(connection, TOPOLOGY)

        await connection.publish("qiki.events.v1.nav", b"{}", b"NATS/1.0\r\nce-id: 1\r\n\r\n")
        assert await after() == ["cloudevents"]
        await call(connection, "STREAM.PURGE.QIKI_EVENTS_V1", {"filter": "qiki.events.v1.nav"})

        (configs / "prometheus.yml").write_text("scrape_configs: []\n")
        assert await after() == ["configs"]
        (configs / "prometheus.yml").write_text(generate(SPEC)["prometheus.yml"])

        dead = "http://127.0.0.1:1"
        assert await after(registrar=dead) == ["registrar-pages"]
        assert await after(monitor=dead) == ["monitor-pages"]

        async with open_sampler(BrokerOptions(url=ours.url), ["OTHER_*"], 0.2) as sampler:
            await sampler.sample(1.0)
            with serve_page(sampler, "127.0.0.1", 0) as url:
                blind = url.removesuffix("/metrics")
                assert await after(monitor=blind) == ["monitor"]

        held = {"pause_until": "2100-01-01T00:00:00Z"}
        await call(connection, "CONSUMER.PAUSE.QIKI_EVENTS_V1.registrar", held)
        assert await after() == ["registrar"]
        await call(connection, "CONSUMER.PAUSE.QIKI_EVENTS_V1.registrar", {})

        assert await after() == []
        answer = await call(connection, "STREAM.NAMES")
        assert b"TWIN_" not in answer


async def test_what_alters_messages_is_caught(tmp_path: Path, server: NatsServer) -> None:
    """A middlebox that drops message ids, changes payloads or shifts times: one check each."""
    async with await connect(BrokerOptions(url=server.url), name="test") as connection:
        await reconcile(connection, TOPOLOGY)

    def shifted(data: bytes) -> bytes:
        return re.sub(
            rb"(\$JS\.ACK\.TWIN_\S+?\.1\.1\.1\.)(\d{19})(\.0)",
            lambda found: found[1] + str(int(found[2]) + 5_000_000_000).encode() + found[3],
            data,
        )

    def same(data: bytes) -> bytes:
        return data

    for up, down, expected in (
        (same, same, []),
        (lambda data: data.replace(b"Nats-Msg-Id", b"Nats-Xsg-Id"), same, ["duplicates"]),
        (lambda data: data.replace(b"probe 7", b"probe 6"), same, ["round-trip"]),
        (same, shifted, ["clock"]),
    ):
        async with (
            proxy(server.url, up, down) as url,
            await connect(BrokerOptions(url=url), name="test") as connection,
        ):
            assert red(await run_checks(CHECKS, site_of(connection))) == expected


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


async def test_credentials_are_judged_both_ways(tmp_path: Path) -> None:
    """The generated permissions are right; one more is too wide, one less too narrow."""
    lag = {role.user: role for role in roles(SPEC, TOPOLOGY)}["lag"]
    narrow = replace(lag, publish=lag.publish[1:])
    wide = replace(lag, publish=(*lag.publish, "twin.>"))
    deaf = replace(narrow, subscribe=("_INBOX.>",), publish=("$JS.API.STREAM.>",))
    everyone = users(admin=None, right=lag, narrow=narrow, wide=wide, deaf=deaf)

    def options(user: str) -> BrokerOptions:
        return BrokerOptions(url=server.url, user=user, password="secret")

    admin = BrokerOptions(user="admin", password="secret")
    async with NatsServer(
        tmp_path / "nats", log=tmp_path / "log", extra_config=everyone, probe=admin
    ) as server:
        async with await connect(options("admin"), name="test") as connection:
            await reconcile(connection, TOPOLOGY)
            site = site_of(connection)
            for user, word in (("right", ""), ("narrow", "narrow"), ("wide", "wide")):
                asked = replace(site, credentials={"lag": options(user)})
                findings = await run_checks(CHECKS, asked)
                told = next(one.detail for one in findings if one.name == "permissions")
                assert red(findings) == (["permissions"] if word else []), told
                assert not word or f"too {word}" in told
        async with await connect(options("deaf"), name="test") as connection:
            findings = await run_checks(CHECKS, site_of(connection))
            assert red(findings) == ["jetstream"]
            assert {one.state for one in findings[1:]} == {State.NOT_CHECKED}
