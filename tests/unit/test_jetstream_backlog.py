"""The order in which events may leave."""

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
        backlog.release([slot], [events[slot][0]])

    for step in steps:
        if isinstance(step, int):
            offered[step] += 1
            events.append((step, offered[step]))
            backlog.push([len(events) - 1], [step])
        elif step == "pop" and (taken := backlog.take(1)):
            leave(*taken)
        elif step == "release" and out:
            settle(out.pop(0))
        assert len(backlog) == sum(offered.values()) - sum(sent.values())
    while out or len(backlog):
        for slot in backlog.take(1000):
            leave(slot)
        settle(out.pop())
    assert sent == offered


def test_without_order_everything_is_ready_at_once() -> None:
    """A pipelined backlog hands events out as they came, without waiting for outcomes."""
    backlog = Backlog(ordered=False)
    backlog.push([7, 8, 9], [0, 0, 0])
    assert backlog.take(2) == [7, 8]
    assert backlog.take(2) == [9]
