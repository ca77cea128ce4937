"""How long a series of samples takes to be, after a fault, where it was before."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from twin.verdict.facts import Fault
from twin.verdict.measure import Selected

__all__ = ["NothingMeasured", "longest_recovery_s"]

BEFORE_S, HOLD_S = 10, 2
NS = 1_000_000_000
Span = tuple[int, int]


class NothingMeasured(Exception):
    """A threshold has no samples; the text says why."""


def longest_recovery_s(
    series: Selected, faults: Sequence[Fault], unmeasured: Sequence[Span] = ()
) -> float:
    """Return the longest time, in seconds, from a fault's end until the series is back.

    Back: at or under its maximum of the 10 s before the fault, and for the following 2 s. What
    a fault has spoilt, up to its recovery, is no measure for those after it: if nothing else
    lies in the 10 s, the level of the fault before it holds. Samples of `unmeasured` spans
    (wall ns) count only where there are no others. Infinite when it never is back. Raises
    NothingMeasured when a fault has no end, or there is no sample before or after it.
    """
    level, longest = math.nan, 0.0
    spoilt: list[Span] = []
    for fault in sorted(faults, key=lambda one: one.fired_wall_ns or 0):
        start, end = fault.fired_wall_ns, fault.healed_wall_ns
        if start is None or end is None:
            raise NothingMeasured(f"{fault.fault} was never over")
        if not (series.wall_ns >= end).any():
            raise NothingMeasured(f"no samples after {fault.fault}")
        level = _level(series, start, spoilt, unmeasured, level)
        if math.isnan(level):
            raise NothingMeasured(f"no undisturbed samples before {fault.fault}")
        took = _back_after_s(series, end, level)
        if math.isinf(took):
            return took
        longest = max(longest, took)
        spoilt.append((start, end + round(took * NS)))
    return longest


def _level(
    series: Selected,
    start: int,
    spoilt: Sequence[Span],
    unmeasured: Sequence[Span],
    otherwise: float,
) -> float:
    """Return the maximum before `start`; NaN, or that of an earlier fault, without samples."""
    before = (series.wall_ns >= start - BEFORE_S * NS) & (series.wall_ns < start)
    before &= ~_within(series, spoilt)
    measured = before & ~_within(series, unmeasured)
    chosen = measured if measured.any() else before
    return float(series.values[chosen].max()) if chosen.any() else otherwise


def _within(series: Selected, spans: Sequence[Span]) -> npt.NDArray[np.bool_]:
    found = np.zeros(len(series.wall_ns), np.bool_)
    for low, high in spans:
        found |= (series.wall_ns >= low) & (series.wall_ns < high)
    return found


def _back_after_s(series: Selected, end: int, level: float) -> float:
    after = series.wall_ns >= end
    times, good = series.wall_ns[after], series.values[after] <= level
    bad_times = times[~good]
    for time_ns in times[good]:
        nearest = np.searchsorted(bad_times, time_ns)
        if nearest == len(bad_times) or bad_times[nearest] > time_ns + HOLD_S * NS:
            return float(time_ns - end) / NS
    return math.inf
