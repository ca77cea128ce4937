"""Our own ways to publish, consume, simulate and audit, as a benchmark runs them."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import orjson

from twin.bench.rig import (
    PAYLOAD_BYTES,
    SOURCES,
    STREAM,
    ReadyMade,
    Rig,
    Turn,
    block,
    payload,
)
from twin.errors import InfrastructureError
from twin.events.event import Event, SourceTable, many
from twin.events.headers import header_lines
from twin.events.subjects import SubjectSpace
from twin.jetstream.api import consumer_info
from twin.jetstream.connection import Connection
from twin.jetstream.consumer import PullConsumer
from twin.jetstream.link import WireChoice
from twin.jetstream.options import BrokerOptions
from twin.jetstream.publisher import Publisher, PublisherSettings
from twin.scenario.processes.registrar_process import RegistrarProcess
from twin.simulation.fleet import FleetGroup
from twin.simulation.world import World
from twin.spec.load import load_spec
from twin.verdict.journal import FileJournal

__all__ = [
    "PREFIX",
    "acknowledged",
    "audit",
    "consume",
    "emitted",
    "encode",
    "fleet",
    "publish",
    "registrar_of",
    "simulate",
]

PREFIX = "bench"
SLICE = 512
BATCH = 4000
BOTS = 1000
BOOT_NS = 2_000_000_000
EPOCH_NS = 1_767_225_600_000_000_000
DEADLINE_S = 120.0
POLL_S = 0.02


def _sources() -> SourceTable:
    sources = SourceTable()
    for number in range(SOURCES):
        sources.add(f"bot-{number}", f"bench.{number}")
    return sources


async def publish(
    rig: Rig,
    count: int,
    run: str,
    *,
    pipelined: bool = False,
    wire: WireChoice = "auto",
    size: int = PAYLOAD_BYTES,
) -> Turn:
    """Publish ready-made events of 2,000 sources with a journal; flushed and made durable."""
    body = payload(size)
    events = [Event(n % SOURCES, n // SOURCES + 1, n, block(run, n), body) for n in range(count)]
    async with _publisher(rig, run, _sources(), wire, pipelined=pipelined) as out:
        with rig.clock() as clock:
            for start in range(0, count, SLICE):
                await out.room()
                _offer(out, events[start : start + SLICE])
            await _finish(out, count)
    return Turn(count, clock)


async def encode(rig: Rig, count: int, run: str) -> Turn:
    """The same, pipelined, each payload and header block encoded just before it is offered."""
    before, between, after = block(run, 0).split(b"bot-0/bench/1")
    fill = "x" * (PAYLOAD_BYTES - len(payload().strip()) + 1)

    def batch(numbers: range) -> list[Event]:
        sources = [number % SOURCES for number in numbers]
        sequences = [number // SOURCES + 1 for number in numbers]
        names = [b"bot-%d/bench/%d" % place for place in zip(sources, sequences, strict=True)]
        headers = [b"".join((before, name, between, name, after)) for name in names]
        payloads = [orjson.dumps({"fill": fill}) for _ in numbers]
        return many(zip(sources, sequences, numbers, headers, payloads, strict=True))

    async with _publisher(rig, run, _sources(), pipelined=True) as out:
        with rig.clock() as clock:
            for start in range(0, count, SLICE):
                await out.room()
                _offer(out, batch(range(start, min(start + SLICE, count))))
            await _finish(out, count)
    return Turn(count, clock)


async def consume(rig: Rig, count: int, run: str, *, wire: WireChoice = "auto") -> Turn:
    """Take `count` stored events with our pull loop, each acknowledged."""
    await publish(rig, count, run, pipelined=True)
    await rig.durable(run)
    async with await rig.connect(wire) as connection:
        with rig.clock() as clock:
            async with PullConsumer(connection, STREAM, run, batch=BATCH) as consumer:
                taken = 0
                while taken < count:
                    batch = await consumer.next_batch(5.0)
                    taken += len(batch)
                    consumer.ack(batch)
                await connection.flush()
    return Turn(count, clock)


async def simulate(rig: Rig, count: int, run: str, *, bots: int = BOTS) -> Turn:
    """Step a fleet and publish what it emits, in one process."""
    world, emitted, sources = fleet(run, bots)
    async with _publisher(rig, run, sources, prefix=PREFIX) as out:
        with rig.clock() as clock:
            await _emit(world, emitted, out, count)
    return Turn(count, clock)


async def audit(rig: Rig, count: int, run: str) -> Turn:
    """The same while the registrar, a process of its own, records every event durably."""
    durable, folder = f"registrar-{run}", rig.folder / f"audit-{run}"
    folder.mkdir()
    await rig.durable(durable)
    registrar = registrar_of(rig, durable, folder)
    await registrar.start()
    try:
        world, emitted, sources = fleet(run)
        async with (
            await rig.connect() as watch,
            _publisher(rig, run, sources, prefix=PREFIX) as out,
        ):
            with rig.clock(registrar=registrar.pid) as clock:
                await _emit(world, emitted, out, count)
                await acknowledged(watch, durable, count)
    finally:
        await registrar.stop()
        shutil.rmtree(folder)
    return Turn(count, clock)


def registrar_of(rig: Rig, durable: str, folder: Path) -> RegistrarProcess:
    """Return a registrar, not started, that records what `durable` delivers in `folder`/store."""
    return RegistrarProcess(
        [
            *("--attach", "--no-fan-out", "--prefix", PREFIX, "--consume", f"{STREAM}:{durable}"),
            *("--store", str(folder / "store"), "--announce", str(folder / "announce")),
        ],
        BrokerOptions(url=rig.server.url).environment(),
        folder / "registrar.log",
        folder / "announce",
    )


async def acknowledged(
    connection: Connection, durable: str, count: int, deadline_s: float = DEADLINE_S
) -> None:
    """Return once the durable's ack floor is at `count`; raises InfrastructureError."""
    deadline = time.monotonic() + deadline_s
    while time.monotonic() < deadline:
        info = await consumer_info(connection, STREAM, durable)
        if info is not None and info.ack_floor.stream_seq >= count:
            return
        await asyncio.sleep(POLL_S)
    raise InfrastructureError(f"{durable} has not recorded {count} events in {deadline_s:g} s.")


@asynccontextmanager
async def _publisher(
    rig: Rig,
    run: str,
    sources: SourceTable,
    wire: WireChoice = "auto",
    *,
    prefix: str = "",
    pipelined: bool = False,
) -> AsyncIterator[Publisher]:
    folder = rig.folder / f"journal-{run}"
    async with await rig.connect(wire) as connection:
        with FileJournal(folder) as journal:
            settings = PublisherSettings(pipelined=pipelined)
            space = SubjectSpace(prefix=prefix)
            async with Publisher(connection, sources, space, journal, settings) as out:
                yield out
    shutil.rmtree(folder)


def _offer(out: Publisher, events: Sequence[Event]) -> None:
    out.offer(events, [time.time_ns()] * len(events))


async def _finish(out: Publisher, count: int) -> None:
    await out.flush(DEADLINE_S)
    if out.counts.acknowledged != count:
        raise InfrastructureError(f"{count} events were offered, but: {out.counts}")


def fleet(run: str, bots: int = BOTS) -> tuple[World, list[Event], SourceTable]:
    """Return a booted fleet, the list it emits into, and its sources."""
    emitted: list[Event] = []
    sources = SourceTable()
    world = World(
        [FleetGroup("bench", load_spec("builtin:BotSpec"), bots)],
        seed=1,
        epoch_ns=EPOCH_NS,
        run_id=run,
        space=SubjectSpace(prefix=PREFIX),
        sources=sources,
        sink=emitted.extend,
    )
    world.run_until(BOOT_NS)
    emitted.clear()
    return world, emitted, sources


def emitted(run: str, count: int) -> list[ReadyMade]:
    """Return the first `count` messages that a fleet publishes."""
    world, events, sources = fleet(run)
    messages: list[ReadyMade] = []
    space = SubjectSpace(prefix=PREFIX)
    while len(messages) < count:
        world.step()
        for source, _, _, headers, body in events:
            fields = dict(header_lines(headers))
            messages.append(ReadyMade(space.wire(sources[source].subject), fields, body))
        events.clear()
    return messages[:count]


async def _emit(world: World, emitted: list[Event], out: Publisher, count: int) -> None:
    """Publish the next `count` events of a world."""
    left = count
    while left:
        await out.room()
        world.step()
        if emitted:
            batch = emitted[:left]
            left -= len(batch)
            emitted.clear()
            _offer(out, batch)
    await _finish(out, count)
