"""`result.json`: the verdict on a run, its reasons, and everything that was measured.

The schema is versioned; keys are added, never renamed, within one version. Times that end
in `_ns` are wall nanoseconds since 1970 unless they say `sim`. Latencies are in ms.
"""

from enum import StrEnum
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from twin.errors import InputError, Problem, UsageError
from twin.verdict.criteria import Criteria
from twin.verdict.files import write_atomic
from twin.verdict.manifest import PhaseWindow, ScenarioFacts, ServiceFacts

__all__ = [
    "RESULT",
    "AuditCounts",
    "Check",
    "Example",
    "FaultResult",
    "HopResult",
    "LagResult",
    "LatencyRow",
    "Reason",
    "ReasonKind",
    "Result",
    "SubjectCounts",
    "Totals",
    "Verdict",
    "write_result",
]

RESULT: Final = "result.json"


class Verdict(StrEnum):
    """What a run has shown. INVALID: nothing that counts."""

    PASS = "PASS"  # noqa: S105 - a verdict, no secret
    FAIL = "FAIL"
    INVALID = "INVALID"

    @property
    def exit_code(self) -> int:
        """The exit code of the command line."""
        return {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INVALID: 3}[self]


class ReasonKind(StrEnum):
    """How a reason weighs: a violation beats invalid, invalid beats broken."""

    VIOLATION = "violation"  # more data could not undo it
    INVALID = "invalid"  # the run proves nothing
    BROKEN = "broken"  # a threshold, guarantee or expectation is not met


class Model(BaseModel):
    """A part of the result."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Reason(Model):
    """Why the verdict is not PASS. `check` is stable, e.g. `guarantee.lost`, `drained`."""

    kind: ReasonKind
    check: str
    message: str
    measured: float | None = None
    limit: float | None = None
    window: str = ""


class Check(Model):
    """One threshold, guarantee or expectation; `ok` is None when it could not be judged."""

    name: str
    ok: bool | None
    measured: float | None = None
    limit: str = ""
    unit: str = ""
    window: str = ""
    samples: int = 0
    note: str = ""


class Example(Model):
    """One event of a class, with the faults that were active when it was due.

    A gap was never due: its `wall_ns` is 0. An unexpected one has the time of its record.
    """

    event_class: str
    hop: str
    id: str
    subject: str
    wall_ns: int
    sim_ns: int | None
    stream_seq: int | None = None
    faults: tuple[str, ...] = ()
    detail: str = ""


class HopResult(Model):
    """One hop: rows read, events per class, the first examples of each bad class."""

    name: str
    rows: int
    events: int
    counts: dict[str, int]
    lost_where: dict[str, int]
    examples: tuple[Example, ...] = ()


class LatencyRow(Model):
    """A latency over a phase or subject; without either, over all measured phases. In ms."""

    metric: str
    phase: str | None
    subject: str | None
    observer: str | None
    count: int = 0
    min: float = 0.0
    avg: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    max: float = 0.0


class SubjectCounts(Model):
    """Events of one channel, by the platform's name for its subject.

    `stored` counts rows of the scan, `server` what the server counts itself, `recorded` rows
    per observer, and `kept` what each observer's own store counts.
    """

    subject: str
    generated: int = 0
    acknowledged: int = 0
    recovered: int = 0
    unknown: int = 0
    refused: int = 0
    shed: int = 0
    stored: int = 0
    server: int = 0
    recorded: dict[str, int] = Field(default_factory=dict)
    kept: dict[str, int] = Field(default_factory=dict)


class Totals(Model):
    """Events of the whole run; rates are per wall second over the measured phases."""

    bots: int = 0
    predicted: int = 0
    generated: int = 0
    acknowledged: int = 0
    recovered: int = 0
    unknown: int = 0
    refused: int = 0
    shed: int = 0
    stored: int = 0
    measured_s: float = 0.0
    generated_per_s: float = 0.0
    acknowledged_per_s: float = 0.0


class AuditCounts(Model):
    """Records of an observer by code and by range."""

    codes: dict[str, int] = Field(default_factory=dict)
    names: dict[str, str] = Field(default_factory=dict)
    ranges: dict[str, int] = Field(default_factory=dict)


class LagResult(Model):
    """One watched consumer: maxima over the whole run, and its state after the drain."""

    role: str
    stream: str
    samples: int = 0
    failed_polls: int = 0
    max_backlog: float | None = None
    max_ack_pending: float | None = None
    max_time_lag_s: float | None = None
    max_redeliveries: float | None = None
    drained: bool | None = None
    exhausted: int = 0
    terminated: int = 0
    naks: int = 0


class FaultResult(Model):
    """One declared fault: when it was meant to happen, and when it did. Wall ns."""

    fault: str
    target: str
    outcome: str
    intended_sim_ns: int | None
    fired_ns: int | None
    healed_ns: int | None
    detail: str = ""


class Result(Model):
    """The judgement of one run."""

    schema_version: Literal[1] = 1
    verdict: Verdict
    reasons: tuple[Reason, ...]
    run_id: str
    state: str
    scenario: ScenarioFacts
    seed: int
    epoch_ns: int
    pace: str
    layout: str
    prefix: str
    started_ns: int
    ended_ns: int | None
    phases: tuple[PhaseWindow, ...] = ()
    totals: Totals = Totals()
    latency: tuple[LatencyRow, ...] = ()
    latency_resolution_ns: int = 1
    subjects: tuple[SubjectCounts, ...] = ()
    hops: tuple[HopResult, ...] = ()
    audit: AuditCounts = AuditCounts()
    lag: tuple[LagResult, ...] = ()
    thresholds: tuple[Check, ...] = ()
    guarantees: tuple[Check, ...] = ()
    expectations: tuple[Check, ...] = ()
    faults: tuple[FaultResult, ...] = ()
    services: tuple[ServiceFacts, ...] = ()
    criteria: Criteria = Criteria()
    digest: str = ""
    digest_note: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    machine: dict[str, str | int | float] = Field(default_factory=dict)
    reproduce: str = ""

    def as_json(self) -> bytes:
        """Return the document as it is written, indented."""
        return self.model_dump_json(indent=2).encode() + b"\n"

    @classmethod
    def load(cls, run_dir: Path) -> Self:
        """Read `result.json`; raises UsageError when there is none, InputError when it is none."""
        path = run_dir / RESULT
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from error
        except ValidationError as error:
            text = "; ".join(fault["msg"] for fault in error.errors(include_url=False))
            raise InputError([Problem(str(path), 0, 0, text)]) from error


def write_result(run_dir: Path, result: Result) -> None:
    """Write `result.json` into a run folder, whole or not at all."""
    write_atomic(run_dir / RESULT, result.as_json())
