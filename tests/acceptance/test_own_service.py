"""Services of a user's in a run: started, watched, broken, observed in all four ways."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from in_process import twin_apart, twin_here

HERE = Path(__file__).parent
COPIER = """
schema_version: 1
name: copies
fleet: {patrol: {count: 3}}
phases: [{name: steady, duration: 4s}]
external: [bios]
services:
  copier: {command: [python, own_service.py], ready: {consumer: QIKI_TELEMETRY_V1/copier}}
watch:
  lines: {stream: QIKI_EVENTS_V1, durable: copier, ack_latency: true}
thresholds:
  consumer_ack_latency{consumer:lines}: [p(99)<20s, med<20s]
observers:
  lines: {jsonl: lines.jsonl, service: copier, key: hash}
  frames:
    sql: {database: frames.sqlite, query: "select frame as key, body from frames order by rowid"}
    service: copier
    key: payload.frame_id
    fields: {payload: body}
    subjects: [qiki.radar.v1.frames]
  copies: {stream: COPIES, subjects: [qiki.telemetry]}
events:
  - {at: 2s, do: {fault: service.restart, service: copier}}
limits: {max_slip_p99_ms: 10000}
"""
STALE = """
schema_version: 1
name: copies
fleet: {patrol: {count: 3}}
phases: [{name: steady, duration: 4s}]
external: [bios]
observers:
  stale: {jsonl: stale.jsonl, key: hash, settle: 500ms}
limits: {max_slip_p99_ms: 10000}
"""
INTRUDER = """
schema_version: 1
name: intruder
fleet: {patrol: {count: 2}}
phases: [{name: steady, duration: 2s}]
services:
  intruder: {command: [python, own_service.py, --intrude], ready: {log: ready}}
"""


def run(scenario: str, folder: Path) -> tuple[int, dict[str, Any], Path]:
    """Run a scenario beside the service; return the exit code, the result and the run folder."""
    (folder / "scenario.yaml").write_text(scenario)
    shutil.copy(HERE / "own_service.py", folder)
    done = twin_apart(folder, "run", "scenario.yaml", "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), (folder / "runs" / "last").resolve()


def test_a_service_is_observed_by_hash_by_path_and_by_id(tmp_path: Path) -> None:
    """Each observer finds every event that it has to record, and says what its key can prove.

    The service was restarted meanwhile; nobody published the silenced role's events. What it
    had recorded, left where a later run of the same seed looks, is not that run's.
    """
    code, result, folder = run(COPIER, tmp_path)
    assert (code, result["reasons"]) == (0, [])
    hops = {hop["name"]: hop for hop in result["hops"]}
    per_subject = {row["subject"]: row["stored"] for row in result["subjects"]}
    assert per_subject.get("qiki.events.v1.bios_status", 0) == 0
    assert hops["lines"]["events"] == result["totals"]["stored"]
    assert hops["frames"]["events"] == per_subject["qiki.radar.v1.frames"] > 0
    assert hops["copies"]["events"] == per_subject["qiki.telemetry"] > 0
    assert hops["lines"]["proves"] == ["lost", "duplicate", "unexpected"]
    assert "corrupt" in hops["frames"]["proves"]
    assert [fault["outcome"] for fault in result["faults"]] == ["fired"]
    assert (folder / "services" / "copier" / "service.log").read_text().count("ready") == 2
    assert {one["role"] for one in result["lag"]} == {"registrar", "lines"}
    assert [one["ok"] for one in result["thresholds"]] == [True, True]
    assert result["thresholds"][0]["samples"] > 10
    shutil.copy(folder / "services" / "copier" / "lines.jsonl", tmp_path / "stale.jsonl")
    code, result, _ = run(STALE, tmp_path)
    assert code == 1
    [hop] = [hop for hop in result["hops"] if hop["name"] == "stale"]
    assert hop["events"] == 0
    assert hop["counts"]["lost"] == result["totals"]["stored"] > 0


def test_a_foreign_publisher_is_named_and_a_service_that_ends_fails(tmp_path: Path) -> None:
    """Who publishes on the run's own subject makes it INVALID; an early exit is a failure too."""
    code, result, _ = run(INTRUDER, tmp_path)
    assert (code, result["verdict"]) == (3, "INVALID")
    found = {reason["check"]: reason["message"] for reason in result["reasons"]}
    told = [reason["message"] for reason in result["reasons"] if reason["check"] == "publisher"]
    for name in ("urn:someone:else", "a publisher without a name"):
        assert any(f"{name} published 1 messages on qiki.telemetry" in one for one in told)
    assert found["service"] == "service intruder ended by itself with exit code 7"


def test_an_external_registrar_that_drops_one_in_ten_thousand_is_found(tmp_path: Path) -> None:
    """FAIL for nothing but the loss, which names the first lost events.

    So does a command of docs/your-own-service.md; the one before it is the same without the defect.
    """
    examples = HERE.parent.parent / "docs" / "examples"
    shutil.copy(examples / "recorder.py", tmp_path)
    text = (examples / "recorder.yaml").read_text().replace("lose_one_in: 0", "lose_one_in: 10000")
    text = text.replace("[p(50)<2s]", "[p(50)<20s]") + "limits: {max_slip_p99_ms: 10000}\n"
    code, result, _ = run(text, tmp_path)
    assert (code, result["verdict"]) == (1, "FAIL")
    assert [reason["check"] for reason in result["reasons"]] == ["guarantee.lost"]
    [hop] = [hop for hop in result["hops"] if hop["name"] == "recorder"]
    lost = [one for one in hop["examples"] if one["event_class"] == "lost"]
    assert len(lost) == hop["counts"]["lost"] == result["totals"]["generated"] // 10_000 > 0
    for one in lost:
        assert one["id"] in result["reasons"][0]["message"]
        assert (one["hop"], one["sim_ns"] > 0, one["faults"]) == ("recorder", True, [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("external: [registrar]", "an observer has to say what is recorded"),
        ("observers: {a: {jsonl: x, service: nobody}}", "there is no service 'nobody'"),
        ("observers: {registrar: {jsonl: x}}", "registrar is a name of the run's own"),
        ("observers: {a: {jsonl: x, http: 'http://x'}}", "give one of jsonl, http, sql and stream"),
        ("observers: {a: {jsonl: x, key: frame.id}}", "a path begins with payload"),
        ("services: {a: {command: []}}", "needs at least 1"),
        ("services: {a: {command: [x], ready: {log: '('}}}", "no regular expression"),
        ("watch: {a: {stream: x.y, durable: z}}", "'x.y' does not match"),
        (
            "watch: {a: {stream: X, durable: z}}\nthresholds: {consumer_ack_latency: [max<1s]}",
            "no consumer under `watch` has `ack_latency: true`",
        ),
        (
            "events: [{at: 1s, do: {fault: service.kill, service: gone}}]",
            "there is no service 'gone'",
        ),
    ],
)
def test_mistakes_are_found_before_anything_starts(
    change: str, message: str, tmp_path: Path
) -> None:
    """What could not work is an error of `twin validate`."""
    file = tmp_path / "scenario.yaml"
    head = INTRUDER.partition("services:")[0]
    file.write_text(f"{head}{change}\n")
    done = twin_here(tmp_path, "validate", file)
    assert done.returncode == 2
    assert message in done.stdout
