"""The proxy and its toxics between a client and a real nats-server, measured."""

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from server_logins import make_certificates

from twin.chaos.faultlog import FaultEntry
from twin.chaos.network import Dose, Proxy, Stream
from twin.chaos.toxics import (
    Bandwidth,
    Effect,
    Latency,
    LimitData,
    ResetPeer,
    Slicer,
    SlowClose,
    Timeout,
    Toxic,
)
from twin.errors import BrokerUnreachable
from twin.jetstream.connection import BrokerOptions, Connection, connect
from twin.jetstream.server import NatsServer
from twin.scenario.faults.net_faults import break_network
from twin.scenario.language.net_actions import NetLatency, NetTimeout

CHANCE = random.Random(1)  # noqa: S311 - chance of a test, no secret
Until = Callable[..., Awaitable[None]]
Make = Callable[[Effect, random.Random], Toxic]


@pytest.fixture
async def proxy(server: NatsServer) -> AsyncIterator[Proxy]:
    """A proxy before the test's own server."""
    async with Proxy("127.0.0.1", server.port) as running:
        yield running


@pytest.fixture
async def client(proxy: Proxy) -> AsyncIterator[Connection]:
    """A connection by way of the proxy."""
    options = BrokerOptions(url=f"nats://127.0.0.1:{proxy.port}")
    async with await connect(options, name="proxied") as opened:
        yield opened


def dosed(
    proxy: Proxy, make: Make, stream: Stream = "downstream", toxicity: float = 1.0
) -> AbstractContextManager[Effect]:
    """Let a toxic act while the context lasts."""
    return proxy.dosed(Dose(make, stream, toxicity, Effect(), CHANCE))


async def round_trip(client: Connection) -> float:
    """Return the seconds that a ping takes."""
    started = time.monotonic()
    await client.flush(10.0)
    return time.monotonic() - started


async def soonest(client: Connection, within_s: float, tries: int = 20) -> list[float]:
    """Return what pings took until one was so fast: a busy machine makes some late, not all."""
    delays: list[float] = []
    while len(delays) < tries and (not delays or min(delays) >= within_s):
        delays.append(await round_trip(client))
    assert min(delays) < within_s, delays
    return delays


async def pipe(proxy: Proxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a bare connection by way of the proxy, after the server's greeting."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert (await reader.readline()).startswith(b"INFO ")
    return reader, writer


async def test_a_proxy_alone_is_not_noticed(client: Connection, proxy: Proxy) -> None:
    """Without toxics a round trip stays short, and whole messages of 500 kB come back."""
    got: list[bytes] = []
    await client.subscribe("big", lambda batch: got.extend(one[3] for one in batch))
    body = CHANCE.randbytes(500_000)
    await client.publish("big", body)
    await client.flush()
    assert got == [body]
    await soonest(client, 0.05)


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
async def test_latency_is_what_was_asked_for(
    client: Connection, proxy: Proxy, stream: Stream
) -> None:
    """Each direction adds its 200 ms, within +/- 50 ms, only while the toxic is there."""
    with dosed(proxy, partial(Latency, latency=0.2), stream) as effect:
        delays = await soonest(client, 0.25)
        assert min(delays) >= 0.2, delays
    assert effect.data > 0
    await soonest(client, 0.1)


async def test_jitter_spreads_around_the_latency(client: Connection, proxy: Proxy) -> None:
    """With 100 ms +/- 80 ms delays differ, none is shorter, and most are within the range."""
    with dosed(proxy, partial(Latency, latency=0.1, jitter=0.08)):
        delays = [await round_trip(client) for _ in range(12)]
    assert min(delays) >= 0.02, delays
    assert statistics.median(delays) < 0.18, delays
    assert max(delays) - min(delays) > 0.05


async def test_latency_takes_nothing_of_the_bandwidth(client: Connection, proxy: Proxy) -> None:
    """4 MB under a latency of 200 ms take few round trips, and not one for each 64 KiB."""
    with dosed(proxy, partial(Latency, latency=0.2), "upstream"):
        started = time.monotonic()
        for _ in range(8):
            await client.publish("nobody", bytes(500_000))
        await client.flush(10.0)
    assert time.monotonic() - started < 6.0


async def test_bandwidth_holds_its_rate(client: Connection, proxy: Proxy) -> None:
    """300 kB at 400 kB/s take 0.75 s, never less, and on a quiet machine no more than 15 %."""
    took = []
    while len(took) < 12 and (not took or min(took) > 0.86):
        with dosed(proxy, partial(Bandwidth, rate=400_000), "upstream"):
            started = time.monotonic()
            await client.publish("nobody", bytes(300_000))
            await client.flush(10.0)
            took.append(time.monotonic() - started)
    assert 0.7 < min(took) < 0.86, took


async def test_the_end_of_a_toxic_lets_go_at_once(client: Connection, proxy: Proxy) -> None:
    """What a bandwidth of 1 kB/s would hold for minutes arrives when it is over."""
    with dosed(proxy, partial(Bandwidth, rate=1_000), "upstream") as effect:
        await client.publish("nobody", bytes(200_000))
        await asyncio.wait_for(effect.touched.wait(), 20)
    assert await round_trip(client) < 9.0


async def test_slicer_cuts_and_pauses(proxy: Proxy) -> None:
    """60 bytes from the server arrive in pieces of 7 to 13 bytes, 30 ms apart."""
    reader, writer = await pipe(proxy)
    with dosed(proxy, partial(Slicer, average_size=10, size_variation=3, delay=0.03)):
        started = time.monotonic()
        writer.write(b"PING\r\n" * 10)
        pieces = []
        while sum(map(len, pieces)) < 60:
            pieces.append(await reader.read(1000))
    took = time.monotonic() - started
    writer.close()
    assert b"".join(pieces) == b"PONG\r\n" * 10
    assert all(len(piece) <= 13 for piece in pieces), pieces
    assert 0.1 < took < 6.0


async def test_timeout_lets_nothing_through_and_closes(
    client: Connection, proxy: Proxy, until: Until
) -> None:
    """No answer comes while it lasts; then the connection ends, and the client comes back."""
    with dosed(proxy, Timeout) as effect:
        with pytest.raises(BrokerUnreachable):
            await client.flush(0.5)
        assert client.disconnects == 0
    await until(lambda: client.disconnects == 1)
    await client.wait_up(20.0)
    await round_trip(client)
    assert effect.connections == 1


async def test_timeout_closes_in_its_time(proxy: Proxy) -> None:
    """With a timeout of 200 ms the connection ends after it, without a byte."""
    reader, writer = await pipe(proxy)
    with dosed(proxy, partial(Timeout, timeout=0.2)):
        started = time.monotonic()
        writer.write(b"PING\r\n")
        assert await asyncio.wait_for(reader.read(), 20) == b""
        assert 0.15 < time.monotonic() - started < 6.0
    writer.close()


async def test_reset_is_a_reset_and_the_client_comes_back(
    client: Connection, proxy: Proxy, until: Until
) -> None:
    """A bare socket sees ECONNRESET; the client reconnects, and loses its connection once."""
    reader, writer = await pipe(proxy)
    with dosed(proxy, ResetPeer) as effect:
        await asyncio.wait_for(effect.touched.wait(), 20)
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    await until(lambda: client.disconnects == 1)
    await client.wait_up(20.0)
    await round_trip(client)
    assert effect.connections == 2


async def test_toxicity_hits_some_connections(proxy: Proxy, until: Until) -> None:
    """With a toxicity of one half about half of 40 connections are reset."""
    pipes = [await pipe(proxy) for _ in range(40)]
    with dosed(proxy, ResetPeer, toxicity=0.5) as effect:
        await until(lambda: effect.connections >= 10)
        await asyncio.sleep(0.2)
    for _, writer in pipes:
        writer.close()
    assert effect.connections <= 30


async def test_limit_data_closes_after_its_bytes(proxy: Proxy) -> None:
    """Of ten answers the first 15 bytes arrive, then the connection ends."""
    reader, writer = await pipe(proxy)
    with dosed(proxy, partial(LimitData, limit=15)) as effect:
        writer.write(b"PING\r\n" * 10)
        assert await asyncio.wait_for(reader.read(), 20) == (b"PONG\r\n" * 10)[:15]
    writer.close()
    assert effect.connections == 1


async def test_slow_close_holds_the_end_back(proxy: Proxy) -> None:
    """When the server hangs up, the client hears of it 300 ms later."""
    reader, writer = await pipe(proxy)
    with dosed(proxy, partial(SlowClose, delay=0.3)):
        writer.write(b"NONSENSE\r\n")
        started = time.monotonic()
        assert b"-ERR" in await asyncio.wait_for(reader.read(), 20)
        assert 0.25 < time.monotonic() - started < 6.0
    writer.close()


async def test_down_refuses_and_keeps_its_port(
    client: Connection, proxy: Proxy, until: Until
) -> None:
    """Connections end, new ones are refused, and after it the same port works again."""
    port, effect = proxy.port, Effect()
    await proxy.down(effect)
    await until(lambda: not client.up)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    await proxy.up()
    await client.wait_up(20.0)
    assert (proxy.port, effect.connections) == (port, 1)


async def test_a_broker_that_is_away_is_away_behind_the_proxy(
    client: Connection, proxy: Proxy, server: NatsServer, until: Until
) -> None:
    """When the server is killed the client loses its connection, and finds the next server."""
    await server.kill()
    await until(lambda: not client.up)
    await server.start()
    await client.wait_up(20.0)
    await round_trip(client)


async def test_the_server_tells_no_way_past_the_proxy(client: Connection) -> None:
    """Our own server advertises no address to which a client could reconnect directly."""
    assert client.advertised == ()


async def test_tls_passes_and_its_certificate_is_checked(tmp_path: Path) -> None:
    """TLS goes through with latency; the certificate is that of the host behind the proxy."""
    pki = make_certificates(tmp_path)
    files = f'cert_file: "{pki / "server.pem"}", key_file: "{pki / "server.key"}"'
    trusting = BrokerOptions(ca=pki / "ca.pem")
    place = {"folder": tmp_path / "nats", "log": tmp_path / "log"}
    async with (
        NatsServer(**place, extra_config=f"tls {{ {files} }}", probe=trusting) as server,
        Proxy("127.0.0.1", server.port) as proxy,
    ):
        elsewhere = replace(trusting, url=f"tls://localhost:{proxy.port}")
        named = replace(elsewhere, tls_hostname="127.0.0.1")
        async with await connect(named, name="proxied") as client:
            with dosed(proxy, partial(Latency, latency=0.2)):
                assert min(await soonest(client, 0.5)) >= 0.2
        with pytest.raises(BrokerUnreachable):
            await connect(elsewhere, name="proxied")


async def test_a_slicer_of_large_pieces_hits_nothing(proxy: Proxy) -> None:
    """What stays in one piece, without a pause, does not count as hit."""
    reader, writer = await pipe(proxy)
    with dosed(proxy, partial(Slicer, average_size=1_000_000)) as effect:
        writer.write(b"PING\r\n")
        assert await reader.readline() == b"PONG\r\n"
    writer.close()
    assert not effect.touched.is_set()


@pytest.mark.parametrize(
    ("make", "hit"),
    [
        (partial(Bandwidth, rate=1e9), False),
        (partial(Bandwidth, rate=1e3), True),
        (partial(Latency, latency=0.0005), False),
        (partial(Latency, latency=0.3), True),
    ],
)
async def test_what_is_held_for_less_than_a_millisecond_is_not_hit(
    make: Make, hit: bool, proxy: Proxy
) -> None:
    """A line that is wide enough, or as good as fast, has no effect; else it says how long."""
    reader, writer = await pipe(proxy)
    with dosed(proxy, make) as effect:
        writer.write(b"PING\r\n")
        assert await reader.readline() == b"PONG\r\n"
    writer.close()
    assert effect.touched.is_set() is hit
    assert (effect.data, effect.longest_s >= 0.005) == ((6, True) if hit else (0, False))


async def test_a_short_fault_lasts_from_the_first_that_it_hits(proxy: Proxy) -> None:
    """What comes after its time finds it in force for as long as it was meant to last."""
    reader, writer = await pipe(proxy)
    action = NetLatency.model_validate({"fault": "net.latency", "latency": "5s", "for": "100ms"})
    done = FaultEntry(1, action.fault, action.client, 0)
    breaking = asyncio.create_task(break_network(action, proxy, done, seed=1))
    await asyncio.sleep(0.3)
    began = time.monotonic()
    writer.write(b"PING\r\n")
    assert await reader.readline() == b"PONG\r\n"
    assert 0.09 <= time.monotonic() - began < 4.5
    await breaking
    writer.close()
    assert (done.outcome, done.detail[:11]) == ("fired", "hit 6 bytes")


async def test_a_timeout_on_an_idle_connection_closes_it(proxy: Proxy) -> None:
    """Without a byte that it could drop, its effect is that the connection ends with it."""
    reader, writer = await pipe(proxy)
    action = NetTimeout.model_validate({"fault": "net.timeout", "for": "1200ms"})
    done = FaultEntry(1, action.fault, action.client, 0)
    await break_network(action, proxy, done, seed=1)
    assert await reader.read() == b""
    writer.close()
    assert (done.outcome, done.detail) == ("fired", "hit 1 connections")
