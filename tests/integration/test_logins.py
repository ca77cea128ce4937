"""Every way to log in, both ways: let in with the right login, kept out with any other."""

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from server_logins import Key, Operator, make_certificates, write_creds, write_nkey

from twin.errors import BrokerUnreachable, UsageError
from twin.events.topology import ConsumerDecl, StreamDecl, Topology
from twin.jetstream.connection import BrokerOptions, connect
from twin.jetstream.consumer import PullConsumer
from twin.jetstream.reconcile import reconcile
from twin.jetstream.server import NatsServer

Until = Callable[..., Awaitable[None]]
TOPOLOGY = Topology((StreamDecl("TRIP", ("trip",)),), (ConsumerDecl("reader", "TRIP", "reader"),))


@asynccontextmanager
async def serving(folder: Path, config: str, login: BrokerOptions) -> AsyncIterator[NatsServer]:
    """Run a server with `config`, into which `login` is let."""
    folder.mkdir(exist_ok=True)  # noqa: ASYNC240 - done at once
    async with NatsServer(
        folder / "nats", log=folder / "nats-server.log", extra_config=config, probe=login
    ) as server:
        yield server


async def round_trip(options: BrokerOptions) -> bytes:
    """Make a stream, store a message, read it from a durable with a double acknowledgement."""
    async with await connect(options, name="test") as connection:
        await reconcile(connection, TOPOLOGY)
        await connection.request("trip", b"there and back")
        async with PullConsumer(connection, "TRIP", "reader") as consumer:
            batch = await consumer.next_batch(5.0)
            await consumer.ack_sync(batch)
    return batch[0].payload


async def refused(options: BrokerOptions) -> None:
    """The server keeps us out, which is said at once and without our secrets."""
    with pytest.raises(BrokerUnreachable) as refusal:
        await connect(options, name="test")
    secrets = filter(None, (options.token, options.password))
    assert [secret for secret in secrets if secret in str(refusal.value)] == []


async def test_token(tmp_path: Path) -> None:
    """The right token, as an option or in the URL."""
    mine = BrokerOptions(token="c4t")
    async with serving(tmp_path, "authorization { token: c4t }", mine) as server:
        assert await round_trip(replace(mine, url=server.url)) == b"there and back"
        in_url = server.url.replace("://", "://c4t@")
        async with await connect(BrokerOptions.resolve(in_url, environ={}), name="test") as one:
            assert one.up
        for wrong in (BrokerOptions(), BrokerOptions(token="d0g")):
            await refused(replace(wrong, url=server.url))


async def test_user_and_password(tmp_path: Path) -> None:
    """The right pair, as options or in the URL, percent-encoded there; a password may be empty."""
    config = """authorization { users: [
        {user: ann, password: "p@ss/w0rd"}, {user: open, password: ""}] }"""
    mine = BrokerOptions(user="ann", password="p@ss/w0rd")
    async with serving(tmp_path, config, mine) as server:
        assert await round_trip(replace(mine, url=server.url)) == b"there and back"
        in_url = server.url.replace("://", "://ann:p%40ss%2Fw0rd@")
        environ = {"NATS_USER": "bob", "NATS_PASSWORD": "wrong"}
        found = BrokerOptions.resolve(in_url, environ=environ)
        for good in (found, BrokerOptions(server.url, user="open")):
            async with await connect(good, name="test") as connection:
                assert connection.up
        for wrong in (
            BrokerOptions(),
            BrokerOptions(user="ann", password="wrong"),
            BrokerOptions(user="bob", password="p@ss/w0rd"),
            BrokerOptions(token="p@ss/w0rd"),
        ):
            await refused(replace(wrong, url=server.url))


async def test_nkey(tmp_path: Path) -> None:
    """The seed of a user that the server knows; its public key alone is no login."""
    mine, other = Key.make("user"), Key.make("user")
    nkey = write_nkey(tmp_path / "mine.nk", mine.seed)
    config = f"authorization {{ users: [{{nkey: {mine.public}}}] }}"
    async with serving(tmp_path / "a", config, BrokerOptions(nkey=nkey)) as server:
        assert await round_trip(BrokerOptions(server.url, nkey=nkey)) == b"there and back"
        await refused(BrokerOptions(server.url))
        await refused(BrokerOptions(server.url, nkey=write_nkey(tmp_path / "other.nk", other.seed)))


async def test_creds(tmp_path: Path) -> None:
    """A user's JWT from an account that the operator signed, with the seed that belongs to it."""
    ours, theirs = Operator(), Operator()
    mine = ours.creds(tmp_path / "mine.creds")
    async with serving(tmp_path / "a", ours.config, BrokerOptions(creds=mine)) as server:
        assert await round_trip(BrokerOptions(server.url, creds=mine)) == b"there and back"
        await refused(BrokerOptions(server.url))
        strange = theirs.creds(tmp_path / "strange.creds")
        jwt = mine.read_text().split("\n")[1]
        stolen = write_creds(tmp_path / "stolen.creds", jwt, Key.make("user").seed)
        expired = ours.creds(tmp_path / "expired.creds", expires=int(time.time()) - 60)
        for creds in (strange, stolen, expired):
            await refused(BrokerOptions(server.url, creds=creds))


async def test_a_reconnect_logs_in_again(tmp_path: Path) -> None:
    """After a restart of the server, creds and nkey let us in without our doing anything."""
    ours = Operator()
    mine = BrokerOptions(creds=ours.creds(tmp_path / "mine.creds"))
    async with (
        serving(tmp_path / "a", ours.config, mine) as server,
        await connect(replace(mine, url=server.url), name="test") as connection,
    ):
        await server.kill()
        await server.start()
        await connection.wait_up(10)
        assert (await connection.request("$JS.API.INFO"))[3].startswith(b"{")


@pytest.mark.parametrize("left", ["", "garbage", "seed"])
async def test_credentials_that_break_are_told_and_mended(tmp_path: Path, left: str) -> None:
    """While a file holds no login, calls say so and name it; once it does, we are let in again."""
    ours = Operator()
    file, probe = ours.creds(tmp_path / "mine.creds"), ours.creds(tmp_path / "probe.creds")
    good = file.read_text()
    async with (
        serving(tmp_path / "a", ours.config, BrokerOptions(creds=probe)) as server,
        await connect(BrokerOptions(server.url, creds=file), name="test") as connection,
    ):
        file.write_text(good.partition("\n\n")[2] if left == "seed" else left)
        await server.kill()
        await server.start()
        with pytest.raises(BrokerUnreachable) as told:
            await connection.request("$JS.API.INFO", timeout_s=1)
        assert f"{file} holds no NATS credentials" in str(told.value)
        file.write_text(good)
        await connection.wait_up(5)
        assert (await connection.request("$JS.API.INFO"))[3].startswith(b"{")


async def test_an_nkey_is_read_once(tmp_path: Path) -> None:
    """A reconnect is made with the key that the first connect had, whatever became of its file."""
    mine = Key.make("user")
    file, probe = write_nkey(tmp_path / "a.nk", mine.seed), write_nkey(tmp_path / "b.nk", mine.seed)
    config = f"authorization {{ users: [{{nkey: {mine.public}}}] }}"
    async with (
        serving(tmp_path / "a", config, BrokerOptions(nkey=probe)) as server,
        await connect(BrokerOptions(server.url, nkey=file), name="test") as connection,
    ):
        file.write_text("garbage")
        await server.kill()
        await server.start()
        await connection.wait_up(5)
        assert (await connection.request("$JS.API.INFO"))[3].startswith(b"{")


async def test_a_revoked_user_is_told_and_let_in_again(tmp_path: Path, until: Until) -> None:
    """After a reload without our user, calls name the violation; after one with it, we are back."""
    bob = "authorization { users: [{user: bob, password: b0b} ANN] }"
    ann = bob.replace("ANN", ", {user: ann, password: s3cret}")
    mine = BrokerOptions(user="ann", password="s3cret")
    async with serving(tmp_path / "a", ann, mine) as server:
        config = server.folder / "nats-server.conf"
        text = config.read_text()
        async with await connect(replace(mine, url=server.url), name="test") as connection:
            config.write_text(text.replace(ann, bob.replace("ANN", "")))
            os.kill(server.pid, signal.SIGHUP)
            said = ""
            async with asyncio.timeout(30):  # while it reloads, it may let us in once more
                while "Authorization Violation" not in said:
                    await until(lambda: not connection.up)
                    try:
                        await connection.wait_up(1)
                    except BrokerUnreachable as told:
                        said = str(told)
                    await asyncio.sleep(0.01)  # it may yet have to hear that it is down
                    assert "s3cret" not in said
            config.write_text(text)
            os.kill(server.pid, signal.SIGHUP)
            await connection.wait_up(10)
            assert (await connection.request("$JS.API.INFO"))[3].startswith(b"{")


async def test_tls_and_mutual_tls(tmp_path: Path) -> None:
    """A known authority is needed; where the server asks for it, a certificate of ours too."""
    pki = make_certificates(tmp_path)
    files = f'cert_file: "{pki / "server.pem"}", key_file: "{pki / "server.key"}"'
    trusting = BrokerOptions(ca=pki / "ca.pem")
    async with serving(tmp_path / "tls", f"tls {{ {files} }}", trusting) as server:
        assert await round_trip(replace(trusting, url=server.url)) == b"there and back"
        with_scheme = server.url.replace("nats:", "tls:")
        assert await round_trip(replace(trusting, url=with_scheme)) == b"there and back"
        async with await connect(replace(trusting, url=with_scheme), name="test") as one:
            assert one.wire_name == "fast"
        await refused(BrokerOptions(server.url))
        await refused(BrokerOptions(with_scheme))
    mutual = f'tls {{ {files}, ca_file: "{pki / "ca.pem"}", verify: true }}'
    mine = replace(trusting, cert=pki / "client.pem", key=pki / "client.key")
    async with serving(tmp_path / "mtls", mutual, mine) as server:
        assert await round_trip(replace(mine, url=server.url)) == b"there and back"
        await refused(replace(trusting, url=server.url))
    first = f"tls {{ {files}, handshake_first: true }}"
    early = replace(trusting, tls_first=True)
    async with serving(tmp_path / "first", first, early) as server:
        assert await round_trip(replace(early, url=server.url)) == b"there and back"
        await refused(replace(trusting, url=server.url))


async def test_a_certificate_can_be_the_login(tmp_path: Path) -> None:
    """With verify_and_map the certificate's name is the user; others' certificates are none."""
    pki = make_certificates(tmp_path)
    config = f"""
        tls {{ cert_file: "{pki / "server.pem"}", key_file: "{pki / "server.key"}",
               ca_file: "{pki / "ca.pem"}", verify_and_map: true }}
        authorization {{ users: [{{user: "CN=client"}}] }}
    """
    mine = BrokerOptions(ca=pki / "ca.pem", cert=pki / "client.pem", key=pki / "client.key")
    async with serving(tmp_path / "a", config, mine) as server:
        assert await round_trip(replace(mine, url=server.url)) == b"there and back"
        other = replace(mine, cert=pki / "server.pem", key=pki / "server.key", url=server.url)
        await refused(other)


async def test_a_domain_over_a_leaf_node(tmp_path: Path) -> None:
    """Through a leaf node, the domain decides in which JetStream a stream is made."""

    def jetstream(folder: Path, domain: str) -> str:
        return f'jetstream {{ store_dir: "{folder / "js"}", domain: {domain} }}'

    hub, leaf = tmp_path / "hub", tmp_path / "leaf"
    listen = 'leafnodes { listen: "127.0.0.1:-1" }'
    async with serving(hub, f"{jetstream(hub, 'hub')}\n{listen}", BrokerOptions()) as server:
        found = re.search(r"leafnode connections on (127\.0\.0\.1:\d+)", server.log.read_text())
        assert found
        remote = f'leafnodes {{ remotes: [{{url: "nats-leaf://{found[1]}"}}] }}'
        config = f"{jetstream(leaf, 'leaf')}\n{remote}"
        async with serving(leaf, config, BrokerOptions()) as edge:
            mine = BrokerOptions(edge.url, domain="hub")
            assert await round_trip(mine) == b"there and back"
            assert await _has_stream(BrokerOptions(server.url))
            assert not await _has_stream(BrokerOptions(edge.url))
            with pytest.raises(BrokerUnreachable, match="Nothing answers"):
                await _has_stream(BrokerOptions(edge.url, domain="moon"))


async def test_an_api_prefix_and_an_inbox_prefix(tmp_path: Path) -> None:
    """JetStream of another account under a prefix, with inboxes of our own only."""
    config = """
        accounts {
            JS {
                jetstream: enabled
                users: [{user: owner, password: owns}]
                exports: [
                    {service: "$JS.API.>", response: stream}
                    {service: "$JS.ACK.>"}
                    {service: "trip"}
                ]
            }
            APP {
                users: [{user: app, password: uses, permissions: {
                    publish: [ "js.hub.>", "$JS.ACK.>", "trip" ], subscribe: "mine.>" }}]
                imports: [
                    {service: {account: JS, subject: "$JS.API.>"}, to: "js.hub.>"}
                    {service: {account: JS, subject: "$JS.ACK.>"}}
                    {service: {account: JS, subject: "trip"}}
                ]
            }
        }
    """
    owner = BrokerOptions(user="owner", password="owns")
    async with serving(tmp_path, config, owner) as server:
        app = BrokerOptions(
            server.url, user="app", password="uses", api_prefix="js.hub", inbox_prefix="mine"
        )
        assert await round_trip(app) == b"there and back"
        assert await _has_stream(replace(owner, url=server.url))
        with pytest.raises(BrokerUnreachable, match=r"not permit us to publish on \$JS\.API\."):
            await round_trip(replace(app, api_prefix=""))
        with pytest.raises(BrokerUnreachable, match="no answer"):
            await _has_stream(replace(app, inbox_prefix="_INBOX"))


async def _has_stream(options: BrokerOptions) -> bool:
    async with await connect(options, name="test") as connection:
        verb = f"{options.api}.STREAM.INFO.TRIP"
        answer = await connection.request(verb, timeout_s=1.0)
    return b'"error"' not in answer[3]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not a login",
        "SUAAAA",
        "-----BEGIN NATS USER JWT-----\n",
        "-----BEGIN NATS USER JWT-----\na.b.c\n------END NATS USER JWT------\n",
        "-----BEGIN NATS USER JWT-----\na.b.c\n-----BEGIN USER NKEY SEED-----\nSUAA\n",
        "\xff\xfe",
    ],
)
async def test_files_that_hold_no_login(tmp_path: Path, text: str) -> None:
    """They are refused before anything is dialled, and nothing of them is shown."""
    file = tmp_path / "file"
    file.write_text(text, encoding="latin-1")
    for options in (BrokerOptions(creds=file), BrokerOptions(nkey=file)):
        with pytest.raises(UsageError) as refusal:
            await connect(options, name="test")
        assert str(file) in str(refusal.value)
        assert "SUAA" not in str(refusal.value)


async def test_seeds_of_others_than_users_are_no_login(tmp_path: Path) -> None:
    """An account's or operator's seed is not sent a signature with, by mistake."""
    for kind in ("account", "operator"):
        file = write_nkey(tmp_path / kind, Key.make(kind).seed)
        with pytest.raises(UsageError, match="no seed of a user"):
            await connect(BrokerOptions(nkey=file), name="test")


async def test_a_context_carries_everything(tmp_path: Path) -> None:
    """A nats CLI context with nkey, certificates and prefixes connects as its options do."""
    key = Key.make("user")
    pki = make_certificates(tmp_path)
    config = f"""
        tls {{ cert_file: "{pki / "server.pem"}", key_file: "{pki / "server.key"}",
               ca_file: "{pki / "ca.pem"}", verify: true }}
        authorization {{ users: [{{nkey: {key.public}, permissions: {{
            publish: ">", subscribe: ["mine.>"] }} }}] }}
    """
    context = {
        "nkey": str(write_nkey(tmp_path / "user.nk", key.seed)),
        "ca": str(pki / "ca.pem"),
        "cert": str(pki / "client.pem"),
        "key": str(pki / "client.key"),
        "inbox_prefix": "mine",
    }
    folder = tmp_path / "nats" / "context"
    folder.mkdir(parents=True)
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}

    def resolved(**changes: str) -> BrokerOptions:
        (folder / "lab.json").write_text(json.dumps({**context, **changes}))
        return BrokerOptions.resolve(context="lab", environ=environ)

    async with serving(tmp_path / "a", config, resolved()) as server:
        assert await round_trip(resolved(url=server.url)) == b"there and back"
        options = resolved(url=server.url)
        again = BrokerOptions.resolve(environ=options.environment())
        assert again == options
        assert await round_trip(again) == b"there and back"
        await refused(resolved(url=server.url, nkey=""))
        await refused(resolved(url=server.url, cert="", key=""))
