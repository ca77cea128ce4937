"""Our whole flow, as a run has it: simulate, publish, record, at a given load or at full speed."""

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from twin.bench import ours
from twin.bench.measured import Measured
from twin.bench.rig import STREAM, Rig
from twin.errors import InfrastructureError
from twin.events.event import SourceTable
from twin.events.subjects import SubjectSpace
from twin.jetstream.publisher import Publisher, PublisherSettings
from twin.registrar.export import export_observed
from twin.scenario.fleet.drive import Timeline, drive
from twin.simulation.pacing import Pacer
from twin.verdict.journal import ATTEMPT, COPY, FileJournal, read_table

__all__ = ["flow", "keys", "latencies_us", "published", "scale"]

NS = 1_000_000_000
LEAD_NS = 200_000_000
"""The first event is intended so long after the clock has started: nobody begins late."""
DURABLE = "registrar-flow"
RUN = "flow"
FLUSH_S = 60.0


async def flow(rig: Rig, bots: int, seconds: float) -> Measured:
    """A fleet in real time, the registrar as its own process; latency intended to recorded."""
    await rig.fresh()
    await rig.durable(DURABLE)
    folder = rig.folder / "flow"
    folder.mkdir()
    registrar = ours.registrar_of(rig, DURABLE, folder)
    await registrar.start()
    try:
        world, emitted, sources = ours.fleet(RUN, bots)
        pids = {"server": rig.server.pid, "registrar": registrar.pid}
        async with await rig.connect() as watch, await rig.connect() as connection:
            with FileJournal(folder / "journal") as journal:
                space = SubjectSpace(prefix=ours.PREFIX)
                settings = PublisherSettings()
                async with Publisher(connection, sources, space, journal, settings) as out:
                    with rig.clock(registrar=registrar.pid) as clock:
                        began_ns, now_ns = time.time_ns() + LEAD_NS, world.now_ns
                        await drive(
                            world,
                            emitted,
                            out,
                            pacer=Pacer(1.0, began_ns - now_ns),
                            timeline=Timeline(),
                            end_ns=now_ns + round(seconds * NS),
                        )
                        await out.flush(FLUSH_S)
                        count = out.counts.acknowledged
                        await ours.acknowledged(watch, DURABLE, count)
                    measured = Measured.of(count, clock, pids)
    finally:
        await registrar.stop()
    taken = latencies_us(folder, sources)
    if len(taken) != count:
        raise InfrastructureError(f"{len(taken)} of {count} events were recorded")
    return measured.with_latencies(taken.tolist())


async def scale(rig: Rig, bots: int, messages: float) -> Measured:
    """A fleet as fast as acknowledgements allow, published in order."""
    await rig.fresh()
    turn = await ours.simulate(rig, round(messages), RUN, bots=bots)
    return Measured.of(turn.messages, turn.clock, {"server": rig.server.pid})


async def published(rig: Rig, size: int, messages: float) -> Measured:
    """Ready-made events with payloads of `size` bytes, in order."""
    await rig.fresh()
    turn = await ours.publish(rig, round(messages), RUN, size=size)
    return Measured.of(turn.messages, turn.clock, {"server": rig.server.pid})


def latencies_us(folder: Path, sources: SourceTable) -> npt.NDArray[np.int64]:
    """Return how long after its intended moment each recorded event was durable."""
    export_observed(folder / "store", sources, (STREAM,), folder / "observed", RUN)
    attempted = np.concatenate([*read_table(folder / "journal" / "attempted.bin", ATTEMPT)])
    recorded = np.concatenate([*read_table(folder / "observed" / "registrar.bin", COPY)])
    intended = dict(zip(keys(attempted), attempted["intended_ns"].tolist(), strict=True))
    pairs = zip(keys(recorded), recorded["time_ns"].tolist(), strict=True)
    return np.array([(at - intended[key]) // 1000 for key, at in pairs], np.int64)


def keys(table: npt.NDArray[np.void]) -> list[int]:
    """Return one number per row that tells source and sequence."""
    found = (table["source"].astype(np.int64) << 32) | table["seq"]
    return list(found.tolist())
