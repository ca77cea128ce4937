"""How fast a consumer works: pure functions of its last samples."""

import math
from collections.abc import Sequence

from twin.lag.counters import made_again
from twin.lag.sample import ConsumerSample

__all__ = ["acknowledgement_rate", "drain_eta_s", "redelivery_rate"]


def drain_eta_s(samples: Sequence[ConsumerSample]) -> float | None:
    """Return the seconds until the backlog is gone at the pace of these samples.

    0 without backlog, infinite when it does not shrink, None with fewer than two samples.
    """
    ends = _ends(samples)
    if samples and samples[-1].backlog == 0:
        return 0.0
    if ends is None:
        return None
    first, last, seconds = ends
    shrunk = (first.backlog or 0) - (last.backlog or 0)
    return (last.backlog or 0) * seconds / shrunk if shrunk > 0 else math.inf


def redelivery_rate(samples: Sequence[ConsumerSample]) -> float | None:
    """Return deliveries per second that were not the first of their message: a lower bound.

    Without a filter these are the deliveries beyond the sequences passed; with one, the
    growth of num_redelivered. None with fewer than two samples.
    """
    ends = _ends(samples)
    if ends is None:
        return None
    first, last, seconds = ends
    if last.filtered:
        again = (last.num_redelivered or 0) - (first.num_redelivered or 0)
    else:
        passed = (last.delivered_seq or 0) - (first.delivered_seq or 0)
        again = last.delivered_count - first.delivered_count - passed
    return max(0, again) / seconds


def acknowledgement_rate(samples: Sequence[ConsumerSample]) -> float | None:
    """Return by how much the ack floor rises per second, in messages of the consumer."""
    ends = _ends(samples)
    if ends is None:
        return None
    first, last, seconds = ends
    return max(0, last.acked_count - first.acked_count) / seconds


def _ends(
    samples: Sequence[ConsumerSample],
) -> tuple[ConsumerSample, ConsumerSample, float] | None:
    """Return the first and last sample of one consumer without a failure, and the seconds."""
    if not samples or samples[-1].error is not None:
        return None
    first = last = samples[-1]
    for one in reversed(samples):
        if one.error is not None or made_again(one, last):
            break
        first = one
    if first.wall_ns >= last.wall_ns:
        return None
    return first, last, (last.wall_ns - first.wall_ns) / 1e9
