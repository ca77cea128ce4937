"""The judge is proven: a healthy run passes, and every injected defect turns the verdict."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from verdict_folder import CHANNELS, EACH, MS, START_NS, Folder, S, healthy

from twin.verdict.journal import LocalRefusal, Outcome
from twin.verdict.judge import judge
from twin.verdict.result import ReasonKind, Result, Verdict

Mutation = Callable[[Folder], object]
FAIL, INVALID = Verdict.FAIL, Verdict.INVALID
VIOLATION, BROKEN = ReasonKind.VIOLATION, ReasonKind.BROKEN
STATE = {"subject": "qiki.events.v1.state"}


def judged(folder: Folder, path: Path) -> Result:
    """Write, seal and judge."""
    return judge(folder.write(path))


def lose_in_stream(folder: Folder) -> None:
    """The broker lost its tail: neither stored nor recorded, although acknowledged."""
    for table in ("stored", "observed"):
        folder.drop(table, 5, EACH)
    _follow(folder, 1, -1)


def store_twice(folder: Folder) -> None:
    """A retry outside the duplicate window was stored a second time."""
    folder.append("stored", 4, 12, stream_seq=401)
    _follow(folder, 1, 1)


def swap_in_stream(folder: Folder) -> None:
    """A pipelined retry was stored after its successor, and recorded so."""
    for table in ("stored", "observed"):
        folder.swap(table, (3, 20), (3, 21))


def alter_in_stream(folder: Folder) -> None:
    """A payload was damaged on its way to the stream, and recorded so."""
    for table in ("stored", "observed"):
        folder.change(table, 6, 7, hash=99)


def phantom_everywhere(folder: Folder) -> None:
    """A foreign publisher wrote to a stream of the run."""
    for table in ("stored", "observed"):
        folder.phantom(table, STATE)


def later_than_attempted(folder: Folder) -> None:
    """The registrar recorded a sequence that the source never reached."""
    folder.append("observed", 2, EACH, seq=EACH + 5, stream_seq=9999)


def skip_sequence(folder: Folder) -> None:
    """The generator left out a sequence number."""
    for table in ("attempted", "outcomes", "stored", "observed"):
        folder.drop(table, 8, 30)
    folder.manifest["predicted"] = {"total": 500}
    _follow(folder, 1, -1)


def refuse_but_store(folder: Folder) -> None:
    """An event is in the stream although its only try was refused."""
    folder.change("outcomes", 1, 1, outcome=Outcome.REFUSED, stream_seq=0)


def shed_but_store(folder: Folder) -> None:
    """An event is in the stream although the bot shed it."""
    folder.change("outcomes", 1, 1, outcome=Outcome.SHED, stream_seq=0, tries=0)


def give_up(kind: str) -> Mutation:
    """A consumer gave a stored event up."""

    def mutate(folder: Folder) -> None:
        at = folder.where("stored", 4, 10)
        seq = int(folder.stored["stream_seq"][at])
        folder.drop("observed", 4, 10)
        folder.advisories.append(
            {
                "role": "registrar",
                "stream": "EVENTS",
                "consumer": "registrar_EVENTS",
                "kind": kind,
                "stream_seq": seq,
                "wall_ns": START_NS,
            }
        )
        consumer = folder.manifest["consumers"][1]
        consumer.update({kind: 1, "drained": False, "ack_floor": seq - 1})

    return mutate


def give_up_unguarded(folder: Folder) -> None:
    """A consumer gave an event up, and the scenario guarantees `lost` only."""
    give_up("exhausted")(folder)
    folder.manifest["criteria"]["guarantees"] = {"lost": 0}


def recover(folder: Folder) -> None:
    """An acknowledgement got lost; the event is stored."""
    folder.change("outcomes", 3, 3, outcome=Outcome.UNKNOWN, tries=4)


def _follow(folder: Folder, stream: int, by: int) -> None:
    """Let the consumer's facts follow a change of its stream's length."""
    for key in ("ack_floor", "last_matching_seq"):
        folder.manifest["consumers"][stream][key] += by
    folder.manifest["streams"][stream]["last_seq"] += by


def facts(section: str, index: int, **changes: object) -> Mutation:
    """Change an entry of one of the manifest's lists."""
    return lambda folder: folder.manifest[section][index].update(changes)


def guarantee(**changes: object) -> Mutation:
    """Change the guarantees."""
    return lambda folder: folder.manifest["criteria"]["guarantees"].update(changes)


def threshold(selector: str, expression: str) -> Mutation:
    """Ask for one more threshold."""
    return lambda folder: folder.manifest["criteria"]["thresholds"].update({selector: [expression]})


def expect(**audit: object) -> Mutation:
    """Ask for one more expectation."""
    return lambda folder: folder.manifest["criteria"]["expect"].append({"audit": audit})


def outcomes(**fields: int) -> Mutation:
    """Change fields of every outcome."""

    def mutate(folder: Folder) -> None:
        for name, value in fields.items():
            folder.outcomes[name] = value

    return mutate


def slip(folder: Folder) -> None:
    """The generator was late in the measured phase."""
    folder.attempted["slip_us"][folder.attempted["sim_ns"] > 8 * S] = 400_000


def backlog(after: int, value: int) -> Mutation:
    """The consumer falls behind from one sample on."""

    def mutate(folder: Folder) -> None:
        for sample in folder.lag[2 * after :]:
            sample["backlog"] = value

    return mutate


def no_polls(folder: Folder) -> None:
    """Every poll of the consumers failed."""
    folder.lag = [
        {"wall_ns": one["wall_ns"], "role": "registrar", "stream": "EVENTS", "error": "timeout"}
        for one in folder.lag
    ]


def no_ages(folder: Folder) -> None:
    """The age of the oldest message was never known."""
    for sample in folder.lag:
        del sample["oldest_age_s"]
    threshold("consumer_time_lag{consumer:registrar}", "max<1s")(folder)


def overflow(folder: Folder) -> None:
    """The publisher refused events for want of room, so the load was never offered."""
    late = folder.outcomes["seq"] > 40
    folder.outcomes["outcome"][late] = Outcome.REFUSED
    folder.outcomes["error"][late] = LocalRefusal.OVERFLOW
    for table in ("stored", "observed"):
        rows = getattr(folder, table)
        setattr(folder, table, rows[rows["seq"] <= 40])


def refused_by_server(folder: Folder) -> None:
    """A stream that took no more: the server refused what came after."""
    overflow(folder)
    folder.outcomes["error"][folder.outcomes["outcome"] == Outcome.REFUSED] = 10077


def claim_other_run(folder: Folder) -> None:
    """The registrar calls a row that is in no stream another run's."""
    folder.phantom("observed", {"run": "other", "subject": "qiki.events.v1.state"})


def claim_audit(folder: Folder) -> None:
    """The registrar calls a row that is in no stream an audit record."""
    folder.phantom("observed", {"run": None, "subject": "a.qiki.events.v1.audit"})


def all_unknown(folder: Folder) -> None:
    """No event's outcome ever became known, and none is in the stream."""
    folder.outcomes["outcome"] = Outcome.UNKNOWN
    folder.stored, folder.observed = folder.stored[:0], folder.observed[:0]


def empty(folder: Folder) -> None:
    """Nothing happened at all."""
    for table in ("attempted", "outcomes", "stored", "observed"):
        setattr(folder, table, getattr(folder, table)[:0])


def wrong_count(change: Mutation) -> Mutation:
    """Somebody's own count differs from the evidence."""

    def mutate(folder: Folder) -> None:
        folder.manifest = folder.facts()
        folder.counts_follow = False
        change(folder)

    return mutate


def nothing_asked(folder: Folder) -> None:
    """The scenario has no criteria."""
    folder.manifest["criteria"] = {}


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
        phantom_everywhere,
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
    "registrar dies": (
        facts("services", 0, exit_code=-9),
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


def unknown(folder: Folder) -> None:
    """An event never arrived, and nobody promised that it would."""
    folder.change("outcomes", 5, EACH, outcome=Outcome.UNKNOWN, tries=4)
    lose_in_stream(folder)


def refuse(folder: Folder) -> None:
    """An event was refused and is nowhere."""
    folder.change("outcomes", 5, EACH, outcome=Outcome.REFUSED)
    lose_in_stream(folder)


def refuse_late(folder: Folder) -> None:
    """A second try was refused; the first, unanswered one was stored."""
    folder.change("outcomes", 3, 3, outcome=Outcome.REFUSED, tries=2)


def redeliver_late(folder: Folder) -> None:
    """An event came again after its successor, because the first delivery was not finished."""
    folder.swap("observed", (3, 20), (3, 21))
    folder.change("observed", 3, 20, deliveries=2)


def deduplicated(folder: Folder) -> None:
    """A retry was recognised by the server as a duplicate."""
    folder.change("outcomes", 3, 3, duplicate=1, tries=2)


def foreign(folder: Folder) -> None:
    """Another run's message is in the streams and in the store."""
    for table in ("stored", "observed"):
        folder.phantom(table, {**STATE, "run": "some-other-run"})


def fan_out(folder: Folder) -> None:
    """The registrar's own audit records are in the stream, beside what it audits."""
    folder.phantom("stored", {"subject": "qiki.events.v1.audit"})


def evict(folder: Folder) -> None:
    """The stream was too small: its oldest message is gone, but was recorded in time."""
    folder.drop("stored", 0, 1)
    folder.manifest["streams"][0]["first_seq"] = 2


HARMLESS: dict[str, tuple[Mutation, str, str]] = {
    "recovered": (recover, "stream", "recovered"),
    "unknown": (unknown, "stream", "unknown"),
    "refused": (refuse, "stream", "refused"),
    "refused late": (refuse_late, "stream", "recovered"),
    "redelivered late": (redeliver_late, "", ""),
    "deduplicated": (deduplicated, "", ""),
    "foreign": (foreign, "registrar", "foreign"),
    "fan-out": (fan_out, "", ""),
    "evicted": (evict, "stream", "evicted"),
    "allowed": (
        lambda f: [f.drop("observed", 4, 17), guarantee(lost=1)(f)],
        "registrar",
        "lost",
    ),
    "not judged": (
        lambda f: [f.append("observed", 2, 9), guarantee(duplicates=None)(f)],
        "registrar",
        "duplicate",
    ),
    "planned exit": (facts("services", 0, exit_code=-9, expected=True), "", ""),
    "slip in the warm-up": (
        lambda f: f.attempted["slip_us"].__setitem__(f.attempted["sim_ns"] < S, 10**6),
        "",
        "",
    ),
    "slow in the warm-up": (
        lambda f: [
            f.outcomes["ack_ns"].__setitem__(f.attempted["sim_ns"] < S, START_NS + 9 * S),
            threshold("publish_latency", "max<10ms")(f),
        ],
        "",
        "",
    ),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_legal_is_counted_and_passes(name: str, tmp_path: Path) -> None:
    """Outcomes that break no promise are counted in their class, and the run passes."""
    mutate, hop, event_class = HARMLESS[name]
    folder = healthy()
    mutate(folder)
    result = judged(folder, tmp_path)
    assert (result.verdict, result.reasons) == (Verdict.PASS, ())
    if hop:
        counts = {one.name: one.counts for one in result.hops}
        assert counts[hop][event_class] == 1


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


def test_examples_name_time_hop_and_active_fault(tmp_path: Path) -> None:
    """The first lost events come in order of time, each with the fault it may have met.

    The fault began at 4.0 s; an event due within the second before may have been under way.
    """
    folder = healthy()
    for source, seq in ((11, 40), (4, 22), (3, 20), (0, 5)):
        folder.drop("observed", source, seq)
    hop = judged(folder, tmp_path).hops[1]
    found = [(one.id, one.sim_ns, one.faults) for one in hop.examples]
    assert found == [
        ("bot-0/radar.v1.frames/5", 800 * MS, ()),
        ("bot-1/radar.v1.frames/20", 3803 * MS, ("registrar.pause",)),
        ("bot-1/events.v1.power.bus/22", 4204 * MS, ("registrar.pause",)),
        ("bot-3/events.v1.state/40", 7811 * MS, ()),
    ]


def test_only_ten_examples_of_a_class_are_listed_and_all_are_counted(tmp_path: Path) -> None:
    """A registrar that loses everything leaves a small result."""
    folder = healthy()
    folder.observed = folder.observed[:0]
    hop = judged(folder, tmp_path).hops[1]
    assert hop.counts["lost"] == 600
    assert hop.lost_where == {"prefix": 0, "middle": 0, "postfix": 600}
    assert [one.event_class for one in hop.examples] == ["lost"] * 10


def test_counts_agree_per_subject_at_every_hop(tmp_path: Path) -> None:
    """The result shows what publisher, scan, server, export and store count per subject."""
    folder = healthy()
    folder.change("outcomes", 3, 3, outcome=Outcome.UNKNOWN)
    result = judged(folder, tmp_path)
    table = {row.subject: row for row in result.subjects}
    assert set(table) == set(CHANNELS)
    for subject, row in table.items():
        hits = int(subject == "qiki.radar.v1.frames")
        assert row.generated == row.stored == row.server == 4 * EACH
        assert (row.acknowledged, row.recovered) == (4 * EACH - hits, hits)
        assert row.recorded == row.kept == {"registrar": 4 * EACH}


def test_latencies_are_exact_and_from_the_intended_time(tmp_path: Path) -> None:
    """Quantiles are those of all events, not of a sample or a histogram."""
    folder = healthy()
    late = np.random.default_rng(5).exponential(20 * MS, len(folder.outcomes)).astype(np.int64)
    folder.outcomes["ack_ns"] = folder.attempted["intended_ns"] + late
    result = judged(folder, tmp_path)
    inside = late[folder.attempted["sim_ns"] >= 2 * S] / MS
    row = next(one for one in result.latency if one.metric == "publish_latency" and not one.phase)
    expected = np.percentile(inside, [50, 95, 99, 100])
    assert [row.p50, row.p95, row.p99, row.max] == pytest.approx(expected, abs=0.001)
    assert row.count == len(inside)
