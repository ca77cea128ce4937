"""The messages of the benchmarks: alike for all contenders, but no two of them the same."""

from twin.bench.rig import SOURCES, block
from twin.events.cloudevents import CloudEvent, decode


def test_every_event_has_an_id_and_a_time_of_its_own_and_one_of_the_bots() -> None:
    """What is remembered of one event (its parsed time, its source) does not serve the next."""
    events = [decode(block("run", number) + b"\r\n", b"{}") for number in range(2 * SOURCES)]
    good = [event for event in events if isinstance(event, CloudEvent)]

    assert len({event.id for event in good}) == 2 * SOURCES
    assert len({event.time for event in good}) == 2 * SOURCES
    assert len({event.source for event in good}) == SOURCES
    times = [event.time for event in good if event.time is not None]
    assert times == sorted(times)
