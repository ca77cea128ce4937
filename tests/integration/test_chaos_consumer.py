"""A slow consumer on a real nats-server: what is late is told, and it is as before afterwards."""

import asyncio
from collections.abc import Awaitable, Callable

from twin.chaos.consumer import SimulatedConsumer
from twin.chaos.faultlog import FaultEntry
from twin.events.topology import ConsumerDecl, StreamDecl, Topology
from twin.jetstream.connection import Connection
from twin.jetstream.reconcile import reconcile
from twin.scenario.faults.bus_faults import break_bus
from twin.scenario.language.bus_actions import ConsumerSlow


async def test_a_message_that_takes_longer_than_the_fault_is_late(
    connection: Connection, until: Callable[..., Awaitable[None]]
) -> None:
    """It was held while the consumer was slow, and is acknowledged once that is over."""
    reads = ConsumerDecl("reader", "ONE", "reader", ("one.>",))
    await reconcile(connection, Topology((StreamDecl("ONE", ("one.>",)),), (reads,)))
    consumer = SimulatedConsumer(connection, reads)
    reading = asyncio.create_task(consumer.run())
    action = ConsumerSlow.model_validate(
        {"fault": "consumer.slow", "consumer": "reader", "rate": 0.1, "for": "1s"}
    )
    done = FaultEntry(1, action.fault, action.consumer, 0)
    breaking = asyncio.create_task(break_bus(action, consumer, done))
    await until(lambda: done.fired_wall_ns)
    await connection.request("one.a", b"1")
    await breaking
    assert (done.outcome, done.detail) == ("fired", "1 messages late")
    async with asyncio.timeout(20):
        while await consumer.waiting():  # noqa: ASYNC110 - a server sets no Event
            await asyncio.sleep(0.05)
    reading.cancel()
    await asyncio.wait([reading])
