"""What a look at many consumers costs: our sampler, and the usual way of asking for each one."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import nats

from twin.bench.measured import Measured
from twin.bench.rig import STREAM, Rig, payload
from twin.jetstream.api import call
from twin.jetstream.connection import Connection
from twin.lag.sampler import LagSampler
from twin.lag.status import StatusRules

__all__ = ["at_once", "one_by_one", "sampled"]

TASKS = 32
MESSAGES = 200
LOOK_S = 30.0


async def sampled(rig: Rig, consumers: int, looks: float) -> Measured:
    """LagSampler over every consumer of the stream, each behind, status included."""
    async with await rig.connect() as connection:
        await _prepare(rig, connection, consumers)
        sampler = LagSampler(
            connection,
            [],
            lambda stream, name: (0, 0),
            patterns=[STREAM],
            rules=StatusRules.every(1.0),
        )

        async def look() -> int:
            return len(await sampler.sample(LOOK_S))

        return await _looked(rig, look, round(looks))


async def one_by_one(rig: Rig, consumers: int, looks: float) -> Measured:
    """nats-py's consumer_info for each, one after the other."""
    return await _asked(rig, consumers, looks, 1)


async def at_once(rig: Rig, consumers: int, looks: float) -> Measured:
    """nats-py's consumer_info for each, 32 at a time."""
    return await _asked(rig, consumers, looks, TASKS)


async def _asked(rig: Rig, consumers: int, looks: float, tasks: int) -> Measured:
    async with await rig.connect() as connection:
        await _prepare(rig, connection, consumers)
    client = await nats.connect(rig.server.url)
    js, gate = client.jetstream(), asyncio.Semaphore(tasks)

    async def ask(number: int) -> int:
        async with gate:
            return (await js.consumer_info(STREAM, _name(number))).num_pending or 0

    async def look() -> int:
        return len(await asyncio.gather(*(ask(number) for number in range(consumers))))

    measured = await _looked(rig, look, round(looks))
    await client.close()
    return measured


async def _prepare(rig: Rig, connection: Connection, consumers: int) -> None:
    """Make durables, and messages that all of them have before them."""
    await rig.fresh()
    for number in range(consumers):
        config = {"durable_name": _name(number), "ack_policy": "explicit", "mem_storage": True}
        body = {"stream_name": STREAM, "config": config}
        await call(connection, f"CONSUMER.CREATE.{STREAM}.{_name(number)}", body)
    for _ in range(MESSAGES):
        await connection.request("bench.0", payload())


async def _looked(rig: Rig, look: Callable[[], Awaitable[int]], looks: int) -> Measured:
    """Time some looks at all consumers; units are consumers, latencies those of looks."""
    seen, took_us = await look(), []
    with rig.clock() as clock:
        for _ in range(looks):
            began = time.perf_counter_ns()
            seen = await look()
            took_us.append((time.perf_counter_ns() - began) // 1000)
    measured = Measured.of(seen * looks, clock, {"server": rig.server.pid})
    return measured.with_latencies(took_us)


def _name(number: int) -> str:
    return f"c{number:05}"
