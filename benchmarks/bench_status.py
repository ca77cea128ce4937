"""What a status costs: our rules beside a limit on the last sample and a regression of the backlog.

Under pytest-benchmark (`make bench`). The limit is what most alert rules do, the regression what
is written by hand against false alarms; neither tells a stall from growth or from lost data.
"""

import statistics
from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest

from twin.lag.sample import ConsumerSample
from twin.lag.status import StatusRules, assess

NS: Final = 1_000_000_000
RULES: Final = StatusRules.every(1.0)
LIMIT: Final = 1000


def window(seconds: int = 6) -> list[ConsumerSample]:
    """Return the samples of a consumer that falls behind."""
    return [
        ConsumerSample(
            second * NS,
            "bench",
            "S",
            "C",
            num_pending=10 * second,
            num_ack_pending=5,
            num_redelivered=0,
            num_waiting=1,
            delivered_seq=50 * second,
            ack_floor=45 * second,
            first_seq=1,
            last_seq=60 * second,
            backlog=10 * second + 5,
            oldest_age_s=2.0,
        )
        for second in range(1, seconds + 1)
    ]


WINDOW: Final = window()


def by_rules(samples: Sequence[ConsumerSample]) -> bool:
    """Tell by our rules whether it falls behind."""
    return str(assess(samples, samples[-1].wall_ns, RULES).status) != "OK"


def by_limit(samples: Sequence[ConsumerSample]) -> bool:
    """Tell by the last backlog alone."""
    return (samples[-1].backlog or 0) > LIMIT


def by_regression(samples: Sequence[ConsumerSample]) -> bool:
    """Tell by the slope of the backlog."""
    times = [one.wall_ns / NS for one in samples]
    return statistics.linear_regression(times, [one.backlog or 0 for one in samples]).slope > 1


@pytest.mark.parametrize(
    ("way", "behind"), [(by_rules, True), (by_limit, False), (by_regression, True)]
)
def test_status(
    benchmark: Any, way: Callable[[Sequence[ConsumerSample]], bool], behind: bool
) -> None:
    """One consumer, six samples; a limit does not see a small backlog that grows."""
    assert benchmark(way, WINDOW) is behind
