"""The fleet seen from outside: quantiles of what planes know, for conditions and reports."""

from collections.abc import Iterable

import numpy as np

from twin.hardware.plane import Floats

__all__ = ["STATISTICS", "summary"]

STATISTICS = ("p10", "p50", "p90", "min", "max", "mean")


def summary(name: str, values: Floats) -> Iterable[tuple[str, float]]:
    """Yield `<name>.<statistic>` with its value over all bots that have one; none, nothing.

    Quantiles are values that occur (the lower of two neighbours), so that they do not depend
    on how a library interpolates.
    """
    known = np.sort(values[~np.isnan(values)])
    if not known.size:
        return
    for percent in (10, 50, 90):
        yield f"{name}.p{percent}", float(known[(known.size - 1) * percent // 100])
    yield f"{name}.min", float(known[0])
    yield f"{name}.max", float(known[-1])
    yield f"{name}.mean", float(known.mean())
