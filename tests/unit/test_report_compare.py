"""The regression gate: seldom wrong on unchanged code, seldom blind to a real slowdown."""

import math

import numpy as np
import pytest

from twin.report.compare import Bench, Metric, Outcome, compare, differences, undecided

NOISE = 0.05
REPEATS = 10
TRIALS = 600


def bench(*samples: float, better: str = "lower", **more: object) -> Bench:
    """Return a result of one metric."""
    metric = Metric(unit="s", better=better, samples=samples)
    return Bench(name="b", metrics={"m": metric}, **more)


def outcomes(factor: float, trials: int = TRIALS) -> dict[Outcome, float]:
    """Return how often each outcome is found for a slowdown, at 5 % noise on both sides."""
    noise = np.random.default_rng(11)
    found = dict.fromkeys(Outcome, 0)
    for _ in range(trials):
        base, current = np.exp(noise.normal(0, NOISE, (2, REPEATS)))
        change = compare(bench(*base), bench(*(factor * current)))[0]
        found[change.outcome] += 1
    return {outcome: count / trials for outcome, count in found.items()}


def test_unchanged_code_is_called_changed_in_less_than_one_of_a_hundred() -> None:
    """False alarms, in either direction, stay under 1 % at 5 % noise."""
    found = outcomes(1.0, trials=2000)
    assert found[Outcome.REGRESSED] < 0.01
    assert found[Outcome.REGRESSED] + found[Outcome.IMPROVED] < 0.015


def test_a_slowdown_of_15_percent_is_found_in_more_than_nine_of_ten() -> None:
    """Power over 90 % with ten repeats, and never the opposite word."""
    found = outcomes(1.15)
    assert found[Outcome.REGRESSED] > 0.9
    assert found[Outcome.IMPROVED] == found[Outcome.SAME] == 0


def test_the_sign_follows_what_is_better() -> None:
    """More events per second is better, more seconds is worse."""
    slow, fast = [100.0 + i % 3 for i in range(8)], [130.0 + i % 2 for i in range(8)]
    pairs = {"higher": Outcome.IMPROVED, "lower": Outcome.REGRESSED}
    for better, expected in pairs.items():
        [change] = compare(bench(*slow, better=better), bench(*fast, better=better))
        assert change.outcome is expected
        assert (change.ratio > 1) is (better == "higher")


def test_equal_repeats_are_the_same_and_tiny_sure_changes_too() -> None:
    """A change below the floor is no news, however sure it is."""
    [change] = compare(bench(*[2.0] * 6), bench(*[2.02] * 6))
    assert change.outcome is Outcome.SAME


def test_few_repeats_prove_nothing() -> None:
    """Four pairs are inconclusive, and say how many are needed."""
    [change] = compare(bench(*[1.0] * 4), bench(*[2.0] * 4))
    assert change.outcome is Outcome.INCONCLUSIVE
    assert "5 are needed" in change.note


def test_pairs_cancel_what_the_machine_does_meanwhile() -> None:
    """A machine that gets slower and slower hits both sides of each pair alike."""
    drift = [1.0, 1.3, 1.7, 2.2, 2.9, 3.8]
    wobble = [1.01, 0.99, 1.0, 1.01, 0.99, 1.0]
    current = [value * factor for value, factor in zip(drift, wobble, strict=True)]
    [change] = compare(bench(*drift), bench(*current))
    assert change.outcome is Outcome.SAME


def test_a_few_spoilt_pairs_are_no_change() -> None:
    """Five of twelve pairs a third slower, the rest as it was: neither regressed nor improved."""
    base = [1.0 + 0.001 * (i % 5) for i in range(12)]
    spoilt = [value * (1.3 if i * 7 % 12 < 5 else 1.002) for i, value in enumerate(base)]
    for one, other in ((base, spoilt), (spoilt, base)):
        [change] = compare(bench(*one), bench(*other))
        assert change.outcome is Outcome.INCONCLUSIVE


def test_repeats_of_one_side_only_are_not_passed_over() -> None:
    """Six good repeats and six bad ones beside six: no word on what was not compared."""
    for one, other in (([1.0] * 6, [1.0] * 6 + [9.0] * 6), ([1.0] * 6 + [0.1] * 6, [1.0] * 6)):
        [change] = compare(bench(*one), bench(*other))
        assert change.outcome is Outcome.INCONCLUSIVE
        assert "no pairs" in change.note


@pytest.mark.parametrize("samples", [(0.0, 1, 1, 1, 1), (-1.0, 1, 1, 1, 1)])
def test_no_ratio_is_taken_of_nothing(samples: tuple[float, ...]) -> None:
    """Zero and negative values are inconclusive with a reason, not a crash."""
    [change] = compare(bench(*[1.0] * 5), bench(*samples))
    assert change.outcome is Outcome.INCONCLUSIVE
    assert math.isnan(change.ratio)
    assert change.note


def test_a_spoilt_repeat_that_excludes_a_regression_still_shows_something() -> None:
    """Nine equal pairs and one where only the base was slowed: inconclusive, but no regression."""
    base = [1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 1.0, 1.01, 0.99]
    better = compare(bench(*base, 1.2), bench(*[1.0] * 10))
    worse = compare(bench(*[1.0] * 10), bench(*base, 1.2))
    assert {better[0].outcome, worse[0].outcome} == {Outcome.INCONCLUSIVE}
    assert not undecided(better)
    assert undecided(worse)
    assert undecided(compare(bench(1.0), bench(1.0)))
    assert undecided(compare(bench(1.0, 1.01, 0.99), bench(1.0, 1.01, 0.99))), "three are too few"


def test_a_metric_that_one_lacks_is_named() -> None:
    """A metric that disappeared is inconclusive, never silently left out."""
    other = Bench(name="b", metrics={"n": Metric(unit="s", better="lower", samples=(1.0,) * 5)})
    changes = {change.name: change for change in compare(bench(*[1.0] * 5), other)}
    assert {change.outcome for change in changes.values()} == {Outcome.INCONCLUSIVE}
    assert set(changes) == {"m", "n"}


def test_other_machines_and_settings_are_named() -> None:
    """A different core count or setting is a difference; a kernel release is none."""
    one = bench(1.0, machine={"cores": 2, "release": "6.1"}, settings={"messages": 1000})
    other = bench(1.0, machine={"cores": 4, "release": "6.2"}, settings={"messages": 2000})
    assert differences(one, other) == ("machine.cores: 2 and 4", "settings.messages: 1000 and 2000")
    assert not differences(one, one)


def test_what_cannot_be_compared_is_a_difference() -> None:
    """Fewer repeats, another unit or direction, nothing left: none of it may pass for no change."""
    base = bench(*[1.0] * 6, machine={"cores": 2})
    for samples, more in (
        ([2.0] * 5, {}),
        ([0.0] * 6, {}),
        ([2.0] * 6, {"better": "higher"}),
    ):
        [difference] = differences(base, bench(*samples, machine={"cores": 2}, **more))
        assert difference.startswith("metrics.m: ")


@pytest.mark.parametrize(("one", "other"), [(5e-324, 1e307), (1e307, 5e-324)])
def test_values_as_far_apart_as_floats_can_be_are_compared(one: float, other: float) -> None:
    """A word each, no overflow."""
    [change] = compare(bench(*[one] * 6), bench(*[other] * 6))
    assert change.outcome in (Outcome.REGRESSED, Outcome.IMPROVED)
    [change] = compare(bench(*[one, other] * 5), bench(*[other, one] * 5))
    assert change.outcome is Outcome.INCONCLUSIVE
