"""Expectations on lag: the right status, in time, alone, and gone after the cure."""

from pathlib import Path

import pytest
from verdict_folder import START_NS, healthy

from twin.verdict.criteria import Criteria, Expectation, LagMatch
from twin.verdict.judge import judge

S = 1_000_000_000
FIRED, HEALED = 10, 16
GOOD = "OK " * 10 + "OK OK STALLED STALLED STALLED STALLED STALLED OK OK OK"


def judged(
    tmp_path: Path,
    statuses: str,
    *,
    healed: bool = True,
    target: str = "worker",
    took_s: int = 0,
) -> str:
    """Judge a run whose consumer had these statuses, one a second; return note or outcome."""
    folder = healthy()
    folder.faults[0] |= {
        "fault": "consumer.stall",
        "target": target,
        "intended_wall_ns": START_NS + (FIRED - took_s) * S - 1,
        "fired_wall_ns": START_NS + FIRED * S - 1,
        "healed_wall_ns": START_NS + HEALED * S if healed else None,
    }
    folder.lag += [
        folder.lag[0]
        | {"wall_ns": START_NS + n * S, "role": "worker", "stream": "WORK", "status": status}
        for n, status in enumerate(statuses.split())
    ]
    expect = (Expectation(lag=LagMatch(consumer="worker", status="STALLED")),)
    result = judge(folder.write(tmp_path), Criteria(expect=expect))
    [check] = [one for one in result.expectations if one.name == "lag of worker STALLED"]
    return "ok" if check.ok else f"{check.ok}: {check.note}"


@pytest.mark.parametrize("target", ["worker", "WORK"])
def test_the_right_status_in_time_is_met(tmp_path: Path, target: str) -> None:
    """Shown at the third sample, OK after the cure; a fault on the stream counts as well."""
    assert judged(tmp_path, GOOD, target=target) == "ok"


@pytest.mark.parametrize(
    ("statuses", "note"),
    [
        ("OK " * 20, "never shown"),
        ("OK " * 10 + "OK OK OK STALLED STALLED STALLED OK OK", "only at sample 4"),
        ("OK " * 10 + "OK WARN STALLED STALLED STALLED OK OK OK", "also WARN"),
        ("OK " * 9 + "STALLED STALLED STALLED STALLED STALLED STALLED STALLED OK OK", "before"),
        ("OK " * 10 + "OK OK " + "STALLED " * 14, "not OK within 8"),
        (GOOD + " STALLED", "came back"),
        ("OK " * 10 + "OK None STALLED STALLED STALLED STALLED STALLED OK", "also None"),
        ("OK " * 9 + "UNKNOWN UNKNOWN " + "OK STALLED STALLED OK OK", "also UNKNOWN"),
        ("UNKNOWN " + "OK " * 9 + "OK OK STALLED STALLED OK OK", "also UNKNOWN"),
        ("OK " * 10 + "OK UNKNOWN WARN STALLED STALLED STALLED OK OK OK", "also WARN"),
    ],
)
def test_anything_else_is_not(tmp_path: Path, statuses: str, note: str) -> None:
    """Never, too late, not alone, before the fault, not cleared, back again, unsaid."""
    assert note in judged(tmp_path, statuses)


@pytest.mark.parametrize("at", [3, 11, 14, 18])
def test_a_single_poll_without_answer_says_nothing(tmp_path: Path, at: int) -> None:
    """Between two that were answered, before, in and after the fault: no status of the consumer."""
    statuses = GOOD.split()
    statuses[at] = "UNKNOWN"
    assert judged(tmp_path, " ".join(statuses)) == "ok"


def test_a_status_may_be_seen_while_the_fault_is_being_done(tmp_path: Path) -> None:
    """From the moment at which it was due the fault may be felt, and not before."""
    early = "OK " * 9 + "STALLED " * 7 + "OK OK OK"
    assert judged(tmp_path, early, took_s=1) == "ok"
    (tmp_path / "earlier").mkdir()
    assert "before" in judged(tmp_path / "earlier", "OK " * 8 + "STALLED " * 8 + "OK", took_s=1)


def test_without_its_fault_nothing_is_shown(tmp_path: Path) -> None:
    """No fault on the consumer, or one that is not over, cannot be judged."""
    assert judged(tmp_path, GOOD, target="other").startswith("None: no fault fired")
    assert judged(tmp_path, GOOD, healed=False).startswith("None: a fault on it was not over")
