"""What is the matter with a consumer: a pure function of its last samples.

The order of the rules is the truth table of docs/lag.md; the first that holds decides.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, NamedTuple

from twin.lag.rates import drain_eta_s, redelivery_rate
from twin.lag.sample import ConsumerSample, Status

__all__ = ["Finding", "History", "StatusRules", "assess"]

_SLACK = 0.1


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


class Finding(NamedTuple):
    """A status, and why, in words."""

    status: Status
    reason: str = ""


class _Counters(NamedTuple):
    """The counters of a sample that succeeded."""

    wall_ns: int
    pending: int
    ack_pending: int
    backlog: int
    delivered: int
    floor: int
    first: int
    sample: ConsumerSample


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
    known = _known(samples)
    window = _since(known, rules.window_s)
    remembered = known[-len(_since(known, rules.memory_s)) - 1 :]
    full = window[-1].wall_ns - window[0].wall_ns >= (1 - _SLACK) * rules.window_s * 1e9
    findings = [rule(remembered) for rule in EVENTS]
    if full and not any(one.sample.paused for one in window):
        findings += [rule(window, rules) for rule in TRENDS]
        findings.append(_creeping(remembered, rules))
    return next(filter(None, findings), Finding(Status.OK))


def _known(samples: Sequence[ConsumerSample]) -> list[_Counters]:
    """Return what succeeded since the consumer was last missing."""
    known: list[_Counters] = []
    for one in reversed(samples):
        if one.missing:
            break
        if one.error is None:
            known.append(_counters(one))
    return known[::-1]


def _counters(one: ConsumerSample) -> _Counters:
    return _Counters(
        one.wall_ns,
        one.num_pending or 0,
        one.num_ack_pending or 0,
        one.backlog or 0,
        one.delivered_seq or 0,
        one.ack_floor or 0,
        one.first_seq or 0,
        one,
    )


def _since(known: list[_Counters], back_s: float) -> list[_Counters]:
    start = known[-1].wall_ns - back_s * (1 + _SLACK) * 1e9
    return [one for one in known if one.wall_ns >= start]


def _rewound(seen: list[_Counters]) -> Finding | None:
    for a, b in pairwise(seen):
        for what, before, after in (
            ("the ack floor", a.floor, b.floor),
            ("delivery", a.delivered, b.delivered),
        ):
            if after < before:
                return Finding(Status.REWIND, f"{what} went back from {before} to {after}")
    return None


def _paused(seen: list[_Counters]) -> Finding | None:
    return Finding(Status.PAUSED, "delivery is paused") if seen[-1].sample.paused else None


def _overrun(seen: list[_Counters]) -> Finding | None:
    now = seen[-1]
    unread = now.first - now.delivered - 1
    if not now.sample.filtered and now.pending and unread > 0:
        return Finding(
            Status.OVERRUN, f"{unread} messages left the stream before they were delivered"
        )
    for a, b in pairwise(seen):
        left = b.first - 1 - max(b.delivered, a.first - 1)
        if not b.sample.filtered and a.pending and left > 0:
            return Finding(
                Status.OVERRUN, f"{left} messages left the stream before they were delivered"
            )
        oldest = a.sample.oldest_seq
        if oldest is not None and b.floor < oldest < b.first:
            return Finding(Status.OVERRUN, f"message {oldest} left the stream unprocessed")
    return None


def _exhausted(seen: list[_Counters]) -> Finding | None:
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


def _progress(window: list[_Counters]) -> bool:
    """Tell whether messages were settled: the floor rose, or more was taken and no more is held."""
    first, last = window[0], window[-1]
    taken = last.delivered > first.delivered
    return last.floor > first.floor or (taken and last.ack_pending <= first.ack_pending)


def _stalled(window: list[_Counters], rules: StatusRules) -> Finding | None:
    if not all(one.backlog for one in window) or _progress(window):
        return None
    last = window[-1]
    text = f"no progress for {rules.window_s:g} s or more, {last.backlog} messages wait"
    if last.ack_pending:
        text += f", {last.ack_pending} of them delivered and not acknowledged"
    elif not last.sample.num_waiting and not last.sample.push:
        text += ", nobody asks for them"
    return Finding(Status.STALLED, text)


def _storm(window: list[_Counters], _rules: StatusRules) -> Finding | None:
    """Find a consumer that is given the same messages again and again, more than new ones."""
    again = [_redelivered(a, b) for a, b in pairwise(window)]
    settled = window[-1].floor - window[0].floor
    if not all(again) or sum(again) <= settled:
        return None
    return Finding(
        Status.WARN,
        f"redelivery storm: {sum(again)} deliveries were repeats, {settled} messages were settled",
    )


def _redelivered(before: _Counters, after: _Counters) -> int:
    """Return deliveries that were not the first of their message; under a filter, at most."""
    a, b = before.sample, after.sample
    deliveries = b.delivered_count - a.delivered_count
    if b.filtered:
        return deliveries if b.num_redelivered and after.pending >= before.pending else 0
    return max(0, deliveries - (after.delivered - before.delivered))


def _saturated(window: list[_Counters], _rules: StatusRules) -> Finding | None:
    limit = window[-1].sample.max_ack_pending
    if limit > 0 and all(one.ack_pending >= limit and one.pending for one in window):
        return Finding(Status.SATURATED, f"ack pending is at its maximum of {limit}")
    return None


def _growing(window: list[_Counters], rules: StatusRules) -> Finding | None:
    """Find a consumer that works in every interval, and falls behind in every interval."""
    steps = list(pairwise(window))
    if all(a.backlog < b.backlog and _progress([a, b]) for a, b in steps):
        return _behind(window, rules)
    return None


def _creeping(remembered: list[_Counters], rules: StatusRules) -> Finding | None:
    """Find a consumer that falls behind in every interval, and works in some of them.

    Progress in the last interval alone is that of one that has just come back.
    """
    recent = _since(remembered, rules.memory_s)
    full = recent[-1].wall_ns - recent[0].wall_ns >= (1 - _SLACK) * rules.memory_s * 1e9
    grows = all(a.backlog < b.backlog for a, b in pairwise(recent))
    if full and grows and not any(one.sample.paused for one in recent) and _progress(recent[:-1]):
        return _behind(recent, rules)
    return None


def _behind(seen: list[_Counters], rules: StatusRules) -> Finding | None:
    grew = seen[-1].backlog - seen[0].backlog
    ages = [one.sample.oldest_age_s for one in seen[-2:]]
    if any(age_s is not None and age_s < rules.warn_age_s for age_s in ages):
        return None
    return Finding(Status.WARN, f"the backlog grew by {grew} to {seen[-1].backlog}")


EVENTS: Final[tuple[Callable[[list[_Counters]], Finding | None], ...]] = (
    _rewound,
    _paused,
    _overrun,
    _exhausted,
)
TRENDS: Final[tuple[Callable[[list[_Counters], StatusRules], Finding | None], ...]] = (
    _storm,
    _stalled,
    _saturated,
    _growing,
)


class History:
    """The last samples of many consumers, and the status that each new one brings."""

    def __init__(self, rules: StatusRules) -> None:
        self.rules = rules
        self._samples: dict[tuple[str, str], deque[ConsumerSample]] = {}

    def add(self, sample: ConsumerSample) -> ConsumerSample:
        """Remember a sample; return it with its status, reason, drain ETA and redelivery rate.

        Of polls that fail in a row only the last is kept, and one sample from before the
        memory: what happened while nothing was seen is judged against it.
        """
        seen = self._samples.setdefault((sample.stream, sample.consumer), deque())
        if seen and seen[-1].error is not None and seen[-1].missing == sample.missing:
            seen.pop()
        seen.append(sample)
        keep_ns = max(self.rules.memory_s, self.rules.window_s) * (1 + _SLACK) * 1e9
        while len(seen) > 1 and seen[1].wall_ns < sample.wall_ns - keep_ns:
            seen.popleft()
        status, reason = assess(seen, sample.wall_ns, self.rules)
        eta_s, rate = (None, None) if sample.error else (drain_eta_s(seen), redelivery_rate(seen))
        return replace(
            sample, status=status, reason=reason, drain_eta_s=eta_s, redelivery_rate=rate
        )

    def of(self, stream: str, consumer: str) -> tuple[ConsumerSample, ...]:
        """Return the remembered samples of a consumer, oldest first."""
        return tuple(self._samples.get((stream, consumer), ()))

    def forget(self, stream: str, consumer: str) -> None:
        """Drop a consumer that is gone for good."""
        self._samples.pop((stream, consumer), None)
