"""Lag samples against the counters of a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from twin.events.topology import ConsumerDecl, StreamDecl, Topology
from twin.jetstream.api import call, call_decoded
from twin.jetstream.connection import BrokerOptions, Connection, connect
from twin.jetstream.consumer import PullConsumer
from twin.jetstream.reconcile import reconcile
from twin.jetstream.server import NatsServer
from twin.jetstream.wire import Delivery
from twin.lag.age import DIRECT_GETS
from twin.lag.explain import facts
from twin.lag.listing import Listed, Listing
from twin.lag.metrics import LagCollector
from twin.lag.monitor import open_sampler
from twin.lag.sample import ConsumerSample, Status, Watched
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
    [before] = await lag.sample(20.0)
    assert (before.num_pending, before.num_ack_pending, before.backlog) == (5, 0, 5)
    assert before.oldest_age_s is not None
    assert 0 < before.oldest_age_s < 30

    async with PullConsumer(connection, "ORDERS", "reader", batch=2) as consumer:
        taken = await consumer.next_batch(20.0)
        [during] = await lag.sample(20.0)
        assert during.num_ack_pending is not None
        assert during.num_ack_pending >= len(taken) > 0
        assert during.backlog == 5
        done = 0
        while done < 5:
            consumer.ack(taken)
            done += len(taken)
            taken = await consumer.next_batch(20.0) if done < 5 else []
        async with asyncio.timeout(30):
            after = during
            while after.backlog:
                [after] = await lag.sample(20.0)
    assert (after.backlog, after.oldest_age_s, after.ack_floor) == (0, 0.0, 5)


async def test_missing_consumer_is_an_error_and_never_zero(connection: Connection) -> None:
    """A consumer that does not exist has no counters, and `up` 0 in the metrics."""
    await reconcile(connection, TOPOLOGY)
    lag = sampler(connection, "reader", "nobody")
    samples = {sample.consumer: sample for sample in await lag.sample(20.0)}
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


async def test_patterns_find_all_kinds_of_consumers(connection: Connection) -> None:
    """Pull, push, filtered and ephemeral consumers of matching streams appear, others do not."""
    await reconcile(connection, TOPOLOGY)
    other = {"name": "OTHER", "subjects": ["other.>"]}
    await call(connection, "STREAM.CREATE.OTHER", other)
    await publish(connection, 3)
    lag = LagSampler(connection, [], lambda stream, consumer: (0, 0), patterns=["ORD*"])
    assert {one.consumer for one in await lag.sample(20.0)} == {"reader", "idle"}
    pushed: list[object] = []
    await connection.subscribe("to.me", pushed.extend)
    ordered = {"name": "ordered", "ack_policy": "none", "deliver_subject": "to.me"}
    body = {"stream_name": "ORDERS", "config": ordered | {"mem_storage": True}}
    await call(connection, "CONSUMER.CREATE.ORDERS.ordered", body)
    await connection.flush()
    found = {one.consumer: one for one in await lag.sample(20.0)}
    assert found["ordered"].push
    assert (found["ordered"].backlog, found["ordered"].delivered_count) == (0, 3)
    assert (found["idle"].backlog, found["reader"].backlog) == (3, 3)
    await call(connection, "CONSUMER.DELETE.ORDERS.ordered")
    await call(connection, "CONSUMER.DELETE.ORDERS.idle")
    left = {one.consumer: one for one in await lag.sample(20.0)}
    assert (set(left), left["idle"].status) == ({"reader", "idle"}, Status.MISSING)


async def listed(connection: Connection) -> dict[str, Listed]:
    """Return what the server says of every consumer of ORDERS."""
    return (await Listing(connection, "ORDERS").read())[0]


async def test_many_consumers_take_pages_and_few_direct_gets(connection: Connection) -> None:
    """300 consumers behind are all found; ages not asked for are interpolated, and bounded."""
    await reconcile(connection, Topology(TOPOLOGY.streams, ()))
    for number in range(300):
        config = {"name": f"c{number}", "durable_name": f"c{number}", "mem_storage": True}
        body = {"stream_name": "ORDERS", "config": config | {"ack_policy": "explicit"}}
        await call(connection, f"CONSUMER.CREATE.ORDERS.c{number}", body)
    await publish(connection, 4)
    async with asyncio.timeout(30):  # the server counts them for its consumers in its own time
        while {one.num_pending for one in (await listed(connection)).values()} != {4}:
            pass
    lag = LagSampler(connection, [], lambda stream, consumer: (0, 0), patterns=["ORDERS"])
    samples = await lag.sample(20.0)
    assert len(samples) == 300
    exact = [one for one in samples if one.oldest_seq is not None]
    assert len(exact) == DIRECT_GETS
    ages = {round(one.oldest_age_s or -1.0, 3) for one in samples}
    assert len(ages) == 1, ages
    await lag.sample(20.0)
    assert sum(one.oldest_seq is not None for one in lag.latest.values()) == 2 * DIRECT_GETS


async def test_one_deleted_between_two_pages_hides_no_other(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those after it move up, one of them over the edge of the page: it is not said to be gone."""
    await reconcile(connection, Topology(TOPOLOGY.streams, ()))
    for number in range(300):
        name = f"c{number:03}"
        config = {"name": name, "durable_name": name, "mem_storage": True}
        body = {"stream_name": "ORDERS", "config": config | {"ack_policy": "explicit"}}
        await call(connection, f"CONSUMER.CREATE.ORDERS.{name}", body)
    listing = Listing(connection, "ORDERS")
    before, _ = await listing.read()
    doomed = ["c000"]

    async def list_and_delete(
        connection: Connection, verb: str, body: dict[str, object]
    ) -> dict[str, Any]:
        page = await call_decoded(connection, verb, body)
        if doomed:
            await call(connection, f"CONSUMER.DELETE.ORDERS.{doomed.pop()}")
        return page

    monkeypatch.setattr("twin.lag.listing.call_decoded", list_and_delete)
    during, _ = await listing.read()
    assert before.keys() - during.keys() <= {"c000"}
    after, _ = await listing.read()
    assert before.keys() - after.keys() == {"c000"}


async def test_what_did_not_change_is_read_once(connection: Connection) -> None:
    """A consumer that rests is the same object in the next list; one that moved is read anew."""
    await reconcile(connection, TOPOLOGY)
    listing = Listing(connection, "ORDERS")
    first, _ = await listing.read()
    await connection.request("orders.other", b"x")
    async with asyncio.timeout(30):
        while (second := (await listing.read())[0])["idle"].num_pending == 0:
            assert second["reader"] is first["reader"]
    assert second["reader"] is first["reader"]
    assert (first["idle"].num_pending, second["idle"].num_pending) == (0, 1)
    await call(connection, "CONSUMER.DELETE.ORDERS.idle")
    third, _ = await listing.read()
    assert third.keys() == {"reader"}


@pytest.mark.parametrize(
    "answer",
    [b"", b"[]", b"7", b'{"error": 7}', b'{"consumers": [7]}', b'{"consumers": [{"config": {}}]}'],
)
async def test_an_answer_that_is_no_list_is_unknown(server: NatsServer, answer: bytes) -> None:
    """Whatever answers in JetStream's place, the sampler says UNKNOWN and goes on."""
    async with await connect(BrokerOptions(url=server.url, domain="odd"), name="t") as connection:
        state = orjson.dumps({"state": {}, "config": {}})

        def respond(batch: list[Delivery]) -> None:
            connection.send(
                [
                    (reply, b"", b"", state if b"INFO" in subject else answer)
                    for subject, reply, _, _ in batch
                ]
            )

        await connection.subscribe("$JS.odd.API.>", respond)
        await connection.flush()
        lag = LagSampler(connection, [], lambda stream, consumer: (0, 0), patterns=["ODD"])
        [seen] = await lag.sample(20.0)
    assert (seen.status, seen.backlog) == (Status.UNKNOWN, None)
    assert "not a" in str(seen.error)


async def test_nothing_is_kept_of_streams_that_are_gone(connection: Connection) -> None:
    """Ages, anchors, lists and histories of streams without consumers left are forgotten."""
    lag = LagSampler(connection, [], lambda stream, consumer: (0, 0), patterns=["T*"])
    for number in range(3):
        stream = {"name": f"T{number}", "subjects": [f"t.{number}"], "storage": "memory"}
        await call(connection, f"STREAM.CREATE.T{number}", stream)
        config = {"name": "C", "ack_policy": "explicit", "inactive_threshold": 60_000_000_000}
        body = {"stream_name": f"T{number}", "config": config}
        await call(connection, f"CONSUMER.CREATE.T{number}.C", body)
        await connection.request(f"t.{number}", b"x")
        [seen] = await lag.sample(20.0)
        assert (seen.stream, seen.oldest_seq) == (f"T{number}", 1)
        await call(connection, f"STREAM.DELETE.T{number}")
        await lag.sample(20.0)
    assert await lag.sample(20.0) == []
    assert not lag.history.of("T0", "C")
    assert lag.kept == 0


async def test_a_failed_poll_of_nobody_in_particular_is_forgotten_once_it_succeeds(
    server: NatsServer, connection: Connection
) -> None:
    """Of a stream without consumers, and of streams at all, nothing is remembered after it."""
    await call(connection, "STREAM.CREATE.T", {"name": "T", "subjects": ["t"]})
    lag = LagSampler(connection, [], lambda stream, consumer: (0, 0), patterns=["T*"])
    await lag.sample(20.0)
    server.pause()
    try:
        failed = {(one.stream, one.consumer) for one in await lag.sample(0.3)}
    finally:
        server.resume()
    assert failed == {("T", "*"), ("*", "*")}
    assert all(lag.history.of(*one) for one in failed)
    assert await lag.sample(20.0) == []
    assert not any(lag.history.of(*one) for one in failed)


async def test_consumers_beyond_the_limit_are_counted_and_left_out(connection: Connection) -> None:
    """No more than `max_consumers` are exported, and the others are counted."""
    await reconcile(connection, TOPOLOGY)
    lag = LagSampler(
        connection, [], lambda stream, consumer: (0, 0), patterns=["*"], max_consumers=1
    )
    assert len(await lag.sample(20.0)) == 1
    assert lag.dropped == 1
    assert len(await lag.sample(20.0)) == 1
    assert lag.dropped == 1


API = "$JS.API."
RIGHTS = ("STREAM.NAMES", "STREAM.INFO.*", "CONSUMER.LIST.*", "STREAM.MSG.GET.*")


@pytest.mark.parametrize(
    ("lacking", "consumer", "denied"),
    [
        ("STREAM.NAMES", "*/*", "STREAM.NAMES"),
        ("STREAM.INFO.*", "ORDERS/*", "STREAM.INFO.ORDERS"),
        ("CONSUMER.LIST.*", "ORDERS/*", "CONSUMER.LIST.ORDERS"),
        ("STREAM.MSG.GET.*", "ORDERS/reader", "STREAM.MSG.GET.ORDERS"),
        ("", "ORDERS/reader", ""),
    ],
)
async def test_a_missing_permission_is_unknown_and_named(
    tmp_path: Path, lacking: str, consumer: str, denied: str
) -> None:
    """Who may not ask sees UNKNOWN and why, never nothing; who may not hear sees no counters."""
    async with limited(tmp_path, lacking) as lag, open_sampler(lag, ["ORD*"], 0.5) as sampler:
        [seen] = await sampler.sample(1.0 if denied else 20.0)
        registry = CollectorRegistry()
        registry.register(LagCollector(sampler))
        page = generate_latest(registry).decode()
    assert f"{seen.stream}/{seen.consumer}" == consumer
    assert "twin_lag_advisories_up 0.0" in page
    assert "twin_consumer_exhausted_total{" not in page
    if denied:
        assert seen.status is Status.UNKNOWN
        assert f"publish on {API}{denied}" in str(seen.error)
    else:
        assert (seen.status, seen.backlog) == (Status.OK, 2)
        assert facts([seen])["refused"] == "unknown: the consumer advisories cannot be heard"


async def test_a_plain_name_is_seen_by_who_may_not_list_names(tmp_path: Path) -> None:
    """A pattern beside it that cannot be looked up hides nothing."""
    async with (
        limited(tmp_path, "STREAM.NAMES") as lag,
        open_sampler(lag, ["ORDERS", "X*"], 1.0) as sampler,
    ):
        seen = {one.stream: one for one in await sampler.sample(2.0)}
    assert (seen["*"].status, seen["ORDERS"].backlog) == (Status.UNKNOWN, 2)


@asynccontextmanager
async def limited(tmp_path: Path, lacking: str) -> AsyncIterator[BrokerOptions]:
    """Run a server with two orders stored; yield the login of one who lacks a right there."""
    may = ", ".join(f'"{API}{one}"' for one in ("INFO", *RIGHTS) if one != lacking)
    config = f"""authorization {{ users: [{{user: admin, password: a}},
        {{user: lag, password: a, permissions: {{publish: [{may}], subscribe: ["_INBOX.>"]}}}}]}}"""
    admin = BrokerOptions(user="admin", password="a")
    async with NatsServer(
        tmp_path / "nats", log=tmp_path / "log", extra_config=config, probe=admin
    ) as server:
        async with await connect(replace(admin, url=server.url), name="admin") as connection:
            await reconcile(connection, Topology(TOPOLOGY.streams, TOPOLOGY.consumers[:1]))
            await publish(connection, 2)
        yield BrokerOptions(url=server.url, user="lag", password="a")


async def test_a_stream_that_is_named_and_not_there_is_missing(connection: Connection) -> None:
    """A name without wildcards is expected to exist; a pattern may match nothing."""
    lag = LagSampler(connection, [], lambda stream, consumer: (0, 0), patterns=["NOPE", "NO*"])
    [seen] = await lag.sample(20.0)
    assert (seen.stream, seen.consumer, seen.status) == ("NOPE", "*", Status.MISSING)
