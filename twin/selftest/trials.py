"""The table of trials: what is built in, and what the verdict has to say about it."""

from dataclasses import dataclass, field
from typing import Literal

import yaml

from twin.selftest.faulty import DURABLE, STREAMS
from twin.verdict.result import Verdict

__all__ = ["TRIALS", "Trial"]

Kind = Literal["control", "defect", "positive control"]
RED = frozenset({Verdict.FAIL, Verdict.INVALID})
FAST = {"pace": "fast", "phases": [{"name": "steady", "duration": "40s"}]}
PACED = {
    "pace": "realtime",
    "phases": [{"name": "steady", "duration": "4s", "load": {"rate": "4x"}}],
}
PAUSED = {
    "phases": [{"name": "steady", "duration": "6s", "load": {"rate": "4x"}}],
    "events": [{"at": "1s", "do": {"fault": "registrar.pause", "for": "4500ms"}}],
}
"""A monitor looks once a second, and two of its looks have to be well within the pause."""
DENSE = {"phases": [{"name": "steady", "duration": "12s", "load": {"rate": "6x"}}]}
"""So many messages that at most instants some are acknowledged and not written.

Not as many as the machine can take: then they come in bursts, and the server has written each
burst long before the next turn, in which it is killed.
"""
OFTEN = ("2s", "4s", "6s", "8s", "10s")
Piece = dict[str, object]
FIELDS = ("id", "source", "subject", "payload", "stream", "stream_seq", "deliveries", "time_ns")


@dataclass(frozen=True, slots=True)
class Trial:
    """A run with something built in; `check` is the reason that has to be among those given.

    `tries` is more than 1 where chance decides whether what is built in does any harm at all.
    """

    name: str
    kind: Kind
    how: str
    verdicts: frozenset[Verdict]
    check: str = ""
    defect: str = "none"
    scenario: Piece = field(default_factory=lambda: dict(FAST))
    own_registrar: bool = False
    memory_storage: bool = False
    persist_async: bool = False
    duplicate_window_s: float = 120.0
    blind_monitor: bool = False
    tries: int = 1
    quick: bool = False

    def text(self) -> str:
        """Return the scenario file of the trial."""
        document: Piece = {
            "schema_version": 1,
            "name": self.name.replace(" ", "-"),
            "description": self.how,
            "fleet": {"patrol": {"count": 30}},
            "limits": {"max_slip_p99_ms": 2000},
            **self.scenario,
        }
        if self.own_registrar:
            document["thresholds"] = {"consumer_backlog{consumer:registrar}": ["max<1M"]}
        else:
            document |= _recorder(self.defect)
        if self.defect == "retry":
            document["services"] = {"retrier": _service("retry")}
        return yaml.safe_dump(document, sort_keys=False)


def _service(defect: str) -> Piece:
    return {
        "command": ["python", "-m", "twin.selftest.faulty", defect],
        "ready": {"log": "ready"},
    }


def _recorder(defect: str) -> Piece:
    """Let the faulty service be the registrar, watched on every stream, and observed."""
    place: Piece = {"jsonl": "recorded.jsonl"}
    if defect == "ack-before-commit":
        columns = ", ".join(f"json_extract(row, '$.{one}') as {one}" for one in FIELDS)
        query = f"select {columns} from log order by rowid"  # noqa: S608 - names of our own
        place = {"sql": {"database": "recorded.sqlite", "query": query}}
    return {
        "external": ["registrar"],
        "services": {"recorder": _service(defect)},
        "watch": {
            f"recorder-{n}": {"stream": s, "durable": DURABLE} for n, s in enumerate(STREAMS)
        },
        "observers": {"recorder": {**place, "service": "recorder", "settle": "1s"}},
    }


def _killed(fault: str, *at: str) -> Piece:
    service = {} if fault != "service.kill" else {"service": "recorder"}
    do = {"fault": fault, "restart_after": "300ms", **service}
    return {**PACED, "events": [{"at": one, "do": do} for one in at or ("2s",)]}


def _defect(name: str, how: str, check: str, defect: str, *, quick: bool = False) -> Trial:
    return Trial(name, "defect", how, frozenset({Verdict.FAIL}), check, defect, quick=quick)


def _lossy(name: str, how: str, defect: str) -> Trial:
    fail = frozenset({Verdict.FAIL})
    return Trial(name, "defect", how, fail, "guarantee.lost", defect, _killed("service.kill"))


PASSES = frozenset({Verdict.PASS})
TRIALS = (
    Trial("healthy", "control", "the service without a defect", PASSES, quick=True),
    Trial(
        "healthy and killed",
        "control",
        "the service without a defect, under the same kills and power cuts",
        PASSES,
        scenario=_killed("service.kill"),
    ),
    _defect("drop", "1 event in 10,000 is never written", "guarantee.lost", "drop", quick=True),
    _defect("duplicate", "1 event in 10,000 is written twice", "guarantee.duplicates", "duplicate"),
    _defect("swap", "1 event in 10,000 comes after its successor", "guarantee.reordered", "swap"),
    _defect("alter", "1 payload in 10,000 is changed", "guarantee.corrupt", "alter"),
    _defect("phantom", "an event that never was, 1 in 10,000", "guarantee.unexpected", "phantom"),
    _lossy("early ack", "acknowledged on receipt, written later, killed between", "early-ack"),
    _lossy("no fsync", "acknowledged before fsync; a power cut takes what is unsynced", "no-fsync"),
    _lossy("ack before commit", "acknowledged in an open transaction, killed", "ack-before-commit"),
    Trial(
        "blind monitor",
        "defect",
        "the lag monitor reads 0 while the registrar stands still",
        RED,
        "lag",
        scenario={**PACED, **PAUSED},
        own_registrar=True,
        blind_monitor=True,
    ),
    Trial(
        "retries",
        "control",
        "1 event in 100 is sent again after 1 s, within the duplicate window",
        PASSES,
        defect="retry",
        scenario=dict(PACED),
        own_registrar=True,
    ),
    Trial(
        "short window",
        "positive control",
        "the same, with a duplicate window of 0.2 s",
        frozenset({Verdict.FAIL}),
        "guarantee.duplicates",
        defect="retry",
        scenario=dict(PACED),
        own_registrar=True,
        duplicate_window_s=0.2,
    ),
    Trial(
        "memory storage",
        "positive control",
        "streams in memory, and the broker is killed",
        RED,
        "guarantee.lost",
        scenario={**_killed("broker.kill"), "drain_timeout": "3s"},
        own_registrar=True,
        memory_storage=True,
    ),
    Trial(
        "async persistence",
        "positive control",
        "streams acknowledge before they write (persist_mode: async), and the broker is killed",
        RED,
        "guarantee.lost",
        scenario={**_killed("broker.kill", *OFTEN), **DENSE},
        own_registrar=True,
        persist_async=True,
        tries=4,
    ),
)
"""All trials, in the order of the table that `twin selftest` prints."""
