"""Fixtures that several rooms share: a real broker of one's own."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from twin.jetstream.connection import BrokerOptions, Connection, connect
from twin.jetstream.server import NatsServer

settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("explore"), derandomize=True)
settings.load_profile("same")  # each run tries the same; --hypothesis-profile=explore others
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start background jobs deaf to it


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A real nats-server with JetStream file storage, gone after the test."""
    async with NatsServer(tmp_path / "nats", log=tmp_path / "nats-server.log") as running:
        yield running


@pytest.fixture
async def connection(server: NatsServer) -> AsyncIterator[Connection]:
    """A connection to the test's own server."""
    async with await connect(BrokerOptions(url=server.url), name="test") as opened:
        yield opened


@pytest.fixture
def until() -> Callable[..., Awaitable[None]]:
    """Wait for a condition: `await until(lambda: thing.done)`, however slow the machine is."""

    async def wait(condition: Callable[[], object], deadline_s: float = 30.0) -> None:
        async with asyncio.timeout(deadline_s):
            while not condition():  # noqa: ASYNC110 - any condition, not only one with an Event
                await asyncio.sleep(0.005)

    return wait
