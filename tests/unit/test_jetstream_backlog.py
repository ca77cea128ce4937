"""The order in which events may leave."""

from hypothesis import given
from hypothesis import strategies as st

from twin.events.event import Event
from twin.jetstream.backlog import Backlog, Flight


def flight(source: int, seq: int) -> Flight:
    """An event on its way."""
    return Flight(Event(source, seq, 0, b"", b""), 0)


@given(st.lists(st.one_of(st.integers(0, 3), st.just("pop"), st.just("release")), max_size=200))
def test_one_in_flight_per_source_and_in_order(steps: list[int | str]) -> None:
    """However offers, sends and outcomes interleave, a source's events leave singly, in order."""
    backlog = Backlog(ordered=True)
    offered = dict.fromkeys(range(4), 0)
    sent = dict.fromkeys(range(4), 0)
    out: list[Flight] = []
    for step in steps:
        if isinstance(step, int):
            offered[step] += 1
            backlog.push([flight(step, offered[step])])
        elif step == "pop" and (one := backlog.take(1)):
            [taken] = one
            source = taken.event.source
            assert source not in {f.event.source for f in out}
            assert taken.event.seq == sent[source] + 1
            sent[source] += 1
            out.append(taken)
        elif step == "release" and out:
            backlog.release([out.pop(0)])
        assert len(backlog) == sum(offered.values()) - sum(sent.values())
    while out or len(backlog):
        for taken in backlog.take(1000):
            sent[taken.event.source] += 1
            out.append(taken)
        backlog.release([out.pop()])
    assert sent == offered


def test_without_order_everything_is_ready_at_once() -> None:
    """A pipelined backlog hands events out as they came, without waiting for outcomes."""
    backlog = Backlog(ordered=False)
    backlog.push([flight(0, seq) for seq in range(1, 4)])
    assert [one.event.seq for one in backlog.take(2)] == [1, 2]
    assert [one.event.seq for one in backlog.take(2)] == [3]
