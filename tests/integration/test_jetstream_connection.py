"""Connections: quick to say no, hard to lose, silent on stderr; and what we need of nats-py."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import pytest

from twin.errors import BrokerUnreachable
from twin.jetstream import fastpath
from twin.jetstream.connection import BrokerOptions, Connection, NoResponders, connect
from twin.jetstream.server import NatsServer
from twin.jetstream.wire import Delivery

Until = Callable[..., Awaitable[None]]


def test_nobody_there_is_said_quickly_and_quietly() -> None:
    """One attempt on a closed port fails soon, with nothing on stderr."""
    program = """
import asyncio
from twin.errors import BrokerUnreachable
from twin.jetstream.connection import BrokerOptions, connect
async def main():
    try:
        await connect(BrokerOptions(url="nats://u:secret@127.0.0.1:1"), name="test")
    except BrokerUnreachable as error:
        print(error)
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stderr == ""
    assert "nats://***@127.0.0.1:1: [Errno 111]" in done.stdout


async def test_a_silent_listener_is_given_up_in_time() -> None:
    """Something that accepts and says nothing is not waited for beyond the time given."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        options = BrokerOptions(url=f"nats://127.0.0.1:{listener.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(BrokerUnreachable, match=r"no answer within 0\.3 s"):
            await connect(options, name="test", timeout_s=0.3)
        assert time.monotonic() - started < 10


async def test_a_service_waits_for_its_broker(server: NatsServer) -> None:
    """With `forever` a connection comes about once the broker is there."""
    await server.kill()
    waiting = asyncio.create_task(
        connect(BrokerOptions(url=server.url), name="service", forever=True)
    )
    done, _ = await asyncio.wait([waiting], timeout=0.3)
    assert not done
    await server.start()
    async with await asyncio.wait_for(waiting, 30) as connection:
        assert connection.up


async def test_waiting_for_a_broker_can_be_cancelled(server: NatsServer) -> None:
    """Cancelling the first connect leaves nothing running."""
    await server.kill()
    waiting = asyncio.create_task(
        connect(BrokerOptions(url=server.url), name="service", forever=True)
    )
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert {task for task in asyncio.all_tasks() if "nats" in repr(task.get_coro())} == set()


async def test_tells_what_happened_and_when(
    server: NatsServer, connection: Connection, until: Until
) -> None:
    """Loss and return are logged with wall time and told to listeners."""
    seen: list[bool] = []
    with connection.listening(state=seen.append):
        before = time.time_ns()
        await server.kill()
        await until(lambda: not connection.up)
        with pytest.raises(BrokerUnreachable):
            await connection.publish("x", b"")
        await server.start()
        await connection.wait_up(20)
    assert seen == [False, True]
    assert connection.disconnects == 1
    kinds = [event.kind for event in connection.events]
    assert [kind for kind in kinds if kind != "error"] == [
        "connected",
        "disconnected",
        "reconnected",
    ]
    times = [event.wall_ns for event in connection.events]
    assert times == sorted(times)
    assert before < times[-1] < time.time_ns()


@pytest.mark.parametrize("wire", ["fast", "public"])
async def test_a_client_that_gave_up_is_replaced(
    server: NatsServer, wire: str, until: Until
) -> None:
    """After a protocol error, for which nats-py closes for good, everything goes on."""
    async with await connect(
        BrokerOptions(url=server.url),
        name="test",
        wire=wire,  # type: ignore[arg-type]
    ) as connection:
        got: list[Delivery] = []
        arrived = asyncio.Event()

        def take(batch: list[Delivery]) -> None:
            got.extend(batch)
            arrived.set()

        await connection.subscribe("here.*", take)
        states: list[bool] = []
        with connection.listening(state=states.append):
            connection._link.client._transport.write(b"NONSENSE\r\n")  # type: ignore[union-attr]
            await until(lambda: states == [False, True])
        await connection.publish("here.x", b"1", b"NATS/1.0\r\na: b\r\n\r\n")
        await asyncio.wait_for(arrived.wait(), 20)
        assert got == [(b"here.x", b"", b"NATS/1.0\r\na: b\r\n\r\n", b"1")]


@pytest.mark.parametrize("wire", ["fast", "public"])
async def test_requests(server: NatsServer, wire: str) -> None:
    """A reply comes back to its request; nobody there and no answer are told apart."""
    async with await connect(
        BrokerOptions(url=server.url),
        name="test",
        wire=wire,  # type: ignore[arg-type]
    ) as connection:
        assert connection.wire_name == wire

        def echo(batch: list[Delivery]) -> None:
            connection.send(
                [(reply, b"", headers, payload) for _, reply, headers, payload in batch]
            )

        await connection.subscribe("echo", echo)
        await connection.subscribe("mute", lambda batch: None)
        answers = await asyncio.gather(*(connection.request("echo", b"%d" % n) for n in range(50)))
        assert [answer[3] for answer in answers] == [b"%d" % n for n in range(50)]
        with pytest.raises(NoResponders, match="nobody"):
            await connection.request("nobody")
        with pytest.raises(BrokerUnreachable, match="no answer on mute"):
            await connection.request("mute", timeout_s=0.1)


async def test_nothing_comes_after_unsubscribe(connection: Connection) -> None:
    """An ended subscription gets nothing more, and can be ended again."""
    got: list[Delivery] = []
    subscription = await connection.subscribe("x", got.extend)
    await connection.publish("x", b"1")
    await connection.flush()
    await connection.unsubscribe(subscription)
    await connection.unsubscribe(subscription)
    await connection.publish("x", b"2")
    await connection.flush()
    assert [payload for *_, payload in got] == [b"1"]


async def test_nats_py_is_as_the_fast_path_knows_it(server: NatsServer) -> None:
    """A contract: when nats-py changes its internals, this fails before anything subtle does."""
    async with await connect(BrokerOptions(url=server.url), name="t", wire="fast") as connection:
        assert fastpath.missing_internals(connection._link.client) == []
        assert connection.wire_name == "fast"


async def test_the_fast_path_takes_all_at_once_that_was_read(server: NatsServer) -> None:
    """What came while the loop was busy is not handed over in nats-py's pieces of 32 KiB."""
    async with await connect(BrokerOptions(url=server.url), name="t", wire="fast") as connection:
        pieces: list[int] = []
        await connection.subscribe("x", lambda batch: pieces.append(sum(len(b[3]) for b in batch)))
        async with asyncio.timeout(30):
            while not pieces or max(pieces) < 80_000:
                connection.send([(b"x", b"", b"", bytes(1000))] * 200)
                time.sleep(0.05)  # noqa: ASYNC251 - the loop is busy meanwhile
                await connection.flush()


async def test_a_flush_comes_after_everything_that_was_sent_over_either_way(
    server: NatsServer,
) -> None:
    """What was published before it has been delivered, a large message too."""
    for wire in ("fast", "public"):
        async with await connect(BrokerOptions(url=server.url), name="t", wire=wire) as connection:
            got: list[Delivery] = []
            for size in (1, 500_000, 2):
                subscription = await connection.subscribe("x", got.extend)
                await connection.publish("x", bytes(size))
                await connection.flush()
                await connection.unsubscribe(subscription)
            assert [len(payload) for *_, payload in got] == [1, 500_000, 2]


INTERNALS = {
    "Client._ps": ("_ps", None),
    "Client._transport over TCP": ("_transport", None),
    "Client._process_msg": ("_process_msg", None),
    "Client._process_ping": ("_process_ping", None),
    "Client._process_pong": ("_process_pong", None),
    "Client._process_err": ("_process_err", None),
    "Client._subs": ("_subs", []),
    "Client._pending": ("_pending", b""),
    "Client._pending_data_size": ("_pending_data_size", "0"),
}


@pytest.mark.parametrize("name", INTERNALS)
async def test_each_internal_that_changes_is_named(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whatever of nats-py is gone or of another kind keeps the fast path from being taken."""
    client = connection._link.client
    attribute, changed = INTERNALS[name]
    with monkeypatch.context() as patched:
        patched.setattr(client, attribute, changed)
        assert fastpath.missing_internals(client) == [name]
        assert fastpath.attach(client, lambda error: None) is None


async def test_other_internals_fall_back_to_the_public_way(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nats-py is another version, the slower way is taken without being asked."""
    monkeypatch.setattr(fastpath, "SUPPORTED", "9.9.")
    async with await connect(BrokerOptions(url=server.url), name="test") as connection:
        assert connection.wire_name == "public"
        assert (await connection.request("$JS.API.INFO"))[3].startswith(b"{")
