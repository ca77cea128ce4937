"""The grammar of thresholds, and what statistics and recovery mean."""

import math

import numpy as np
import pytest

from twin.verdict.evaluation import statistic
from twin.verdict.facts import Fault
from twin.verdict.measure import Selected
from twin.verdict.recovery import NothingMeasured, longest_recovery_s
from twin.verdict.thresholds import parse_expression, parse_selector, parse_threshold

S = 1_000_000_000


@pytest.mark.parametrize(
    ("selector", "expression", "limit", "unit"),
    [
        ("publish_latency", "p(99)<250ms", 250, "ms"),
        ("publish_latency{phase:steady}", " p( 99.9 ) <= 1.5s ", 1500, "ms"),
        ("publish_latency{phase:a,subject:qiki.telemetry}", "med<800us", 0.8, "ms"),
        ("publish_latency", "avg<20", 20, "ms"),
        ("end_to_end_latency{observer:registrar}", "max<2m", 120_000, "ms"),
        ("consumer_backlog{consumer:registrar}", "max<10k", 10_000, ""),
        ("consumer_backlog", "recovery<15s", 15, "s"),
        ("consumer_backlog", "recovery<1500ms", 1.5, "s"),
        ("consumer_time_lag", "last<500ms", 0.5, "s"),
        ("events", "count>=1M", 1_000_000, ""),
        ("events", "rate>1.5k/s", 1500, "/s"),
        ("publish_unknown", "rate<1%", 0.01, "%"),
        ("publish_refused", "rate<0.5", 0.5, "%"),
        ("publish_shed", "count==0", 0, ""),
    ],
)
def test_limits_are_read_in_the_metrics_own_unit(
    selector: str, expression: str, limit: float, unit: str
) -> None:
    """Units of time, multiples and percentages become one number."""
    threshold = parse_threshold(selector, expression)
    assert (threshold.limit, threshold.unit) == (pytest.approx(limit), unit)


@pytest.mark.parametrize(
    ("selector", "expression", "message"),
    [
        ("publish_latncy", "max<1s", "did you mean 'publish_latency'"),
        ("publish_latency{phse:a}", "max<1s", "no tag 'phse'; did you mean 'phase'"),
        ("publish_latency{phase}", "max<1s", "write tag:value"),
        ("publish_latency{phase:a,phase:b}", "max<1s", "given twice"),
        ("publish_latency{phase:a", "max<1s", "write metric{tag:value}"),
        ("publish_latency", "p95<1s", "as in p(99)<250ms"),
        ("publish_latency", "p<1s", "write p(95)"),
        ("publish_latency", "max(3)<1s", "max without a number"),
        ("publish_latency", "p(101)<1s", "from 0 to 100"),
        ("publish_latency", "p(1.2.3)<1s", "from 0 to 100"),
        ("publish_latency", "mx<1s", "did you mean 'max'"),
        ("publish_latency", "max<1parsec", "unknown unit 'parsec'"),
        ("publish_latency", "max<5%", "is a time, which '%'"),
        ("publish_latency", "rate<5", "is a trend and has no rate"),
        ("publish_latency", "max=1s", "is no threshold"),
        ("consumer_backlog", "max<5s", "is a count, which 's'"),
        ("events", "count>3/s", "is a count, which '/s'"),
        ("events", "rate>3%", "is a number per second"),
        ("events", "max>3", "is a counter and has no max"),
        ("publish_unknown", "rate<3s", "a fraction or a percentage"),
    ],
)
def test_mistakes_are_explained(selector: str, expression: str, message: str) -> None:
    """A wrong threshold says what is wrong and what to write."""
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")):
        parse_threshold(selector, expression)


def test_parts_can_be_read_alone() -> None:
    """Scenario files are checked key by key; texts come back in their canonical form."""
    assert str(parse_selector(" publish_latency{ subject:a , phase:b }")) == (
        "publish_latency{phase:b,subject:a}"
    )
    expression = parse_expression("p(99.90) < 10 ms")
    assert (expression.name, expression.text) == ("p(99.9)", "p(99.90)<10ms")


@pytest.mark.parametrize(
    ("comparison", "holds"),
    [
        ("<", (1, 0, 0)),
        ("<=", (1, 1, 0)),
        (">", (0, 0, 1)),
        (">=", (0, 1, 1)),
        ("==", (0, 1, 0)),
        ("!=", (1, 0, 1)),
    ],
)
def test_comparisons(comparison: str, holds: tuple[int, int, int]) -> None:
    """Each comparison decides below, at and above the limit; NaN never holds."""
    threshold = parse_threshold("consumer_backlog", f"max{comparison}10")
    assert tuple(int(threshold.holds(value)) for value in (9, 10, 11)) == holds
    assert not threshold.holds(math.nan)


def test_statistics() -> None:
    """Percentiles interpolate linearly, as k6 and numpy do."""
    values = np.array([4, 1, 3, 2], np.float32)
    assert [statistic(values.copy(), name) for name in ("min", "max", "avg", "med")] == [
        1,
        4,
        2.5,
        2.5,
    ]
    assert statistic(values, "p", 90) == pytest.approx(3.7)


def fault(fired: float | None, healed: float | None) -> Fault:
    """Return a fault between two seconds."""
    start, end = (None if at is None else int(at * S) for at in (fired, healed))
    return Fault(1, "broker.kill", "broker", None, start, start, end, "fired", "")


def series(values: list[float], step_s: float = 1.0) -> Selected:
    """Return samples at a steady interval from 0."""
    return Selected(np.array(values), (np.arange(len(values)) * step_s * S).astype(np.int64))


def test_recovery_is_the_time_until_the_level_before_the_fault_is_held() -> None:
    """A dip of less than 2 s is no recovery; the level is the maximum before the fault."""
    found = series([3, 5, 4, 90, 90, 80, 4, 60, 5, 4, 3, 2])
    assert longest_recovery_s(found, [fault(2.5, 4.5)]) == pytest.approx(3.5)


def test_the_level_before_a_fault_is_not_that_of_another_fault() -> None:
    """What an earlier fault had spoilt, up to its recovery, is no measure for a later one."""
    found = series([3, 90, 90, 5, 3, 3, 3, 3, 80, 70, 60, 5, 4, 3, 2])
    first, second = fault(0.5, 2.5), fault(7.5, 8.5)
    assert longest_recovery_s(found, [second]) == pytest.approx(0.5)
    assert longest_recovery_s(found, [second, first]) == pytest.approx(4.5)


def test_a_fault_on_the_heels_of_another_keeps_its_level() -> None:
    """Where nothing undisturbed lies between two faults, the level before the first holds."""
    found = series([3, 90, 90, 90, 90, 3, 3, 3])
    assert longest_recovery_s(found, [fault(0.5, 1.5), fault(2.5, 3.5)]) == pytest.approx(3.5)


def test_unmeasured_phases_set_no_level_where_there_are_others() -> None:
    """The flood of a boot is nothing to be compared with; alone it is all there is."""
    found = series([80, 3, 3, 90, 50, 3, 3, 3])
    broken = [fault(2.5, 3.5)]
    assert longest_recovery_s(found, broken) == pytest.approx(0.5)
    assert longest_recovery_s(found, broken, [(0, S)]) == pytest.approx(1.5)
    assert longest_recovery_s(found, broken, [(0, 3 * S)]) == pytest.approx(0.5)


def test_no_recovery_is_infinite() -> None:
    """What never comes back never recovered."""
    assert longest_recovery_s(series([1, 1, 9, 9, 9, 9]), [fault(1.5, 2.5)]) == math.inf


def test_recovery_at_the_end_counts_without_the_full_hold() -> None:
    """A series that ends well within 2 s of its recovery has recovered."""
    assert longest_recovery_s(series([1, 1, 9, 9, 1]), [fault(1.5, 2.5)]) == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("fired", "healed", "message"),
    [(1.5, None, "never over"), (0, 2.5, "before"), (2.5, 99, "after")],
)
def test_recovery_needs_a_fault_with_an_end_and_samples_around_it(
    fired: float, healed: float | None, message: str
) -> None:
    """Without a before and an after nothing is measured."""
    with pytest.raises(NothingMeasured, match=message):
        longest_recovery_s(series([1, 1, 9, 9, 1]), [fault(fired, healed)])
