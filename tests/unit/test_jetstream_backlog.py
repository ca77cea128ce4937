"""The order in which events may leave."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twin.jetstream.backlog import Backlog


@given(st.lists(st.one_of(st.integers(0, 3), st.just("pop"), st.just("release")), max_size=200))
def test_one_in_flight_per_source_and_in_order(steps: list[int | str]) -> None:
    """However offers, sends and outcomes interleave, a source's events leave singly, in order."""
    backlog = Backlog(ordered=True)
    offered = dict.fromkeys(range(4), 0)
    sent = dict.fromkeys(range(4), 0)
    events: list[tuple[int, int]] = []
    out: list[int] = []

    def leave(slot: int) -> None:
        source, seq = events[slot]
        assert source not in {events[other][0] for other in out}
        assert seq == sent[source] + 1
        sent[source] += 1
        out.append(slot)

    def settle(slot: int) -> None:
        backlog.release(np.array([slot]), np.array([events[slot][0]], np.uint32))

    for step in steps:
        if isinstance(step, int):
            offered[step] += 1
            events.append((step, offered[step]))
            backlog.push(np.array([len(events) - 1]), np.array([step], np.uint32))
        elif step == "pop" and len(taken := backlog.take(1)):
            leave(int(taken[0]))
        elif step == "release" and out:
            settle(out.pop(0))
        assert len(backlog) == sum(offered.values()) - sum(sent.values())
    while out or len(backlog):
        for slot in backlog.take(1000).tolist():
            leave(slot)
        settle(out.pop())
    assert sent == offered


def test_without_order_everything_is_ready_at_once() -> None:
    """A pipelined backlog hands events out as they came, without waiting for outcomes."""
    backlog = Backlog(ordered=False)
    for piece in ([7, 8], [9, 10], [11]):
        backlog.push(np.array(piece), np.zeros(len(piece), np.uint32))
    assert backlog.take(3).tolist() == [7, 8, 9]
    assert backlog.take(3).tolist() == [10, 11]
    assert (len(backlog), backlog.take(3).tolist()) == (0, [])
