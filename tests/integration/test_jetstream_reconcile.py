"""A declared topology is made true, and what is not ours is left alone."""

from dataclasses import replace

import orjson
import pytest

from twin.errors import TopologyConflict
from twin.events.subjects import SubjectSpace
from twin.events.topology import ConsumerDecl, StreamDecl, Topology
from twin.jetstream.api import (
    ApiRefused,
    call,
    consumer_info,
    consumer_infos,
    last_sequence,
    stream_info,
    stream_state,
)
from twin.jetstream.connection import Connection
from twin.jetstream.reconcile import Action, reconcile, remove

EVENTS = StreamDecl("EVENTS", ("qiki.events.v1.>",), max_bytes=1_000_000)
AUDIT = ConsumerDecl(
    "registrar", "EVENTS", "audit", ("qiki.events.v1.nav", "qiki.events.v1.state"), max_deliver=-1
)
TOPOLOGY = Topology((EVENTS,), (AUDIT,))


async def create(connection: Connection, name: str, *subjects: str, **more: object) -> None:
    """A stream of somebody else."""
    await call(connection, f"STREAM.CREATE.{name}", {"name": name, "subjects": subjects, **more})


async def test_creates_and_then_finds_nothing_to_do(connection: Connection) -> None:
    """The first time everything is created as declared, the second time nothing changes."""
    first = await reconcile(connection, TOPOLOGY)
    assert [(c.action, c.kind, c.name) for c in first] == [
        (Action.CREATED, "stream", "EVENTS"),
        (Action.CREATED, "consumer", "EVENTS/audit"),
    ]
    stream = await stream_info(connection, "EVENTS")
    assert stream is not None
    assert stream.config.max_bytes == 1_000_000
    assert stream.config.duplicate_window == 120 * 10**9
    consumer = await consumer_info(connection, "EVENTS", "audit")
    assert consumer is not None
    assert consumer.config.filters == AUDIT.filter_subjects
    assert consumer.config.ack_policy == "explicit"
    again = await reconcile(connection, TOPOLOGY)
    assert {change.action for change in again} == {Action.UNCHANGED}


async def test_the_same_topology_under_a_prefix(connection: Connection) -> None:
    """On a shared server everything lives under our prefix, beside the unprefixed one."""
    await reconcile(connection, TOPOLOGY)
    await reconcile(connection, TOPOLOGY.on_wire(SubjectSpace(prefix="twin")))
    stream = await stream_info(connection, "TWIN_EVENTS")
    assert stream is not None
    assert stream.config.subjects == ("twin.qiki.events.v1.>",)


async def test_updates_what_is_ours(connection: Connection) -> None:
    """A raised limit and a new filter are applied; fields that we do not declare stay."""
    await reconcile(connection, TOPOLOGY)
    info = await stream_info(connection, "EVENTS")
    assert info is not None
    config = info.config.model_dump() | {"description": "kept"}
    await call(connection, "STREAM.UPDATE.EVENTS", config)
    changes = await reconcile(
        connection,
        Topology(
            (replace(EVENTS, max_bytes=2_000_000),),
            (replace(AUDIT, filter_subjects=("qiki.events.v1.nav",), ack_wait_s=5.0),),
        ),
    )
    assert [str(d) for change in changes for d in change.differences] == [
        "max_bytes: declared 2000000, on the server 1000000",
        f"filters: declared ('qiki.events.v1.nav',), on the server {AUDIT.filter_subjects}",
        "ack_wait: declared 5 s, on the server 45 s",
    ]
    info = await stream_info(connection, "EVENTS")
    assert info is not None
    assert info.config.model_dump()["description"] == "kept"
    consumer = await consumer_info(connection, "EVENTS", "audit")
    assert consumer is not None
    assert (consumer.config.filters, consumer.config.ack_wait) == (
        ("qiki.events.v1.nav",),
        5 * 10**9,
    )


async def test_a_lowered_limit_needs_permission(connection: Connection) -> None:
    """Lowering a limit is refused before any change, and done when permitted."""
    await reconcile(connection, TOPOLOGY)
    lower = Topology((replace(EVENTS, max_bytes=1000, max_age_s=7200),), (AUDIT,))
    with pytest.raises(TopologyConflict, match=r"EVENTS: max_bytes: declared 1000.*allow-shrink"):
        await reconcile(connection, lower)
    info = await stream_info(connection, "EVENTS")
    assert info is not None
    assert (info.config.max_bytes, info.config.max_age) == (1_000_000, 3600 * 10**9)
    changes = await reconcile(connection, lower, allow_shrink=True)
    assert changes[0].action is Action.UPDATED


async def test_an_immutable_field_is_a_conflict(connection: Connection) -> None:
    """Storage of a stream and start of a consumer cannot be changed; both are named at once."""
    await reconcile(connection, TOPOLOGY)
    changed = Topology((replace(EVENTS, memory_storage=True),), (replace(AUDIT, start_seq=7),))
    with pytest.raises(TopologyConflict) as caught:
        await reconcile(connection, changed)
    assert "stream EVENTS: storage: declared memory, on the server file" in str(caught.value)
    assert "consumer EVENTS/audit: opt_start_seq: declared 7" in str(caught.value)


async def test_others_are_attached_to_and_not_changed(connection: Connection) -> None:
    """A stream and a consumer of somebody else are used as they are when they fit."""
    await create(connection, "EVENTS", "qiki.>", max_bytes=5_000)
    theirs = {"durable_name": "audit", "ack_policy": "explicit", "max_deliver": 3}
    await call(
        connection,
        "CONSUMER.CREATE.EVENTS.audit",
        {"stream_name": "EVENTS", "config": theirs},
    )
    watched = replace(AUDIT, filter_subjects=())
    changes = await reconcile(connection, Topology((EVENTS,), (watched,)))
    assert [change.action for change in changes] == [Action.ATTACHED] * 2
    info = await stream_info(connection, "EVENTS")
    assert info is not None
    assert (info.config.subjects, info.config.max_bytes) == (("qiki.>",), 5_000)
    assert await remove(connection, [watched]) == []
    assert await consumer_info(connection, "EVENTS", "audit") is not None


async def test_others_that_do_not_fit_are_conflicts(connection: Connection) -> None:
    """Missing subjects, no_ack and overlapping streams are reported with both sides' names."""
    await create(connection, "EVENTS", "qiki.events.v1.nav", no_ack=True)
    with pytest.raises(TopologyConflict) as caught:
        await reconcile(connection, Topology((EVENTS,), ()))
    assert "does not store qiki.events.v1.>; it stores qiki.events.v1.nav" in str(caught.value)
    assert "no_ack" in str(caught.value)
    other = replace(EVENTS, name="MINE")
    with pytest.raises(
        TopologyConflict,
        match=r"MINE: its subject qiki.events.v1.> overlaps the stream EVENTS \(qiki.events.v1.nav",
    ):
        await reconcile(connection, Topology((other,), ()))
    assert await stream_info(connection, "MINE") is None


async def test_removes_only_our_consumers(connection: Connection) -> None:
    """Cleaning up deletes our durables, and a missing one is no error."""
    await reconcile(connection, TOPOLOGY)
    assert await remove(connection, [AUDIT, replace(AUDIT, name="missing")]) == ["audit"]
    assert await consumer_info(connection, "EVENTS", "audit") is None


async def test_state_counts_messages_per_subject(connection: Connection) -> None:
    """A stream's state has totals, bounds and counts per subject."""
    await reconcile(connection, TOPOLOGY)
    for subject in ("nav", "nav", "state"):
        await connection.request(f"qiki.events.v1.{subject}", orjson.dumps({}))
    state = await stream_state(connection, "EVENTS")
    assert (state.messages, state.first_seq, state.last_seq) == (3, 1, 3)
    assert state.subjects == {"qiki.events.v1.nav": 2, "qiki.events.v1.state": 1}
    assert await last_sequence(connection, "EVENTS", "qiki.events.v1.nav") == 2
    assert await last_sequence(connection, "EVENTS", "qiki.events.v1.none") == 0
    assert [info.name async for info in consumer_infos(connection, "EVENTS")] == ["audit"]


async def test_a_missing_stream_is_an_error_and_not_zero(connection: Connection) -> None:
    """Asking for the state of a stream that is not there raises."""
    with pytest.raises(ApiRefused, match="stream not found"):
        await stream_state(connection, "NOWHERE")
    with pytest.raises(ApiRefused, match="stream not found"):
        await last_sequence(connection, "NOWHERE", ">")
