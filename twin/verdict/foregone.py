"""Comparisons whose outcome is settled before anything is measured: they would prove nothing."""

import math

from twin.verdict.criteria import Bounds
from twin.verdict.thresholds import Kind, Threshold

__all__ = ["admits_everything", "foregone", "foregone_threshold"]


def foregone(compare: str, limit: float, high: float = math.inf, low: float = 0.0) -> str:
    """Say what becomes of `value compare limit` for all from `low` to `high`, "" if it varies.

    `compare` is one of < <= > >= == !=.
    """
    always, never = {
        "<": (high < limit, limit <= low),
        "<=": (high <= limit, limit < low),
        ">": (limit < low, high <= limit),
        ">=": (limit <= low, high < limit),
        "==": (False, not low <= limit <= high),
        "!=": (not low <= limit <= high, False),
    }[compare]
    return "always holds" if always else "can never hold" if never else ""


def foregone_threshold(threshold: Threshold) -> str:
    """Say so of a threshold: nothing that is measured is negative, and a part is at most all."""
    part = threshold.selector.metric.kind is Kind.RATIO and threshold.expression.statistic == "rate"
    return foregone(threshold.expression.comparison, threshold.limit, 1.0 if part else math.inf)


def admits_everything(bounds: Bounds) -> bool:
    """Tell whether any number is within bounds that are given."""
    return bounds.count is None and bounds.min == 0 and bounds.max is None
