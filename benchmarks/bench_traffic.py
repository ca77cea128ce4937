"""Publishing and consuming, side by side with the ordinary ways through nats-py.

Every contender gets the same server, file storage, 256-byte payloads and seven CloudEvents
headers plus Nats-Msg-Id; everything is acknowledged and counted in the stream afterwards.
Contenders take turns, so that a busy machine treats them alike; medians and ratios are shown.

    python benchmarks/bench_traffic.py [--count 90000] [--rounds 5] [--only publish]
"""

import argparse
import asyncio
import gc
import json
import platform
import select
import socket
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path

import nats
from nats.js.api import PubAck

from twin.events.event import Event, SourceTable
from twin.events.subjects import SubjectSpace
from twin.events.topology import ConsumerDecl, StreamDecl, Topology
from twin.jetstream.api import call, stream_state
from twin.jetstream.connection import BrokerOptions, Connection, connect
from twin.jetstream.consumer import PullConsumer
from twin.jetstream.publisher import Publisher, PublisherSettings
from twin.jetstream.reconcile import reconcile
from twin.jetstream.server import NatsServer
from twin.verdict.journal import FileJournal

SOURCES = 2000
SLICE = 256
STREAM = StreamDecl("BENCH", ("bench.>",), max_bytes=-1, duplicate_window_s=120)
PAYLOAD = json.dumps({"fill": "x"}).encode().ljust(256)
CE = {
    "ce-specversion": "1.0",
    "ce-type": "qiki.telemetry.v1.Snapshot",
    "ce-source": "urn:twin:benchmark:bot-0001",
    "ce-subject": "power",
    "ce-time": "2026-01-01T00:00:00.000Z",
    "ce-datacontenttype": "application/json",
}
Contender = Callable[["Bench", int, str], Awaitable[float]]


class Bench:
    """One server with one stream, emptied before each turn."""

    def __init__(self, server: NatsServer, folder: Path) -> None:
        self.server = server
        self.folder = folder

    def connect(self, wire: str = "auto") -> Awaitable[Connection]:
        """Open a connection of ours."""
        return connect(BrokerOptions(url=self.server.url), name="bench", wire=wire)  # type: ignore[arg-type]

    async def fresh(self) -> None:
        """Make the stream anew, so that no duplicate map and no file is carried over."""
        async with await self.connect() as connection:
            try:
                await call(connection, "STREAM.DELETE.BENCH")
            except Exception as error:
                if "not found" not in str(error):
                    raise
            await reconcile(connection, Topology((STREAM,), ()))

    async def stored(self) -> int:
        """Count what the stream holds."""
        async with await self.connect() as connection:
            return (await stream_state(connection, "BENCH", "none")).messages


def begin() -> float:
    """Start the clock with an empty young generation, so that what was prepared costs nobody."""
    gc.collect()
    gc.freeze()
    return time.perf_counter()


def headers(run: str, number: int) -> dict[str, str]:
    """The headers of one event, as a dictionary."""
    name = f"bot-{number % SOURCES}/bench/{number // SOURCES + 1}"
    return {**CE, "ce-id": name, "Nats-Msg-Id": f"{run}/{name}"}


def block(run: str, number: int) -> bytes:
    """The same headers, encoded."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers(run, number).items())
    return f"NATS/1.0\r\n{lines}".encode()


async def ours(bench: Bench, count: int, run: str, wire: str, pipelined: bool) -> float:
    """Our publisher, with its journal."""
    sources = SourceTable()
    for number in range(SOURCES):
        sources.add(f"bot-{number}", f"bench.{number}")
    events = [Event(n % SOURCES, n // SOURCES + 1, n, block(run, n), PAYLOAD) for n in range(count)]
    settings = PublisherSettings(pipelined=pipelined)
    async with await bench.connect(wire) as connection:
        with FileJournal(bench.folder / run) as journal:
            async with Publisher(connection, sources, SubjectSpace(), journal, settings) as out:
                started = begin()
                for start in range(0, count, SLICE):
                    await out.room()
                    part = events[start : start + SLICE]
                    out.offer(part, [time.time_ns()] * len(part))
                assert await out.flush(60)
                elapsed = time.perf_counter() - started
                assert out.counts.acknowledged == count, out.counts
    return elapsed


async def ours_ordered(bench: Bench, count: int, run: str) -> float:
    """Ours as a run uses it: one in flight per source."""
    return await ours(bench, count, run, "auto", pipelined=False)


async def ours_pipelined(bench: Bench, count: int, run: str) -> float:
    """Ours without order per source."""
    return await ours(bench, count, run, "auto", pipelined=True)


async def ours_public(bench: Bench, count: int, run: str) -> float:
    """Ours over nats-py's public API."""
    return await ours(bench, count // 3, run, "public", pipelined=False) * 3


async def publish_async(bench: Bench, count: int, run: str) -> float:
    """nats-py's publish_async with its window of 4000, ready-made payload and headers."""
    count //= 3
    fields = [headers(run, n) for n in range(count)]
    client = await nats.connect(bench.server.url)
    js = client.jetstream(publish_async_max_pending=4000)
    started = begin()
    futures: list[asyncio.Future[PubAck]] = [
        await js.publish_async(f"bench.{n % SOURCES}", PAYLOAD, headers=fields[n])
        for n in range(count)
    ]
    await js.publish_async_completed()
    assert all(future.done() and not future.exception() for future in futures)
    elapsed = time.perf_counter() - started
    await client.close()
    return elapsed * 3


async def one_by_one(bench: Bench, count: int, run: str) -> float:
    """nats-py's publish, awaited each time."""
    count //= 20
    fields = [headers(run, n) for n in range(count)]
    client = await nats.connect(bench.server.url)
    js = client.jetstream()
    started = begin()
    for n in range(count):
        await js.publish(f"bench.{n % SOURCES}", PAYLOAD, headers=fields[n])
    elapsed = time.perf_counter() - started
    await client.close()
    return elapsed * 20


async def raw_socket(bench: Bench, count: int, run: str) -> float:
    """A pipelined socket with ready-made frames, which only counts answers: the ceiling."""
    frames = []
    for start in range(0, count, SLICE):
        part = []
        for n in range(start, min(start + SLICE, count)):
            head = block(run, n) + b"\r\n"
            sizes = b"%d %d" % (len(head), len(head) + len(PAYLOAD))
            part.append(b"HPUB bench.%d i.x %b\r\n%b%b\r\n" % (n % SOURCES, sizes, head, PAYLOAD))
        frames.append(b"".join(part))
    return await asyncio.to_thread(_pump_socket, bench.server.port, frames, count)


def _pump_socket(port: int, frames: list[bytes], count: int) -> float:
    with socket.create_connection(("127.0.0.1", port)) as wire:
        wire.recv(65536)
        wire.sendall(b'CONNECT {"headers":true,"verbose":false}\r\nSUB i.x 1\r\nPING\r\n')
        while b"PONG" not in wire.recv(65536):
            pass
        started = begin()
        sent = answered = 0
        tail = b""
        waiting = list(reversed(frames))
        while answered < count:
            while waiting and sent - answered < 8192:
                sent += SLICE
                wire.sendall(waiting.pop())
                if select.select([wire], [], [], 0)[0]:
                    break
            data = tail + wire.recv(1 << 20)
            answered += data.count(b'"seq":')
            assert b'"error"' not in data
            tail = data[-5:] if not data.endswith(b"\n") else b""
            if b'"seq":' in tail:
                tail = b""
        return time.perf_counter() - started


async def fill(bench: Bench, count: int, run: str) -> ConsumerDecl:
    """Store `count` messages and make a durable for them."""
    await ours_pipelined(bench, count, run)
    durable = ConsumerDecl("bench", "BENCH", f"c-{run}", max_ack_pending=20_000, max_deliver=-1)
    async with await bench.connect() as connection:
        await reconcile(connection, Topology((STREAM,), (durable,)))
    return durable


async def consume_ours(bench: Bench, count: int, run: str, wire: str = "auto") -> float:
    """Our pull loop, each message acknowledged."""
    durable = await fill(bench, count, run)
    async with await bench.connect(wire) as connection:
        started = begin()
        async with PullConsumer(connection, "BENCH", durable.name, batch=4000) as consumer:
            taken = 0
            while taken < count:
                batch = await consumer.next_batch(5.0)
                taken += len(batch)
                consumer.ack(batch)
            await connection.flush()
        return time.perf_counter() - started


async def consume_public(bench: Bench, count: int, run: str) -> float:
    """Our pull loop over nats-py's public API."""
    return await consume_ours(bench, count, run, "public")


async def consume_fetch(bench: Bench, count: int, run: str) -> float:
    """nats-py's fetch(1000), each message acknowledged."""
    durable = await fill(bench, count, run)
    client = await nats.connect(bench.server.url)
    subscription = await client.jetstream().pull_subscribe_bind(durable.name, stream="BENCH")
    started = begin()
    taken = 0
    while taken < count:
        batch = await subscription.fetch(min(1000, count - taken), timeout=10)
        taken += len(batch)
        for message in batch:
            await message.ack()
    await client.flush()
    elapsed = time.perf_counter() - started
    await client.close()
    return elapsed


async def both_ours(bench: Bench, count: int, run: str) -> float:
    """Our publisher and our consumer at once, in one process."""
    return await _both(bench, count, run, ours_ordered, _drain_ours)


async def both_nats_py(bench: Bench, count: int, run: str) -> float:
    """publish_async and fetch at once, in one process."""
    return (
        await _both(
            bench, count // 3, run, lambda b, c, r: publish_async(b, c * 3, r), _drain_fetch
        )
        * 3
    )


async def _both(
    bench: Bench,
    count: int,
    run: str,
    publish: Contender,
    drain: Callable[[Bench, int, str], Awaitable[None]],
) -> float:
    durable = ConsumerDecl("bench", "BENCH", f"c-{run}", max_ack_pending=20_000, max_deliver=-1)
    async with await bench.connect() as connection:
        await reconcile(connection, Topology((STREAM,), (durable,)))
    started = begin()
    await asyncio.gather(publish(bench, count, run), drain(bench, count, durable.name))
    return time.perf_counter() - started


async def _drain_ours(bench: Bench, count: int, durable: str) -> None:
    async with (
        await bench.connect() as connection,
        PullConsumer(connection, "BENCH", durable, batch=4000) as consumer,
    ):
        taken = 0
        while taken < count:
            batch = await consumer.next_batch(5.0)
            taken += len(batch)
            consumer.ack(batch)


async def _drain_fetch(bench: Bench, count: int, durable: str) -> None:
    client = await nats.connect(bench.server.url)
    subscription = await client.jetstream().pull_subscribe_bind(durable, stream="BENCH")
    taken = 0
    while taken < count:
        try:
            batch = await subscription.fetch(min(1000, count - taken), timeout=1)
        except TimeoutError:
            continue
        taken += len(batch)
        for message in batch:
            await message.ack()
    await client.close()


GROUPS: dict[str, dict[str, Contender]] = {
    "publish": {
        "publish_async": publish_async,
        "one by one": one_by_one,
        "ours, ordered": ours_ordered,
        "ours, pipelined": ours_pipelined,
        "ours, public API": ours_public,
        "raw socket, no accounts": raw_socket,
    },
    "consume": {
        "fetch(1000)": consume_fetch,
        "ours": consume_ours,
        "ours, public API": consume_public,
    },
    "both": {"publish_async + fetch": both_nats_py, "ours": both_ours},
}
REDUCED = {"publish_async": 3, "one by one": 20, "publish_async + fetch": 3}


async def measure(bench: Bench, group: str, count: int, rounds: int) -> dict[str, list[float]]:
    """Return messages per second of every contender and round."""
    rates: dict[str, list[float]] = {name: [] for name in GROUPS[group]}
    for number in range(rounds):
        for place, (name, contender) in enumerate(GROUPS[group].items()):
            await bench.fresh()
            elapsed = await contender(bench, count, f"{group}-{number}-{place}")
            stored = await bench.stored()
            reduced = 3 if "public API" in name and group == "publish" else REDUCED.get(name, 1)
            assert stored == count // reduced, f"{name}: {stored} stored of {count // reduced}"
            rates[name].append(count / elapsed)
    return rates


def show(group: str, rates: dict[str, list[float]]) -> None:
    """Print medians, spread and the ratio to the first contender."""
    base = statistics.median(next(iter(rates.values())))
    print(f"\n{group:28} {'msg/s':>9} {'min':>9} {'max':>9} {'ratio':>7}")
    for name, values in rates.items():
        median = statistics.median(values)
        print(
            f"{name:28} {median:9,.0f} {min(values):9,.0f} {max(values):9,.0f} {median / base:7.2f}"
        )


async def main() -> None:
    """Run the groups that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=90_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=GROUPS, action="append")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        async with NatsServer(path / "nats", log=path / "log") as server:
            print(
                f"nats-server {server.version}, nats-py {version('nats-py')}, "
                f"Python {platform.python_version()}, {platform.machine()}"
            )
            for group in asked.only or GROUPS:
                show(group, await measure(Bench(server, path), group, asked.count, asked.rounds))


if __name__ == "__main__":
    asyncio.run(main())
