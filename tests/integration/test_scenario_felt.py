"""What waits for a process that stands still, as a real server tells it."""

from twin.events.topology import ConsumerDecl, StreamDecl, Topology
from twin.jetstream.connection import Connection
from twin.jetstream.consumer import PullConsumer
from twin.jetstream.publisher import PublishCounts
from twin.jetstream.reconcile import reconcile
from twin.jetstream.server import NatsServer
from twin.scenario.faults.felt import Deliveries, Publishes

READER = ConsumerDecl("registrar", "ONE", "reader")


async def test_what_comes_for_a_consumer_that_stands_is_counted(connection: Connection) -> None:
    """Only what comes meanwhile counts, whether it was delivered to it already or is to be."""
    await reconcile(connection, Topology((StreamDecl("ONE", ("one",)),), (READER,)))
    for number in range(4):
        await connection.request("one", b"%d" % number)
    felt = Deliveries(connection, [READER])
    await felt.begin()
    assert await felt.waited() == 0
    for number in range(3):
        await connection.request("one", b"%d" % number)
    assert await felt.waited() == 3
    async with PullConsumer(connection, "ONE", "reader") as consumer:
        assert await consumer.next_batch(2.0)
        assert await felt.waited() == 3


async def test_what_a_silent_broker_does_not_tell_is_unknown(
    server: NatsServer, connection: Connection
) -> None:
    """A pause is not made longer by a broker that stands, too, nor called felt by nobody."""
    await reconcile(connection, Topology((StreamDecl("ONE", ("one",)),), (READER,)))
    felt = Deliveries(connection, [READER])
    await felt.begin()
    server.pause()
    try:
        assert await felt.waited() is None
    finally:
        server.resume()


async def test_publishes_without_an_outcome_wait_for_the_broker() -> None:
    """Those on their way and those behind them, not those that are settled."""
    counts = PublishCounts(offered=9, acknowledged=4, in_flight=3, waiting=2)
    assert await Publishes(lambda: counts).waited() == 5
