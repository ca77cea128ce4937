"""Measurements of a recorded run: one value per event from the journal, gauges from lag.jsonl.

Latencies count from the intended publish time, for every event and not for a sample, exact
to a microsecond (or to `resolution_ns`, in runs of more than an hour). An event whose outcome
stayed unknown counts with the time at which it was given up, which is a lower bound.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from twin.verdict.dense import Bools, Dense, channel_of, tables
from twin.verdict.facts import BrokenEvidence, LagSeries
from twin.verdict.journal import ACK, ATTEMPT, COPY, OUTCOME, Outcome
from twin.verdict.ledger import Journal, State
from twin.verdict.manifest import Manifest, PhaseWindow

__all__ = ["ACKS", "Events", "Floats", "Selected", "phase_walls", "read_acks", "select_lag"]

Floats = npt.NDArray[np.floating]
ACKS = "observed/acks.samples"
NO_PHASE = 255
PIECE = 1 << 20
TENTH_NS = 100_000_000
BIT_OF_COUNT = {
    "events": State.ATTEMPTED,
    "events_acknowledged": State.ACKNOWLEDGED,
    "publish_unknown": State.UNKNOWN,
    "publish_refused": State.REFUSED,
    "publish_shed": State.SHED,
}


@dataclass(frozen=True, slots=True)
class Selected:
    """Samples of one series, with the wall time of each; a consumer's has its role and stream."""

    values: Floats
    wall_ns: npt.NDArray[np.int64]
    role: str = ""
    stream: str = ""


class Events:
    """What was measured of each event. Planes have one entry per number of `journal.dense`.

    One metric's plane is held at a time, so ask for metrics one after the other. `run_dir` is
    where all is read from.
    """

    def __init__(self, run_dir: Path, manifest: Manifest, journal: Journal) -> None:
        self.run_dir = run_dir
        self._manifest = manifest
        self._journal = journal
        self._dense: Dense = journal.dense
        self._held: tuple[str, npt.NDArray[np.float32]] = ("", np.zeros(0, np.float32))
        names = [channel_of(source) for source in self._dense.sources]
        self.channels = sorted(set(names))
        self._names = [
            np.array([source.subject for source in self._dense.sources]),
            np.array(names),
        ]
        self._read_attempts()

    def _read_attempts(self) -> None:
        path = self.run_dir / "journal" / "attempted.bin"
        low, high = np.iinfo(np.int64).max, 0
        for rows in tables(path, ATTEMPT):
            low = min(low, int(rows["intended_ns"].min()))
            high = max(high, int(rows["intended_ns"].max()))
        self._base = low if high else 0
        self.resolution_ns = max(1, -(-(high - self._base) // (2**32 - 1)))
        self._intended = np.zeros(self._dense.total, np.uint32)
        self.phase = np.full(self._dense.total, NO_PHASE, np.uint8)
        if len(self._manifest.phases) >= NO_PHASE:
            raise BrokenEvidence(f"the manifest has {len(self._manifest.phases)} phases")
        starts = np.array([phase.start_sim_ns for phase in self._manifest.phases], np.int64)
        ends = np.array([phase.end_sim_ns for phase in self._manifest.phases], np.int64)
        for rows in tables(path, ATTEMPT):
            numbers, _ = self._dense.numbers(rows)
            self._intended[numbers] = (rows["intended_ns"] - self._base) // self.resolution_ns
            if len(starts):
                phase = np.searchsorted(starts, rows["sim_ns"], side="right") - 1
                inside = (phase >= 0) & (rows["sim_ns"] < ends[phase])
                self.phase[numbers] = np.where(inside, phase, NO_PHASE)

    def intended_ns(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the wall times for which events were intended."""
        return self._base + self._intended[numbers].astype(np.int64) * self.resolution_ns

    def plane(self, metric: str, observer: str = "") -> npt.NDArray[np.float32]:
        """Return a metric of every event in ms; NaN where it has none."""
        key = f"{metric}/{observer}"
        if self._held[0] != key:
            self._held = (key, np.zeros(0, np.float32))
            plane = np.full(self._dense.total, np.nan, np.float32)
            if metric == "publish_latency":
                self._publish(plane)
            elif metric == "end_to_end_latency":
                self._end_to_end(plane, observer)
            else:
                self._slip(plane)
            self._held = (key, plane)
        return self._held[1]

    def _publish(self, plane: npt.NDArray[np.float32]) -> None:
        for rows in tables(self.run_dir / "journal" / "acknowledged.bin", OUTCOME):
            rows = rows[np.isin(rows["outcome"], (Outcome.ACKNOWLEDGED, Outcome.UNKNOWN))]  # noqa: PLW2901
            numbers, _ = self._dense.numbers(rows)
            plane[numbers] = (rows["ack_ns"] - self.intended_ns(numbers)) / 1e6

    def _end_to_end(self, plane: npt.NDArray[np.float32], observer: str) -> None:
        attempted = self._journal.has(State.ATTEMPTED)
        for rows in tables(self.run_dir / "observed" / f"{observer}.bin", COPY):
            numbers, known = self._dense.numbers(rows)
            fresh = known & attempted[numbers] & np.isnan(plane[numbers]) & (rows["time_ns"] > 0)
            numbers, time_ns = numbers[fresh][::-1], rows["time_ns"][fresh][::-1]
            plane[numbers] = (time_ns - self.intended_ns(numbers)) / 1e6

    def untimed(self, observer: str, mask: Bools) -> int:
        """Return how many events under `mask` the observer recorded without saying when."""
        without = mask & np.isnan(self.plane("end_to_end_latency", observer))
        recorded = np.zeros(self._dense.total, np.bool_)
        for rows in tables(self.run_dir / "observed" / f"{observer}.bin", COPY):
            numbers, known = self._dense.numbers(rows)
            recorded[numbers[known & (rows["time_ns"] == 0)]] = True
        return int(np.count_nonzero(without & recorded & self._journal.has(State.ATTEMPTED)))

    def _slip(self, plane: npt.NDArray[np.float32]) -> None:
        for rows in tables(self.run_dir / "journal" / "attempted.bin", ATTEMPT):
            numbers, _ = self._dense.numbers(rows)
            plane[numbers] = rows["slip_us"] / 1e3

    def mask(self, phases: tuple[int, ...] | None, channel: str | None) -> Bools:
        """Return which numbers are in any of the phases (None: all), and of a channel."""
        if phases is None:
            mask = np.ones(self._dense.total, np.bool_)
        else:
            chosen = np.zeros(256, np.bool_)
            chosen[list(phases)] = True
            mask = chosen[self.phase]
        if channel is not None:
            chosen = (self._names[0] == channel) | (self._names[1] == channel)
            mask &= np.repeat(chosen, np.diff(self._dense.offsets))
        return mask

    def select(self, metric: str, observer: str, mask: Bools) -> npt.NDArray[np.float32]:
        """Return the values of a metric where `mask` holds and there is one; a fresh array."""
        values = self.plane(metric, observer)[mask]
        return values[~np.isnan(values)]

    def timed(self, metric: str, observer: str, mask: Bools) -> Selected:
        """Return the greatest value among the events intended in each tenth of a second."""
        bins = np.zeros(0, np.float32)
        plane = self.plane(metric, observer)
        for low in range(0, self._dense.total, PIECE):
            inside = mask[low : low + PIECE] & ~np.isnan(plane[low : low + PIECE])
            numbers = np.flatnonzero(inside) + low
            tenth = (self.intended_ns(numbers) - self._base) // TENTH_NS
            if len(tenth) and tenth.max() >= len(bins):
                more = np.full(int(tenth.max()) + 1 - len(bins), np.nan, np.float32)
                bins = np.concatenate([bins, more])
            np.fmax.at(bins, tenth, plane[numbers])
        there = np.flatnonzero(~np.isnan(bins))
        return Selected(bins[there], self._base + there * TENTH_NS)

    def count(self, metric: str, mask: Bools) -> int:
        """Return how many events under `mask` are what a counting metric counts."""
        return int(np.count_nonzero(self._journal.has(BIT_OF_COUNT[metric]) & mask))


def phase_walls(manifest: Manifest, phase: PhaseWindow) -> tuple[int, int]:
    """Return a phase's window on the wall clock, as recorded or else as the pace says.

    At pace fast, without recorded times, it is the whole run.
    """
    if phase.start_wall_ns is not None and phase.end_wall_ns is not None:
        return phase.start_wall_ns, phase.end_wall_ns
    speed = {"realtime": 1, "x10": 10, "fast": 0}[manifest.pace]
    if not speed:
        return manifest.started_ns, manifest.ended_ns or 2**63 - 1
    start = manifest.started_ns
    return start + phase.start_sim_ns // speed, start + phase.end_sim_ns // speed


def read_acks(
    run_dir: Path, manifest: Manifest, consumer: str | None, stream: str | None
) -> list[Selected]:
    """Return the sampled acknowledgement latencies, in ms, of each matching consumer."""
    if not (run_dir / ACKS).exists():
        return []
    rows = np.concatenate([*tables(run_dir / ACKS, ACK), np.zeros(0, ACK)])
    found = []
    for number, one in enumerate(manifest.consumers):
        if consumer in (None, one.role) and _is_stream(one.stream, stream):
            own = rows[rows["consumer"] == number]
            if len(own):
                delays = own["delay_ns"] / 1e6
                found.append(Selected(delays, own["time_ns"], one.role, one.stream))
    return found


def select_lag(
    series: list[LagSeries],
    metric: str,
    consumer: str | None,
    stream: str | None,
    windows: list[tuple[int, int]] | None,
) -> list[Selected]:
    """Return the samples of each matching consumer inside any of the windows (None: all)."""
    found = []
    for one in series:
        if consumer not in (None, one.role) or not _is_stream(one.stream, stream):
            continue
        values = one.values[metric]
        inside = ~np.isnan(values)
        if windows is not None:
            within = np.zeros(len(values), np.bool_)
            for low, high in windows:
                within |= (one.wall_ns >= low) & (one.wall_ns < high)
            inside &= within
        found.append(Selected(values[inside], one.wall_ns[inside], one.role, one.stream))
    return found


def _is_stream(name: str, wanted: str | None) -> bool:
    """Tell whether a stream is the wanted one, whose name may come without our prefix."""
    return wanted is None or name == wanted or name.endswith(f"_{wanted}")
