"""What breaks no promise is counted, and passes; what is found is told with its circumstances."""

from pathlib import Path

import numpy as np
import pytest
from verdict_folder import CHANNELS, EACH, MS, START_NS, Folder, S, healthy
from verdict_mutations import (
    STATE,
    Mutation,
    facts,
    guarantee,
    judged,
    lose_in_stream,
    purge,
    recover,
    threshold,
)

from twin.verdict.journal import Outcome
from twin.verdict.result import Verdict


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
    folder.manifest["consumers"][0]["deliveries"] += 1


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


def test_what_a_purge_took_was_evicted_even_when_nothing_is_left_of_it(tmp_path: Path) -> None:
    """Which stream held a subject is known from what the stream takes, not from what it holds."""
    folder = healthy()
    purge(folder)
    folder.manifest = folder.facts()
    folder.manifest["streams"][0]["subjects"] = {}
    folder.counts_follow = False
    result = judged(folder, tmp_path)
    assert (result.verdict, result.reasons) == (Verdict.PASS, ())
    assert result.hops[0].counts["evicted"] == 4 * EACH


def test_totals_leave_out_audit_records_and_tell_what_was_held(tmp_path: Path) -> None:
    """The registrar's own records are no stored events; an outbox's rest is counted apart."""
    folder = healthy()
    fan_out(folder)
    folder.manifest = folder.facts()
    folder.manifest["publish"]["held"] = 7
    folder.counts_follow = False
    totals = judged(folder, tmp_path).totals
    assert (totals.stored, totals.held) == (len(CHANNELS) * 4 * EACH, 7)
