"""Deliveries as messages: read together where they are alike, one by one where they are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.jetstream.message import Message, messages_of
from twin.jetstream.wire import Delivery

STRANGE = (
    b"nowhere",
    b"1.2.3.4.5",
    b"$JS.ACK.S.c.1.x.1.1.1",
    b"$JS.ACK.S.c.1.1.1.1",
    b"$JS.ACK.S.c.1.1.1.1.1.1",
    b"$JS.ACK.S.c.1.1.1.1.1\n",
    b"$JS.ACK.S.c.1.1.1.1.1\n$JS.ACK.S.c.1.1.1.1.1",
    b"$JS.ACK.S.c.1.2.3.4.1e5",
    b"$JS.ACK.S.c.1..3.4.5",
)
ODD = (b"$JS.ACK.T.c.1.2.3.4.5", b"$JS.ACK.hub.ACC.S.c.1.2.3.4.5.rnd", b"$JS.ACK.S.c.01.2.3.4.5")


def delivery(reply: bytes) -> Delivery:
    """Return a delivery with this reply subject."""
    return b"a.b", reply, b"NATS/1.0\r\n\r\n", reply


def one_by_one(deliveries: list[Delivery]) -> list[Message]:
    """Return what `Message` makes of each that is one."""
    found = []
    for one in deliveries:
        try:
            found.append(Message(one))
        except ValueError:
            continue
    return found


@given(st.lists(st.tuples(*[st.integers(0, 2**63 - 1)] * 5), max_size=20), st.data())
def test_messages_read_together_are_the_same(
    numbers: list[tuple[int, ...]], data: st.DataObject
) -> None:
    """Reading a buffer at once gives what reading each gives, whatever stands among them."""
    replies = [b"$JS.ACK.S.c.%d.%d.%d.%d.%d" % one for one in numbers]
    for odd in data.draw(st.lists(st.sampled_from((*STRANGE, *ODD)), max_size=2)):
        replies.insert(data.draw(st.integers(0, len(replies))), odd)
    deliveries = [delivery(reply) for reply in replies]
    assert list(messages_of(deliveries)) == one_by_one(deliveries)


@pytest.mark.parametrize("reply", STRANGE)
def test_a_strange_one_hides_no_other(reply: bytes) -> None:
    """Between two messages, what is none is left out, and nothing else."""
    good = b"$JS.ACK.S.c.1.2.3.4.5"
    found = list(messages_of([delivery(good), delivery(reply), delivery(good)]))
    assert [one.stream_seq for one in found] == [2, 2]


@pytest.mark.parametrize(
    "tails",
    [
        (b"1.2.3.4", b"5.6.7.8.9.10"),
        (b"1.2.3.4.5.6", b"7.8.9.10"),
        (b"1.2\n3.4", b"1.2.3.4.5"),
        (b"1.2.3.4.5\n6",),
        (b"1.2.3.4.5\n6.7.8.9.10",),
        (b"1.2.3.4.5.6.7.8.9.10.11",),
    ],
)
def test_numbers_that_only_add_up_are_none(tails: tuple[bytes, ...]) -> None:
    """Five numbers a message on the whole are not five of each."""
    deliveries = [delivery(b"$JS.ACK.S.c." + tail) for tail in tails]
    assert list(messages_of(deliveries)) == one_by_one(deliveries)
