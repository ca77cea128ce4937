"""Lag of a replicated consumer in a cluster: the leader's view, through any server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from free_ports import free_ports

from twin.jetstream.api import call
from twin.jetstream.connection import connect
from twin.jetstream.options import BrokerOptions
from twin.jetstream.server import NatsServer
from twin.lag.sample import ConsumerSample
from twin.lag.sampler import LagSampler

SERVERS = 3


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[list[NatsServer]]:
    """Three servers that replicate to each other."""
    ports = free_ports(SERVERS)
    routes = ", ".join(f"nats://127.0.0.1:{port}" for port in ports)
    servers = [
        NatsServer(
            tmp_path / f"n{number}",
            log=tmp_path / f"n{number}.log",
            ready_s=30.0,
            extra_config=f"cluster {{ name: C, listen: 127.0.0.1:{port}, routes: [{routes}] }}\n",
        )
        for number, port in enumerate(ports)
    ]
    async with AsyncExitStack() as stack:
        await asyncio.gather(*(stack.enter_async_context(server) for server in servers))
        yield servers


async def test_the_leader_is_asked_through_any_server(cluster: list[NatsServer]) -> None:
    """Every server tells the same counters and leader; a dead leader is an error, never a 0."""
    async with AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(
                await connect(BrokerOptions(url=server.url), name="test")
            )
            for server in cluster
        ]
        stream = {"name": "S", "subjects": ["s.>"], "num_replicas": SERVERS}
        await call(connections[0], "STREAM.CREATE.S", stream, timeout_s=40.0)
        config = {"name": "C", "durable_name": "C", "ack_policy": "explicit"}
        body = {"stream_name": "S", "config": config}
        await call(connections[0], "CONSUMER.CREATE.S.C", body, timeout_s=40.0)
        for _ in range(7):
            await connections[0].request("s.a", b"x")
        samplers = [
            LagSampler(one, [], lambda stream, consumer: (0, 0), patterns=["*"])
            for one in connections
        ]

        async def look(sampler: LagSampler) -> ConsumerSample | None:
            found = await sampler.sample(20.0)
            return found[0] if found else None

        seen: list[ConsumerSample | None] = []
        async with asyncio.timeout(60):  # a replica may have the last message a little later
            while [one and one.backlog for one in seen] != [7] * SERVERS:
                seen = [await look(sampler) for sampler in samplers]
        leaders = {one.leader for one in seen if one}
        assert len(leaders) == 1
        leader = next(server for server in cluster if server.name in leaders)
        await leader.kill()
        left = next(i for i, server in enumerate(cluster) if server is not leader)
        async with asyncio.timeout(90):
            while True:
                one = await look(samplers[left])
                assert one is not None
                assert one.error is not None or one.backlog == 7
                if one.error is None and one.leader not in leaders:
                    break
                await asyncio.sleep(0.2)
