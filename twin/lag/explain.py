"""Why a consumer has its status, and which setting would help: advice from its samples.

Little's law ties what is in flight to its pace: in flight = rate x time in flight.
"""

import math
from collections.abc import Sequence
from typing import Final

from twin.lag.rates import acknowledgement_rate, drain_eta_s, redelivery_rate
from twin.lag.sample import ConsumerSample, Status

__all__ = ["ADVICE", "advise", "facts"]

ADVICE: Final = {
    Status.OK: "Nothing to do.",
    Status.WARN: "It is slower than what comes in: add instances, or speed up processing.",
    Status.STALLED: "See whether its process lives, and what it waits for.",
    Status.REWIND: "It was made again, or its stream lost messages: expect old ones once more.",
    Status.PAUSED: "Resume it: nats consumer resume STREAM CONSUMER.",
    Status.MISSING: "Create it again; from where it delivers is then up to its deliver policy.",
    Status.SATURATED: "Raise max_ack_pending, or acknowledge sooner.",
    Status.OVERRUN: "Messages are lost to it: raise the stream's limits, or use discard: new.",
    Status.EXHAUSTED: "Find the messages by the advisories; they are still in the stream.",
    Status.UNKNOWN: "Look at the broker and at the monitor's own connection and permissions.",
}

DEAF: Final = "unknown: the consumer advisories cannot be heard"


def facts(samples: Sequence[ConsumerSample]) -> dict[str, str]:
    """Return what was seen, by name, as text; times in seconds, rates per second."""
    last = samples[-1]
    if last.error is not None:
        return {"error": last.error}
    return {
        "backlog": f"{last.backlog} ({last.num_pending} pending, {last.num_ack_pending} in flight)",
        "time lag": _seconds(last.oldest_age_s),
        "acknowledged": f"{acknowledgement_rate(samples) or 0.0:.1f}/s",
        "redelivered": f"{redelivery_rate(samples) or 0.0:.1f}/s",
        "drained in": _seconds(drain_eta_s(samples)),
        "pull requests": "push consumer" if last.push else str(last.num_waiting),
        "max_ack_pending": str(last.max_ack_pending),
        "ack_wait": _seconds(last.ack_wait_s),
        "max_deliver": str(last.max_deliver),
        "given up": f"{last.exhausted} after max_deliver, {last.terminated} terminated"
        if last.told
        else DEAF,
        "refused": str(last.naks) if last.told else DEAF,
        "evicted": str(last.evicted) if last.told else DEAF,
    }


def advise(samples: Sequence[ConsumerSample]) -> list[str]:
    """Return what would help, most important first; the last sample has its status."""
    last = samples[-1]
    advice = [ADVICE[last.status or Status.UNKNOWN]]
    if last.error is not None or last.ack_policy == "none":
        return advice
    rate = acknowledgement_rate(samples) or 0.0
    in_flight = last.num_ack_pending or 0
    if rate > 0 and in_flight:
        advice += _by_littles_law(last, rate, in_flight)
    idle = not (rate or in_flight or last.num_waiting or last.push)
    if last.num_pending and idle:
        advice.append("No pull request waits: nobody asks for messages.")
    if redelivery_rate(samples) or last.naks:
        advice.append("Messages come again: ack_wait is too short, or processing fails (naks).")
    return advice


def _by_littles_law(last: ConsumerSample, rate: float, in_flight: int) -> list[str]:
    """Compare the time in flight, in_flight / rate, with the settings."""
    held_s = in_flight / rate
    advice = []
    if last.max_ack_pending > 0 and in_flight >= 0.9 * last.max_ack_pending:
        advice.append(
            f"A message is in flight for {held_s:.2f} s at {rate:.1f}/s. max_ack_pending "
            f"{last.max_ack_pending} allows no more than {last.max_ack_pending / held_s:.1f}/s; "
            f"twice the rate needs {math.ceil(2 * rate * held_s)}, if the consumer has room."
        )
    if last.ack_wait_s and held_s > 0.5 * last.ack_wait_s:
        advice.append(
            f"A message is in flight for {held_s:.2f} s, ack_wait is {last.ack_wait_s:g} s: raise "
            f"it to {2 * held_s:.0f} s or more, signal progress, or take smaller batches."
        )
    return advice


def _seconds(value: float | None) -> str:
    if value is None:
        return "unknown"
    return "never at this pace" if math.isinf(value) else f"{value:.1f} s"
