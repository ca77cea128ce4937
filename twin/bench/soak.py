"""A soak: many events, a broker that is killed on the way, and every copy counted at the end.

Journal, stream and the registrar's store are read from end to end afterwards and compared
event by event; the memory of the publishing process is sampled meanwhile.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson

from twin.bench.ours import PREFIX, acknowledged, registrar_of
from twin.bench.rig import SOURCES, STREAM, Rig, header_fields
from twin.events.cloudevents import parse_headers
from twin.events.digest import payload_hash
from twin.events.event import Event, SourceTable
from twin.events.subjects import SubjectSpace
from twin.jetstream.publisher import Publisher, PublisherSettings
from twin.jetstream.scan import scan
from twin.jetstream.server import NatsServer
from twin.registrar.export import export_observed
from twin.verdict.journal import ATTEMPT, COPY, OUTCOME, FileJournal, Outcome, read_table

__all__ = ["Copies", "Memory", "SoakResult", "soak"]

RUN = "soak"
DURABLE = "registrar"
SUBJECT = "qiki.soak.v1.load"
SLICE = 256
SAMPLE_S = 0.5
FLAT_MIB = 48.0
SETTINGS = PublisherSettings(retry_for_s=90.0)
"""Longer than usual: after a kill, a server reads its whole store before it answers."""


@dataclass(slots=True)
class Memory:
    """Resident memory of the publishing process in MiB, sampled while it published."""

    samples: list[float] = field(default_factory=list)

    def sample(self) -> None:
        """Add what it is now; nothing where there is no /proc."""
        path = Path("/proc/self/statm")
        if path.exists():
            self.samples.append(int(path.read_text(encoding="ascii").split()[1]) * 4096 / 2**20)

    @property
    def peak_mib(self) -> float:
        """The largest sample."""
        return max(self.samples, default=0.0)

    @property
    def growth_mib(self) -> float:
        """Median of the last quarter of the samples less that of the second."""
        if len(self.samples) < 4:
            return 0.0
        quarters = np.array_split(np.array(self.samples), 4)
        return float(np.median(quarters[3]) - np.median(quarters[1]))


@dataclass(slots=True)
class Copies:
    """How often each event was found in one place, by number, in order or not, as sent or not.

    Event `seq` of source `s` of SOURCES has the number `(seq - 1) * SOURCES + s`.
    """

    seen: npt.NDArray[np.uint8]
    hashes: npt.NDArray[np.uint64]
    last: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(SOURCES, np.int64))
    unexpected: int = 0
    reordered: int = 0
    corrupt: int = 0

    @classmethod
    def expecting(cls, journal: Path, events: int) -> "Copies":
        """Expect what the journal says was attempted."""
        hashes = np.zeros(events, np.uint64)
        for table in read_table(journal / "attempted.bin", ATTEMPT):
            hashes[_numbers(table["source"], table["seq"])] = table["hash"]
        return cls(np.zeros(events, np.uint8), hashes)

    def add(self, source: int, seq: int, hashed: int) -> None:
        """Count one copy."""
        number = (seq - 1) * SOURCES + source
        if not (0 <= source < SOURCES and 0 <= number < len(self.seen)):
            self.unexpected += 1
            return
        first = self.seen[number] == 0
        self.seen[number] = min(int(self.seen[number]) + 1, 255)
        self.corrupt += int(self.hashes[number]) != hashed
        if first:
            self.reordered += seq < int(self.last[source])
            self.last[source] = max(seq, int(self.last[source]))

    @property
    def found(self) -> int:
        """How many copies there are, of what was expected."""
        return int(self.seen.sum(dtype=np.int64))

    @property
    def missing(self) -> int:
        """How many events have no copy."""
        return int(np.count_nonzero(self.seen == 0))

    @property
    def duplicates(self) -> int:
        """How many copies are one too many."""
        return int((self.seen[self.seen > 1] - 1).sum(dtype=np.int64))


@dataclass(frozen=True, slots=True)
class SoakResult:
    """What a soak found; times in seconds, memory in MiB."""

    events: int
    kills: int
    disconnects: int
    resent: int
    attempted: int
    acknowledged: int
    stored: int
    recorded: int
    lost: int
    duplicates: int
    reordered: int
    corrupt: int
    unexpected: int
    publish_s: float
    audit_s: float
    peak_mib: float
    growth_mib: float
    server_downtime_s: tuple[float, ...]

    @property
    def passed(self) -> bool:
        """Whether all counts are equal, nothing is wrong, and memory did not grow."""
        wrong = self.lost + self.duplicates + self.reordered + self.corrupt + self.unexpected
        counts = {self.events, self.attempted, self.acknowledged, self.stored, self.recorded}
        whole = len(counts) == 1 and self.disconnects >= self.kills
        return whole and not wrong and self.growth_mib < FLAT_MIB

    def as_json(self) -> bytes:
        """Return the result as one JSON document."""
        return orjson.dumps(
            {"schema_version": 1, "name": "soak", **asdict(self), "passed": self.passed},
            option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
        )


async def soak(
    server: NatsServer, folder: Path, events: int, kills: int, tell: Callable[[str], None]
) -> SoakResult:
    """Publish `events`, killing the broker `kills` times at even distances; count everything.

    The registrar, a process of its own, records all of it. `tell` hears how far it is.
    """
    rig = Rig(server, folder)
    await rig.fresh()
    await rig.durable(DURABLE)
    journal, sources = rig.folder / "journal", SourceTable()
    for number in range(SOURCES):
        sources.add(f"bot-{number}", SUBJECT)
    registrar = registrar_of(rig, DURABLE, rig.folder)
    await registrar.start()
    try:
        began = time.monotonic()
        async with await rig.connect() as connection:
            with FileJournal(journal) as kept:
                space = SubjectSpace(prefix=PREFIX)
                async with Publisher(connection, sources, space, kept, SETTINGS) as out:
                    downtime, memory = await _publish(server, out, events, kills, tell)
                    counts = out.counts
            published = time.monotonic()
            tell("waiting for the registrar")
            await acknowledged(connection, DURABLE, counts.acknowledged, deadline_s=1800.0)
            audited = time.monotonic()
    finally:
        await registrar.stop()
    tell("reading journal, stream and store")
    stored = await _in_stream(rig, journal, events)
    recorded = await asyncio.to_thread(_in_store, rig.folder, sources, journal, events)
    both = (stored, recorded)
    return SoakResult(
        events=events,
        kills=kills,
        disconnects=counts.disconnects,
        resent=counts.resent,
        attempted=_rows(journal / "attempted.bin", ATTEMPT),
        acknowledged=sum(_outcomes(journal)),
        stored=stored.found,
        recorded=recorded.found,
        lost=max(one.missing for one in both),
        duplicates=sum(one.duplicates for one in both),
        reordered=stored.reordered,
        corrupt=sum(one.corrupt for one in both),
        unexpected=sum(one.unexpected for one in both),
        publish_s=published - began,
        audit_s=audited - began,
        peak_mib=memory.peak_mib,
        growth_mib=memory.growth_mib,
        server_downtime_s=tuple(downtime),
    )


async def _publish(
    server: NatsServer, out: Publisher, events: int, kills: int, tell: Callable[[str], None]
) -> tuple[list[float], Memory]:
    """Offer everything and flush; return how long each restart took, and the memory used."""
    memory, downtime = Memory(), list[float]()
    due = [events * (number + 1) // (kills + 1) for number in range(kills)]
    sampler = asyncio.create_task(_sample(memory, out, events, tell))
    breaker = asyncio.create_task(_break(server, out, due, downtime))
    try:
        for start in range(0, events, SLICE):
            await out.room()
            batch = [_event(n) for n in range(start, min(start + SLICE, events))]
            out.offer(batch, [time.time_ns()] * len(batch))
        await breaker
        await out.flush(SETTINGS.retry_for_s + 30)
    finally:
        for task in (sampler, breaker):
            task.cancel()
        await asyncio.wait([sampler, breaker])
    return downtime, memory


def _event(number: int) -> Event:
    source, seq = number % SOURCES, number // SOURCES + 1
    fields = header_fields(RUN, number) | {
        "ce-id": f"bot-{source}/soak.v1.load/{seq}",
        "ce-source": f"urn:twin:{RUN}:bot-{source}",
        "Nats-Msg-Id": f"{RUN}/bot-{source}/soak.v1.load/{seq}",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    body = (b'{"number":%d}' % number).ljust(256)
    return Event(source, seq, number, f"NATS/1.0\r\n{lines}".encode(), body)


async def _break(server: NatsServer, out: Publisher, due: list[int], downtime: list[float]) -> None:
    for count in due:
        while out.counts.acknowledged < count:  # noqa: ASYNC110 - the publisher counts, no event
            await asyncio.sleep(0.01)
        began = time.monotonic()
        await server.kill()
        await server.start()
        downtime.append(time.monotonic() - began)


async def _sample(memory: Memory, out: Publisher, events: int, tell: Callable[[str], None]) -> None:
    while True:
        memory.sample()
        tell(f"{out.counts.acknowledged:,} of {events:,} acknowledged")
        await asyncio.sleep(SAMPLE_S)


async def _in_stream(rig: Rig, journal: Path, events: int) -> Copies:
    copies = await asyncio.to_thread(Copies.expecting, journal, events)
    async with await rig.connect() as connection:
        async for batch in scan(connection, STREAM, 1, 2**62):
            for message in batch:
                name, _, seq = parse_headers(message.headers).get("ce-id", "").rpartition("/")
                source = name.partition("/")[0].removeprefix("bot-")
                known = source.isdecimal() and seq.isdecimal()
                place = (int(source), int(seq)) if known else (-1, 0)
                copies.add(*place, payload_hash(message.payload))
    return copies


def _in_store(folder: Path, sources: SourceTable, journal: Path, events: int) -> Copies:
    export_observed(folder / "store", sources, (STREAM,), folder / "observed", RUN)
    copies = Copies.expecting(journal, events)
    for table in read_table(folder / "observed" / "registrar.bin", COPY):
        rows = zip(*(table[name].tolist() for name in ("source", "seq", "hash")), strict=True)
        for source, seq, hashed in rows:
            copies.add(source, seq, hashed)
    return copies


def _outcomes(journal: Path) -> Iterator[int]:
    """Yield how many acknowledgements each part of the journal holds."""
    for table in read_table(journal / "acknowledged.bin", OUTCOME):
        yield int(np.count_nonzero(table["outcome"] == Outcome.ACKNOWLEDGED))


def _rows(path: Path, dtype: np.dtype[np.void]) -> int:
    return sum(len(table) for table in read_table(path, dtype))


def _numbers(source: npt.NDArray[np.uint32], seq: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    return (seq.astype(np.int64) - 1) * SOURCES + source
