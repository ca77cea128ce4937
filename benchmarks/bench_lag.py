"""What a look at many consumers costs the sampler: CPU time per round, of one core.

Run: python benchmarks/bench_lag.py [CONSUMERS] [ROUNDS]. Each variant samples once a second;
the share is CPU seconds of the sampler's thread over wall seconds. Where all are at work, another
thread takes and acknowledges one message of each consumer a second, and all stay behind. The
page is rendered as at a scrape.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from threading import Event, Thread

import orjson
from prometheus_client import CollectorRegistry, generate_latest

from twin.jetstream.api import call
from twin.jetstream.connection import BrokerOptions, Connection, connect
from twin.jetstream.server import NatsServer
from twin.jetstream.wire import Delivery
from twin.lag.metrics import LagCollector
from twin.lag.sampler import LagSampler
from twin.lag.status import StatusRules

MESSAGES = 200
ACK = b"+ACK"
ONE = orjson.dumps({"batch": 1, "no_wait": True})


async def prepare(connection: Connection, consumers: int) -> None:
    """Make a stream and its durables."""
    stream = {"name": "S", "subjects": ["s.>"], "storage": "memory"}
    await call(connection, "STREAM.CREATE.S", stream)
    for number in range(consumers):
        name = f"c{number:04}"
        config = {"name": name, "durable_name": name, "ack_policy": "explicit"}
        body = {"stream_name": "S", "config": config | {"mem_storage": True}}
        await call(connection, f"CONSUMER.CREATE.S.{name}", body)


async def measure(connection: Connection, rounds: int, title: str) -> None:
    """Sample once a second, print what it cost."""
    sampler = LagSampler(
        connection, [], lambda stream, name: (0, 0), patterns=["*"], rules=StatusRules.every(1.0)
    )
    await sampler.sample(5.0)
    wall, cpu = time.monotonic(), time.thread_time()
    for number in range(rounds):
        await sampler.sample(5.0)
        await asyncio.sleep(max(0.0, wall + number + 1 - time.monotonic()))
    share = (time.thread_time() - cpu) / (time.monotonic() - wall)
    print(f"{title:28} {len(sampler.latest):5} consumers  {100 * share:5.1f} % of a core")
    registry = CollectorRegistry()
    registry.register(LagCollector(sampler))
    cpu = time.thread_time()
    size = len(generate_latest(registry))
    print(f"{'  one scrape':28} {time.thread_time() - cpu:.3f} s CPU, {size / 1e6:.1f} MB")


async def work(url: str, consumers: int, over: Event) -> None:
    """Let every consumer take and acknowledge one message a second."""
    async with await connect(BrokerOptions(url=url), name="work") as connection:

        def acknowledge(batch: list[Delivery]) -> None:
            connection.send([(one[1], b"", b"", ACK) for one in batch if one[1]])

        inbox = connection.new_inbox()
        await connection.subscribe(inbox, acknowledge)
        asks = [
            (b"$JS.API.CONSUMER.MSG.NEXT.S.c%04d" % number, inbox.encode(), b"", ONE)
            for number in range(consumers)
        ]
        while not over.is_set():
            connection.send(asks)
            await asyncio.sleep(1.0)


async def main(consumers: int, rounds: int) -> None:
    """Measure consumers without backlog, with one that rests, and at work on it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        async with (
            NatsServer(root / "nats", log=root / "nats.log") as server,
            await connect(BrokerOptions(url=server.url), name="bench") as connection,
        ):
            await prepare(connection, consumers)
            await measure(connection, rounds, "nothing waits")
            for _ in range(MESSAGES):
                await connection.request("s.a", b"x")
            await measure(connection, rounds, "all behind")
            over = Event()
            worker = Thread(target=lambda: asyncio.run(work(server.url, consumers, over)))
            worker.start()
            await measure(connection, rounds, "all behind and at work")
            over.set()
            worker.join()


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    asyncio.run(main(*given[:2]) if len(given) == 2 else main(1000, 10))
