"""report.html: offline, escaped, small however long the run was, and honest about broken runs."""

import json
import re
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

import numpy as np
from verdict_folder import START_NS, healthy

from twin.report.charts import charts
from twin.report.html import write_report
from twin.report.timeline import MOST, Timeline
from twin.verdict.judge import judge
from twin.verdict.ledger import reconcile
from twin.verdict.manifest import Manifest

NS = 1_000_000_000
EVIL = "</script><img src=x onerror=alert(1)>"


def drawn(run_dir: Path) -> dict[str, dict[str, list[float | None]]]:
    """Return the values of each series by chart and name."""
    manifest = Manifest.load(run_dir)
    line = Timeline.of(manifest)
    found = charts(run_dir, manifest, reconcile(run_dir, manifest).journal, line)
    return {
        chart["title"]: {one["name"]: one["values"] for one in chart["series"]}
        for chart in map(asdict, found)
    }


def test_rates_add_up_to_every_event(tmp_path: Path) -> None:
    """The area under each rate is the number of events that the run had at that hop."""
    run_dir = healthy(50).write(tmp_path)
    width = Timeline.of(Manifest.load(run_dir)).width_s
    for values in drawn(run_dir)["Rate"].values():
        assert sum(value or 0 for value in values) * width == 600


def test_one_late_event_is_seen_in_its_bucket(tmp_path: Path) -> None:
    """A single slow acknowledgement among many shows in the maximum, however wide the bucket."""
    folder = healthy(50)
    slow = int(folder.outcomes["ack_ns"][folder.where("outcomes", 3, 20)]) + 7 * NS
    folder.change("outcomes", 3, 20, ack_ns=slow)
    latency = drawn(folder.write(tmp_path))["Publish latency"]
    greatest = max(value or 0 for value in latency["max"])
    assert 7000 < greatest < 7010
    assert max(value or 0 for value in latency["p50"]) < 10


def test_the_greatest_backlog_and_its_time_are_kept(tmp_path: Path) -> None:
    """The peak of a consumer's backlog survives, in the bucket of its time."""
    run_dir = healthy().write(tmp_path)
    line = Timeline.of(Manifest.load(run_dir))
    backlog = drawn(run_dir)["Backlog"]["registrar, EVENTS"]
    peak = [i for i, value in enumerate(backlog) if value == 40]
    seconds = line.seconds()[peak]
    assert 4 < seconds.min() < seconds.max() < 7.5


def test_a_report_asks_no_network_and_runs_only_its_own_scripts(tmp_path: Path) -> None:
    """No element loads anything, and the policy names each script and style by its hash."""
    run_dir = healthy().write(tmp_path)
    text = write_report(run_dir, judge(run_dir)).read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert "default-src &#39;none&#39;" in policy[1]
    assert "unsafe" not in policy[1]
    assert policy[1].count("sha256-") == text.count("<style>") + text.count("<script>") == 4
    assert not re.findall(r"<(?:link|img|iframe|script)[^>]*(?:src|href)=", text)


def test_a_report_carries_the_licence_of_what_draws_it(tmp_path: Path) -> None:
    """uPlot's notice stands in each copy, as its licence asks."""
    run_dir = healthy(20).write(tmp_path)
    text = write_report(run_dir, judge(run_dir)).read_text()
    notice = (files("twin.report") / "assets" / "uPlot.LICENSE").read_text()
    assert "Permission is hereby granted" in notice
    assert notice.splitlines()[2] in text
    assert "WITHOUT WARRANTY OF ANY KIND" in text


def test_what_came_in_with_a_run_stays_text(tmp_path: Path) -> None:
    """Markup in a scenario's name, in an event's id and in a consumer's name is not markup."""
    folder = healthy()
    folder.manifest["scenario"] = {"name": EVIL, "description": EVIL}
    folder.phantom("stored", {"msg_id": EVIL, "subject": EVIL, "reason": EVIL})
    for row in folder.lag:
        row["role"] = row["role"] + EVIL
    run_dir = folder.write(tmp_path)
    text = write_report(run_dir, judge(run_dir)).read_text()
    assert "<img" not in text
    assert text.count("</script>") == 3
    embedded = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert embedded is not None
    names = [one["name"] for chart in json.loads(embedded[1])["charts"] for one in chart["series"]]
    assert any(EVIL in name for name in names)


def test_a_hundred_times_the_events_make_no_larger_report(tmp_path: Path) -> None:
    """The file grows with the length of the time axis only, and that is bounded."""
    sizes = []
    for each in (20, 2000):
        run_dir = healthy(each).write(tmp_path / str(each))
        sizes.append(write_report(run_dir, judge(run_dir)).stat().st_size)
    assert sizes[1] < sizes[0] * 1.1
    assert sizes[1] < 1_000_000


def test_a_week_has_no_more_buckets_than_allowed(tmp_path: Path) -> None:
    """The axis of a long run widens its buckets instead of adding more."""
    run_dir = healthy().write(tmp_path)
    manifest = Manifest.load(run_dir)
    week = manifest.model_copy(update={"ended_ns": START_NS + 7 * 86400 * NS})
    line = Timeline.of(week)
    assert line.count <= MOST + 1
    assert line.buckets(np.array([START_NS + 7 * 86400 * NS]))[0] == line.count - 1


def test_a_run_with_broken_evidence_still_has_a_report(tmp_path: Path) -> None:
    """Verdict and reasons are shown without charts when the evidence cannot be read."""
    run_dir = healthy().write(tmp_path)
    (run_dir / "journal" / "attempted.bin").write_bytes(b"torn")
    text = write_report(run_dir, judge(run_dir)).read_text()
    assert '<span class="verdict">INVALID</span>' in text
    assert "nothing to draw" in text


def test_a_run_that_was_not_finished_shows_no_counts(tmp_path: Path) -> None:
    """No zero pretends that something was measured, as in the terminal."""
    run_dir = healthy().write(tmp_path, seal=False)
    text = write_report(run_dir, judge(run_dir)).read_text()
    assert "the run was not finished" in text
    assert "<dt>Began</dt>" in text
    assert not [name for name in ("Bots", "Generated", "Acknowledged") if f"<dt>{name}<" in text]
