"""What a limit that a fault sets has evicted, beyond what the stream's own limits would have."""

import math

from twin.jetstream.api import StreamConfig, StreamState
from twin.lag.age import rfc3339_ns

__all__ = ["evicted_by"]


def evicted_by(
    most: int, config: StreamConfig, before: StreamState, after: StreamState, after_ns: int
) -> int:
    """Return how many messages are gone because there might be no more than `most` meanwhile.

    `config` are the stream's own limits. Where what they evict cannot be worked out, only what
    had to go at once counts. By bytes it is estimated, so that never more counts than `most`
    alone would have evicted. `after_ns` is the wall time of `after`.
    """
    came = max(0, after.last_seq - before.last_seq)
    would = before.messages + came
    gone = max(0, would - after.messages)
    own = _by_own_limits(config, before, after, came, after_ns)
    if own is None:
        return min(gone, max(0, before.messages - most))
    return max(0, min(gone - own, would - most))


def _by_own_limits(
    config: StreamConfig, before: StreamState, after: StreamState, came: int, after_ns: int
) -> int | None:
    """Return how many messages the stream's own limits would have evicted; None: who knows."""
    extra = config.model_extra or {}
    if config.retention != "limits" or extra.get("max_msgs_per_subject", -1) > 0:
        return None
    ages = config.max_age > 0 and before.messages > 0
    if ages and after_ns - rfc3339_ns(before.first_ts) >= config.max_age:
        return None
    if config.discard == "new":
        return 0
    would = before.messages + came
    over = [0]
    if (most := extra.get("max_msgs", -1)) > 0:
        over.append(would - most)
    sized = after if after.messages else before
    if config.max_bytes > 0 and sized.messages:
        size = sized.bytes / sized.messages
        over.append(math.ceil((before.bytes + came * size - config.max_bytes) / size))
    return min(would, max(over))
