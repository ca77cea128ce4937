"""What a person reads: the result, and the progress of a run."""

import io
import re
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from verdict_folder import healthy

from twin.report.progress import Progress, Snapshot
from twin.report.terminal import print_result
from twin.verdict.judge import judge
from twin.verdict.result import Result, Verdict

SNAPSHOT = Snapshot(
    sim_ns=5_000_000_000,
    duration_ns=20_000_000_000,
    phase="steady",
    offered=12_345,
    acknowledged=12_000,
    in_flight=345,
    waiting=0,
    backlog=17,
    p99_ms=3.25,
)


def printed(result: Result, *, terminal: bool = False) -> str:
    """Return what is printed on 100 columns."""
    file = io.StringIO()
    print_result(
        result,
        Path("runs/x"),
        Console(file=file, width=100, force_terminal=terminal, highlight=False),
    )
    return file.getvalue()


def squeezed(text: str) -> list[str]:
    """Return the lines with runs of spaces as one."""
    return [re.sub(r"\s+", " ", line).strip() for line in text.splitlines()]


def test_a_pass_shows_the_measurements_and_ends_with_the_verdict(tmp_path: Path) -> None:
    """Bots, events, rates, latencies, lag, audit, checks and faults are all there, in plain."""
    text = printed(judge(healthy().write(tmp_path)))
    lines = squeezed(text)
    for line in (
        "generated 600 60.0",
        "stored in streams 600",
        "recorded by registrar 600",
        "publish steady 2.5 3.1 3.1 3.1 480",
        "end to end (registrar) measured phases 20.0 20.0 20.0 20.0 480",
        "registrar EVENTS 40 0.50 1 drained",
        "4 200 8",
        "registrar.pause 4 4.0 6.0 fired",
        "ok lost 0 at most 0",
        "ok publish_latency{phase:steady}: p(99)<250ms 3.1 ms <250 ms",
        "ok audit code 101 4 exactly 4, exactly 1 of every bot",
        "Run folder: runs/x",
    ):
        assert line in lines, line
    assert lines[-1] == "PASS synthetic"
    assert "\x1b" not in text


def test_reasons_come_first_when_it_is_no_pass(tmp_path: Path) -> None:
    """The verdict and every reason stand above the tables, with the first events by name."""
    folder = healthy()
    folder.drop("observed", 4, 22)
    lines = squeezed(printed(judge(folder.write(tmp_path))))
    assert lines[0] == "FAIL synthetic"
    assert lines[1].startswith("broken: lost: 1 event acknowledged but not recorded")
    assert lines[2] == (
        "lost at registrar: bot-1/events.v1.power.bus/22 due at 4.204 s during registrar.pause"
    )
    assert "FAIL lost 1 at most 0" in lines
    assert lines[-1] == "FAIL synthetic"


def test_markup_in_names_is_printed_as_it_is(tmp_path: Path) -> None:
    """A scenario cannot colour the terminal or break the printing by its names."""
    folder = healthy()
    folder.manifest["scenario"]["name"] = "[red]x[/nope]"
    folder.faults[0]["fault"] = "[bold]f[/x]"
    text = printed(judge(folder.write(tmp_path)), terminal=True)
    assert "[red]x[/nope]" in text
    assert "[bold]f[/x]" in text
    assert "\x1b[" in text


def test_an_unsealed_run_prints_only_what_is_known(tmp_path: Path) -> None:
    """No table of zeros pretends that something was measured."""
    result = judge(healthy().write(tmp_path, seal=False))
    text = printed(result)
    assert result.verdict is Verdict.INVALID
    assert "Latency" not in text
    assert squeezed(text)[1].startswith("invalid: the run was not finished")


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_progress_elsewhere_is_a_line_every_two_seconds_and_per_phase() -> None:
    """Logs get a line when 2 s have passed or the phase changes, and no control codes."""
    file, clock = io.StringIO(), Clock()
    with Progress("patrol", Console(file=file, width=200), clock) as progress:
        progress(SNAPSHOT)
        clock.now += 1.0
        progress(replace(SNAPSHOT, acknowledged=13_000))
        clock.now += 1.0
        progress(replace(SNAPSHOT, acknowledged=14_000, backlog=None, p99_ms=None))
        clock.now += 0.1
        progress(replace(SNAPSHOT, phase="storm", connected=False, waiting=7))
    lines = file.getvalue().splitlines()
    assert lines[0] == (
        "patrol    5.0/20 s  steady       offered 12,345  acked 12,000  0/s  in flight 345  "
        "backlog 17  p99 3.2 ms"
    )
    assert "acked 14,000  1,000/s  in flight 345  backlog ?" in lines[1]
    assert lines[2].endswith("waiting 7  backlog 17  p99 3.2 ms  no broker")
    assert len(lines) == 3
    assert "\x1b" not in file.getvalue()


def test_progress_on_a_terminal_is_redrawn_and_cleaned_up() -> None:
    """The live display shows phase and figures, and leaves the cursor visible."""
    file = io.StringIO()
    with Progress("patrol", Console(file=file, width=120, force_terminal=True)) as progress:
        progress(SNAPSHOT)
    text = file.getvalue()
    assert "steady" in text
    assert "acked 12,000" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
