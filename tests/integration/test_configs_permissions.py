"""The generated nats-server.conf on a real server: each role can do its work, and no more."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeout

from twin.configs.generate import generate
from twin.configs.roles import Role, roles
from twin.configs.topology import spec_topology
from twin.jetstream.connection import connect as connect_twin
from twin.jetstream.options import BrokerOptions
from twin.jetstream.reconcile import Action, reconcile
from twin.jetstream.server import find_nats_server
from twin.spec.bot import BotSpec
from twin.spec.load import load_spec

DEADLINE_S = 10.0


async def flush(client: Client) -> None:
    """Wait until the server has all: nats-py sends the first PING before what it holds back."""
    for _ in range(2):
        await client.flush(timeout=DEADLINE_S)


class Deployment:
    """A server with the generated configuration, and clients in each role."""

    def __init__(self, url: str, spec: BotSpec, stack: AsyncExitStack) -> None:
        self.url = url
        self.spec = spec
        self.topology = spec_topology(spec)
        self.roles = {role.user: role for role in roles(spec, self.topology)}
        self._stack = stack
        self._clients: dict[str, tuple[Client, list[str]]] = {}

    async def client(self, user: str) -> Client:
        """Return the client of a role, connected once."""
        if user not in self._clients:
            complaints: list[str] = []

            async def note(error: Exception) -> None:
                complaints.append(str(error))

            client = await nats.connect(
                self.url,
                user=user,
                password=f"secret-{user}",
                inbox_prefix=self.roles[user].inbox.encode(),
                error_cb=note,
                allow_reconnect=False,
            )
            self._stack.push_async_callback(client.close)
            self._clients[user] = (client, complaints)
        return self._clients[user][0]

    async def refused(self, user: str, act: Callable[[Client], Awaitable[object]]) -> bool:
        """Do something in a role; return whether the server complained of a permission."""
        client = await self.client(user)
        complaints = self._clients[user][1]
        complaints.clear()
        await act(client)
        await flush(client)
        return any("permissions violation" in text.lower() for text in complaints)

    async def may_publish(self, user: str, subject: str) -> bool:
        """Return whether a role may publish on a subject."""
        return not await self.refused(user, lambda client: client.publish(subject, b"{}"))

    async def may_hear(self, user: str, subject: str) -> bool:
        """Return whether a role may subscribe to a subject."""
        return not await self.refused(user, lambda client: client.subscribe(subject))

    async def api(self, user: str, verb: str, body: object = None) -> dict[str, object]:
        """Ask the JetStream API as a role; an error answer fails the test."""
        client = await self.client(user)
        payload = b"" if body is None else json.dumps(body).encode()
        answer = await client.request(f"$JS.API.{verb}", payload, timeout=DEADLINE_S)
        found: dict[str, object] = json.loads(answer.data)
        assert "error" not in found, (verb, found)
        return found

    async def provision(self) -> None:
        """Make the streams and consumers from the generated files, as the provisioner."""
        for path, text in generate(self.spec).items():
            config = json.loads(text) if path.startswith(("streams/", "consumers/")) else {}
            if path.startswith("streams/"):
                await self.api("provisioner", f"STREAM.CREATE.{config['name']}", config)
            elif path.startswith("consumers/"):
                stream, name = Path(path).stem.split(".")
                body = {"stream_name": stream, "config": config}
                await self.api("provisioner", f"CONSUMER.DURABLE.CREATE.{stream}.{name}", body)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """What is open in a test, closed in reverse order."""
    async with AsyncExitStack() as opened:
        yield opened


async def deploy(spec: BotSpec, folder: Path, stack: AsyncExitStack) -> Deployment:
    """Start nats-server with the files generated from `spec`, on a port of its own."""
    conf = folder / "nats-server.conf"
    text = generate(spec)["nats-server.conf"]
    text = text.replace('listen: "127.0.0.1:4222"', 'listen: "127.0.0.1:-1"')
    text = text.replace('http: "127.0.0.1:8222"\n', f'ports_file_dir: "{folder}"\n')
    conf.write_text(text.replace("./jetstream", str(folder / "jetstream")))
    users = [role.user for role in roles(spec, spec_topology(spec))]
    secrets = {f"TWIN_{user.upper()}_PASSWORD": f"secret-{user}" for user in users}
    server = await asyncio.create_subprocess_exec(
        find_nats_server(), "-c", conf, "-l", folder / "log", env={**os.environ, **secrets}
    )
    stack.push_async_callback(server.wait)
    stack.callback(server.terminate)
    ports = folder / f"nats-server_{server.pid}.ports"
    async with asyncio.timeout(DEADLINE_S):
        while not ports.is_file() or not ports.read_text():
            assert server.returncode is None, (folder / "log").read_text()
            await asyncio.sleep(0.02)
    url = json.loads(ports.read_text())["nats"][0]
    deployment = Deployment(url, spec, stack)
    await deployment.provision()
    return deployment


@pytest.fixture
async def platform(tmp_path: Path, stack: AsyncExitStack) -> Deployment:
    """A deployment of the platform's bot."""
    return await deploy(load_spec("builtin:BotSpec"), tmp_path, stack)


async def test_the_bot_publishes_its_own_subjects_and_no_others(platform: Deployment) -> None:
    """Everything it says is acknowledged; audits, commands and the JetStream API are refused."""
    bot = await platform.client("bot")
    for subject in platform.roles["bot"].publish:
        if not subject.startswith("qiki.responses."):
            answer = await bot.request(subject, b"{}", timeout=DEADLINE_S)
            assert b'"seq"' in answer.data, subject
    assert await platform.may_publish("bot", "qiki.responses.control")
    for subject in (
        "qiki.events.v1.audit",
        "qiki.events.v1.other",
        "qiki.commands.control",
        "$JS.API.STREAM.DELETE.QIKI_EVENTS_V1",
        "$JS.API.STREAM.MSG.GET.QIKI_EVENTS_V1",
        "_INBOX_registrar.x",
    ):
        assert not await platform.may_publish("bot", subject), subject


async def test_the_bot_hears_its_commands_only(platform: Deployment) -> None:
    """Neither others' events, nor their inboxes, nor everything."""
    for subject in platform.roles["bot"].subscribe:
        assert await platform.may_hear("bot", subject), subject
    for subject in ("qiki.telemetry", "qiki.>", ">", "_INBOX_operator.>", "_INBOX.>", "$JS.>"):
        assert not await platform.may_hear("bot", subject), subject


async def test_an_operator_commands_and_is_answered(platform: Deployment) -> None:
    """The answer reaches the operator's private inbox; only one may be sent per command."""
    bot = await platform.client("bot")
    operator = await platform.client("operator")

    async def answer(message: nats.aio.msg.Msg) -> None:
        await bot.publish(message.reply, b"done")

    await bot.subscribe("qiki.commands.control", cb=answer)
    await flush(bot)
    reply = await operator.request("qiki.commands.control", b"{}", timeout=DEADLINE_S)
    assert reply.data == b"done"
    assert await platform.may_hear("operator", "qiki.responses.control")
    assert not await platform.may_publish("operator", "qiki.telemetry")
    assert not await platform.may_hear("operator", "qiki.commands.control")


async def test_the_registrar_reads_its_durables_and_writes_audits(platform: Deployment) -> None:
    """It pulls, acknowledges and publishes audit records; it cannot forge or remove events."""
    await (await platform.client("bot")).publish("qiki.telemetry", b"{}")
    registrar = await platform.client("registrar")
    subscription = await registrar.jetstream().pull_subscribe_bind(
        durable="registrar", stream="QIKI_TELEMETRY_V1"
    )
    [message] = await subscription.fetch(1, timeout=DEADLINE_S)
    await message.ack_sync()
    answer = await registrar.request("qiki.events.v1.audit", b"{}", timeout=DEADLINE_S)
    assert b'"seq"' in answer.data
    for subject in (
        "qiki.telemetry",
        "$JS.API.CONSUMER.MSG.NEXT.QIKI_RADAR_V1.radar_frames_pull",
        "$JS.API.CONSUMER.DELETE.QIKI_TELEMETRY_V1.registrar",
        "$JS.API.STREAM.PURGE.QIKI_TELEMETRY_V1",
        "$JS.ACK.QIKI_EVENTS_V1.events_audit_pull.1.1.1.1.0",
    ):
        assert not await platform.may_publish("registrar", subject), subject


async def test_a_platform_consumer_reads_its_own_durable(platform: Deployment) -> None:
    """The reader of radar frames gets frames, and cannot touch the reader of tracks."""
    await (await platform.client("bot")).publish("qiki.radar.v1.frames", b"frame")
    reader = await platform.client("radar_frames")
    subscription = await reader.jetstream().pull_subscribe_bind(
        durable="radar_frames_pull", stream="QIKI_RADAR_V1"
    )
    [message] = await subscription.fetch(1, timeout=DEADLINE_S)
    assert message.data == b"frame"
    await message.ack_sync()
    other = "$JS.API.CONSUMER.MSG.NEXT.QIKI_RADAR_V1.radar_tracks_pull"
    assert not await platform.may_publish("radar_frames", other)


async def test_the_lag_monitor_looks_and_does_not_touch(platform: Deployment) -> None:
    """Streams, consumers, advisories and the oldest message's time, and nothing that changes."""
    await (await platform.client("bot")).request("qiki.telemetry", b"{}", timeout=DEADLINE_S)
    for stream in platform.topology.streams:
        await platform.api("lag", f"STREAM.INFO.{stream.name}")
        await platform.api("lag", f"CONSUMER.LIST.{stream.name}", {"offset": 0})
    for one in platform.topology.consumers:
        await platform.api("lag", f"CONSUMER.INFO.{one.stream}.{one.name}")
    await platform.api("lag", "STREAM.MSG.GET.QIKI_TELEMETRY_V1", {"seq": 1})
    assert await platform.may_hear("lag", "$JS.EVENT.ADVISORY.>")
    for subject in (
        "qiki.telemetry",
        "$JS.API.CONSUMER.MSG.NEXT.QIKI_TELEMETRY_V1.registrar",
        "$JS.API.CONSUMER.PAUSE.QIKI_TELEMETRY_V1.registrar",
        "$JS.API.STREAM.UPDATE.QIKI_TELEMETRY_V1",
    ):
        assert not await platform.may_publish("lag", subject), subject
    assert not await platform.may_hear("lag", "qiki.>")


async def test_the_provisioner_makes_and_never_removes(platform: Deployment) -> None:
    """It made everything in the fixture; deleting, purging and reading are refused."""
    for subject in (
        "$JS.API.STREAM.DELETE.QIKI_EVENTS_V1",
        "$JS.API.STREAM.PURGE.QIKI_EVENTS_V1",
        "$JS.API.STREAM.MSG.GET.QIKI_EVENTS_V1",
        "$JS.API.STREAM.MSG.DELETE.QIKI_EVENTS_V1",
        "$JS.API.CONSUMER.DELETE.QIKI_EVENTS_V1.registrar",
        "qiki.telemetry",
    ):
        assert not await platform.may_publish("provisioner", subject), subject


async def test_the_smoke_user_makes_its_own_streams_only(platform: Deployment) -> None:
    """It probes with a bot and streams that it deletes; what is the deployment's stays."""
    probe = {"name": "TWIN_smoke_trip", "subjects": ["twin.smoke.trip"], "storage": "memory"}
    await platform.api("smoke", "STREAM.CREATE.TWIN_smoke_trip", probe)
    await platform.api("smoke", "STREAM.DELETE.TWIN_smoke_trip")
    assert await platform.may_hear("smoke", "qiki.events.v1.audit")
    for subject in (
        "qiki.events.v1.audit",
        "qiki.commands.control",
        "$JS.API.STREAM.DELETE.QIKI_EVENTS_V1",
        "$JS.API.STREAM.MSG.DELETE.QIKI_EVENTS_V1",
        "$JS.API.STREAM.CREATE.OTHER",
        "$JS.API.STREAM.PURGE.QIKI_EVENTS_V1",
        "$JS.API.CONSUMER.MSG.NEXT.QIKI_EVENTS_V1.registrar",
        "$JS.API.CONSUMER.DELETE.QIKI_EVENTS_V1.registrar",
        "twin.smoke.other",
    ):
        assert not await platform.may_publish("smoke", subject), subject
    assert not await platform.may_hear("smoke", "qiki.telemetry")


async def test_generated_streams_are_what_the_twin_declares(platform: Deployment) -> None:
    """Our own reconciler finds nothing in the files to correct, and may make what is missing."""
    options = BrokerOptions(
        url=platform.url,
        user="provisioner",
        password="secret-provisioner",
        inbox_prefix=platform.roles["provisioner"].inbox,
    )
    rover = spec_topology(load_spec("builtin:rover"))
    async with await connect_twin(options, name="test") as connection:
        found = await reconcile(connection, platform.topology)
        made = await reconcile(connection, rover)
    assert {change.action for change in found} == {Action.ATTACHED}
    assert [change for change in found if change.differences] == []
    assert {change.action for change in made} == {Action.CREATED}


@pytest.mark.parametrize("login", [{}, {"user": "bot", "pass": "wrong"}])
async def test_nobody_comes_in_without_the_password(
    platform: Deployment, login: dict[str, str]
) -> None:
    """A wrong password and none at all are refused."""
    host, port = platform.url.removeprefix("nats://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"CONNECT %b\r\nPING\r\n" % json.dumps(login).encode())
    answer = await asyncio.wait_for(reader.read(), DEADLINE_S)
    assert b"-ERR 'Authorization Violation'" in answer
    assert b"PONG" not in answer
    writer.close()
    await writer.wait_closed()


async def test_in_a_fleet_no_bot_speaks_for_another(tmp_path: Path, stack: AsyncExitStack) -> None:
    """The bot's user is bound to its id; the simulator's user is not."""
    spec = load_spec("builtin:BotSpec")
    bus = spec.event_bus.model_copy(update={"layout": "fleet"})
    fleet = await deploy(spec.model_copy(update={"event_bus": bus}), tmp_path, stack)
    own, other = "qiki.fleet.v1.QIKI-DODECA-01.telemetry", "qiki.fleet.v1.OTHER.telemetry"
    assert await fleet.may_publish("bot", own)
    assert not await fleet.may_publish("bot", other)
    assert await fleet.may_publish("fleet", other)
    assert not await fleet.may_hear("bot", "qiki.fleet.v1.OTHER.commands.control")


async def test_a_custom_bot_stores_its_own_channels(tmp_path: Path, stack: AsyncExitStack) -> None:
    """The rover publishes on its three subjects, each stored in its stream, and on no other's."""
    spec = load_spec("builtin:rover")
    rover = await deploy(spec, tmp_path, stack)
    client = await rover.client("bot")
    for channel in spec.event_bus.custom:
        subject = channel.subject_of("ROVER-1")
        answer = await client.request(subject, b"x", timeout=DEADLINE_S)
        assert json.loads(answer.data)["stream"] == channel.stream
    assert not await rover.may_publish("bot", "fleet.ROVER-2.gps")
    assert not await rover.may_publish("bot", "qiki.telemetry")
    with suppress(NoRespondersError, NatsTimeout):
        await (await rover.client("operator")).request("fleet.ROVER-1.gps", b"x", timeout=0.2)
    assert await _messages(rover, "ROVER_V1") == 2


async def _messages(deployment: Deployment, stream: str) -> int:
    info = await deployment.api("lag", f"STREAM.INFO.{stream}")
    state = info["state"]
    assert isinstance(state, dict)
    return int(state["messages"])


def test_every_role_of_the_specs_is_seen_above() -> None:
    """A role that is added needs a test of what it may do."""
    spec = load_spec("builtin:BotSpec")
    found: list[Role] = list(roles(spec, spec_topology(spec)))
    assert {role.user for role in found} == {
        "bot",
        "fleet",
        "operator",
        "registrar",
        "radar_frames",
        "radar_tracks",
        "events_audit",
        "lag",
        "provisioner",
        "smoke",
    }
