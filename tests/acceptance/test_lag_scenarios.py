"""The shipped lag scenarios: each status is shown by its own situation, and by no other."""

import asyncio
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from in_process import twin_apart
from lag_witness import Reading, Witness

from twin.spec.yaml import read_text

ROOT = Path(__file__).parent.parent.parent
MONOTONE = ("delivered_seq", "ack_floor", "first_seq", "last_seq")


def loaded(path: Path) -> Any:
    """Return what a scenario file says."""
    return read_text(path.read_text()).value


LAG = sorted(
    path for path in ROOT.glob("scenarios/*.yaml") if "lag" in (loaded(path).get("tags") or ())
)


@pytest.mark.parametrize("path", LAG, ids=lambda path: path.stem)
async def test_a_lag_scenario_shows_its_status_and_passes(path: Path, tmp_path: Path) -> None:
    """PASS, its status and no other in time and cured, and counters that the server tells, too.

    A busy machine may leave a poll without answer; the expectation takes one alone for none.
    """
    scenario = loaded(path)
    witness = Witness(tmp_path / "last", scenario["consumers"]["worker"]["stream"], "worker")
    async with witness.watching():
        done = await asyncio.to_thread(twin_apart, ROOT, "run", path, "--out", tmp_path, "--json")
    result = json.loads(done.stdout)
    samples = (tmp_path / "last" / "lag.jsonl").read_text()
    assert (result["reasons"], done.returncode) == ([], 0), samples
    [lag] = [one for one in result["expectations"] if one["name"].startswith("lag of")]
    assert lag["ok"] is True
    watched = {one["role"]: one for one in result["lag"]}
    assert watched["worker"]["drained"] is True
    assert result["totals"]["acknowledged"] == result["totals"]["generated"]
    rows = [json.loads(line) for line in samples.splitlines()]
    told = [row for row in rows if row["role"] == "worker" and row["status"] != "UNKNOWN"]
    status = scenario["expect"][0]["lag"]["status"]
    assert {row["status"] for row in told} == {"OK", status}
    compared = [
        row["status"]
        for row, following in pairwise(told)
        if as_the_server_says(row, witness.around(row["wall_ns"], following["wall_ns"]))
    ]
    assert compared.count(status) >= 2
    assert compared.count("OK") >= 4


def as_the_server_says(row: dict[str, Any], around: tuple[Reading, Reading] | None) -> bool:
    """Compare a row with what the server said before and after it; False when it was not asked.

    All of the row was found between the two. One consumer's counters can be compared with those
    of the same consumer alone: not with none, and not with another one of the same name.
    """
    if around is None:
        return False
    before, after = around
    same = before.created == after.created
    if row["error"] is not None:
        assert not (same and before.created), (row, around)
        return True
    assert before.created or after.created, (row, around)
    if not same and before.created and after.created:
        return False
    lower = before.stream_counters | before.counters
    upper = after.stream_counters | after.counters
    for name in MONOTONE:
        seen = (lower.get(name, 0), row[name], upper.get(name, row[name]))
        assert list(seen) == sorted(seen), (name, row, around)
    given_up = row["exhausted"] + row["terminated"]
    assert before.given_up[0] <= given_up <= after.given_up[1], (row, around)
    if lower == upper:
        assert {name: row[name] for name in lower} == lower, (row, around)
    return True


def reading(created: str, at: int, given_up: int = 0) -> Reading:
    """Return what a server says of a stream and its consumer that are both at `at`."""
    consumer = {
        "created": created,
        "num_pending": 0,
        "num_ack_pending": 0,
        "delivered": {"stream_seq": at},
        "ack_floor": {"stream_seq": at},
    }
    stream: dict[str, object] = {"first_seq": 1, "last_seq": at}
    return Reading(0, 1, dict(consumer) if created else {}, stream, (given_up, given_up))


def row(at: int, **different: object) -> dict[str, Any]:
    """Return a row of `lag.jsonl` with all its sequences at `at`, but for what is `different`."""
    same = {"delivered_seq": at, "ack_floor": at, "first_seq": 1, "last_seq": at}
    others = {"num_pending": 0, "num_ack_pending": 0, "exhausted": 0, "terminated": 0}
    return {"error": None, **same, **others, **different}


MISSING = row(0, error="the consumer does not exist")


@pytest.mark.parametrize(
    ("said", "before", "after"),
    [
        (row(6), reading("a", 5), reading("a", 7)),
        (row(6), reading("", 5), reading("b", 7)),
        (row(6, delivered_seq=2), reading("", 5), reading("b", 7)),
        (row(6), reading("a", 5), reading("", 7)),
        (row(6, delivered_seq=9), reading("a", 5), reading("", 7)),
        (row(5), reading("a", 5), reading("a", 5)),
        (row(6, exhausted=1), reading("a", 5, 1), reading("a", 7, 1)),
        (MISSING, reading("", 5), reading("", 7)),
        (MISSING, reading("a", 5), reading("", 7)),
        (MISSING, reading("", 5), reading("b", 7)),
        (MISSING, reading("a", 5), reading("b", 7)),
    ],
)
def test_a_row_is_compared_with_its_own_consumer(
    said: dict[str, Any], before: Reading, after: Reading
) -> None:
    """A consumer that comes, goes or comes again between two readings does not make a row wrong."""
    assert as_the_server_says(said, (before, after))


@pytest.mark.parametrize(
    ("said", "before", "after"),
    [
        (row(4), reading("a", 5), reading("a", 7)),
        (row(8), reading("a", 5), reading("a", 7)),
        (row(6, delivered_seq=8), reading("", 5), reading("b", 7)),
        (row(6, last_seq=4), reading("", 5), reading("b", 7)),
        (row(6, ack_floor=4), reading("a", 5), reading("", 7)),
        (row(5, num_pending=1), reading("a", 5), reading("a", 5)),
        (row(6), reading("a", 5, 1), reading("a", 7, 1)),
        (row(6, terminated=2), reading("a", 5, 1), reading("a", 7, 1)),
        (row(6), reading("", 5), reading("", 7)),
        (MISSING, reading("a", 5), reading("a", 7)),
    ],
)
def test_a_row_that_the_server_contradicts_is_found(
    said: dict[str, Any], before: Reading, after: Reading
) -> None:
    """Each counter that could not have been so between two readings is an error."""
    with pytest.raises(AssertionError):
        as_the_server_says(said, (before, after))


def test_nine_situations_are_shipped() -> None:
    """None has been lost."""
    assert len(LAG) == 9


def test_a_policy_halves_the_flood(tmp_path: Path) -> None:
    """The same overload with the policy: far fewer events wait for the broker at once."""
    waiting = {}
    for name in ("overload", "overload-policy"):
        scenario = ROOT / "scenarios" / f"{name}.yaml"
        done = twin_apart(ROOT, "run", scenario, "--out", tmp_path / name, "--var", "bots=12")
        assert done.returncode == 0, done.stdout
        rows = (tmp_path / name / "last" / "samples" / "metrics.jsonl").read_text().splitlines()
        waiting[name] = max(json.loads(row)["publish"]["waiting"] for row in rows)
    assert waiting["overload-policy"] < 0.7 * waiting["overload"]
