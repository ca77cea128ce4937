"""The sampling clock: how often things are measured and sent, whatever the load.

Sampling time is simulated time stretched by the load: at rate 5 it runs five times as fast.
What is periodic happens at fixed moments of *sampling* time, so a change of the rate moves
all channels together, keeps their phase, and their number stays a plain division. Both times
are integers of nanoseconds; a change of the rate counts from the moment it is made.
"""

import math
from collections.abc import Iterable

__all__ = ["COHORTS", "SECOND_NS", "SampleClock", "emissions", "sampling_end_ns"]

SECOND_NS = 1_000_000_000

COHORTS = 10
"""Parts of a period over which the bots of a channel are spread."""


class SampleClock:
    """Converts between sampling time and simulated time under a rate that may change."""

    def __init__(self) -> None:
        self.rate = 1.0
        self._sim_ns = self._sampling_ns = 0

    def set_rate(self, rate: float, sim_ns: int, sampling_now_ns: int) -> None:
        """Let sampling time run at `rate` from this moment, given on both clocks."""
        if not 0 < rate < math.inf:
            raise ValueError(f"a rate must be positive, not {rate}")
        self.rate, self._sim_ns, self._sampling_ns = rate, sim_ns, sampling_now_ns

    def sim_ns(self, sampling_ns: int) -> int:
        """Return when a moment of sampling time comes, rounded up, at the present rate."""
        ahead = sampling_ns - self._sampling_ns
        if self.rate == 1:
            return self._sim_ns + ahead
        return self._sim_ns + math.ceil(ahead / self.rate)

    def first_at(self, sim_ns: int) -> int:
        """Return the first moment of sampling time that comes at or after `sim_ns`."""
        guess = self._sampling_ns + math.floor((sim_ns - self._sim_ns) * self.rate)
        while self.sim_ns(guess) >= sim_ns:
            guess -= 1
        while self.sim_ns(guess) < sim_ns:
            guess += 1
        return guess

    def next_tick_ns(self, sampling_ns: int, per_second: int = 1) -> int:
        """Return the sampling time of the tick that follows `sampling_ns`.

        There is a tick at every whole second of sampling time, and between them as many as
        make `per_second`, and keep a tick from lasting longer than one simulated second.
        The ticks of every `per_second` contain those of 1.
        """
        fewest = max(1, math.ceil(1 / self.rate))
        ticks = fewest * math.ceil(per_second / fewest)
        second, part = divmod(sampling_ns, SECOND_NS)
        following = -(-(part + 1) * ticks // SECOND_NS)
        return second * SECOND_NS + following * SECOND_NS // ticks


def sampling_end_ns(phases: Iterable[tuple[int, float]]) -> int:
    """Return the sampling time at which phases of (simulated ns, rate) end.

    A rate counts from the first tick at or after the start of its phase; a phase that ends
    before that tick never gets its rate.
    """
    clock, start = SampleClock(), 0
    for duration_ns, rate in phases:
        tick = clock.next_tick_ns(clock.first_at(start) - 1)
        adopted_at, end = clock.sim_ns(tick), start + duration_ns
        if rate != clock.rate and adopted_at < end:
            clock.set_rate(rate, adopted_at, tick)
        start = end
    return clock.first_at(start)


def emissions(end_ns: int, period_ns: int, cohort: int) -> int:
    """Count the turns of one cohort of a channel in sampling time [0, end_ns)."""
    offset = cohort * (period_ns // COHORTS)
    return max(0, -(-(end_ns - offset) // period_ns))
