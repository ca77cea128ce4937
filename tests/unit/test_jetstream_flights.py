"""The table of unsettled events: who is in which slot, and whose acknowledgement is whose."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twin.events.event import Event, columns
from twin.jetstream.flights import Flights, Slots
from twin.verdict.journal import attempts

CAPACITY = 12


def board(flights: Flights, first: int, count: int) -> Slots:
    """Take in events with sequences from `first`."""
    events = [Event(7, first + n, 0, b"", b"x") for n in range(count)]
    rows = attempts(columns(events), [first] * count, 0)
    heads = np.zeros(count, np.int64)
    return flights.board(rows, heads, [b""] * count, [b"x"] * count)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), max_size=30))
def test_each_token_finds_its_own_event_until_that_is_settled(
    steps: list[tuple[int, int]],
) -> None:
    """However slots are used again, a token leads to its event, once, and later to none."""
    flights = Flights(CAPACITY)
    there: dict[int, int] = {}
    gone: list[int] = []
    offered = 0
    for boarding, landing in steps:
        count = min(boarding, flights.room)
        if count:
            slots = board(flights, offered + 1, count)
            tokens = list(map(int, flights.launch(slots, 1.0)))
            there |= {token: offered + 1 + n for n, token in enumerate(tokens)}
            offered += count
        known = list(there)
        found, places = flights.find(np.array([*gone, *known, *known, 0, 10**17], np.int64))
        assert flights.seq[found].tolist() == list(there.values())
        assert places.tolist() == list(range(len(gone), len(gone) + len(known)))
        assert flights.in_flight == len(there)
        assert flights.seq[flights.sent()].tolist() == sorted(there.values())
        leaving = known[:landing]
        landed, _ = flights.find(np.array(leaving, np.int64))
        flights.settle(landed)
        flights.free(landed)
        gone += leaving
        there = {token: seq for token, seq in there.items() if token not in leaving}
        assert flights.room == CAPACITY - len(there)


def test_what_is_due_is_told_from_what_is_not() -> None:
    """Only sent events are ever due, in the order of their first sends."""
    flights = Flights(CAPACITY)
    slots = board(flights, 1, 3)
    assert len(flights.sent()) == 0
    flights.launch(slots[::-1], 1.0)
    assert flights.seq[flights.sent()].tolist() == [3, 2, 1]
    flights.due[slots[0]] = 0
    assert flights.seq[flights.sent(due_by=1.0)].tolist() == [1]


def test_tokens_are_those_of_the_formations() -> None:
    """What is written on the wire is the number by which an answer is found."""
    flights = Flights(CAPACITY)
    slots = board(flights, 1, CAPACITY)
    flights.source[slots] = np.arange(CAPACITY)
    flights.formations.prove(flights.source[slots[:-2]], np.full(CAPACITY - 2, 5))
    launched = flights.launch(slots, 1.0)
    assert len(set(launched)) == 3
    assert launched == [b"%d" % token for token in flights.token[slots].tolist()]


def test_the_sizes_of_what_is_sent_are_those_of_its_parts() -> None:
    """Each header block is counted with its closing, however long the intended time is written."""
    flights = Flights(CAPACITY)
    events = [Event(1, n, 0, b"h" * n, b"x" * 10 * n) for n in range(1, 4)]
    rows = attempts(columns(events), [1, 10**18, 1], 0)
    fields = columns(events)
    slots = flights.board(rows, np.array([1, 2, 3]), fields.headers, fields.payload)
    heads = [
        len(h + c) for h, c in zip(flights.headers[slots], flights.closings[slots], strict=True)
    ]
    assert flights.head[slots].tolist() == heads
    assert flights.size[slots].tolist() == [head + 10 * n for n, head in enumerate(heads, 1)]


def test_tokens_of_a_retry_are_those_of_the_first_try() -> None:
    """Any acknowledgement of any try settles the event."""
    flights = Flights(CAPACITY)
    slots = board(flights, 1, 5)
    launched = flights.launch(slots, 1.0)
    assert flights.tokens(slots) == launched
