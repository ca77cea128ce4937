"""What makes a run prove nothing, one thing after the other; and what weighs more."""

from pathlib import Path

import pytest
from verdict_folder import EACH, START_NS, S, healthy
from verdict_mutations import (
    FAIL,
    INVALID,
    STATE,
    Mutation,
    all_unknown,
    claim_audit,
    claim_other_run,
    empty,
    facts,
    judged,
    no_ages,
    no_polls,
    nothing_asked,
    outcomes,
    overflow,
    phantom_everywhere,
    refused_by_server,
    slip,
    threshold,
    wrong_count,
)

from twin.verdict.judge import judge
from twin.verdict.result import ReasonKind, Verdict

DEFECTS: dict[str, tuple[Mutation, Verdict, ReasonKind, str, str]] = {
    "pending left": (
        facts("consumers", 1, num_pending=4, drained=False),
        INVALID,
        ReasonKind.INVALID,
        "drained",
        "registrar did not drain EVENTS: 4 pending",
    ),
    "ack pending left": (
        facts("consumers", 0, num_ack_pending=2),
        INVALID,
        ReasonKind.INVALID,
        "drained",
        "2 ack pending",
    ),
    "ack floor behind": (
        facts("consumers", 0, ack_floor=11),
        INVALID,
        ReasonKind.INVALID,
        "drained",
        "ack floor 11 of 200",
    ),
    "drain given up": (
        facts("consumers", 0, drained=False, detail="no answer"),
        INVALID,
        ReasonKind.INVALID,
        "drained",
        "(no answer)",
    ),
    "consumer gone": (
        facts(
            "consumers", 0, drained=False, ack_floor=0, last_matching_seq=0, exhausted=1, detail="?"
        ),
        INVALID,
        ReasonKind.INVALID,
        "drained",
        "registrar did not drain RADAR: 0 pending",
    ),
    "registrar not watched": (
        lambda f: f.manifest.update(consumers=[]),
        INVALID,
        ReasonKind.INVALID,
        "drained",
        "no consumer of registrar was watched",
    ),
    "fault did not fire": (
        lambda f: f.faults[0].update(outcome="not fired", fired_wall_ns=None),
        INVALID,
        ReasonKind.INVALID,
        "fault",
        "fault registrar.pause not fired",
    ),
    "fault failed": (
        lambda f: f.faults[0].update(outcome="failed", detail="no such process"),
        INVALID,
        ReasonKind.INVALID,
        "fault",
        "failed: no such process",
    ),
    "fault not in the log": (
        lambda f: f.faults.clear(),
        INVALID,
        ReasonKind.INVALID,
        "fault",
        "1 faults were declared, 0 are in the log",
    ),
    "run id used before": (
        outcomes(duplicate=1),
        INVALID,
        ReasonKind.INVALID,
        "run id",
        "600 events duplicates at their first attempt",
    ),
    "schedule missed": (slip, INVALID, ReasonKind.INVALID, "schedule", "slip p(99) 400.0 ms"),
    "clock backwards": (
        lambda f: f.manifest.update(clocks={"wall_backwards": True, "detail": "by 3 s"}),
        INVALID,
        ReasonKind.INVALID,
        "clocks",
        "ran backwards: by 3 s",
    ),
    "acknowledged before due": (
        outcomes(ack_ns=START_NS - 60 * S),
        INVALID,
        ReasonKind.INVALID,
        "clocks",
        "before it was due",
    ),
    "no end": (
        lambda f: f.manifest.update(ended_ns=None),
        INVALID,
        ReasonKind.INVALID,
        "clocks",
        "no end",
    ),
    "advisories unread": (
        facts("consumers", 1, advisories_read=False),
        INVALID,
        ReasonKind.INVALID,
        "advisories",
        "exhausted and terminated cannot be judged",
    ),
    "observer unfinished": (
        facts("observers", 0, finished=False, detail="export broke off"),
        INVALID,
        ReasonKind.INVALID,
        "observer",
        "registrar did not finish: export broke off",
    ),
    "stream not scanned": (
        facts("streams", 0, scanned=False),
        INVALID,
        ReasonKind.INVALID,
        "scanned",
        "RADAR was not scanned",
    ),
    "nothing to record": (
        facts("observers", 0, subjects=["qiki.telemetri"]),
        INVALID,
        ReasonKind.INVALID,
        "nothing",
        "registrar had nothing to record: no event is on its subjects",
    ),
    "nothing to read": (
        lambda f: f.manifest["consumers"].append(
            {**f.manifest["consumers"][0], "role": "idle", "last_matching_seq": 0, "deliveries": 0}
        ),
        INVALID,
        ReasonKind.INVALID,
        "nothing",
        "idle had nothing to read: no message matches its filter",
    ),
    "registrar dies": (
        facts("services", 0, exit_code=-9, expected=False),
        INVALID,
        ReasonKind.INVALID,
        "service",
        "registrar ended by itself with exit code -9",
    ),
    "fewer than predicted": (
        lambda f: f.manifest.update(predicted={"total": 700}),
        INVALID,
        ReasonKind.INVALID,
        "events",
        "600 of the 700 predicted events were generated and not refused, fewer than 90%",
    ),
    "server refused most": (
        refused_by_server,
        INVALID,
        ReasonKind.INVALID,
        "events",
        "predicted events were generated and not refused, fewer than 90%",
    ),
    "stranger on the run's own subject": (
        lambda f: phantom_everywhere(f, {**STATE, "source": "urn:x"}),
        INVALID,
        ReasonKind.INVALID,
        "publisher",
        "urn:x published 1 messages on qiki.events.v1.state, which is the run's own",
    ),
    "foreign by the observer's word": (
        claim_other_run,
        FAIL,
        ReasonKind.VIOLATION,
        "guarantee.unexpected",
        "1 at registrar",
    ),
    "audit by the observer's word": (
        claim_audit,
        FAIL,
        ReasonKind.VIOLATION,
        "guarantee.unexpected",
        "1 at registrar",
    ),
    "recorded before it was due": (
        lambda f: f.change("observed", 0, 1, time_ns=START_NS - 3600 * S),
        INVALID,
        ReasonKind.INVALID,
        "clocks",
        "recorded by registrar",
    ),
    "nothing predicted": (
        lambda f: f.manifest.update(predicted={"total": 0}),
        INVALID,
        ReasonKind.INVALID,
        "events",
        "too short for any event to be predicted",
    ),
    "predicted subject silent": (
        lambda f: f.manifest.update(
            predicted={"total": 500, "by_subject": {"qiki.telemetry": 100, "qiki.silent": 400}}
        ),
        INVALID,
        ReasonKind.INVALID,
        "events",
        "of the 500 predicted events were generated and not refused, fewer than 90%",
    ),
    "load not offered": (
        overflow,
        INVALID,
        ReasonKind.INVALID,
        "events",
        "480 of the 600 predicted events were generated and not refused, fewer than 90%",
    ),
    "nothing accepted": (
        all_unknown,
        INVALID,
        ReasonKind.INVALID,
        "events",
        "no event was acknowledged",
    ),
    "nothing known": (all_unknown, INVALID, ReasonKind.INVALID, "outcomes", "600 of 600 events"),
    "nothing happened": (empty, INVALID, ReasonKind.INVALID, "events", "no event was generated"),
    "outcomes missing": (
        lambda f: f.drop("outcomes", 3, 3),
        INVALID,
        ReasonKind.INVALID,
        "outcomes",
        "no outcome for 1 events",
    ),
    "nothing asked": (nothing_asked, INVALID, ReasonKind.INVALID, "nothing", "nothing was asked"),
    "nothing scanned": (
        lambda f: [f.manifest.update(streams=[], consumers=[]), empty(f)],
        INVALID,
        ReasonKind.INVALID,
        "nothing",
        "no stream was scanned",
    ),
    "threshold without samples": (
        no_ages,
        INVALID,
        ReasonKind.INVALID,
        "threshold",
        "no samples of consumer_time_lag{consumer:registrar}",
    ),
    "polls failed": (no_polls, INVALID, ReasonKind.INVALID, "threshold", "nothing measured"),
    "phase unknown": (
        threshold("publish_latency{phase:stedy}", "max<1s"),
        INVALID,
        ReasonKind.INVALID,
        "threshold",
        "no phase 'stedy': did you mean 'steady'?",
    ),
    "consumer unknown": (
        threshold("consumer_backlog{consumer:registrr}", "max<1"),
        INVALID,
        ReasonKind.INVALID,
        "threshold",
        "did you mean 'registrar'?",
    ),
    "subject unknown": (
        threshold("publish_latency{subject:qiki.radar.v1.frame}", "max<1s"),
        INVALID,
        ReasonKind.INVALID,
        "threshold",
        "did you mean 'qiki.radar.v1.frames'?",
    ),
    "server counts otherwise": (
        wrong_count(lambda f: f.manifest["streams"][0]["subjects"].update({"qiki.x": 1})),
        INVALID,
        ReasonKind.INVALID,
        "counts",
        "stream: 0 rows on qiki.x, the server counts 1",
    ),
    "store counts otherwise": (
        wrong_count(
            lambda f: f.manifest["observers"][0]["per_subject"].update(
                {"qiki.radar.v1.frames": 201}
            )
        ),
        INVALID,
        ReasonKind.INVALID,
        "counts",
        "registrar: 200 rows on qiki.radar.v1.frames, its store counts 201",
    ),
    "store totals otherwise": (
        wrong_count(facts("observers", 0, rows_total=601)),
        INVALID,
        ReasonKind.INVALID,
        "counts",
        "600 rows were exported, its store counts 601 in total",
    ),
    "publisher counts otherwise": (
        wrong_count(lambda f: f.manifest["publish"].update(acknowledged=599)),
        INVALID,
        ReasonKind.INVALID,
        "counts",
        "600 events acknowledged, the publisher counts 599",
    ),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_what_proves_nothing_is_invalid_for_its_own_reason(name: str, tmp_path: Path) -> None:
    """A run that cannot be trusted says why, whatever its events look like."""
    mutate, verdict, kind, check, text = DEFECTS[name]
    folder = healthy()
    mutate(folder)
    result = judged(folder, tmp_path)
    found = [(one.kind, one.check, one.message) for one in result.reasons]
    assert result.verdict is verdict, found
    assert any(one[:2] == (kind, check) and text in one[2] for one in found), found


def test_a_violation_beats_invalid_and_all_reasons_are_listed(tmp_path: Path) -> None:
    """An undrained run with a duplicate and a loss fails, and says all three."""
    folder = healthy()
    folder.append("observed", 2, 9)
    folder.drop("observed", 4, 17)
    facts("consumers", 1, num_pending=4)(folder)
    result = judged(folder, tmp_path)
    assert result.verdict is FAIL
    assert [one.check for one in result.reasons] == [
        "guarantee.duplicates",
        "drained",
        "guarantee.lost",
    ]


def test_invalid_beats_what_more_data_could_undo(tmp_path: Path) -> None:
    """An undrained run that lacks an event proves nothing."""
    folder = healthy()
    folder.drop("observed", 4, 17)
    facts("consumers", 1, num_pending=4)(folder)
    assert judged(folder, tmp_path).verdict is INVALID


@pytest.mark.parametrize("state", ["running", "interrupted"])
def test_an_unsealed_run_is_invalid_whatever_it_holds(state: str, tmp_path: Path) -> None:
    """A run that was killed or interrupted is never judged by what it left."""
    folder = healthy()
    folder.append("observed", 2, 9)
    folder.manifest["state"] = state
    result = judge(folder.write(tmp_path, seal=False))
    assert (result.verdict, [one.check for one in result.reasons]) == (INVALID, ["sealed"])


def test_an_observer_that_times_only_some_records_is_not_measured(tmp_path: Path) -> None:
    """Whoever times only what was quick cannot pass for quick."""
    folder = healthy()
    folder.manifest["criteria"]["thresholds"] = {"end_to_end_latency": ["max<1m"]}
    assert judge(folder.write(tmp_path / "timed")).verdict is Verdict.PASS
    folder.change("observed", 0, EACH, time_ns=0)
    result = judge(folder.write(tmp_path / "untimed"))
    assert result.verdict is Verdict.INVALID
    [reason] = [one for one in result.reasons if one.check == "threshold"]
    assert "registrar does not say when it recorded 1 events" in reason.message
