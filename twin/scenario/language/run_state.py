"""What conditions can watch beside the fleet: publisher, broker, consumers and streams.

The values are what the connection, the publisher and the lag monitor know at that moment; what
is not known has no value, and no condition on it holds.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Final

from twin.events.subjects import SubjectSpace
from twin.jetstream.publisher import PublishCounts
from twin.lag.sample import COUNTED, ConsumerSample, Status, StreamSample

__all__ = ["highest", "run_state", "state_names"]

SUMMED: Final = (
    "backlog",
    "num_pending",
    "num_ack_pending",
    "num_redelivered",
    "exhausted",
    "terminated",
)
AGE: Final = "oldest_age_s"
STREAM: Final = ("messages", "bytes", "fill")
UP: Final = "broker.up"


def state_names(roles: Iterable[str], streams: Iterable[str]) -> list[str]:
    """Return every name that `run_state` can give for these consumers and logical streams."""
    statuses = [f"status.{status.lower()}" for status in Status]
    return [
        UP,
        *(f"publish.{name}" for name in asdict(PublishCounts())),
        *(f"consumer.{role}.{name}" for role in roles for name in (*SUMMED, AGE, *statuses)),
        *(f"stream.{stream}.{name}" for stream in streams for name in STREAM),
    ]


def highest(name: str) -> float:
    """Return the highest value that one of `state_names` can have; the lowest of all is 0."""
    return 1.0 if name == UP or ".status." in name else math.inf


def run_state(
    connected: bool,
    counts: PublishCounts,
    consumers: Iterable[ConsumerSample],
    streams: Mapping[str, StreamSample | None],
    space: SubjectSpace,
) -> dict[str, float]:
    """Return values by name; a consumer of several streams is summed up, its age the highest."""
    found = {UP: float(connected)}
    found |= {f"publish.{name}": float(value) for name, value in asdict(counts).items()}
    by_role: dict[str, list[ConsumerSample]] = {}
    for sample in consumers:
        by_role.setdefault(sample.role, []).append(sample)
    for role, samples in by_role.items():
        found |= {f"consumer.{role}.{name}": value for name, value in _consumer(samples)}
    for name, stream in streams.items():
        logical = f"stream.{name.removeprefix(space.stream(''))}"
        if stream is not None:
            found[f"{logical}.messages"] = float(stream.messages)
            found[f"{logical}.bytes"] = float(stream.bytes)
            if stream.fill is not None:
                found[f"{logical}.fill"] = stream.fill
    return found


def _consumer(samples: list[ConsumerSample]) -> Iterable[tuple[str, float]]:
    for status in Status:
        yield f"status.{status.lower()}", float(any(one.status is status for one in samples))
    for name in SUMMED:
        values = [getattr(one, name) for one in samples]
        deaf = name in COUNTED and not all(one.told for one in samples)
        if None not in values and not deaf and not any(one.error for one in samples):
            yield name, float(sum(values))
    ages = [one.oldest_age_s for one in samples if one.oldest_age_s is not None]
    if len(ages) == len(samples):
        yield AGE, max(ages)
