"""Coverage: every sequence of a stream is recorded or has a cause, found out on a real broker."""

import asyncio
import json
from functools import partial
from pathlib import Path

from test_registrar_service import (
    DEADLINE_S,
    STREAM,
    connection,
    drained,
    publish,
    server,
    serving,
    until,
)
from typer.testing import CliRunner

from twin.cli.registrar import app
from twin.jetstream.api import call, consumer_info
from twin.jetstream.connection import Connection
from twin.jetstream.consumer import PullConsumer
from twin.jetstream.server import NatsServer
from twin.registrar.coverage import coverage
from twin.registrar.limits import Limits
from twin.registrar.service import GAPS_S
from twin.registrar.verify import verify

__all__ = ["connection", "server"]


def stretches(store: Path) -> list[tuple[int, int, str]]:
    """Return first, last and fate of the events stream's sequences."""
    return [(one.first, one.last, one.cause) for one in coverage(store) if one.stream == STREAM]


def exit_code(store: Path, *more: str) -> tuple[int, str]:
    """Return what `verify --coverage` leaves with and prints."""
    result = CliRunner().invoke(app, ["verify", "--store", str(store), "--coverage", *more])
    return result.exit_code, result.output


async def taken_by_somebody_else(connection: Connection, count: int) -> None:
    """Take and acknowledge messages on the registrar's durable, as nobody should."""
    async with PullConsumer(connection, STREAM, "registrar", batch=count) as consumer:
        taken = 0
        async with asyncio.timeout(DEADLINE_S):
            while taken < count:
                messages = await consumer.next_batch(1.0)
                await consumer.ack_sync(messages)
                taken += len(messages)


async def test_every_sequence_has_a_fate(
    tmp_path: Path, server: NatsServer, connection: Connection
) -> None:
    """Recorded, expired, deleted, filtered, lost while down: each hole has its cause."""
    await publish(connection, range(1, 31))
    await call(connection, f"STREAM.PURGE.{STREAM}", {"seq": 11})
    await call(connection, f"STREAM.MSG.DELETE.{STREAM}", {"seq": 20})
    async with serving(tmp_path, server.url) as service:
        await drained(connection)
        await publish(connection, range(31, 34), "power_low")  # 31 to 33, and 3 audit records
        await drained(connection)
        async with asyncio.timeout(DEADLINE_S):
            while not service.metric('registrar_fan_out_total{outcome="published"} 3.0'):  # noqa: ASYNC110 - a counter
                await asyncio.sleep(0.05)
        await publish(connection, range(34, 41))
        await drained(connection)
    found = stretches(service.store)
    recorded = {
        n for first, last, cause in found if cause == "recorded" for n in range(first, last + 1)
    }
    filtered = {
        n for first, last, cause in found if cause == "filtered" for n in range(first, last + 1)
    }
    assert (1, 10, "expired") in found
    assert (20, 20, "deleted") in found
    assert len(filtered) == 3
    assert recorded | filtered == {*range(11, 44)} - {20}
    assert exit_code(service.store)[0] == 0
    await publish(connection, range(41, 61))  # sequences 44 to 63
    await call(connection, f"STREAM.PURGE.{STREAM}", {"seq": 54})
    async with serving(tmp_path, server.url) as service:
        await drained(connection)
    (down,) = [one for one in coverage(service.store) if one.cause == "down"]
    assert (down.first, down.last) == (44, 53)
    assert 0 < down.from_ns < down.to_ns
    code, output = exit_code(service.store)
    assert code == 0
    assert "44 to 53  expired while the registrar was down, 20" in output
    assert verify(service.store).good


async def test_what_somebody_else_acknowledged_is_unknown(
    tmp_path: Path, server: NatsServer, connection: Connection
) -> None:
    """Events that are in the stream, acknowledged and not recorded are told, with exit code 1."""
    async with serving(tmp_path, server.url):
        await publish(connection, range(1, 11))
        await drained(connection)
    await publish(connection, range(11, 16))
    await taken_by_somebody_else(connection, 5)
    async with serving(tmp_path, server.url) as service:
        await publish(connection, range(16, 21))
        await drained(connection)
    found = [(1, 10, "recorded"), (11, 15, "unknown"), (16, 20, "recorded")]
    assert stretches(service.store) == found
    code, output = exit_code(service.store)
    assert (code, "11 to 15  UNKNOWN" in output) == (1, True)
    assert output.splitlines()[-1].startswith("NOT COVERED: 5 sequences")
    code, output = exit_code(service.store, "--json")
    document = json.loads(output)
    assert (code, document["good"], document["unknown"]) == (1, True, 5)
    await call(connection, f"STREAM.PURGE.{STREAM}", {"seq": 18})
    await publish(connection, range(21, 23))
    async with serving(tmp_path, server.url) as service:
        await drained(connection)
        assert service.metric("registrar_unknown_sequences_total 0.0")
    assert service.rows("SELECT count(*) FROM notes WHERE code = 441") == [(1,)]
    assert stretches(service.store) == [*found[:2], (16, 22, "recorded")]


async def test_what_was_dropped_is_not_asked_for_again(
    tmp_path: Path, server: NatsServer, connection: Connection
) -> None:
    """After a restart, what stood in dropped segments is not taken for what nobody recorded."""
    limits = Limits(segment_bytes=1, keep_bytes=1)
    for start in (1, 11, 21):
        async with serving(tmp_path, server.url, limits=limits) as service:
            await publish(connection, range(start, start + 10))
            await drained(connection)
            await asyncio.sleep(GAPS_S * 1.5)
            assert service.metric("registrar_unknown_sequences_total 0.0")
    assert exit_code(service.store)[0] == 0


async def test_two_registrars_on_one_durable_find_out(
    tmp_path: Path, server: NatsServer, connection: Connection
) -> None:
    """Each misses what the other took: noted as an error, counted, told by `verify --coverage`."""
    stores = [tmp_path / name for name in ("one", "two")]
    for store in stores:
        store.mkdir()
    async with serving(stores[0], server.url) as one, serving(stores[1], server.url) as two:
        for start in range(1, 2001, 100):
            await publish(connection, range(start, start + 100))
        await drained(connection)
        shares = [set(each.events()) for each in (one, two)]
        missed = [
            {number for number in others if number < max(own, default=0)}
            for own, others in (shares, reversed(shares))
        ]
        for each, numbers in zip((one, two), missed, strict=True):
            await until(
                partial(each.metric, f"registrar_unknown_sequences_total {len(numbers):.1f}"),
                f"{len(numbers)} found that the other took",
            )
    assert shares[0] | shares[1] == set(range(1, 2001))
    assert not shares[0] & shares[1]
    assert all(shares)
    for each, numbers in zip((one, two), missed, strict=True):
        code, output = exit_code(each.store)
        assert (code, "UNKNOWN" in output) == (1, True)
        found = [part for part in stretches(each.store) if part[2] == "unknown"]
        unknown = {number for first, last, _ in found for number in range(first, last + 1)}
        assert unknown == numbers
        assert each.metric(f"registrar_unknown_sequences_total {float(len(unknown))}")
        assert {40} <= {
            level for (level,) in each.rows("SELECT severity FROM notes WHERE code = 441")
        }


async def test_what_is_on_its_way_is_open(
    tmp_path: Path, server: NatsServer, connection: Connection
) -> None:
    """A hole that may still be filled is not judged; it is once the message has come."""
    async with serving(tmp_path, server.url) as service:
        await publish(connection, range(1, 6))
        await drained(connection)
    async with PullConsumer(connection, STREAM, "registrar", batch=2) as consumer:
        await publish(connection, range(6, 11))
        async with asyncio.timeout(DEADLINE_S):
            while not await consumer.next_batch(1.0):
                pass
    async with serving(tmp_path, server.url) as service:
        async with asyncio.timeout(DEADLINE_S):
            while 10 not in service.events():  # noqa: ASYNC110 - another thread
                await asyncio.sleep(0.02)
        assert all(cause in ("recorded", "open") for _, _, cause in stretches(service.store))
        await drained(connection)
    info = await consumer_info(connection, STREAM, "registrar")
    assert info is not None
    assert info.num_redelivered == 0
    assert stretches(service.store) == [(1, 10, "recorded")]
