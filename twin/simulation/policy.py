"""What a bot does when the broker acknowledges late: send less at a time, and sample less.

Additive increase, multiplicative decrease of the window of events in flight (Chiu and Jain,
1989), from the latency of acknowledgements; bulk channels sampled less often. A pure function
of the latencies that it is shown, so that its decisions can be given to a world as inputs.
"""

import math
from dataclasses import dataclass

__all__ = ["Decision", "Policy", "PressureGauge"]

LEAST_LATENCY_S = 0.01


@dataclass(frozen=True, slots=True)
class Policy:
    """A group's declared policy. Latencies in seconds; between `below` and `above` all stays.

    `window` is the most events that a bot has in flight, halved under pressure down to 1, and
    raised by an eighth of its maximum a look without. Bulk channels are sampled `sample_down`
    times less often from the first look under pressure until `hold` looks in a row without.
    """

    above_s: float = 0.5
    below_s: float = 0.1
    window: int = 32
    sample_down: int = 1
    hold: int = 3


@dataclass(frozen=True, slots=True)
class Decision:
    """How bots send from now on: at most so many events a second each; bulk every n-th time."""

    rate_per_s: float = math.inf
    sample_down: int = 1


class PressureGauge:
    """The policy at work for one group of bots."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.decision = Decision()
        self._window = float(policy.window)
        self._calm = 0
        self._pressed = False

    def look(self, latency_s: float | None) -> Decision | None:
        """Return a new decision after one more look at the latency, None while all stays.

        A latency of None (nothing was sent) is no pressure.
        """
        policy = self.policy
        if latency_s is not None and latency_s > policy.above_s:
            self._pressed, self._calm = True, 0
            self._window = max(1.0, self._window / 2)
        elif latency_s is None or latency_s < policy.below_s:
            self._calm += 1
            self._window = min(policy.window, self._window + policy.window / 8)
            if self._calm >= policy.hold:
                self._pressed = False
        else:
            self._calm = 0
        decision = self._decide(latency_s)
        if decision == self.decision:
            return None
        self.decision = decision
        return decision

    def _decide(self, latency_s: float | None) -> Decision:
        """Limit by Little's law: so many in flight at this latency are so many a second."""
        if not self._pressed:
            return Decision()
        rate = self._window / max(latency_s or 0.0, LEAST_LATENCY_S)
        return Decision(round(rate, 3), self.policy.sample_down)
