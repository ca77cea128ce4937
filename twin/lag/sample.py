"""One look at one consumer: the server's own counters, and what they mean together."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

__all__ = ["ALL", "COUNTED", "ConsumerSample", "Judgement", "Status", "StreamSample", "Watched"]

ALL: Final = "*"
"""Stands for consumers (or streams) of which not even the names are known."""


class Status(StrEnum):
    """What a consumer's last samples say together; `twin.lag.status` decides."""

    OK = "OK"
    WARN = "WARN"
    STALLED = "STALLED"
    REWIND = "REWIND"
    PAUSED = "PAUSED"
    MISSING = "MISSING"
    SATURATED = "SATURATED"
    OVERRUN = "OVERRUN"
    EXHAUSTED = "EXHAUSTED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Watched:
    """A consumer to be sampled; `role` is the name under which results speak of it."""

    role: str
    stream: str
    consumer: str
    filter_subjects: tuple[str, ...] = ()


class Judgement(NamedTuple):
    """What a sample means after those before it: the last fields of a ConsumerSample."""

    status: Status
    reason: str
    drain_eta_s: float | None
    redelivery_rate: float | None


class ConsumerSample(NamedTuple):
    """Counters of one consumer at `wall_ns`; a failed poll has `error` and no counters.

    `missing` tells a consumer (or stream) that does not exist from a poll that failed.
    `backlog` is num_pending + num_ack_pending. `oldest_age_s` is the age of the oldest
    message that is stored and not yet processed: 0 without backlog, None when unknown;
    `oldest_seq` is its sequence where the message itself was asked for, else None.
    `drain_eta_s` is infinite for a backlog that does not shrink; `redelivery_rate` is per
    second. `delivered_count` and `acked_count` are positions in the consumer's own counting.
    `evicted` counts messages that left the stream while the consumer held them. `told` is False
    where the server does not let its advisories be heard: then `exhausted`, `terminated`, `naks`
    and `evicted` say nothing.
    `max_ack_pending` and `max_deliver` are -1 without a limit, `ack_wait_s` is in seconds.
    """

    wall_ns: int
    role: str
    stream: str
    consumer: str
    error: str | None = None
    num_pending: int | None = None
    num_ack_pending: int | None = None
    num_redelivered: int | None = None
    num_waiting: int | None = None
    delivered_seq: int | None = None
    ack_floor: int | None = None
    first_seq: int | None = None
    last_seq: int | None = None
    backlog: int | None = None
    oldest_age_s: float | None = None
    exhausted: int = 0
    terminated: int = 0
    missing: bool = False
    naks: int = 0
    evicted: int = 0
    told: bool = True
    paused: bool = False
    push: bool = False
    filtered: bool = False
    ack_policy: str = "explicit"
    delivered_count: int = 0
    acked_count: int = 0
    oldest_seq: int | None = None
    max_ack_pending: int = -1
    max_deliver: int = -1
    ack_wait_s: float = 0.0
    description: str = ""
    created: str = ""
    cluster: str = ""
    leader: str = ""
    status: Status | None = None
    reason: str = ""
    drain_eta_s: float | None = None
    redelivery_rate: float | None = None

    def judged(self, found: Judgement) -> "ConsumerSample":
        """Return the sample with what it means."""
        return ConsumerSample._make(self[: -len(found)] + found)

    def as_row(self) -> dict[str, object]:
        """Return the sample as a row of `lag.jsonl`; what advisories did not tell is None."""
        known = self.told and self.error is None
        return {name: getattr(self, name) if known or name not in COUNTED else None for name in ROW}


COUNTED: Final = ("exhausted", "terminated", "naks", "evicted")
"""What is counted from advisories."""
ROW: Final = (
    "wall_ns",
    "role",
    "stream",
    "consumer",
    "error",
    "num_pending",
    "num_ack_pending",
    "num_redelivered",
    "num_waiting",
    "delivered_seq",
    "ack_floor",
    "first_seq",
    "last_seq",
    "backlog",
    "oldest_age_s",
    "exhausted",
    "terminated",
    "status",
    "reason",
)


@dataclass(frozen=True, slots=True)
class StreamSample:
    """What a stream holds at `wall_ns`, against its limits (0 or less: none)."""

    wall_ns: int
    stream: str
    messages: int
    bytes: int
    first_seq: int
    last_seq: int
    consumers: int
    max_messages: int = -1
    max_bytes: int = -1
    cluster: str = ""
    leader: str = ""

    @property
    def fill(self) -> float | None:
        """The share of the nearest limit in use, 0 to 1; None for a stream without limits."""
        limits = ((self.messages, self.max_messages), (self.bytes, self.max_bytes))
        shares = [used / limit for used, limit in limits if limit > 0]
        return max(shares, default=None)
