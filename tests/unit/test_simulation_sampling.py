"""The sampling clock: rates, ticks and the number of events they lead to."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.simulation.sampling import COHORTS, SECOND_NS, SampleClock, emissions, sampling_end_ns


def test_at_rate_one_both_clocks_agree_exactly() -> None:
    """Without a change of load sampling time is simulated time."""
    clock = SampleClock()
    assert [clock.sim_ns(at) for at in (0, 1, 86_400 * SECOND_NS)] == [0, 1, 86_400 * SECOND_NS]


def test_a_rate_counts_from_the_moment_it_is_made() -> None:
    """After ten seconds at rate 5, ten seconds of sampling time last two simulated ones."""
    clock = SampleClock()
    clock.set_rate(5, 10 * SECOND_NS, 10 * SECOND_NS)
    assert clock.sim_ns(20 * SECOND_NS) == 12 * SECOND_NS


@given(st.floats(0.01, 1000), st.integers(0, 10**9))
def test_time_never_runs_backwards(rate: float, at: int) -> None:
    """A later moment of sampling time is never earlier in simulated time."""
    clock = SampleClock()
    clock.set_rate(rate, 0, 0)
    assert clock.sim_ns(at) <= clock.sim_ns(at + 1)


@pytest.mark.parametrize("rate", [0.01, 0.3, 1 / 3, 0.5, 1.0, 1.5, 7.0])
def test_ticks_meet_every_second_of_sampling_time(rate: float) -> None:
    """Ticks divide a second of sampling time, and none lasts longer than a simulated second."""
    clock = SampleClock()
    clock.set_rate(rate, 0, 0)
    at, ticks = 0, [0]
    while at < 3 * SECOND_NS:
        at = clock.next_tick_ns(at)
        ticks.append(at)
    assert {0, SECOND_NS, 2 * SECOND_NS, 3 * SECOND_NS} <= set(ticks)
    lengths = [clock.sim_ns(b) - clock.sim_ns(a) for a, b in pairwise(ticks)]
    assert min(lengths) > 0
    assert max(lengths) <= SECOND_NS + 1 / rate


def test_a_rate_of_nothing_is_refused() -> None:
    """A rate of zero would stop the world for good."""
    with pytest.raises(ValueError, match="positive"):
        SampleClock().set_rate(0, 0, 0)


@given(st.integers(0, 100_000), st.sampled_from([1000, 5000, 30_000]), st.integers(0, COHORTS - 1))
def test_emissions_are_counted_as_a_walk_counts_them(end: int, period: int, cohort: int) -> None:
    """The closed formula agrees with walking through the moments one by one."""
    offset = cohort * (period // COHORTS)
    assert emissions(end, period, cohort) == len(range(offset, end, period))


def seconds(*phases: tuple[float, float]) -> float:
    """Return the sampling time of phases of (seconds, rate), to the microsecond."""
    end = sampling_end_ns((round(length * SECOND_NS), rate) for length, rate in phases)
    return round(end / SECOND_NS, 6)


def test_sampling_time_of_phases_is_their_stretched_sum() -> None:
    """A phase at rate 5 counts five times its duration."""
    assert seconds((10, 1), (2, 5)) == 20
    assert seconds((10, 1), (2, 5), (3, 1)) == 23


def test_a_rate_waits_for_the_next_tick() -> None:
    """A phase that begins between two ticks gets its rate at the second one, or never."""
    assert seconds((1.5, 1), (1.5, 4)) == 6
    assert seconds((0.5, 1), (0.25, 9), (4.5, 2)) == 1 + 2 * 4.25


@given(st.floats(0.01, 1000), st.integers(0, 10**12))
def test_first_at_undoes_the_clock(rate: float, sim_ns: int) -> None:
    """The first moment at or after a time is at or after it, and the one before is not."""
    clock = SampleClock()
    clock.set_rate(rate, 5, 5)
    first = clock.first_at(sim_ns)
    assert clock.sim_ns(first - 1) < sim_ns <= clock.sim_ns(first)
