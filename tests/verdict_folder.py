"""A synthetic run folder: healthy as built, to be damaged by tests before it is written."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from twin.verdict.journal import ATTEMPT, COPY, NO_SOURCE, OUTCOME, Outcome
from twin.verdict.manifest import Manifest

START_NS = 1_790_000_000_000_000_000
MS = 1_000_000
S = 1000 * MS
STREAMS = ("RADAR", "EVENTS")
CHANNELS = {
    "qiki.radar.v1.frames": "RADAR",
    "qiki.events.v1.power.bus": "EVENTS",
    "qiki.events.v1.state": "EVENTS",
}
EACH = 50
BOTS = 4
GUARANTEES = (
    "lost",
    "duplicates",
    "reordered",
    "unexpected",
    "corrupt",
    "gaps",
    "exhausted",
    "terminated",
)
TABLES = {
    "attempted": ("journal/attempted.bin", ATTEMPT),
    "outcomes": ("journal/acknowledged.bin", OUTCOME),
    "stored": ("stream/stored.bin", COPY),
    "observed": ("observed/registrar.bin", COPY),
}


@dataclass
class Folder:
    """Everything a run leaves, in memory. `write` computes what follows from the tables.

    Set `counts_follow` to False to keep the manifest's own counts after changing a table.
    """

    sources: list[dict[str, str]] = field(default_factory=list)
    attempted: Any = None
    outcomes: Any = None
    stored: Any = None
    observed: Any = None
    stream_strange: list[dict[str, Any]] = field(default_factory=list)
    observed_strange: list[dict[str, Any]] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)
    lag: list[dict[str, Any]] = field(default_factory=list)
    advisories: list[dict[str, Any]] = field(default_factory=list)
    audit: list[dict[str, Any]] = field(default_factory=list)
    injected: list[dict[str, Any]] = field(default_factory=list)
    manifest: dict[str, Any] = field(default_factory=dict)
    counts_follow: bool = True

    def where(self, table: str, source: int, seq: int) -> int:
        """Return the position of an event in one of the tables."""
        rows = getattr(self, table)
        return int(np.flatnonzero((rows["source"] == source) & (rows["seq"] == seq))[0])

    def drop(self, table: str, source: int, seq: int) -> None:
        """Remove an event from one of the tables."""
        setattr(self, table, np.delete(getattr(self, table), self.where(table, source, seq)))

    def change(self, table: str, source: int, seq: int, /, **fields: int) -> None:
        """Change fields of an event in one of the tables."""
        at = self.where(table, source, seq)
        for name, value in fields.items():
            getattr(self, table)[name][at] = value

    def append(self, table: str, source: int, seq: int, /, **fields: int) -> None:
        """Add a copy of an event to the end of one of the tables."""
        rows = getattr(self, table)
        row = rows[self.where(table, source, seq)].copy()
        for name, value in fields.items():
            row[name] = value
        setattr(self, table, np.append(rows, row))

    def swap(self, table: str, one: tuple[int, int], other: tuple[int, int]) -> None:
        """Exchange which events two rows of a table speak of; an observer knows their places."""
        rows = getattr(self, table)
        a, b = self.where(table, *one), self.where(table, *other)
        moved = ("source", "seq", "hash", *(("stream_seq",) if table == "observed" else ()))
        for name in moved:
            rows[name][a], rows[name][b] = rows[name][b].copy(), rows[name][a].copy()

    def phantom(self, table: str, strange: dict[str, Any] | None, stream_seq: int = 9999) -> None:
        """Record a message that names no source, at the end of the EVENTS stream."""
        row = np.zeros(1, COPY)
        row["source"], row["stream_seq"], row["stream"] = NO_SOURCE, stream_seq, 1
        row["time_ns"] = START_NS + 5 * S
        setattr(self, table, np.append(getattr(self, table), row))
        if strange is not None:
            line = {"stream": "EVENTS", "stream_seq": stream_seq, "msg_id": "who/what/1"} | strange
            (self.stream_strange if table == "stored" else self.observed_strange).append(line)

    def subject_counts(self, table: str) -> dict[str, int]:
        """Count a table's rows by subject, strangers included."""
        counts: dict[str, int] = {}
        for source in getattr(self, table)["source"].tolist():
            if source != NO_SOURCE:
                subject = self.sources[source]["subject"]
                counts[subject] = counts.get(subject, 0) + 1
        for line in self.stream_strange if table == "stored" else self.observed_strange:
            subject = line.get("subject", "")
            counts[subject] = counts.get(subject, 0) + 1
        return counts

    def facts(self) -> dict[str, Any]:
        """Return the manifest's document."""
        document = dict(self.manifest)
        if self.counts_follow:
            stored = self.subject_counts("stored")
            for stream in document["streams"]:
                stream["subjects"] = {
                    subject: stored.get(subject, 0)
                    for subject in {*stored, *CHANNELS}
                    if CHANNELS.get(subject, "EVENTS") == stream["name"]
                }
            document["observers"][0]["per_subject"] = self.subject_counts("observed")
            document["observers"][0]["rows_total"] = len(self.observed)
            outcome = self.outcomes["outcome"]
            document["publish"] = {
                "attempted": len(self.attempted),
                "acknowledged": int((outcome == Outcome.ACKNOWLEDGED).sum()),
            }
        return document

    def write(self, path: Path, *, seal: bool = True) -> Path:
        """Write the folder to `path` and seal it."""
        for name in ("journal", "stream", "observed"):
            (path / name).mkdir(parents=True, exist_ok=True)
        for name, (file, dtype) in TABLES.items():
            (path / file).write_bytes(np.asarray(getattr(self, name), dtype).tobytes())
        for file, lines in (
            ("journal/sources.jsonl", self.sources),
            ("stream/strange.jsonl", self.stream_strange),
            ("observed/registrar.strange.jsonl", self.observed_strange),
            ("faults.jsonl", self.faults),
            ("lag.jsonl", self.lag),
            ("advisories.jsonl", self.advisories),
            ("inputs.jsonl", []),
            ("journal/injected.jsonl", self.injected),
        ):
            (path / file).write_text("".join(json.dumps(line) + "\n" for line in lines))
        (path / "observed/audit.json").write_text(json.dumps({"counts": self.audit}))
        manifest = Manifest.model_validate(self.facts())
        (manifest.sealed(path) if seal else manifest).save(path)
        return path


def healthy(each: int = EACH) -> Folder:
    """Return a run of four bots in which all went well: `12 * each` events, 10 s, one fault."""
    folder = Folder()
    folder.sources = [
        {"bot": f"bot-{bot}", "subject": subject} for bot in range(BOTS) for subject in CHANNELS
    ]
    count = len(folder.sources) * each
    source = np.tile(np.arange(len(folder.sources)), each)
    seq = np.repeat(np.arange(1, each + 1), len(folder.sources))
    sim_ns = (seq - 1) * (10 * S // each) + source * MS
    hashes = np.random.default_rng(1).integers(1, 2**63, count, dtype=np.uint64)
    stream = np.array([STREAMS.index(CHANNELS[one["subject"]]) for one in folder.sources])[source]
    stream_seq = np.zeros(count, np.int64)
    for number in range(len(STREAMS)):
        stream_seq[stream == number] = np.arange(1, (stream == number).sum() + 1)

    folder.attempted = np.zeros(count, ATTEMPT)
    folder.outcomes = np.zeros(count, OUTCOME)
    folder.stored = np.zeros(count, COPY)
    for table in (folder.attempted, folder.outcomes, folder.stored):
        table["source"], table["seq"] = source, seq
    folder.attempted["hash"] = folder.stored["hash"] = hashes
    folder.attempted["sim_ns"] = sim_ns
    folder.attempted["intended_ns"] = START_NS + sim_ns
    folder.attempted["slip_us"] = 300
    folder.attempted["size"] = 200
    folder.outcomes["outcome"] = Outcome.ACKNOWLEDGED
    folder.outcomes["tries"] = 1
    folder.outcomes["stream_seq"] = folder.stored["stream_seq"] = stream_seq
    folder.outcomes["ack_ns"] = START_NS + sim_ns + 2 * MS + source * 100_000
    folder.stored["time_ns"] = START_NS + sim_ns + MS
    folder.stored["stream"] = stream
    folder.observed = folder.stored.copy()
    folder.observed["time_ns"] = START_NS + sim_ns + 20 * MS
    folder.observed["deliveries"] = 1
    folder.observed["code"] = 210
    _facts(folder, stream)
    return folder


def _facts(folder: Folder, stream: Any) -> None:
    folder.faults = [
        {
            "id": 1,
            "fault": "registrar.pause",
            "target": "registrar",
            "intended_sim_ns": 4 * S,
            "intended_wall_ns": START_NS + 4 * S,
            "fired_wall_ns": START_NS + 4 * S + MS,
            "healed_wall_ns": START_NS + 6 * S,
            "outcome": "fired",
            "detail": "",
        }
    ]
    folder.lag = [
        {
            "wall_ns": START_NS + tenth * S // 2,
            "role": "registrar",
            "stream": name,
            "consumer": "events_audit_pull",
            "error": None,
            "num_ack_pending": 1,
            "num_redelivered": 0,
            "backlog": 40 if 9 <= tenth <= 13 else 2,
            "oldest_age_s": 0.5,
        }
        for tenth in range(22)
        for name in STREAMS
    ]
    folder.audit = [
        {
            "kind": "event",
            "code": code,
            "name": name,
            "severity": severity,
            "count": BOTS * each,
            "bots": {f"bot-{bot}": each for bot in range(BOTS)},
        }
        for code, name, severity, each in (
            (101, "BOOT_OK", "INFO", 1),
            (210, "RADAR_FRAME_RECEIVED", "DEBUG", EACH),
            (602, "POWER_LOW", "WARN", 2),
        )
    ]
    folder.manifest = {
        "run_id": "20260101-000000-synthetic-0001",
        "state": "running",
        "scenario": {"name": "synthetic", "description": "made by a test"},
        "seed": 7,
        "epoch_ns": 1_767_225_600 * S,
        "pace": "realtime",
        "layout": "platform",
        "started_ns": START_NS,
        "ended_ns": START_NS + 12 * S,
        "phases": [
            {"name": "warmup", "start_sim_ns": 0, "end_sim_ns": 2 * S, "measure": False},
            {"name": "steady", "start_sim_ns": 2 * S, "end_sim_ns": 10 * S},
        ],
        "streams": [
            {
                "name": name,
                "first_seq": 1,
                "last_seq": int((stream == number).sum()),
                "subjects": {},
                "captures": [subject for subject, one in CHANNELS.items() if one == name],
                "scanned": True,
            }
            for number, name in enumerate(STREAMS)
        ],
        "consumers": [
            {
                "role": "registrar",
                "stream": name,
                "durable": f"registrar_{name}",
                "drained": True,
                "num_pending": 0,
                "num_ack_pending": 0,
                "ack_floor": int((stream == number).sum()),
                "last_matching_seq": int((stream == number).sum()),
                "advisories_read": True,
                "deliveries": int((stream == number).sum()),
            }
            for number, name in enumerate(STREAMS)
        ],
        "observers": [
            {"name": "registrar", "rows_total": 0, "per_subject": {}, "finished": True},
        ],
        "predicted": {"total": len(folder.attempted)},
        "faults_declared": 1,
        "services": [
            {"name": "registrar", "exit_code": None, "expected": True},
        ],
        "machine": {"cores": 2},
        "criteria": {
            "thresholds": {
                "publish_latency{phase:steady}": ["p(99)<250ms", "max<1s"],
                "consumer_backlog{consumer:registrar}": ["max<100", "recovery<15s"],
            },
            "guarantees": dict.fromkeys(GUARANTEES, 0),
            "expect": [
                {"audit": {"code": 101, "count": BOTS, "per_bot": 1}},
                {"audit": {"range": "6xx", "min": 1}},
            ],
        },
    }
