"""The bulk parser cuts the same messages out of any chunks as nats-py's own parser."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from twin.jetstream.fastpath import FastParser
from twin.jetstream.wire import Delivery


class Recorder:
    """What a parser needs of a client: it records what it is handed."""

    is_reconnecting = False
    is_closed = False

    def __init__(self) -> None:
        self.seen: list[object] = []

    async def _process_msg(self, sid: int, *message: Any) -> None:
        subject, reply, payload, headers = message
        self.seen.append((sid, (subject, reply, headers, payload)))

    async def _process_ping(self) -> None:
        self.seen.append("PING")

    async def _process_pong(self) -> None:
        self.seen.append("PONG")

    async def _process_err(self, text: str) -> None:
        self.seen.append(("ERR", text))

    async def _process_info(self, info: object) -> None:
        self.seen.append(("INFO", info))


tokens = st.text("abc.XYZ_$-0123456789", min_size=1, max_size=20).map(str.encode)
payloads = st.binary(max_size=60)
headers = st.binary(max_size=30).map(lambda b: b"NATS/1.0\r\nk: " + b + b"\r\n\r\n")
messages = st.tuples(tokens, st.one_of(st.just(b""), tokens), st.just(b"") | headers, payloads)
controls = st.sampled_from(
    [
        (b"PING\r\n", "PING"),
        (b"PONG\r\n", "PONG"),
        (b"+OK\r\n", None),
        (b"-ERR 'Stale Connection'\r\n", ("ERR", "'stale connection'")),
        (b'INFO {"ldm":true}\r\n', ("INFO", {"ldm": True})),
    ]
)


def on_the_wire(sid: int, message: Delivery) -> bytes:
    """Write a message as a server would."""
    subject, reply, block, payload = message
    head = b" ".join(filter(None, (subject, b"%d" % sid, reply)))
    if block:
        sizes = b"%d %d" % (len(block), len(block) + len(payload))
        return b"HMSG %b %b\r\n%b%b\r\n" % (head, sizes, block, payload)
    return b"MSG %b %d\r\n%b\r\n" % (head, len(payload), payload)


@given(
    items=st.lists(st.one_of(controls, st.tuples(st.integers(1, 2), messages)), max_size=12),
    cuts=st.lists(st.integers(0, 400), max_size=8),
)
async def test_any_chunks_give_the_same_messages(
    items: list[tuple[Any, Any]], cuts: list[int]
) -> None:
    """Messages of our subscription and of nats-py's, and control lines, arrive whole and once."""
    client = Recorder()
    parser = FastParser(client)  # type: ignore[arg-type]
    ours: list[Delivery] = []
    parser.handlers[b"1"] = ours.extend
    stream = b"".join(
        item[0] if isinstance(item[0], bytes) else on_the_wire(*item) for item in items
    )
    start = 0
    for cut in sorted(cuts):
        await parser.parse(stream[start:cut])
        start = max(start, cut)
    await parser.parse(stream[start:])
    assert ours == [message for sid, message in items if sid == 1]
    assert client.seen == [
        item[1] if isinstance(item[0], bytes) else item
        for item in items
        if item[0] != 1 and item[1] is not None
    ]


async def test_a_reset_forgets_half_a_message() -> None:
    """What the old connection left unfinished does not run into the new one."""
    client = Recorder()
    parser = FastParser(client)  # type: ignore[arg-type]
    await parser.parse(b"MSG a 1 100\r\nhalf of it")
    parser.reset()
    await parser.parse(b"PING\r\n")
    assert client.seen == ["PING"]
