"""What a fault's limit has evicted, worked out from how the stream was and is."""

from twin.chaos.eviction import evicted_by
from twin.jetstream.api import StreamConfig, StreamState


def test_messages_that_grow_are_not_credited_to_a_limit_out_of_reach() -> None:
    """The stream's own bytes evict two small messages for each large one that comes."""
    config = StreamConfig(name="ONE", max_bytes=500_000)
    before = StreamState(messages=1000, bytes=500_000, first_seq=1, last_seq=1000)
    after = StreamState(messages=800, bytes=500_000, first_seq=401, last_seq=1200)
    assert evicted_by(1200, config, before, after, 0) == 0
    assert evicted_by(1190, config, before, after, 0) <= 10
