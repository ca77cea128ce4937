"""What is the matter with a consumer: a pure function of its last samples.

The order of the rules is the truth table of docs/lag.md; the first that holds decides.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from twin.lag.counters import Counters, Finding, all_known
from twin.lag.sample import ConsumerSample, Status

__all__ = ["SLACK", "StatusRules", "assess", "judge"]

SLACK: Final = 0.1


@dataclass(frozen=True, slots=True)
class StatusRules:
    """How long to look back, in seconds of wall time.

    `window_s` is how long progress must be absent (or growth present) before it is said so;
    `memory_s` is how long an event (rewind, overrun, message given up) is shown; a sample
    older than `stale_s` tells nothing. A time lag under `warn_age_s` at one of the last two
    samples is never a warning.
    """

    window_s: float = 2.0
    memory_s: float = 5.0
    stale_s: float = 5.0
    warn_age_s: float = 0.5

    @classmethod
    def every(cls, interval_s: float) -> "StatusRules":
        """Return the rules for samples at a steady interval: two intervals without progress."""
        return cls(2 * interval_s, 5 * interval_s, 3 * interval_s + 1.0, 0.5 * interval_s)


OK: Final = Finding(Status.OK)


def assess(samples: Sequence[ConsumerSample], now_ns: int, rules: StatusRules) -> Finding:
    """Return the status of one consumer from its samples, oldest first, as of `now_ns`."""
    if not samples:
        return Finding(Status.UNKNOWN, "no sample yet")
    newest = samples[-1]
    if newest.missing:
        return Finding(Status.MISSING, newest.error or "")
    if newest.error is not None:
        return Finding(Status.UNKNOWN, newest.error)
    age_s = (now_ns - newest.wall_ns) / 1e9
    if age_s > rules.stale_s:
        return Finding(Status.UNKNOWN, f"the last sample is {age_s:.1f} s old")
    return judge(all_known(samples), rules)


def judge(known: list[Counters], rules: StatusRules) -> Finding:
    """Return the status that good samples since the consumer was last missing mean together."""
    start, from_ns = 0, known[-1].wall_ns - rules.memory_s * (1 + SLACK) * 1e9
    while start + 1 < len(known) and known[start + 1].wall_ns < from_ns:
        start += 1
    remembered = known[start:]
    for event in EVENTS:
        if found := event(remembered):
            return found
    window = _reaching(known, rules.window_s)
    if window and not any(one.sample.paused for one in window):
        for trend in TRENDS:
            if found := trend(window, rules):
                return found
        if found := _creeping(known, rules):
            return found
    return OK


def _reaching(known: list[Counters], back_s: float) -> list[Counters]:
    """Return the last samples, three or more, that reach back so far; none where they do not.

    A look that came late makes them reach further; twice as far, and too little was seen.
    """
    now_ns = known[-1].wall_ns
    for start in range(len(known) - 3, -1, -1):
        reach_s = (now_ns - known[start].wall_ns) / 1e9
        if reach_s >= (1 - SLACK) * back_s:
            return known[start:] if reach_s <= 2 * back_s else []
    return []


def _rewound(seen: list[Counters]) -> Finding | None:
    for one in seen[1:]:
        if one.rewound:
            return one.rewound
    return None


def _paused(seen: list[Counters]) -> Finding | None:
    return Finding(Status.PAUSED, "delivery is paused") if seen[-1].sample.paused else None


def _overrun(seen: list[Counters]) -> Finding | None:
    now = seen[-1]
    unread = now.first - now.delivered - 1
    if not now.sample.filtered and now.pending and unread > 0:
        return Finding(
            Status.OVERRUN, f"{unread} messages left the stream before they were delivered"
        )
    for one in seen[1:]:
        if one.overrun:
            return one.overrun
    return None


def _exhausted(seen: list[Counters]) -> Finding | None:
    oldest, now = seen[0].sample, seen[-1]
    exhausted = now.sample.exhausted - oldest.exhausted
    terminated = now.sample.terminated - oldest.terminated
    if exhausted > 0 or terminated > 0:
        text = f"given up lately: {exhausted} after max_deliver, {terminated} terminated"
        return Finding(Status.EXHAUSTED, text)
    acks = now.sample.ack_policy != "none" and now.sample.delivered_count
    if acks and not now.backlog and now.floor < now.delivered:
        text = f"nothing is pending, yet the ack floor is {now.floor} of {now.delivered}"
        return Finding(Status.EXHAUSTED, text)
    return None


def _progress(window: list[Counters]) -> bool:
    """Tell whether messages were settled: the floor rose, or more was taken than is held more."""
    return _settled(window[0], window[-1])


def _settled(first: Counters, last: Counters) -> bool:
    if last.floor > first.floor:
        return True
    taken, held = last.delivered - first.delivered, last.ack_pending - first.ack_pending
    if last.sample.filtered:  # sequences count what was passed over, deliveries count repeats
        if first.sample.num_redelivered or last.sample.num_redelivered:
            return taken > 0 >= held
        taken = last.sample.delivered_count - first.sample.delivered_count
    return taken > max(0, held)


def _stalled(window: list[Counters], rules: StatusRules) -> Finding | None:
    if _progress(window) or not all(one.backlog for one in window):
        return None
    last = window[-1]
    text = f"no progress for {rules.window_s:g} s or more, {last.backlog} messages wait"
    if last.ack_pending:
        text += f", {last.ack_pending} of them delivered and not acknowledged"
    elif not last.sample.num_waiting and not last.sample.push:
        text += ", nobody asks for them"
    return Finding(Status.STALLED, text)


def _storm(window: list[Counters], _rules: StatusRules) -> Finding | None:
    """Find a consumer that is given the same messages again and again, more than new ones."""
    if not _redelivered(window[-2], window[-1]):
        return None
    again = [_redelivered(a, b) for a, b in pairwise(window)]
    settled = window[-1].floor - window[0].floor
    if not all(again) or sum(again) <= settled:
        return None
    return Finding(
        Status.WARN,
        f"redelivery storm: {sum(again)} deliveries were repeats, {settled} messages were settled",
    )


def _redelivered(before: Counters, after: Counters) -> int:
    """Return deliveries that were not the first of their message; under a filter, at most."""
    a, b = before.sample, after.sample
    deliveries = b.delivered_count - a.delivered_count
    if b.filtered:
        return deliveries if b.num_redelivered and after.pending >= before.pending else 0
    return max(0, deliveries - (after.delivered - before.delivered))


def _saturated(window: list[Counters], _rules: StatusRules) -> Finding | None:
    limit = window[-1].sample.max_ack_pending
    if limit > 0 and all(one.ack_pending >= limit and one.pending for one in window):
        return Finding(Status.SATURATED, f"ack pending is at its maximum of {limit}")
    return None


def _growing(window: list[Counters], rules: StatusRules) -> Finding | None:
    """Find a consumer that works in every interval, and falls behind in every interval."""
    if _grows(window) and all(_settled(a, b) for a, b in pairwise(window)):
        return _behind(window, rules)
    return None


def _grows(window: list[Counters]) -> bool:
    if window[-2].backlog >= window[-1].backlog:
        return False
    return all(a.backlog < b.backlog for a, b in pairwise(window))


def _creeping(known: list[Counters], rules: StatusRules) -> Finding | None:
    """Find a consumer that falls behind in every interval, and works in some of them.

    Progress in the last interval alone is that of one that has just come back.
    """
    if known[-2].backlog >= known[-1].backlog:
        return None
    recent = _reaching(known, rules.memory_s)
    grows = recent and _grows(recent)
    if grows and not any(one.sample.paused for one in recent) and _progress(recent[:-1]):
        return _behind(recent, rules)
    return None


def _behind(seen: list[Counters], rules: StatusRules) -> Finding | None:
    grew = seen[-1].backlog - seen[0].backlog
    ages = [one.sample.oldest_age_s for one in seen[-2:]]
    if any(age_s is not None and age_s < rules.warn_age_s for age_s in ages):
        return None
    return Finding(Status.WARN, f"the backlog grew by {grew} to {seen[-1].backlog}")


EVENTS: Final[tuple[Callable[[list[Counters]], Finding | None], ...]] = (
    _rewound,
    _paused,
    _overrun,
    _exhausted,
)
TRENDS: Final[tuple[Callable[[list[Counters], StatusRules], Finding | None], ...]] = (
    _storm,
    _stalled,
    _saturated,
    _growing,
)
