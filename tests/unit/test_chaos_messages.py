"""What is made of a message before it is injected."""

from twin.chaos.messages import changed, skewed

BLOCK = (
    b"NATS/1.0\r\nce_id: a/b/1\r\nNats-Msg-Id: run/a/b/1\r\nce_time: 2026-01-01T00:00:01Z\r\n\r\n"
)


def test_headers_keep_their_order_and_spelling() -> None:
    """A changed attribute stays where and as it is spelt, a removed one is gone, others stay."""
    made = changed(BLOCK, {"ce-id": "x/1/1", "Nats-Msg-Id": None, "ce-source": "urn:x"})
    assert made == (
        b"NATS/1.0\r\nce_id: x/1/1\r\nce_time: 2026-01-01T00:00:01Z\r\nce-source: urn:x\r\n\r\n"
    )


def test_a_wrong_clock_is_wrong_by_its_offset() -> None:
    """The time of an event is moved, in both directions."""
    assert skewed(BLOCK, 3_600_000_000_000).startswith("2026-01-01T01:00:01")
    assert skewed(BLOCK, -1_000_000_000) == "2026-01-01T00:00:00Z"
