"""The monitor against the ledger: a backlog that was there must not have been read as none.

The scan says when each message was stored, an observer when it was recorded. What lay between
is a lower bound of its consumer's backlog, and samples that stay far below it are wrong.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from twin.verdict.dense import Ints, tables
from twin.verdict.facts import LagSeries
from twin.verdict.journal import COPY, NO_SOURCE
from twin.verdict.ledger import Ledger
from twin.verdict.manifest import Manifest

__all__ = ["contradictions"]

SLACK_NS = 500_000_000
"""How far a sample and the times of records may be apart."""
LEAST = 100
"""A smaller backlog comes and goes between two looks."""
TIMES = 2
"""One sample may be wrong by bad luck."""


def contradictions(
    manifest: Manifest, ledger: Ledger, lag: list[LagSeries]
) -> Iterator[tuple[LagSeries, int]]:
    """Yield series that read next to nothing at several times, and the backlog that there was."""
    streams = [stream.name for stream in manifest.streams]
    observers = {one.name for one in manifest.observers if one.kind == "registrar"}
    for series in lag:
        if series.role not in observers or series.stream not in streams or not len(series.wall_ns):
            continue
        number = streams.index(series.stream)
        run_dir = ledger.run_dir
        stored, all_stored = _before(
            run_dir / "stream" / "stored.bin", number, series.wall_ns - SLACK_NS
        )
        recorded, all_recorded = _before(
            run_dir / "observed" / f"{series.role}.bin", number, series.wall_ns + SLACK_NS
        )
        never = max(0, all_stored - all_recorded)
        least = stored - recorded - never
        read = np.nan_to_num(series.values["consumer_backlog"], nan=np.inf)
        wrong = (least > LEAST) & (read < least / 10)
        if np.count_nonzero(wrong) >= TIMES:
            yield series, int(least[wrong].max())


def _before(path: Path, stream: int, times: npt.NDArray[np.int64]) -> tuple[Ints, int]:
    """Return how many events of a stream a table has up to each of `times`, and in all."""
    order = np.sort(times)
    counts = np.zeros(len(order) + 1, np.int64)
    for rows in tables(path, COPY):
        mine = (rows["stream"] == stream) & (rows["source"] != NO_SOURCE)
        places = np.searchsorted(order, rows["time_ns"][mine], side="left")
        counts += np.bincount(places, minlength=len(counts))
    running = np.cumsum(counts)
    return running[np.searchsorted(order, times, side="left")], int(running[-1])
