"""Is a measured change a regression? Two sets of repeats in, one word per metric out.

A `Bench` holds the repeats of each metric of one version. Two of them are compared pair by
pair (repeat i beside repeat i, taken in turns, so that what the machine does meanwhile hits
both), by the ratio current / base and its interval.
"""

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from twin.errors import InputError, Problem, TwinError, UsageError
from twin.report.ratio import ratio_of

__all__ = [
    "FLOOR",
    "MIN_REPEATS",
    "Bench",
    "Change",
    "Metric",
    "NoComparison",
    "Outcome",
    "compare",
    "differences",
    "other_versions",
    "regressed",
    "undecided",
]

FLOOR: Final = 0.05
"""Changes smaller than this are of no interest, however sure they are."""
MIN_REPEATS: Final = 5
HARMLESS: Final = frozenset({"release"})
"""Facts about a machine that may differ: a kernel's patch level is no other machine."""


class NoComparison(TwinError):
    """The two results come from different machines, settings or benchmarks."""

    exit_code = 3


class Model(BaseModel):
    """A part of a bench document."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Metric(Model):
    """The repeats of one measurement, in the order in which they were taken."""

    unit: str
    better: Literal["higher", "lower"]
    samples: tuple[FiniteFloat, ...] = Field(min_length=1)


class Bench(Model):
    """What a benchmark measured of one version, and where.

    `histograms` are HDR histograms of microseconds over all repeats (V2, compressed), by name.
    """

    schema_version: Literal[1] = 1
    name: str
    began_ns: int = 0
    machine: dict[str, str | int | float] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    settings: dict[str, str | int | float] = Field(default_factory=dict)
    metrics: dict[str, Metric]
    histograms: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a document; raises UsageError when there is none, InputError when it is none."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from error
        except ValidationError as error:
            raise InputError(
                [
                    Problem(str(path), 0, 0, f"{'.'.join(map(str, one['loc']))}: {one['msg']}")
                    for one in error.errors(include_url=False)
                ]
            ) from error


class Outcome(StrEnum):
    """What can be said of a metric."""

    REGRESSED = "regressed"
    IMPROVED = "improved"
    SAME = "same"
    INCONCLUSIVE = "inconclusive"


class Change(Model):
    """A metric's ratio current / base with its interval, turned so that above 1 is better."""

    name: str
    outcome: Outcome
    unit: str
    base: float
    current: float
    ratio: float
    low: float
    high: float
    repeats: int
    note: str = ""


def compare(base: Bench, current: Bench, floor: float = FLOOR) -> tuple[Change, ...]:
    """Compare every metric that either has, by name.

    regressed or improved: the whole 99 % interval lies on one side of 1, and both the mean
    ratio and that of the middle pair are beyond the floor: a few pairs that the machine has
    spoilt are no change. same: the whole interval lies within the floor. Anything else is
    inconclusive, also fewer than five pairs, repeats that are no pairs, and a metric that only
    one of them has.
    """
    names = dict.fromkeys([*base.metrics, *current.metrics])
    return tuple(
        _change(name, base.metrics.get(name), current.metrics.get(name), floor) for name in names
    )


def differences(base: Bench, current: Bench) -> tuple[str, ...]:
    """Say in what two benches differ that makes them no comparison: machine, settings, name.

    A bench that does not say where it was measured is like no other, and a metric that the
    current one has lost, or has in another unit or number of repeats, might have been the one that
    regressed. A new metric is no difference.
    """
    found = [] if base.name == current.name else [f"benchmark: {base.name} and {current.name}"]
    found += [
        f"machine: {side} does not say where it was measured"
        for side, bench in (("the first", base), ("the second", current))
        if not bench.machine
    ]
    for name, metric in base.metrics.items():
        beside = current.metrics.get(name)
        why = "only the first has it" if beside is None else _no_pairs(metric, beside)
        found += [f"metrics.{name}: {why}"] if why else []
    for title, one, other in (
        ("machine", base.machine, current.machine),
        ("settings", base.settings, current.settings),
    ):
        found += _unlike(title, one, other)
    return tuple(found)


def regressed(changes: Sequence[Change]) -> bool:
    """Tell whether any metric has."""
    return any(change.outcome is Outcome.REGRESSED for change in changes)


def undecided(changes: Sequence[Change], floor: float = FLOOR) -> bool:
    """Tell whether nothing was shown: every metric is inconclusive and may have regressed.

    Where the interval ends above a regression beyond the floor, that much is known; an
    interval of too few repeats says nothing.
    """
    return all(
        change.outcome is Outcome.INCONCLUSIVE
        and (change.repeats < MIN_REPEATS or not change.low > 1 / (1 + floor))
        for change in changes
    )


def other_versions(base: Bench, current: Bench) -> tuple[str, ...]:
    """Say what was measured on other versions: a change may be theirs, so one has to know."""
    return tuple(_unlike("versions", base.versions, current.versions))


def _unlike(
    title: str, one: Mapping[str, str | float], other: Mapping[str, str | float]
) -> list[str]:
    return [
        f"{title}.{key}: {one.get(key, 'nothing')} and {other.get(key, 'nothing')}"
        for key in dict.fromkeys([*one, *other])
        if key not in HARMLESS and one.get(key) != other.get(key)
    ]


def _change(name: str, base: Metric | None, current: Metric | None, floor: float) -> Change:
    if base is None or current is None:
        return _unknown(name, base, current, "only one of the two has it")
    if why := _no_pairs(base, current):
        return _unknown(name, base, current, why)
    pairs = len(base.samples)
    sides = (current.samples, base.samples)
    if base.better == "lower":
        sides = (sides[1], sides[0])
    ratio, low, high = ratio_of(*sides)
    middle = _median([math.log(one) - math.log(two) for one, two in zip(*sides, strict=True)])
    weakest = min(math.log(ratio), middle, key=abs)
    outcome, note = _judge(weakest, low, high, floor), ""
    if pairs < MIN_REPEATS:
        outcome, note = Outcome.INCONCLUSIVE, f"{pairs} repeats; {MIN_REPEATS} are needed"
    return Change(
        name=name,
        outcome=outcome,
        unit=base.unit,
        base=_median(base.samples),
        current=_median(current.samples),
        ratio=ratio,
        low=low,
        high=high,
        repeats=pairs,
        note=note,
    )


def _no_pairs(base: Metric, current: Metric) -> str:
    """Say why the repeats of a metric cannot be compared pair by pair, "" where they can."""
    if (base.unit, base.better) != (current.unit, current.better):
        return "its unit or direction has changed"
    if min((*base.samples, *current.samples)) <= 0:
        return "a ratio needs values above 0"
    if len(current.samples) != len(base.samples):
        return f"{len(base.samples)} and {len(current.samples)} repeats are no pairs"
    return ""


def _judge(log_ratio: float, low: float, high: float, floor: float) -> Outcome:
    if high < 1 and log_ratio < -math.log1p(floor):
        return Outcome.REGRESSED
    if low > 1 and log_ratio > math.log1p(floor):
        return Outcome.IMPROVED
    if low > 1 / (1 + floor) and high < 1 + floor:
        return Outcome.SAME
    return Outcome.INCONCLUSIVE


def _median(samples: Sequence[float]) -> float:
    return float(np.median(samples))


def _unknown(name: str, base: Metric | None, current: Metric | None, note: str) -> Change:
    return Change(
        name=name,
        outcome=Outcome.INCONCLUSIVE,
        unit=(base or current or Metric(unit="", better="higher", samples=(0,))).unit,
        base=math.nan if base is None else _median(base.samples),
        current=math.nan if current is None else _median(current.samples),
        ratio=math.nan,
        low=math.nan,
        high=math.nan,
        repeats=0,
        note=note,
    )
