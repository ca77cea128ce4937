"""The judge is proven: a healthy run passes, and every injected defect turns the verdict."""

from pathlib import Path

import pytest
from verdict_folder import CHANNELS, EACH, START_NS, S, healthy
from verdict_mutations import (
    BROKEN,
    FAIL,
    STATE,
    VIOLATION,
    Mutation,
    alter_in_stream,
    backlog,
    backwards_as_redelivered,
    expect,
    give_up,
    give_up_unguarded,
    judged,
    later_than_attempted,
    lose_in_stream,
    other_sequences,
    phantom_everywhere,
    recover,
    refuse_but_store,
    shed_but_store,
    skip_sequence,
    store_twice,
    swap_in_stream,
    threshold,
)

from twin.verdict.journal import Outcome
from twin.verdict.result import ReasonKind, Verdict

DEFECTS: dict[str, tuple[Mutation, Verdict, ReasonKind, str, str]] = {
    "registrar drops one": (
        lambda f: f.drop("observed", 4, 17),
        FAIL,
        BROKEN,
        "guarantee.lost",
        "1 at registrar; 1 middle): bot-1/events.v1.power.bus/17",
    ),
    "registrar misses the first": (
        lambda f: f.drop("observed", 4, 1),
        FAIL,
        BROKEN,
        "guarantee.lost",
        "1 prefix",
    ),
    "registrar misses the last": (
        lambda f: f.drop("observed", 4, EACH),
        FAIL,
        BROKEN,
        "guarantee.lost",
        "1 postfix",
    ),
    "stream loses its tail": (
        lose_in_stream,
        FAIL,
        BROKEN,
        "guarantee.lost",
        "1 at stream; 1 postfix): bot-1/events.v1.state/50",
    ),
    "registrar records twice": (
        lambda f: f.append("observed", 2, 9),
        FAIL,
        VIOLATION,
        "guarantee.duplicates",
        "at most 0 allowed (1 at registrar): bot-0/events.v1.state/9",
    ),
    "stream stores twice": (
        store_twice,
        FAIL,
        VIOLATION,
        "guarantee.duplicates",
        "1 event recorded more than once, at most 0 allowed (1 at stream)",
    ),
    "registrar swaps": (
        lambda f: f.swap("observed", (3, 20), (3, 21)),
        FAIL,
        VIOLATION,
        "guarantee.reordered",
        "1 at registrar): bot-1/radar.v1.frames/20",
    ),
    "stream swaps": (
        swap_in_stream,
        FAIL,
        VIOLATION,
        "guarantee.reordered",
        "1 event recorded after a later one, at most 0 allowed (1 at stream)",
    ),
    "registrar alters": (
        lambda f: f.change("observed", 6, 7, hash=99),
        FAIL,
        VIOLATION,
        "guarantee.corrupt",
        "1 at registrar): bot-2/radar.v1.frames/7",
    ),
    "stream alters": (
        alter_in_stream,
        FAIL,
        VIOLATION,
        "guarantee.corrupt",
        "1 event recorded with another payload, at most 0 allowed (1 at stream)",
    ),
    "registrar invents": (
        lambda f: f.phantom("observed", STATE),
        FAIL,
        VIOLATION,
        "guarantee.unexpected",
        "(1 at registrar): who/what/1",
    ),
    "registrar invents without a word": (
        lambda f: f.phantom("observed", None),
        FAIL,
        VIOLATION,
        "guarantee.unexpected",
        "1 at registrar",
    ),
    "registrar runs ahead": (
        later_than_attempted,
        FAIL,
        VIOLATION,
        "guarantee.unexpected",
        "(1 at registrar): bot-0/events.v1.state/55",
    ),
    "stranger publishes": (
        lambda f: phantom_everywhere(f, {"subject": "qiki.events.v1.what"}),
        FAIL,
        VIOLATION,
        "guarantee.unexpected",
        "1 event recorded but never attempted, at most 0 allowed (1 at stream)",
    ),
    "stored without an attempt": (
        lambda f: [f.drop("attempted", 7, 30), f.drop("outcomes", 7, 30)],
        FAIL,
        VIOLATION,
        "guarantee.unexpected",
        "(1 at stream): bot-2/events.v1.power.bus/30",
    ),
    "recovered, then dropped": (
        lambda f: [recover(f), f.drop("observed", 3, 3)],
        FAIL,
        BROKEN,
        "guarantee.lost",
        "(1 at registrar; 1 middle): bot-1/radar.v1.frames/3",
    ),
    "unknown for a second": (
        lambda f: f.change("outcomes", 3, 30, outcome=Outcome.UNKNOWN, ack_ns=START_NS + 8 * S),
        FAIL,
        BROKEN,
        "threshold",
        "publish_latency{phase:steady}: max<1s: measured 2197 ms",
    ),
    "refused yet stored": (refuse_but_store, FAIL, VIOLATION, "guarantee.unexpected", "1 at str"),
    "shed yet stored": (shed_but_store, FAIL, VIOLATION, "guarantee.unexpected", "1 at stream"),
    "generator skips": (
        skip_sequence,
        FAIL,
        BROKEN,
        "guarantee.gaps",
        "bot-2/events.v1.state/30",
    ),
    "consumer exhausts": (
        give_up("exhausted"),
        FAIL,
        BROKEN,
        "guarantee.exhausted",
        "1 at registrar on EVENTS",
    ),
    "consumer terminates": (
        give_up("terminated"),
        FAIL,
        BROKEN,
        "guarantee.terminated",
        "1 event terminated by a consumer",
    ),
    "exhausted, only lost guaranteed": (
        give_up_unguarded,
        FAIL,
        BROKEN,
        "guarantee.lost",
        "1 at registrar",
    ),
    "registrar has it from elsewhere": (
        other_sequences,
        FAIL,
        BROKEN,
        "observer",
        "registrar: 598 events recorded with a stream sequence at which the scan",
    ),
    "registrar excuses itself": (
        backwards_as_redelivered,
        FAIL,
        VIOLATION,
        "guarantee.reordered",
        "at registrar",
    ),
    "threshold broken": (
        threshold("publish_latency{phase:steady}", "p(95)<1ms"),
        FAIL,
        BROKEN,
        "threshold",
        "p(95)<1ms: measured 3.1 ms over 480 samples in steady (2 s to 10 s)",
    ),
    "end to end too slow": (
        threshold("end_to_end_latency{subject:qiki.radar.v1.frames}", "max<20ms"),
        FAIL,
        BROKEN,
        "threshold",
        "measured 20 ms over 160 samples",
    ),
    "too few per second": (
        threshold("events", "rate>100/s"),
        FAIL,
        BROKEN,
        "threshold",
        "measured 60 /s",
    ),
    "backlog too high": (
        backlog(10, 500),
        FAIL,
        BROKEN,
        "threshold",
        "consumer_backlog{consumer:registrar}: max<100: measured 500",
    ),
    "recovery too slow": (
        threshold("consumer_backlog{stream:RADAR}", "recovery<500ms"),
        FAIL,
        BROKEN,
        "threshold",
        "recovery<500ms: measured 1 s",
    ),
    "recovers in the drain": (
        lambda f: [backlog(9, 50)(f), threshold("consumer_backlog", "recovery<5s")(f)],
        FAIL,
        BROKEN,
        "threshold",
        "recovery<5s: measured 6 s over 46 samples in the time after registrar.pause",
    ),
    "never recovers": (
        lambda f: [
            f.outcomes["ack_ns"].__setitem__(f.attempted["sim_ns"] > 5 * S, START_NS + 11 * S),
            threshold("publish_latency", "recovery<1m")(f),
        ],
        FAIL,
        BROKEN,
        "threshold",
        "recovery<1m: measured inf s",
    ),
    "audit count": (
        expect(code=602, count=7),
        FAIL,
        BROKEN,
        "expectation",
        "audit code 602: 8 recorded, expected exactly 7",
    ),
    "audit per bot": (
        lambda f: [f.audit[0]["bots"].update({"bot-1": 0, "bot-2": 2})],
        FAIL,
        BROKEN,
        "expectation",
        "2 bots differ: bot-1 has 0, bot-2 has 2",
    ),
    "audit range": (
        expect(range="8xx", min=1),
        FAIL,
        BROKEN,
        "expectation",
        "audit range 8xx: 0 recorded, expected at least 1",
    ),
    "audit severity": (
        expect(code=602, min=1, severity="ERROR"),
        FAIL,
        BROKEN,
        "expectation",
        "audit code 602 ERROR: 0 recorded",
    ),
    "user's service dies": (
        lambda f: f.manifest["services"].append(
            {"name": "orders", "exit_code": 3, "expected": False, "own": False}
        ),
        FAIL,
        BROKEN,
        "service",
        "orders ended by itself with exit code 3",
    ),
}


def test_a_healthy_run_passes_without_a_reason(tmp_path: Path) -> None:
    """Nothing is held against a run in which all went well."""
    result = judged(healthy(), tmp_path)
    assert (result.verdict, result.reasons) == (Verdict.PASS, ())
    assert result.totals.generated == len(CHANNELS) * 4 * EACH
    assert all(check.ok for check in (*result.thresholds, *result.guarantees, *result.expectations))


@pytest.mark.parametrize("name", DEFECTS)
def test_each_defect_turns_the_verdict_for_its_own_reason(name: str, tmp_path: Path) -> None:
    """A defect gives the documented verdict, and the reason says what and where."""
    mutate, verdict, kind, check, text = DEFECTS[name]
    folder = healthy()
    mutate(folder)
    result = judged(folder, tmp_path)
    found = [(one.kind, one.check, one.message) for one in result.reasons]
    assert result.verdict is verdict, found
    assert any(one[:2] == (kind, check) and text in one[2] for one in found), found
