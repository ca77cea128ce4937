"""One look at one consumer: the server's own counters, and what they mean together."""

from dataclasses import asdict, dataclass

__all__ = ["ConsumerSample", "Watched"]


@dataclass(frozen=True, slots=True)
class Watched:
    """A consumer to be sampled; `role` is the name under which results speak of it."""

    role: str
    stream: str
    consumer: str
    filter_subjects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConsumerSample:
    """Counters of one consumer at `wall_ns`; a failed poll has `error` and no counters.

    `backlog` is num_pending + num_ack_pending. `oldest_age_s` is the age of the oldest
    message that is stored and not yet processed: 0 without backlog, None when unknown.
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

    def as_row(self) -> dict[str, object]:
        """Return the sample as a row of `lag.jsonl`."""
        return asdict(self)
