"""The counters of samples that succeeded, and what happened from each to the next."""

from collections.abc import Sequence
from typing import NamedTuple

from twin.lag.sample import ConsumerSample, Status

__all__ = ["Counters", "Finding", "all_known", "know", "made_again"]


class Finding(NamedTuple):
    """A status, and why, in words."""

    status: Status
    reason: str = ""


class Counters(NamedTuple):
    """The counters of a sample that succeeded, and what happened since the one before it."""

    wall_ns: int
    pending: int
    ack_pending: int
    backlog: int
    delivered: int
    floor: int
    first: int
    sample: ConsumerSample
    rewound: Finding | None = None
    overrun: Finding | None = None


def all_known(samples: Sequence[ConsumerSample]) -> list[Counters]:
    """Return what succeeded since the consumer was last missing, or made."""
    known: list[Counters] = []
    for one in samples:
        know(known, one)
    return known


def know(known: list[Counters], one: ConsumerSample) -> None:
    """Add a sample to what is known."""
    if one.missing:
        known.clear()
    elif one.error is None:
        now = Counters(
            one.wall_ns,
            one.num_pending or 0,
            one.num_ack_pending or 0,
            one.backlog or 0,
            one.delivered_seq or 0,
            one.ack_floor or 0,
            one.first_seq or 0,
            one,
        )
        if known:
            before = known[-1]
            again = made_again(before.sample, one)
            rewound = _went_back(before, now)
            overrun = None if again else _lost(before, now)
            if rewound or overrun:
                now = now._replace(rewound=rewound, overrun=overrun)
            elif again:
                known.clear()
        known.append(now)


def made_again(before: ConsumerSample, now: ConsumerSample) -> bool:
    """Tell whether it was deleted and made again in between: another one of the same name."""
    return bool(before.created and now.created and before.created != now.created)


def _went_back(before: Counters, now: Counters) -> Finding | None:
    if now.floor < before.floor:
        text = f"the ack floor went back from {before.floor} to {now.floor}"
        return Finding(Status.REWIND, text)
    if now.delivered < before.delivered:
        text = f"delivery went back from {before.delivered} to {now.delivered}"
        return Finding(Status.REWIND, text)
    return None


def _lost(before: Counters, now: Counters) -> Finding | None:
    left = now.first - 1 - max(now.delivered, before.first - 1)
    if not now.sample.filtered and before.pending and left > 0:
        text = f"{left} messages left the stream before they were delivered"
        return Finding(Status.OVERRUN, text)
    oldest = before.sample.oldest_seq
    if oldest is not None and now.floor < oldest < now.first:
        return Finding(Status.OVERRUN, f"message {oldest} left the stream unprocessed")
    held = now.sample.evicted - before.sample.evicted
    if held > 0:
        text = f"{held} messages left the stream, delivered and not acknowledged"
        return Finding(Status.OVERRUN, text)
    return None
