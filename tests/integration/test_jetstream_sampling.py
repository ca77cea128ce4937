"""Sampling of acknowledgements: it measures, and leaves a consumer as it was."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest

from twin.errors import InfrastructureError
from twin.events.topology import ConsumerDecl, StreamDecl, Topology
from twin.jetstream.api import call, consumer_info
from twin.jetstream.connection import Connection
from twin.jetstream.consumer import PullConsumer
from twin.jetstream.reconcile import reconcile
from twin.jetstream.sampling import AckSampling
from twin.jetstream.server import NatsServer
from twin.verdict.journal import ACK

MINE = ConsumerDecl("mine", "S", "mine", ack_wait_s=7.0)
HELD_S = 0.2


@pytest.fixture
async def own_consumer(connection: Connection) -> None:
    """A stream with five messages, and a durable on it."""
    await reconcile(connection, Topology((StreamDecl("S", ("s.>",)),), (MINE,)))
    for number in range(5):
        await connection.request(f"s.{number}", b"x")


async def config(connection: Connection) -> dict[str, object]:
    """Return the durable's configuration as the server has it."""
    info = await consumer_info(connection, "S", "mine")
    assert info is not None
    return info.config.model_dump()


async def set_sampling(connection: Connection, text: str) -> None:
    """Let the durable's owner have a setting of their own."""
    body = {**await config(connection), "sample_freq": text}
    await call(
        connection,
        "CONSUMER.CREATE.S.mine",
        {"stream_name": "S", "config": body, "action": "update"},
    )


@pytest.mark.parametrize("owners", ["", "20%"])
async def test_samples_tell_how_long_messages_were_held(
    owners: str,
    connection: Connection,
    own_consumer: None,
    until: Callable[..., Awaitable[None]],
    tmp_path: Path,
) -> None:
    """Every acknowledgement is sampled; afterwards the consumer is as its owner had it."""
    if owners:
        await set_sampling(connection, owners)
    before = await config(connection)
    path = tmp_path / "acks"
    async with AckSampling(connection, [(3, MINE)], path, ours=False) as sampling:
        assert (await config(connection))["sample_freq"] == "100%"
        async with PullConsumer(connection, "S", "mine", batch=10) as consumer:
            messages = await consumer.next_batch(10.0)
            while len(messages) < 5:
                messages += await consumer.next_batch(10.0)
            await asyncio.sleep(HELD_S)
            consumer.ack(messages)
            await connection.flush()
            await until(lambda: sampling.count == 5)
    rows = np.fromfile(path, ACK)
    assert rows["consumer"].tolist() == [3] * 5
    assert sorted(rows["stream_seq"].tolist()) == [1, 2, 3, 4, 5]
    assert (rows["delay_ns"] > HELD_S * 0.9e9).all()
    assert await config(connection) == before


async def test_an_error_in_between_sets_the_consumer_back(
    connection: Connection, own_consumer: None, tmp_path: Path
) -> None:
    """Whatever ends the run, the setting is its owner's again."""
    before = await config(connection)
    with pytest.raises(RuntimeError, match="on purpose"):
        async with AckSampling(connection, [(0, MINE)], tmp_path / "acks", ours=False):
            raise RuntimeError("on purpose")
    assert await config(connection) == before


async def test_what_cannot_be_set_back_is_told(
    connection: Connection, own_consumer: None, server: NatsServer, tmp_path: Path
) -> None:
    """A setting that stays behind on somebody's server is no secret."""
    with pytest.raises(InfrastructureError, match="could not be set back"):
        async with AckSampling(connection, [(0, MINE)], tmp_path / "acks", ours=False):
            await server.kill()


async def test_without_consent_nothing_is_touched(
    connection: Connection, own_consumer: None, tmp_path: Path
) -> None:
    """No consumer, no table."""
    before = await config(connection)
    async with AckSampling(connection, [], tmp_path / "acks", ours=False):
        assert await config(connection) == before
    assert not (tmp_path / "acks").exists()
