"""What is remembered of consumers: bounded, and judged as if all of it were judged each time."""

from collections import deque

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from twin.lag.history import History
from twin.lag.rates import drain_eta_s, redelivery_rate
from twin.lag.sample import ConsumerSample, Status
from twin.lag.status import StatusRules, assess

SECOND = 1_000_000_000
RULES = StatusRules.every(1.0)
REST = {"num_pending": 6, "num_ack_pending": 2, "backlog": 8, "delivered_seq": 4, "ack_floor": 2}


def sample(at_s: float, **known: object) -> ConsumerSample:
    """Return a sample of a consumer at rest, or as `known`."""
    usual = REST | {"first_seq": 1, "last_seq": 10, "num_waiting": 1, "num_redelivered": 0}
    return ConsumerSample(int(at_s * SECOND), "r", "S", "C", **(usual | known))  # type: ignore[arg-type]


few = st.integers(0, 3)
steps = st.fixed_dictionaries(
    {},
    optional={
        "num_pending": few,
        "num_ack_pending": few,
        "backlog": few,
        "delivered_seq": few,
        "ack_floor": few,
        "first_seq": few,
        "delivered_count": few,
        "num_redelivered": few,
        "exhausted": few,
        "evicted": few,
        "oldest_seq": few,
        "max_ack_pending": few,
        "paused": st.booleans(),
        "filtered": st.booleans(),
        "error": st.sampled_from(["gone", None]),
        "missing": st.booleans(),
        "created": st.sampled_from(["", "a", "b"]),
    },
)
runs = st.lists(
    st.tuples(steps, st.integers(1, 12), st.sampled_from([0.3, 1.0, 1.0, 1.4, 2.5, 7.0])),
    max_size=6,
)


@settings(max_examples=200, deadline=None)
@given(runs)
@example([({"first_seq": 3, "ack_floor": 0} | more, 9, 1.0) for more in ({}, {"oldest_seq": 1})])
def test_what_rests_is_judged_as_if_it_were_looked_at_anew(
    some: list[tuple[dict[str, object], int, float]],
) -> None:
    """Whatever changes or rests, a history says what the pure functions say of all its samples."""
    history, at_s = History(RULES), 0.0
    for step, times, interval_s in some:
        for _ in range(times):
            at_s += interval_s
            told = history.add(sample(at_s, **step))
            seen = history.of("S", "C")
            assert (told.status, told.reason) == assess(seen, told.wall_ns, RULES)
            if told.error is None and not told.missing:
                assert told.drain_eta_s == drain_eta_s(seen)
                assert told.redelivery_rate == redelivery_rate(seen)


def test_no_more_is_remembered_than_is_judged() -> None:
    """After an hour at rest a history holds the samples of its memory, and one before them."""
    history = History(RULES)
    for second in range(3600):
        history.add(sample(second))
    assert [one.wall_ns // SECOND for one in history.of("S", "C")] == list(range(3593, 3600))


@pytest.mark.parametrize("late_s", [0.0, 0.3, 0.9, 1.9])
def test_a_late_look_does_not_clear_a_stall(late_s: float) -> None:
    """A look that comes late says no less than one in time: STALLED stays STALLED."""
    history, found = History(RULES), deque[Status | None](maxlen=4)
    for at_s in (0, 1, 2, 3, 4 + late_s, 6, 7):
        found.append(history.add(sample(at_s)).status)
    assert set(found) == {Status.STALLED}


def test_a_look_after_a_long_while_is_no_window() -> None:
    """What rested while nobody looked for long is not said to stall before it is looked at."""
    history = History(RULES)
    assert [history.add(sample(at_s)).status for at_s in (0, 30, 31, 32)] == [
        *(Status.OK, Status.OK, Status.OK, Status.STALLED)
    ]


def test_a_clock_that_was_put_back_starts_afresh() -> None:
    """Samples from a time that is yet to come are forgotten, and do not pile up."""
    history = History(RULES)
    for second in range(3600, 3610):
        history.add(sample(second))
    assert history.add(sample(10)).status is Status.OK
    assert [one.wall_ns for one in history.of("S", "C")] == [10 * SECOND]
    assert history.add(sample(11)).status is Status.OK
    assert history.add(sample(12)).status is Status.STALLED
