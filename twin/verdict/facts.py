"""The small facts of a run folder, one JSON object a line: sources, faults, strangers, advisories.

Readers keep the keys that a verdict needs and ignore others. What cannot be read raises
BrokenEvidence, which the judge turns into INVALID.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson

from twin.errors import TwinError
from twin.events.event import Source

__all__ = [
    "Advisory",
    "BrokenEvidence",
    "Fault",
    "LagSeries",
    "Row",
    "Stranger",
    "given_up_by_role",
    "read_advisories",
    "read_faults",
    "read_lag",
    "read_rows",
    "read_sources",
    "read_strangers",
    "strangers_by_key",
]

Row = dict[str, object]
BEFORE_NS = 1_000_000_000
"""An event may be hit by a fault that begins this long after its intended publish time."""


class BrokenEvidence(TwinError):
    """A recorded fact cannot be read, or contradicts another."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Fault:
    """One line of `faults.jsonl`. Wall ns; None for what did not happen."""

    id: int
    fault: str
    target: str
    intended_sim_ns: int | None
    intended_wall_ns: int | None
    fired_wall_ns: int | None
    healed_wall_ns: int | None
    outcome: str
    detail: str

    @property
    def fired(self) -> bool:
        """Whether the fault happened, and what it broke was mended as planned."""
        return self.outcome == "fired" and self.fired_wall_ns is not None

    def active_at(self, wall_ns: int) -> bool:
        """Tell whether an event intended for `wall_ns` may have met the fault."""
        if self.fired_wall_ns is None:
            return False
        end = self.healed_wall_ns
        return self.fired_wall_ns - BEFORE_NS <= wall_ns and (end is None or wall_ns <= end)


@dataclass(frozen=True, slots=True)
class Stranger:
    """A recorded message that is no event of the run: one line of a `*.strange.jsonl`.

    `run` names the run that it belongs to, when its message id says so.
    """

    stream: str
    stream_seq: int
    subject: str
    run: str | None
    msg_id: str
    reason: str
    time_ns: int
    source: str = ""

    @property
    def publisher(self) -> str:
        """Who published it, as far as it says."""
        return self.source or self.msg_id or "a publisher without a name"


@dataclass(frozen=True, slots=True)
class Advisory:
    """A message that a consumer gave up or refused: one line of `advisories.jsonl`."""

    role: str
    stream: str
    consumer: str
    kind: str
    stream_seq: int
    wall_ns: int


@dataclass(frozen=True, slots=True)
class LagSeries:
    """The samples of one consumer; NaN where a value was not known, all arrays of one length."""

    role: str
    stream: str
    wall_ns: npt.NDArray[np.int64]
    values: dict[str, npt.NDArray[np.float64]]
    failed_polls: int


LAG_FIELDS = {
    "consumer_backlog": "backlog",
    "consumer_ack_pending": "num_ack_pending",
    "consumer_time_lag": "oldest_age_s",
    "consumer_redeliveries": "num_redelivered",
}


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the objects of a JSON-lines file; a missing file has none."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise BrokenEvidence(f"{path}:{number}: {error.msg}") from error
            if not isinstance(row, dict):
                raise BrokenEvidence(f"{path}:{number}: is no JSON object")
            yield row


def read_sources(run_dir: Path) -> list[Source]:
    """Return the run's sources, in the numbering of its tables."""
    path = run_dir / "journal" / "sources.jsonl"
    return [Source(_text(row, "bot", path), _text(row, "subject", path)) for row in read_rows(path)]


def read_faults(run_dir: Path) -> list[Fault]:
    """Return every declared fault."""
    path = run_dir / "faults.jsonl"
    return [
        Fault(
            id=_number(row, "id", path),
            fault=_text(row, "fault", path),
            target=_text(row, "target", path),
            intended_sim_ns=_maybe(row, "intended_sim_ns", path),
            intended_wall_ns=_maybe(row, "intended_wall_ns", path),
            fired_wall_ns=_maybe(row, "fired_wall_ns", path),
            healed_wall_ns=_maybe(row, "healed_wall_ns", path),
            outcome=_text(row, "outcome", path),
            detail=str(row.get("detail", "")),
        )
        for row in read_rows(path)
    ]


def read_strangers(path: Path) -> list[Stranger]:
    """Return the lines of a `*.strange.jsonl`."""
    return [
        Stranger(
            stream=_text(row, "stream", path),
            stream_seq=_number(row, "stream_seq", path),
            subject=str(row.get("subject") or ""),
            run=str(row["run"]) if row.get("run") else None,
            msg_id=str(row.get("msg_id") or ""),
            reason=str(row.get("reason") or ""),
            time_ns=_maybe(row, "time_ns", path) or 0,
            source=str(row.get("source") or ""),
        )
        for row in read_rows(path)
    ]


def read_advisories(run_dir: Path) -> list[Advisory]:
    """Return every advisory of a watched consumer."""
    path = run_dir / "advisories.jsonl"
    return [
        Advisory(
            role=_text(row, "role", path),
            stream=_text(row, "stream", path),
            consumer=_text(row, "consumer", path),
            kind=_text(row, "kind", path),
            stream_seq=_number(row, "stream_seq", path),
            wall_ns=_maybe(row, "wall_ns", path) or 0,
        )
        for row in read_rows(path)
    ]


def strangers_by_key(path: Path, streams: tuple[str, ...]) -> dict[tuple[int, int], Stranger]:
    """Return the strangers by stream (as numbered by the manifest) and sequence."""
    found = {}
    for stranger in read_strangers(path):
        if stranger.stream not in streams:
            raise BrokenEvidence(f"{path}: the manifest has no stream {stranger.stream!r}")
        found[streams.index(stranger.stream), stranger.stream_seq] = stranger
    return found


def given_up_by_role(
    run_dir: Path, streams: tuple[str, ...]
) -> dict[tuple[str, str], dict[int, npt.NDArray[np.uint64]]]:
    """Return the sequences that consumers gave up, by (role, class) and stream number."""
    found: dict[tuple[str, str], dict[int, set[int]]] = {}
    for advisory in read_advisories(run_dir):
        if advisory.kind in ("exhausted", "terminated") and advisory.stream in streams:
            by_stream = found.setdefault((advisory.role, advisory.kind), {})
            by_stream.setdefault(streams.index(advisory.stream), set()).add(advisory.stream_seq)
    return {
        key: {stream: np.array(sorted(seqs), np.uint64) for stream, seqs in by_stream.items()}
        for key, by_stream in found.items()
    }


def read_lag(run_dir: Path) -> list[LagSeries]:
    """Return one series per consumer; a failed poll contributes no sample, and is counted."""
    path = run_dir / "lag.jsonl"
    times: dict[tuple[str, str], list[int]] = {}
    values: dict[tuple[str, str], list[list[float]]] = {}
    failed: dict[tuple[str, str], int] = {}
    for row in read_rows(path):
        key = (_text(row, "role", path), _text(row, "stream", path))
        times.setdefault(key, [])
        values.setdefault(key, [])
        if row.get("error") is not None:
            failed[key] = failed.get(key, 0) + 1
            continue
        times[key].append(_number(row, "wall_ns", path))
        values[key].append([_float(row, field, path) for field in LAG_FIELDS.values()])
    return [
        LagSeries(
            *key,
            np.array(times[key], dtype=np.int64),
            dict(
                zip(
                    LAG_FIELDS,
                    np.array(values[key], dtype=np.float64).reshape(-1, len(LAG_FIELDS)).T,
                    strict=True,
                )
            ),
            failed.get(key, 0),
        )
        for key in times
    ]


def _text(row: Row, key: str, path: Path) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise BrokenEvidence(f"{path}: {key} is {value!r} where a text is due")
    return value


def _maybe(row: Row, key: str, path: Path) -> int | None:
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise BrokenEvidence(f"{path}: {key} is {value!r} where a positive number is due")
    return value


def _number(row: Row, key: str, path: Path) -> int:
    value = _maybe(row, key, path)
    if value is None:
        raise BrokenEvidence(f"{path}: {key} is missing")
    return value


def _float(row: Row, key: str, path: Path) -> float:
    value = row.get(key)
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BrokenEvidence(f"{path}: {key} is {value!r} where a number is due")
    return float(value)
