"""The bulk parser cuts the same messages out of any chunks as nats-py's own parser."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.jetstream.acks import AckPattern
from twin.jetstream.fastpath import FastParser
from twin.jetstream.wire import Delivery, Stored


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
subjects = st.text("ab.9\v\f\x1c\x85\xa0", min_size=1, max_size=9).map(str.encode)
"""A server takes whatever has no space, tab or line end."""
payloads = st.binary(max_size=60)
headers = st.binary(max_size=30).map(lambda b: b"NATS/1.0\r\nk: " + b + b"\r\n\r\n")
messages = st.tuples(
    tokens | subjects, st.one_of(st.just(b""), tokens), st.just(b"") | headers, payloads
)
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


def pairs(acks: Stored) -> list[tuple[int, int]]:
    """Token and sequence of each acknowledgement."""
    return list(zip(acks.tokens.tolist(), acks.sequences.tolist(), strict=True))


def sequence(ack: bytes) -> int:
    """The stream sequence at the end of a plain acknowledgement."""
    return int(ack[ack.rfind(b":") + 1 : -1])


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, bytes, bool]:
    """What may come to a publisher's inbox: token, payload, whether it is a plain ack."""
    token, seq = draw(st.integers(1, 10**9)), draw(st.integers(1, 10**12))
    plain = b'{"stream":"%b",%b"seq":%d}' % (draw(tokens), draw(st.sampled_from([b"", b" "])), seq)
    strange = st.sampled_from(
        [plain[:-1] + b',"duplicate": true}', plain + b"\r\n", plain[:-2], b"pong", b""]
    )
    payload = draw(st.one_of(st.just(plain), strange))
    return b"%d" % token, payload, payload == plain


@st.composite
def rows(draw: st.DrawFn) -> list[tuple[bytes, bytes, bool]]:
    """Many acknowledgements of the same length, one of which may be none."""
    start, first, count = draw(st.tuples(*[st.integers(90, 2000)] * 2, st.integers(1, 60)))
    acks = [b'{"stream":"S", "seq":%d}' % (first + n) for n in range(count)]
    wrong = draw(st.integers(0, 2 * count))
    if wrong < count:
        ack = acks[wrong]
        others = [ack[:-2] + b"x}", b"y" * len(ack), ack.replace(b"stream", b"strEAM")]
        acks[wrong] = draw(st.sampled_from(others))
    return [(b"%d" % (start + n), ack, n != wrong) for n, ack in enumerate(acks)]


def flat(items: list[Any]) -> list[Any]:
    """Answers and controls, those in lists one by one."""
    return [one for item in items for one in (item if isinstance(item, list) else [item])]


MESSAGE = on_the_wire(9, (b"q.a", b"$JS.ACK.a", b"NATS/1.0\r\nk: v\r\n\r\n", b"x"))
between = st.just((MESSAGE, None))
"""A message of a stream, to another subscription of the same connection."""


@given(
    items=st.lists(st.one_of(answers(), controls, between, rows()), max_size=12).map(flat),
    cuts=st.lists(st.integers(0, 600), max_size=8),
)
async def test_plain_acknowledgements_are_told_from_all_else(
    items: list[Any], cuts: list[int]
) -> None:
    """Plain acknowledgements come in bulk, all else as it is; each once, in order.

    A payload that goes on after what looks like an acknowledgement is none.
    """
    client = Recorder()
    parser = FastParser(client)  # type: ignore[arg-type]
    others: list[Delivery] = []
    stored: list[tuple[int, int]] = []
    parser.handlers[b"7"] = others.extend
    parser.handlers[b"9"] = lambda batch: None
    parser.acks[b"7"] = AckPattern.of("_INBOX.a$.*", b"7", lambda acks: stored.extend(pairs(acks)))
    stream = b"".join(
        item[0] if len(item) == 2 else on_the_wire(7, (b"_INBOX.a$." + item[0], b"", b"", item[1]))
        for item in items
    )
    start = 0
    for cut in sorted(cuts):
        await parser.parse(stream[start:cut])
        start = max(start, cut)
    await parser.parse(stream[start:])
    came = [item for item in items if len(item) == 3]
    assert stored == [(int(token), sequence(ack)) for token, ack, plain in came if plain]
    by_hand = [(subject[10:], payload) for subject, _, _, payload in others]
    assert by_hand == [(token, payload) for token, payload, plain in came if not plain]
    assert client.seen == [item[1] for item in items if len(item) == 2 and item[1] is not None]


@pytest.mark.parametrize(
    "damage",
    [
        lambda ack: ack[:-2] + b"x}",
        lambda ack: b"y" * len(ack),
        lambda ack: ack.replace(b"stream", b"strEAM"),
        lambda ack: ack[:-1] + b" ",
    ],
)
async def test_a_long_row_is_cut_at_what_is_no_acknowledgement(
    damage: Callable[[bytes], bytes],
) -> None:
    """One answer of the same length among many acknowledgements is not taken for one."""
    acks = [b'{"stream":"S", "seq":%d}' % (1000 + n) for n in range(80)]
    acks[50] = damage(acks[50])
    parser = FastParser(Recorder())  # type: ignore[arg-type]
    others: list[Delivery] = []
    stored: list[tuple[int, int]] = []
    parser.handlers[b"7"] = others.extend
    parser.acks[b"7"] = AckPattern.of("_INBOX.a.*", b"7", lambda acks: stored.extend(pairs(acks)))
    lines = (on_the_wire(7, (b"_INBOX.a.%d" % (100 + n), b"", b"", a)) for n, a in enumerate(acks))
    await parser.parse(b"".join(lines))
    assert [payload for _, _, _, payload in others] == [acks[50]]
    assert stored == [(100 + n, 1000 + n) for n in range(80) if n != 50]


@pytest.mark.parametrize("broken", [None, 0, 61, 199])
async def test_acknowledgements_of_several_streams_are_read_together(broken: int | None) -> None:
    """However they are mixed, each has its token, sequence and stream, up to what is none."""
    names = [b"S", b"T", b"EVENTS", b"TELEMETRY"]
    acks = [b'{"stream":"%b", "seq":%d}' % (names[n * n % 7 % 4], 950 + n) for n in range(200)]
    if broken is not None:
        acks[broken] = b"pong"
    parser = FastParser(Recorder())  # type: ignore[arg-type]
    others: list[Delivery] = []
    taken: list[Stored] = []
    parser.handlers[b"7"] = others.extend
    parser.acks[b"7"] = AckPattern.of("_INBOX.a.*", b"7", taken.append)
    lines = (on_the_wire(7, (b"_INBOX.a.%d" % (n + 90), b"", b"", a)) for n, a in enumerate(acks))
    await parser.parse(b"".join(lines))
    assert [payload for _, _, _, payload in others] == [ack for ack in acks if ack == b"pong"]
    wanted = [(n + 90, 950 + n) for n in range(200) if n != broken]
    assert [pair for stored in taken for pair in pairs(stored)] == wanted
    streams = [stream for stored in taken for stream in stored.streams.tolist()]
    assert streams == [hash(names[n * n % 7 % 4]) for n in range(200) if n != broken]
    assert len(taken) == (1 if broken in {None, 0, 199} else 2)


async def test_acknowledgements_of_two_subscriptions_come_in_bulk_and_in_order() -> None:
    """However two publishers' answers take turns in what was read, each gets its own as sent."""
    parser = FastParser(Recorder())  # type: ignore[arg-type]
    stored: dict[bytes, list[tuple[int, int]]] = {b"7": [], b"8": []}

    def into(came: list[tuple[int, int]]) -> Callable[[Stored], None]:
        return lambda acks: came.extend(pairs(acks))

    others: list[Delivery] = []
    for sid, came in stored.items():
        parser.handlers[sid] = others.extend
        parser.acks[sid] = AckPattern.of(f"_INBOX.{sid.decode()}.*", sid, into(came))
    sids = [7 + n // 3 % 2 for n in range(60)]
    lines = (
        on_the_wire(sid, (b"_INBOX.%d.1" % sid, b"", b"", b'{"stream":"S", "seq":%d}' % n))
        for n, sid in enumerate(sids)
    )
    await parser.parse(b"".join(lines))
    assert not others
    assert stored == {
        b"%d" % one: [(1, n) for n, sid in enumerate(sids) if sid == one] for one in (7, 8)
    }


async def test_a_reset_forgets_half_a_message() -> None:
    """What the old connection left unfinished does not run into the new one."""
    client = Recorder()
    parser = FastParser(client)  # type: ignore[arg-type]
    await parser.parse(b"MSG a 1 100\r\nhalf of it")
    parser.reset()
    await parser.parse(b"PING\r\n")
    assert client.seen == ["PING"]
