"""`manifest.json`: what a run was, which facts it left, and the seal over them.

The runner writes it with state `running` before anything else, and replaces it by a
`sealed` one as the last act of a drained run. The seal holds size and SHA-256 of every file
of evidence, and a checksum over the manifest itself, so that a run folder that was cut
short, damaged or edited is noticed before it is judged. See docs/verdicts.md.
"""

import hashlib
from pathlib import Path
from typing import Final, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from twin.errors import InputError, Problem, UsageError
from twin.verdict.criteria import AuditMatch, Criteria, Expectation, Guarantees, Limits
from twin.verdict.files import file_digest, write_atomic

__all__ = [
    "EDITED",
    "EVIDENCE",
    "MANIFEST",
    "PROVABLE",
    "AuditMatch",
    "BrokenManifest",
    "Clocks",
    "Criteria",
    "EvidenceFile",
    "Expectation",
    "Guarantees",
    "Limits",
    "Manifest",
    "ObserverFacts",
    "PhaseWindow",
    "Predicted",
    "PublishCounts",
    "RollbackFacts",
    "ScenarioFacts",
    "ServiceFacts",
    "SteadyLook",
    "StreamFacts",
    "WatchedConsumer",
    "required_evidence",
]

MANIFEST: Final = "manifest.json"
EVIDENCE: Final = (
    "journal/*",
    "stream/*",
    "observed/*",
    "faults.jsonl",
    "lag.jsonl",
    "advisories.jsonl",
    "inputs.jsonl",
    "scenario.yaml",
    "specs/*",
)
"""What a verdict and a replay rest on, as patterns in the run folder, all under the seal."""


PROVABLE: Final = ("lost", "duplicate", "reordered", "corrupt", "unexpected")
"""The classes that an observer of complete records can tell apart."""
EDITED: Final = "changed since the run wrote it"


class BrokenManifest(InputError):
    """A manifest is not what a run wrote, so that the run proves nothing."""

    exit_code = 3


class Model(BaseModel):
    """A part of the manifest: immutable, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ScenarioFacts(Model):
    """What was run."""

    name: str
    description: str = ""


class PhaseWindow(Model):
    """A phase as it was: simulated times since the start, and wall times when they are known."""

    name: str
    start_sim_ns: int
    end_sim_ns: int
    measure: bool = True
    rate: float = 1.0
    start_wall_ns: int | None = None
    end_wall_ns: int | None = None


class StreamFacts(Model):
    """A stream at the scan. `subjects` are the server's own counts by logical subject.

    `last_seq` and `first_seq` are the stream's state; `first_seq` above 1 means that
    messages were evicted or purged. `captures` are the logical subjects that it takes, which
    say where a subject belongs of which nothing is left.
    """

    name: str
    first_seq: int
    last_seq: int
    subjects: dict[str, int]
    scanned: bool
    captures: tuple[str, ...] = ()


class WatchedConsumer(Model):
    """A watched consumer after the drain; decisions.md says when it counts as drained.

    `last_matching_seq` is the stream sequence of the last message that its filter matches
    (0: none). `exhausted`, `terminated` and `naks` count advisories, which mean nothing
    unless `advisories_read`. `deliveries` is how often the server delivered during the run,
    redeliveries included; None when it may have forgotten some.
    """

    role: str
    stream: str
    durable: str
    drained: bool
    num_pending: int
    num_ack_pending: int
    ack_floor: int
    last_matching_seq: int
    exhausted: int = 0
    terminated: int = 0
    naks: int = 0
    deliveries: int | None = None
    advisories_read: bool = False
    detail: str = ""

    @property
    def finished(self) -> bool:
        """Whether nothing more can come from the consumer.

        Pending and ack pending are 0, and the ack floor has reached the last matching
        sequence. Messages that were given up hold the floor back for ever; where advisories
        were read and name such messages, the counters alone decide.
        """
        empty = self.num_pending == 0 and self.num_ack_pending == 0
        reached = self.ack_floor >= self.last_matching_seq
        given_up = self.advisories_read and self.exhausted + self.terminated > 0
        return empty and (self.drained if reached else given_up)


class ObserverFacts(Model):
    """Who recorded events, and how many rows its own store holds, by its own counting.

    The rows are in `observed/<name>.bin`, in the order in which they were recorded.
    `rows_total` counts them all, `per_subject` by logical subject. `proves` are the classes
    that its `key` can tell apart; only events on `subjects` (patterns; none means all) have
    to be recorded.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    kind: Literal["registrar", "jsonl", "http", "sql", "stream", "other"] = "registrar"
    rows_total: int
    per_subject: dict[str, int]
    finished: bool
    detail: str = ""
    key: str = "id"
    proves: tuple[str, ...] = PROVABLE
    subjects: tuple[str, ...] = ()


class ServiceFacts(Model):
    """A process of the run. `exit_code` is None while it ran until it was asked to stop.

    `expected` says that it ended as it should: when asked to, or by a fault. `own` services
    belong to the harness: when one dies the run proves nothing; when a user's dies the run
    fails.
    """

    name: str
    exit_code: int | None
    expected: bool
    detail: str = ""
    own: bool = True


class RollbackFacts(Model):
    """How a command of the scenario's `rollbacks` ended; without an exit code it did not."""

    command: str
    exit_code: int | None
    detail: str = ""


class SteadyLook(Model):
    """What the metrics of `steady_state` were before the first fault, or after the last."""

    when: Literal["before", "after"]
    sim_ns: int
    values: dict[str, float | None]


class Clocks(Model):
    """What the clocks did while the run lasted."""

    wall_backwards: bool = False
    detail: str = ""


class Predicted(Model):
    """How many events the spec predicts, in total and by logical subject."""

    total: int
    by_subject: dict[str, int] = Field(default_factory=dict)


class PublishCounts(Model):
    """The publisher's own counters, to be compared with its journal.

    `held` events were still in outboxes when the run ended: generated, never attempted.
    `withheld` ones were not generated because a declared policy sampled less often.
    """

    attempted: int
    acknowledged: int
    refused: int = 0
    unknown: int = 0
    shed: int = 0
    held: int = 0
    withheld: int = 0


class EvidenceFile(Model):
    """One sealed file."""

    size: int
    sha256: str


class Manifest(Model):
    """A run's own account. Times: `*_sim_ns` since the start, others wall ns since 1970.

    `external` are the logical subjects, as patterns, on which others publish instead of us.
    """

    schema_version: Literal[1] = 1
    run_id: str
    state: Literal["running", "sealed", "interrupted"]
    scenario: ScenarioFacts
    seed: int
    epoch_ns: int
    pace: Literal["realtime", "x10", "fast"]
    layout: Literal["platform", "fleet"]
    prefix: str = ""
    started_ns: int
    ended_ns: int | None = None
    phases: tuple[PhaseWindow, ...]
    external: tuple[str, ...] = ()
    streams: tuple[StreamFacts, ...] = ()
    consumers: tuple[WatchedConsumer, ...] = ()
    observers: tuple[ObserverFacts, ...] = ()
    predicted: Predicted = Predicted(total=0)
    publish: PublishCounts | None = None
    faults_declared: int = 0
    digest: str = ""
    digest_note: str = ""
    clocks: Clocks = Clocks()
    services: tuple[ServiceFacts, ...] = ()
    rollbacks: tuple[RollbackFacts, ...] = ()
    steady: tuple[SteadyLook, ...] = ()
    versions: dict[str, str] = Field(default_factory=dict)
    machine: dict[str, str | int | float] = Field(default_factory=dict)
    criteria: Criteria = Criteria()
    reproduce: str = ""
    evidence: dict[str, EvidenceFile] = Field(default_factory=dict)
    checksum: str = ""

    def save(self, run_dir: Path) -> None:
        """Write `manifest.json`, whole or not at all, with its checksum."""
        document = self._document()
        document["checksum"] = _checksum(document)
        data = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        write_atomic(run_dir / MANIFEST, data)

    def sealed(self, run_dir: Path) -> Self:
        """Return this manifest as sealed over the evidence that lies in `run_dir` now."""
        names = _evidence_in(run_dir)
        files = {
            name: EvidenceFile(
                size=(run_dir / name).stat().st_size, sha256=file_digest(run_dir / name)
            )
            for name in names
        }
        return self.model_copy(update={"state": "sealed", "evidence": files})

    def damage(self, run_dir: Path) -> list[str]:
        """Name what is wrong with the sealed evidence in `run_dir`; an empty list is whole."""
        found = []
        wanted = required_evidence(self) | set(_evidence_in(run_dir))
        for name in sorted(wanted - set(self.evidence)):
            found.append(f"{name} is not under the seal")
        for name, sealed in sorted(self.evidence.items()):
            path = run_dir / name
            if not path.resolve().is_relative_to(run_dir.resolve()):
                found.append(f"{name} lies outside the run folder")
            elif not path.is_file():
                found.append(f"{name} is missing")
            elif (size := path.stat().st_size) != sealed.size:
                found.append(f"{name} has {size} bytes, {sealed.size} were sealed")
            elif file_digest(path) != sealed.sha256:
                found.append(f"{name} is not what was sealed")
        return found

    @classmethod
    def load(cls, run_dir: Path) -> Self:
        """Read the manifest of a run folder.

        Raises UsageError when there is none, BrokenManifest when it is no intact manifest.
        """
        manifest, intact = cls.read(run_dir)
        if not intact:
            raise BrokenManifest([Problem(str(run_dir / MANIFEST), 0, 0, EDITED)])
        return manifest

    @classmethod
    def read(cls, run_dir: Path) -> tuple[Self, bool]:
        """Read a manifest, and tell whether it is as the run wrote it; raises like `load`."""
        path = run_dir / MANIFEST
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UsageError(f"{run_dir} is no run folder: {error.strerror} ({path})") from error
        try:
            document = orjson.loads(data)
            manifest = cls.model_validate(document)
        except orjson.JSONDecodeError as error:
            problem = Problem(str(path), error.lineno, error.colno, error.msg)
            raise BrokenManifest([problem]) from error
        except ValidationError as error:
            raise BrokenManifest(_problems(path, error)) from error
        return manifest, manifest.checksum == _checksum(document)

    def _document(self) -> dict[str, object]:
        return self.model_dump(mode="json", exclude_none=False)


def _evidence_in(run_dir: Path) -> list[str]:
    """Return the names of the files in a run folder that a seal has to cover."""
    return sorted(
        path.relative_to(run_dir).as_posix()
        for pattern in EVIDENCE
        for path in run_dir.glob(pattern)
        if path.is_file()
    )


def required_evidence(manifest: Manifest) -> set[str]:
    """Return the files without which a run with these facts cannot be judged."""
    names = {
        "journal/sources.jsonl",
        "journal/attempted.bin",
        "journal/acknowledged.bin",
        "stream/stored.bin",
        "stream/strange.jsonl",
        "faults.jsonl",
        "inputs.jsonl",
    }
    for observer in manifest.observers:
        names |= {f"observed/{observer.name}.bin", f"observed/{observer.name}.strange.jsonl"}
    if manifest.consumers:
        names |= {"lag.jsonl", "advisories.jsonl"}
    return names


def _checksum(document: dict[str, object]) -> str:
    bare = {key: value for key, value in document.items() if key != "checksum"}
    return hashlib.sha256(orjson.dumps(bare, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _problems(path: Path, error: ValidationError) -> list[Problem]:
    return [
        Problem(str(path), 0, 0, f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}")
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]
