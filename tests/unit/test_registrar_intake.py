"""From messages to records: what is an event, what is poison, and what is read out of it."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from registrar_rig import PLAIN

from twin.events.cloudevents import CloudEvent, decode, encode_binary, encode_structured
from twin.events.subjects import SubjectSpace
from twin.jetstream.message import Message
from twin.registrar.envelope import NotAnEvent, Reader
from twin.registrar.intake import Intake
from twin.registrar.record import Note, Row
from twin.registrar.records import Event
from twin.registrar.rules import Classifier, Rules
from twin.registrar.times import format_ns, parse_ns

INTAKE = Intake(Classifier(Rules.load()), SubjectSpace(prefix="lab"), max_payload=10_000)
READER = Reader()


def block(**changes: str | None) -> bytes:
    """Return a header block; `ce_id=None` leaves ce-id out."""
    fields = dict(PLAIN)
    for name, value in changes.items():
        key = name.replace("_", "-")
        if value is None:
            fields.pop(key)
        else:
            fields[key] = value
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"NATS/1.0\r\n{lines}\r\n".encode()


def message(
    headers: bytes = block(),
    payload: bytes = b'{"kind":"boot_ok"}',
    subject: bytes = b"lab.qiki.events.v1.state",
) -> Message:
    """Return a second delivery of message 9 of the events stream, behind the prefix."""
    return Message((subject, b"$JS.ACK.LAB_QIKI_EVENTS_V1.reg.2.9.9.77.0", headers, payload))


def taken(headers: bytes = block(), payload: bytes = b'{"kind":"boot_ok"}') -> Row:
    """Return the row of a message that is an event."""
    record = INTAKE.take(message(headers, payload), 88)
    assert isinstance(record, Event), record
    return record.row


def refused(headers: bytes = block(), payload: bytes = b"{}") -> Note:
    """Return the note of a message that is none."""
    record = INTAKE.take(message(headers, payload), 88)
    assert isinstance(record, Note), record
    return record


def test_everything_is_read_out_of_an_event() -> None:
    """Identity, times, place in the stream, bot, code and content of a plain event."""
    assert taken() == Row(
        id="bot-1/events.v1.state/7",
        source="urn:twin:r1:bot-1",
        type="qiki.events.v1.StateChange",
        subject="qiki.events.v1.state",
        stream="LAB_QIKI_EVENTS_V1",
        stream_seq=9,
        deliveries=2,
        event_ns=1_767_225_600_250_000_000,
        intended_ns=1_767_225_600_000_000_001,
        stream_ns=77,
        received_ns=88,
        bot="bot-1",
        code=101,
        severity=20,
        correlation="",
        trace="",
        headers=block().decode(),
        payload='{"kind":"boot_ok"}',
    )


def test_the_platforms_underscore_headers_are_read() -> None:
    """`ce_id` and `ce-id` mean the same."""
    underscored = block().replace(b"ce-", b"ce_")
    assert taken(underscored)[:4] == taken()[:4]


def test_escaped_attributes_are_decoded() -> None:
    """Percent-encoding and other spellings go through the codec."""
    assert taken(block(ce_id="a%20b")).id == "a b"


def test_structured_mode_is_an_event_too() -> None:
    """An event whose attributes are in the payload is recorded with the payload as it came."""
    event = CloudEvent(id="x/1", source="urn:s", type="t", data=b'{"request_id":"q"}')
    headers, payload = encode_structured(event)
    row = taken(headers + b"\r\n", payload)
    assert (row.id, row.source, row.correlation) == ("x/1", "urn:s", "q")
    assert str(row.payload).encode() == payload
    opaque = CloudEvent(
        id="x/2", source="urn:s", type="t", datacontenttype="image/png", data=b"\xff\x00"
    )
    headers, payload = encode_structured(opaque)
    assert taken(headers + b"\r\n", payload).id == "x/2"


def test_without_a_time_the_streams_time_counts() -> None:
    """An event that states no time is filed under the time at which it was stored."""
    assert taken(block(ce_time=None)).event_ns == 77


def test_the_bot_comes_from_source_or_subject() -> None:
    """A foreign source has no bot, unless the fleet subject names one."""
    assert taken(block(ce_source="urn:qiki:radar")).bot == ""
    subject = b"lab.qiki.fleet.v1.bot-9.events.v1.state"
    fleet = message(block(ce_source="urn:qiki:radar"), subject=subject)
    record = INTAKE.take(fleet, 1)
    assert isinstance(record, Event)
    assert (record.row.bot, record.row.code) == ("bot-9", 101)


def test_audit_records_are_not_audited() -> None:
    """What comes on the audit subject, in either layout, is nothing to record."""
    for subject in (b"lab.qiki.events.v1.audit", b"lab.qiki.fleet.v1.bot-9.events.v1.audit"):
        assert INTAKE.take(message(subject=subject), 1) is None
        assert INTAKE.take(message(b"", subject=subject), 1) is None


def test_correlation_and_trace_are_found() -> None:
    """Correlation comes from headers or from the command's metadata, the trace from W3C."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    row = taken(block(traceparent=f"00-{trace}-b7ad6b7169203331-01", correlation_id="c-1"))
    assert (row.correlation, row.trace) == ("c-1", trace)
    assert taken(payload=b'{"metadata":{"correlation_id":"c-2"}}').correlation == "c-2"
    assert taken(payload=b'{"metadata":7,"request_id":8}').correlation == ""


def test_opaque_payloads_are_kept_as_bytes() -> None:
    """What says it is no JSON is not read as JSON."""
    row = taken(block(ce_datacontenttype="application/octet-stream"), b"\x00\xff{")
    assert row.payload == b"\x00\xff{"
    assert taken(payload=b"").payload == b""


def test_odd_intended_times_are_ignored() -> None:
    """The publisher's own header never makes an event poison."""
    for odd in ("", "x", "-5", "9" * 19, "1" * 40):
        assert taken(block(Twin_Intended_Ns=odd)).intended_ns == 0


DEEP = b'{"a":' * 80 + b"1" + b"}" * 80
POISON = {
    "no headers": (b"", b"{}", "no headers"),
    "half a block": (b"NATS/1.0\r\nce-id", b"{}", "broken headers"),
    "no block": (b"\x00\x01\x02", b"{}", "broken headers"),
    "not text": (block(ce_id="bot").replace(b"bot", b"\xff\xfe"), b"{}", "broken headers"),
    "huge headers": (block(x="y" * 20_000), b"{}", "headers are larger"),
    "no id": (block(ce_id=None), b"{}", "id missing attribute"),
    "empty source": (block(ce_source=""), b"{}", "source empty"),
    "no specversion": (block(ce_specversion=None), b"{}", "specversion missing"),
    "other specversion": (block(ce_specversion="0.3"), b"{}", "unsupported version"),
    "long id": (block(ce_id="x" * 2000), b"{}", "id is longer"),
    "two ids": (block().replace(b"\r\n\r\n", b"\r\nce-id: other\r\n\r\n"), b"{}", "conflicting"),
    "bad time": (block(ce_time="yesterday"), b"{}", "bad time"),
    "far time": (block(ce_time="9999-01-01T00:00:00Z"), b"{}", "outside the years"),
    "bad escape": (block(ce_id="%ff"), b"{}", "bad encoding"),
    "control": (block(ce_id="a\x07b"), b"{}", "forbidden character"),
    "no JSON": (block(), b"{not json", "no JSON"),
    "binary": (block(), bytes(range(256)), "no JSON"),
    "not UTF-8": (block(), b'{"a":"\xff"}', "no JSON"),
    "NaN": (block(), b'{"a":NaN}', "no JSON"),
    "surrogate": (block(), rb'{"a":"\ud800"}', "no JSON"),
    "deep": (block(), DEEP, "nested deeper"),
    "deeper": (block(), b"[" * 4000 + b"]" * 4000, "no JSON"),
    "oversize": (block(), b"[" + b"1," * 5000 + b"1]", "larger than 10000"),
}


@pytest.mark.parametrize("case", POISON)
def test_poison_is_quarantined_with_its_reason(case: str) -> None:
    """Whatever cannot be an event becomes a note with reason, hash, headers and a bounded body."""
    headers, payload, reason = POISON[case]
    note = refused(headers, payload)
    detail = orjson.loads(note.detail)
    assert reason in detail["reason"]
    assert (note.code, note.severity, note.stream_seq) == (920, 40, 9)
    assert note.subject == "qiki.events.v1.state"
    assert (detail["size"], len(detail["sha256"])) == (len(payload), 64)
    assert note.body == payload[:4096]
    assert len(note.detail) < 25_000


def test_wide_payloads_are_no_deep_ones() -> None:
    """Many containers beside each other are fine."""
    wide = b"[" + b",".join([b'{"a":[1]}'] * 500) + b"]"
    assert taken(payload=wide).payload == wide.decode()
    limit = b"[" * 64 + b"]" * 64
    assert taken(payload=limit).payload == limit.decode()
    assert "deeper" in refused(payload=b"[" + limit + b"]").detail


def test_poison_keeps_what_can_be_read() -> None:
    """A quarantined message that names itself is filed under its id and source."""
    note = refused(payload=b"{")
    assert (note.id, note.source) == ("bot-1/events.v1.state/7", "urn:twin:r1:bot-1")
    again = refused(payload=b"{")
    assert again.key == note.key != refused(payload=b"[").key


ODD_TIMES = (
    "2026-01-01",
    "2026-01-01T00:00:00",
    "2026-01-01T00:00Z",
    "2026-01-01 00:00:00.5Z",
    "2026-01-01T00:00.12.5Z",
)
"""What a person may write, but no CloudEvent."""

names = st.sampled_from(["ce-id", "ce-type", "CE-Source", "ce_time", "ce-specversion", "ce-x1",
                         "ce-data", "ce-a b", "ce-", "content-type", "Content-Type", "X",
                         ""])  # fmt: skip
values = st.one_of(
    st.text(st.characters(max_codepoint=0x17F), max_size=12),
    st.sampled_from(["1.0", "a/1", "2026-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "%41", '"q"',
                     "application/cloudevents+json", "2016-12-31T23:59:60Z", *ODD_TIMES]),
)  # fmt: skip


@given(st.lists(st.tuples(names, values), max_size=9), st.sampled_from([b"{}", b"", b'{"id":1}']))
def test_the_short_way_agrees_with_the_codec(lines: list[tuple[str, str]], payload: bytes) -> None:
    """The fast reading of headers accepts nothing that the codec refuses, and reads the same."""
    base = [("ce-id", "a/1"), ("ce-source", "urn:s"), ("ce-type", "t"), ("ce-specversion", "1.0")]
    for head in ([*base, *lines], lines):
        text = "".join(f"{name}: {value}\r\n" for name, value in head)
        headers = f"NATS/1.0\r\n{text}\r\n".encode()
        event = decode(headers, payload)
        try:
            envelope = READER.read(headers, payload)
        except NotAnEvent:
            assert not isinstance(event, CloudEvent) or event.time is not None
        else:
            assert isinstance(event, CloudEvent)
            assert envelope[:3] == (event.id, event.source, event.type)
            assert envelope.data == event.data
            assert (envelope.event_ns is None) == (event.time is None)


@given(
    st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), min_size=1, max_size=50
    )
)
def test_every_id_that_the_codec_writes_is_read_back(text: str) -> None:
    """Whatever id an event has, the registrar records exactly it."""
    headers = encode_binary(CloudEvent(id=text, source="urn:s", type="t")) + b"\r\n"
    assert taken(headers).id == text


@given(st.integers(-(2**63), 2**63 - 1))
def test_times_survive_text(time_ns: int) -> None:
    """Nanoseconds come back from RFC 3339 text to the digit."""
    assert parse_ns(format_ns(time_ns)) == time_ns


def test_times_are_read_in_every_common_form() -> None:
    """Offsets, missing parts, leap seconds and long fractions."""
    noon = 1_767_268_800_000_000_000
    for text in ("2026-01-01T12:00:00Z", "2026-01-01t13:00:00+01:00", "2026-01-01 12:00",
                 "2026-01-01T11:59:60z", "2026-01-01T12:00:00.0000000009Z"):  # fmt: skip
        assert parse_ns(text) == noon, text
    assert parse_ns("2026-01-01") == noon - 12 * 3600 * 10**9
    for text in ("", "12:00", "2026-13-01T00:00:00Z", "2026-01-01T25:00:00Z", "now"):
        with pytest.raises(ValueError, match=r".+"):
            parse_ns(text)


@pytest.mark.parametrize("time", ODD_TIMES)
def test_a_time_that_the_codec_refuses_is_poison(time: str) -> None:
    """Also in a block that is plain in everything else, of a known shape or not."""
    intake = Intake(Classifier(Rules.load()), SubjectSpace())
    for _ in range(5):
        note = intake.take(message(block(ce_time=time)), 7)
        assert isinstance(note, Note)
        assert "bad time" in note.detail
        assert isinstance(intake.take(message(), 7), Event)


def test_familiar_headers_are_read_as_the_first_ones_were() -> None:
    """A block whose shape is known gives what the same block gave when it was strange."""
    cases: list[dict[str, str | None]] = [
        {},
        {"ce_time": None},
        {"correlation-id": "c-7"},
        {"ce_traceparent": f"00-{'a' * 32}-{'b' * 16}-01"},
        {"ce_datacontenttype": "text/plain"},
        {"Twin-Intended-Ns": "9" * 19},
        {"ce_time": "2026-02-30T00:00:00Z"},
        {"ce_time": "2300-01-01T00:00:00Z"},
        *({"ce_time": text} for text in ODD_TIMES),
        {"ce_id": "a" * 1024},
        {"ce_id": "a" * 1025},
        {"ce_id": "%41"},
        {"ce_id": "a b"},
        {"ce_id": "a "},
    ]
    for changes in cases:
        reader, headers = Reader(), block(**changes)
        strange = read_or_reason(reader, headers)
        for number in range(5):
            alike = changes | {"ce_id": f"b/{number}"}
            if changes.get("ce_time"):
                alike["ce_time"] = PLAIN["ce-time"]
            reader.read(block(**alike), b"{}")
        assert read_or_reason(reader, headers) == strange


def read_or_reason(reader: Reader, headers: bytes) -> object:
    """Return the envelope, or why it is none."""
    try:
        return reader.read(headers, b"{}")
    except NotAnEvent as why:
        return str(why)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"kind":"boot_ok"}',
        b'{"metadata":{"correlation_id":"c-1"}}',
        b"[1]",
        b"7",
        b"",
        b"{",
        b'{"text":"\xff"}',
        b"[" * 70 + b"]" * 70,
        b'{"a":' * 70 + b"1" + b"}" * 70,
        b'"' + b"x" * 10_000 + b'"',
    ],
)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ce_time": None},
        {"ce_time": "2026-13-01T00:00:00Z"},
        {"ce_time": "9999-01-01T00:00:00Z"},
        {"ce_datacontenttype": "text/plain"},
        {"ce_traceparent": f"00-{'a' * 32}-{'b' * 16}-01"},
        {"ce_correlationid": "c-2"},
    ],
)
def test_a_known_shape_changes_nothing(payload: bytes, changes: dict[str, str | None]) -> None:
    """An event of a shape that was seen before is recorded as one of a shape never seen."""
    rules = Classifier(Rules.load())
    first, taught = (Intake(rules, SubjectSpace(prefix="lab"), 10_000) for _ in range(2))
    for number in range(5):
        usual = changes | {"ce_time": "2026-01-01T00:00:00Z", "ce_id": f"e-{number}"}
        taught.take(message(block(**usual)), 1)
        taught.take(message(block(**{**usual, "ce_time": None})), 1)
    one = message(block(**changes), payload)
    assert taught.take(one, 88) == first.take(one, 88)
