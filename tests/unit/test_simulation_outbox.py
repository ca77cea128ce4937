"""The outbox: what is stored while there is no link, what is given up, what leaves when."""

from hypothesis import given
from hypothesis import strategies as st

from twin.events.event import Event
from twin.simulation.outbox import Outbox, Priority, wire_bytes


def event(number: int, size: int = 10) -> Event:
    """Return an event of `size` bytes."""
    return Event(0, number, 0, b"", b"x" * size)


def numbers(events: list[Event]) -> list[int]:
    """Return the sequences of events."""
    return [one.seq for one in events]


def test_events_leave_in_the_order_in_which_they_came() -> None:
    """Priorities say what is given up, not what goes first."""
    outbox = Outbox(1000)
    for number, priority in enumerate((Priority.BULK, Priority.VITAL, Priority.STATUS) * 2):
        assert outbox.put(event(number), priority) == []
    assert (numbers(outbox.release(1e9)[0]), len(outbox)) == ([0, 1, 2, 3, 4, 5], 0)


def test_the_lowest_and_oldest_makes_room() -> None:
    """Bulk goes before status, the oldest first, and never for something lower."""
    outbox = Outbox(30)
    for number, priority in enumerate((Priority.BULK, Priority.STATUS, Priority.BULK)):
        outbox.put(event(number), priority)
    assert numbers(outbox.put(event(3), Priority.STATUS)) == [0]
    assert numbers(outbox.put(event(4), Priority.STATUS)) == [2]
    assert numbers(outbox.put(event(5), Priority.BULK)) == [5]
    assert numbers(outbox.put(event(6), Priority.STATUS)) == [1]
    assert numbers(outbox.release(1e9)[0]) == [3, 4, 6]


def test_what_is_vital_is_never_shed() -> None:
    """State changes push everything else out and stay even beyond the capacity."""
    outbox = Outbox(20)
    outbox.put(event(0), Priority.STATUS)
    for number in range(1, 5):
        outbox.put(event(number), Priority.VITAL)
    assert numbers(outbox.put(event(9), Priority.STATUS)) == [9]
    assert numbers(outbox.release(1e9)[0]) == [1, 2, 3, 4]


def test_an_event_larger_than_the_outbox_pushes_nothing_out() -> None:
    """What can never fit is shed alone."""
    outbox = Outbox(20)
    outbox.put(event(0), Priority.BULK)
    assert numbers(outbox.put(event(1, size=21), Priority.STATUS)) == [1]
    assert len(outbox) == 1


def test_bandwidth_limits_what_leaves_and_unspent_budget_is_kept() -> None:
    """Events leave as far as the budget goes; what it lacks for the next one is saved."""
    outbox = Outbox(1000)
    for number in range(3):
        outbox.put(event(number), Priority.BULK)
    released, left = outbox.release(25)
    assert (numbers(released), left) == ([0, 1], 5)
    released, left = outbox.release(left + 5)
    assert (numbers(released), left) == ([2], 0.0)


@given(
    st.lists(st.tuples(st.integers(1, 40), st.sampled_from([Priority.BULK, Priority.STATUS]))),
    st.integers(0, 100),
)
def test_every_event_is_either_kept_or_reported_as_shed(
    offered: list[tuple[int, Priority]], capacity: int
) -> None:
    """Nothing vanishes, and the capacity holds."""
    outbox, shed = Outbox(capacity), []
    for number, (size, priority) in enumerate(offered):
        shed += outbox.put(event(number, size), priority)
        assert outbox.used_bytes <= capacity
    kept, _ = outbox.release(1e9)
    assert sorted(numbers(kept) + numbers(shed)) == list(range(len(offered)))
    assert numbers(kept) == sorted(numbers(kept))
    assert (outbox.used_bytes, sum(map(wire_bytes, kept))) == (0, sum(len(e.payload) for e in kept))
