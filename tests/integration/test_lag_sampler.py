"""Lag samples against the counters of a real server."""

from prometheus_client import CollectorRegistry, generate_latest

from twin.events.topology import ConsumerDecl, StreamDecl, Topology
from twin.jetstream.connection import Connection
from twin.jetstream.consumer import PullConsumer
from twin.jetstream.reconcile import reconcile
from twin.jetstream.server import NatsServer
from twin.lag.metrics import LagCollector
from twin.lag.sample import ConsumerSample, Watched
from twin.lag.sampler import LagSampler

TOPOLOGY = Topology(
    (StreamDecl("ORDERS", ("orders.>",)),),
    (
        ConsumerDecl("reader", "ORDERS", "reader", ("orders.new", "orders.old")),
        ConsumerDecl("idle", "ORDERS", "idle"),
    ),
)


def sampler(connection: Connection, *consumers: str) -> LagSampler:
    """Watch consumers of ORDERS by name."""
    watched = [Watched(name, "ORDERS", name, ("orders.new",)) for name in consumers]
    return LagSampler(connection, watched, lambda stream, consumer: (0, 0))


async def publish(connection: Connection, count: int) -> None:
    """Store `count` messages in ORDERS, each acknowledged."""
    for number in range(count):
        await connection.request("orders.new", b"%d" % number)


async def test_sample_follows_delivery_and_acknowledgement(connection: Connection) -> None:
    """Backlog, ack pending, ack floor and age change as a consumer takes and acknowledges."""
    await reconcile(connection, TOPOLOGY)
    await publish(connection, 5)
    lag = sampler(connection, "reader")
    [before] = await lag.sample(2.0)
    assert (before.num_pending, before.num_ack_pending, before.backlog) == (5, 0, 5)
    assert before.oldest_age_s is not None
    assert 0 < before.oldest_age_s < 30

    async with PullConsumer(connection, "ORDERS", "reader", batch=2) as consumer:
        taken = await consumer.next_batch(5.0)
        [during] = await lag.sample(2.0)
        assert during.num_ack_pending is not None
        assert during.num_ack_pending >= len(taken) > 0
        assert during.backlog == 5
        done = 0
        while done < 5:
            consumer.ack(taken)
            done += len(taken)
            taken = await consumer.next_batch(5.0) if done < 5 else []
        await connection.flush()
        [after] = await lag.sample(2.0)
    assert (after.backlog, after.oldest_age_s, after.ack_floor) == (0, 0.0, 5)


async def test_missing_consumer_is_an_error_and_never_zero(connection: Connection) -> None:
    """A consumer that does not exist has no counters, and `up` 0 in the metrics."""
    await reconcile(connection, TOPOLOGY)
    lag = sampler(connection, "reader", "nobody")
    samples = {sample.consumer: sample for sample in await lag.sample(2.0)}
    assert samples["nobody"].error == "the consumer does not exist"
    assert samples["nobody"].backlog is None
    registry = CollectorRegistry()
    registry.register(LagCollector(lag))
    page = generate_latest(registry).decode()
    assert 'twin_consumer_up{consumer_name="nobody",role="nobody",stream_name="ORDERS"} 0.0' in page
    assert 'twin_consumer_up{consumer_name="reader",role="reader",stream_name="ORDERS"} 1.0' in page
    pending = [line for line in page.splitlines() if line.startswith("jetstream_consumer_num_p")]
    assert len(pending) == 1
    assert "reader" in pending[0]


async def test_broker_that_does_not_answer_gives_errors_in_time(
    server: NatsServer, connection: Connection
) -> None:
    """While the server is stopped a round fails within its interval, for every consumer."""
    await reconcile(connection, TOPOLOGY)
    lag = sampler(connection, "reader", "idle")
    server.pause()
    try:
        samples: list[ConsumerSample] = await lag.sample(0.3)
    finally:
        server.resume()
    assert [sample.error for sample in samples] == ["no answer within 0.3 s"] * 2
    assert {sample.backlog for sample in samples} == {None}
