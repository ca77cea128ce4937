"""Expectations on messages: how many there are, which belong to which cause, what came before.

While a run lasts the scenario notes in `observed/bus.jsonl` what was stored, or heard, on the
subjects of its expectations: a first line with their names and the time until which nothing was
missed, then one line per message with its side, id, time and the values at the places of `match`.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from twin.verdict.criteria import Expectation
from twin.verdict.facts import BrokenEvidence, Row, read_rows
from twin.verdict.result import Check

__all__ = ["BUS", "Heard", "Noted", "check_bus", "read_bus"]

BUS = "observed/bus.jsonl"
NAMED = 5
SLACK_NS = 50_000_000
"""What is stored and what is only heard are timed by two processes: so much may they differ."""


@dataclass(frozen=True, slots=True)
class Noted:
    """A message: its id, when it came (wall ns), and its values at the places of `match`.

    `heard` says that its time is ours and not the server's.
    """

    id: str
    time_ns: int
    key: bytes
    heard: bool = False


@dataclass(slots=True)
class Heard:
    """What was noted for one expectation. `why` says that it is not all, and why."""

    name: str
    until_ns: int = 0
    why: str = ""
    on: list[Noted] = field(default_factory=list)
    other: list[Noted] = field(default_factory=list)


def read_bus(run_dir: Path) -> list[Heard]:
    """Return what was noted, in the order of the scenario's expectations on messages."""
    path = run_dir / BUS
    rows = read_rows(path)
    found: list[Heard] = []
    try:
        for index, row in enumerate(rows):
            if index == 0:
                found = _opened(row)
            else:
                heard = found[int(str(row["n"]))]
                key, heard_it = orjson.dumps(row["key"]), bool(row.get("heard"))
                noted = Noted(str(row["id"]), int(str(row["time_ns"])), key, heard_it)
                (heard.on if row["side"] == "on" else heard.other).append(noted)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise BrokenEvidence(f"{path}: {error!r} in a row") from error
    for heard in found:
        heard.on.sort(key=_time)
        heard.other.sort(key=_time)
    return found


def _opened(row: Row) -> list[Heard]:
    names = row["expectations"]
    if not isinstance(names, list):
        raise TypeError("expectations")
    until_ns, why = int(str(row["until_ns"])), str(row["why"])
    return [Heard(str(name), until_ns, why) for name in names]


def check_bus(expectations: Sequence[Expectation], heard: Sequence[Heard]) -> list[Check]:
    """Check the expectations on messages; those that the run did not listen for are not judged."""
    wanted = [one for one in expectations if one.on is not None]
    by_name: dict[str, list[Heard]] = defaultdict(list)
    for one in heard:
        by_name[one.name].append(one)
    checks = []
    for expectation in wanted:
        own = by_name[expectation.name]
        if not own:
            note = "the run did not listen for it"
            checks.append(Check(name=expectation.name, ok=None, limit="", note=note))
        else:
            checks.append(_check(expectation, own.pop(0)))
    return checks


def _check(expectation: Expectation, heard: Heard) -> Check:
    if expectation.per is not None:
        check = _paired(expectation, heard)
    elif expectation.after is not None:
        check = _ordered(expectation, heard)
    else:
        count = len(heard.on)
        note = "" if expectation.admits(count) else f"there were {count}"
        check = Check(
            name=expectation.name,
            ok=expectation.admits(count),
            measured=float(count),
            limit=str(expectation),
            samples=count,
            note=note,
        )
    if heard.why:
        return check.model_copy(update={"ok": None, "note": heard.why})
    return check


def _paired(expectation: Expectation, heard: Heard) -> Check:
    """Give every message to the last cause before it with its key; then look at each cause."""
    within = expectation.within or 0
    low = expectation.count if expectation.count is not None else expectation.min
    high = expectation.count if expectation.count is not None else expectation.max
    if expectation.empty:
        low = high = 1
    causes = _by_key(heard.other)
    effects: dict[tuple[bytes, int], list[Noted]] = defaultdict(list)
    wrong: dict[str, list[str]] = {"missing": [], "late": [], "extra": []}
    times = {key: [one.time_ns for one in own] for key, own in causes.items()}
    slack_ns = _slack_ns(heard)
    for one in heard.on:
        place = bisect_right(times.get(one.key, ()), one.time_ns + slack_ns)
        if place:
            effects[one.key, place - 1].append(one)
        else:
            wrong["extra"].append(one.id)
    judged = 0
    for key, own in causes.items():
        for place, cause in enumerate(own):
            found = effects[key, place]
            late = [one for one in found if one.time_ns > cause.time_ns + within]
            over = max(0, len(found) - high) if high is not None else 0
            if len(found) < (low or 0) and cause.time_ns + within > heard.until_ns:
                continue
            judged += 1
            wrong["missing"] += [cause.id] * (len(found) < (low or 0))
            wrong["late"] += [_late(one, cause) for one in late]
            wrong["extra"] += [one.id for one in found[len(found) - over :]]
    limit = f"{_bounds(low, high)} within {within / 1e9:g} s of each"
    return _told(expectation, limit, judged, wrong, "no cause was seen")


def _ordered(expectation: Expectation, heard: Heard) -> Check:
    """Look for the last message of the other kind before each."""
    times = {key: [o.time_ns for o in own] for key, own in _by_key(heard.other).items()}
    within, slack_ns = expectation.within, _slack_ns(heard)
    wrong: dict[str, list[str]] = {"without one before": [], "too long after it": []}
    for one in heard.on:
        earlier = times.get(one.key, [])
        place = bisect_right(earlier, one.time_ns + slack_ns)
        if not place:
            wrong["without one before"].append(one.id)
        elif within is not None and one.time_ns - earlier[place - 1] > within:
            wrong["too long after it"].append(one.id)
    limit = "one before each" + (f", within {within / 1e9:g} s" if within is not None else "")
    return _told(expectation, limit, len(heard.on), wrong, "no message was seen")


def _slack_ns(heard: Heard) -> int:
    """Return by how much the times of the two sides may be apart without meaning anything."""
    clocks = {one.heard for one in (*heard.on, *heard.other)}
    return SLACK_NS if len(clocks) > 1 else 0


def _told(
    expectation: Expectation, limit: str, judged: int, wrong: dict[str, list[str]], none: str
) -> Check:
    count = sum(map(len, wrong.values()))
    note = "; ".join(f"{len(ids)} {what}: {_named(ids)}" for what, ids in wrong.items() if ids)
    if not judged and not count:
        return Check(name=expectation.name, ok=None, limit=limit, note=none)
    return Check(
        name=expectation.name,
        ok=not count,
        measured=float(count),
        limit=limit,
        samples=judged,
        note=note,
    )


def _late(one: Noted, cause: Noted) -> str:
    return f"{one.id} ({(one.time_ns - cause.time_ns) // 10**6} ms)"


def _named(ids: list[str]) -> str:
    return ", ".join(ids[:NAMED]) + (" ..." if len(ids) > NAMED else "")


def _bounds(low: int | None, high: int | None) -> str:
    if low == high:
        return f"exactly {low}"
    parts = [f"at least {low}"] * (low is not None) + [f"at most {high}"] * (high is not None)
    return " and ".join(parts)


def _by_key(noted: Iterable[Noted]) -> dict[bytes, list[Noted]]:
    found: dict[bytes, list[Noted]] = defaultdict(list)
    for one in noted:
        found[one.key].append(one)
    return dict(found)


def _time(one: Noted) -> int:
    return one.time_ns
