"""How much more or less, and how sure: the ratio of paired measurements with its interval.

The interval is a bootstrap-t over the pairs' log ratios: with few repeats a plain percentile
bootstrap is too narrow and cries wolf (Efron and Tibshirani, An Introduction to the Bootstrap,
1993, section 12.5).
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["CONFIDENCE", "Ratio", "ratio_of"]

CONFIDENCE: Final = 0.99
RESAMPLES: Final = 4000


class Ratio(NamedTuple):
    """The geometric mean of the pairs' ratios, and the interval that holds it."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio_of(
    over: Sequence[float], under: Sequence[float], confidence: float = CONFIDENCE
) -> Ratio:
    """Return `over` / `under`, pair by pair; every value must be above 0.

    One pair has no interval: it is then as wide as the number line.
    """
    logs = np.log(np.array(over, np.float64)) - np.log(np.array(under, np.float64))
    if len(logs) == 1:
        return Ratio(_exp(logs[0]), 0.0, math.inf)
    mean, error = float(logs.mean()), _error(logs)
    if error == 0.0:
        return Ratio(*[_exp(mean)] * 3)
    lowest, highest = _pivots(logs, mean, error, confidence)
    return Ratio(_exp(mean), _exp(mean - highest * error), _exp(mean - lowest * error))


def _exp(power: float) -> float:
    """Return e to some power, kept within what a float can hold."""
    return math.exp(min(max(power, -700.0), 700.0))


def _error(logs: npt.NDArray[np.float64]) -> float:
    return float(logs.std(ddof=1)) / math.sqrt(len(logs))


def _pivots(
    logs: npt.NDArray[np.float64], mean: float, error: float, confidence: float
) -> tuple[float, float]:
    """Return the quantiles of the studentized mean over resamples of the pairs."""
    count = len(logs)
    resampled = logs[np.random.default_rng(count).integers(0, count, (RESAMPLES, count))]
    errors = resampled.std(axis=1, ddof=1) / math.sqrt(count)
    usable = errors > error * 1e-3
    pivots = (resampled.mean(axis=1)[usable] - mean) / errors[usable]
    tail = (1 - confidence) / 2
    lowest, highest = np.quantile(pivots, (tail, 1 - tail)).tolist()
    return lowest, highest
