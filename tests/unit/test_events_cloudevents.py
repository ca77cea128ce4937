"""The CloudEvents codec: vectors of the specification, round trips, the SDK as oracle, attacks."""

import json
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote

import pytest
from cloudevents.core.bindings import http
from cloudevents.core.v1.event import CloudEvent as SdkEvent
from hypothesis import given
from hypothesis import strategies as st

from twin.events.cloudevents import (
    STRUCTURED,
    CloudEvent,
    Defect,
    HeaderError,
    InvalidEvent,
    NonConforming,
    decode,
    encode_binary,
    encode_structured,
    parse_headers,
)
from twin.events.headers import header_block, percent_decode, percent_encode

FORBIDDEN = {*range(0x20), *range(0x7F, 0xA0), *range(0xFDD0, 0xFDF0), 0xFFFE, 0xFFFF}
TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cn"], exclude_characters="".join(map(chr, FORBIDDEN))),
    min_size=1,
    max_size=30,
)
NAMES = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True).filter(
    lambda name: (
        name
        not in {
            *("id", "source", "type", "specversion", "time", "subject", "data", "datacontenttype"),
            "dataschema",
        }
    )
)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
TIMES = st.datetimes(
    min_value=datetime(1, 1, 2),  # noqa: DTZ001 - the strategy adds the zones
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=ZONES,
)
EXTENSIONS = st.dictionaries(NAMES, TEXT, max_size=4)


@st.composite
def events(draw: st.DrawFn, data: st.SearchStrategy[bytes] | None = None) -> CloudEvent:
    """Events of any legal content."""
    return CloudEvent(
        id=draw(TEXT),
        source=draw(TEXT),
        type=draw(TEXT),
        subject=draw(st.none() | TEXT),
        time=draw(st.none() | TIMES.map(datetime.isoformat)),
        dataschema=draw(st.none() | TEXT),
        datacontenttype="application/json" if data is not None else draw(st.none() | TEXT),
        extensions=draw(EXTENSIONS),
        data=draw(st.binary(max_size=50) if data is None else data),
    )


JSON_DATA = st.dictionaries(st.text(max_size=5), st.integers(-100, 100) | st.text(max_size=5))


def block(**headers: str) -> bytes:
    """A block of raw headers, underscores in the names standing for hyphens."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return b"NATS/1.0\r\n" + lines.encode() + b"\r\n"


def minimal(**headers: str) -> bytes:
    return block(ce_specversion="1.0", ce_id="1", ce_source="/s", ce_type="t", **headers)


def test_percent_encoding_follows_the_example_of_the_binding() -> None:
    """`Euro (sign) (emoji)` is encoded as the specification prints it, in capitals."""
    encoded = "Euro%20%E2%82%AC%20%F0%9F%98%80"
    assert percent_encode("Euro \u20ac \U0001f600") == encoded
    assert percent_decode(encoded) == "Euro \u20ac \U0001f600"
    assert percent_decode(encoded.lower()) == "euro \u20ac \U0001f600"


def test_exactly_the_required_characters_are_encoded() -> None:
    """Space, double quote, percent and all but printable ASCII; nothing else."""
    for code in range(0x180):
        plain = 0x21 <= code <= 0x7E and chr(code) not in '"%'
        assert (percent_encode(chr(code)) == chr(code)) is plain, hex(code)


def test_decoding_accepts_what_was_encoded_without_need() -> None:
    """Escapes of harmless characters and old-style quoted strings are undone, once."""
    assert percent_decode("%41%62c") == "Abc"
    assert percent_decode('"a \\"b\\" c"') == 'a "b" c'
    assert percent_decode("%2541") == "%41"


@pytest.mark.parametrize("value", ["%C0%A0", "%ED%A0%80", "%FF", "%zz", "%4", "100%", "\xe9"])
def test_decoding_refuses_what_is_no_utf8(value: str) -> None:
    """Overlong forms, surrogates, half escapes and raw bytes are faults, not text."""
    with pytest.raises(HeaderError):
        percent_decode(value)


def test_example_of_the_binding_is_read() -> None:
    """The message printed in the NATS binding decodes to the event that it describes."""
    found = decode(
        block(
            ce_specversion="1.0",
            ce_type="com.example.someevent",
            ce_time="2018-04-05T03:56:24Z",
            ce_id="1234-1234-1234",
            ce_source="/mycontext/subcontext",
            ce_datacontenttype="application/json",
        ),
        b"{}",
    )
    assert found == CloudEvent(
        id="1234-1234-1234",
        source="/mycontext/subcontext",
        type="com.example.someevent",
        time="2018-04-05T03:56:24Z",
        datacontenttype="application/json",
        extensions={},
        data=b"{}",
    )


@given(events(), st.booleans())
def test_binary_mode_round_trips(event: CloudEvent, underscore: bool) -> None:
    """Whatever is written in either spelling is read back the same."""
    headers = encode_binary(event, underscore=underscore, others=[("Nats-Msg-Id", "r/1")])
    assert decode(headers, event.data) == event
    assert decode(headers + b"\r\n", event.data) == event
    assert decode(parse_headers(headers), event.data) == event
    assert parse_headers(headers)["Nats-Msg-Id"] == "r/1"


@given(events(JSON_DATA.map(lambda data: json.dumps(data, separators=(",", ":")).encode())))
def test_structured_mode_round_trips_json(event: CloudEvent) -> None:
    """A structured event with JSON data comes back with the same attributes and the same data."""
    headers, payload = encode_structured(event)
    found = decode(headers, payload)
    assert isinstance(found, CloudEvent)
    assert found._replace(data=b"") == event._replace(data=b"")
    assert json.loads(found.data) == json.loads(event.data)


@given(events(), st.integers(-(2**31), 2**31 - 1), st.booleans())
def test_structured_mode_round_trips_bytes_and_types(
    event: CloudEvent, number: int, truth: bool
) -> None:
    """Opaque data survives in base64; integers and booleans keep their types."""
    typed = event._replace(
        datacontenttype="application/octet-stream",
        extensions={"number": number, "truth": truth},
    )
    assert decode(*encode_structured(typed)) == typed


def sdk_attributes(event: CloudEvent) -> dict[str, object]:
    attributes: dict[str, object] = dict(event.attributes())
    if event.time:
        attributes["time"] = datetime.fromisoformat(event.time)
    return attributes


def same_as_sdk(ours: CloudEvent | NonConforming, theirs: SdkEvent) -> None:
    assert isinstance(ours, CloudEvent)
    assert sdk_attributes(ours) == theirs.get_attributes()


@given(events(JSON_DATA.map(lambda data: json.dumps(data).encode())))
def test_the_sdk_writes_the_same_headers(event: CloudEvent) -> None:
    """The SDK's HTTP headers are ours, but for the content type that NATS does not use."""
    sdk = SdkEvent({**sdk_attributes(event)}, json.loads(event.data))
    sdk.get_attributes().setdefault("time", datetime.now(UTC))
    theirs = {name.lower(): value for name, value in http.to_binary_event(sdk).headers.items()}
    theirs["ce-datacontenttype"] = quote(theirs.pop("content-type"), safe="/")
    ours = parse_headers(encode_binary(event))
    for headers in (theirs, ours):
        headers.pop("ce-time", None)
    assert ours == theirs


@given(events(JSON_DATA.map(lambda data: json.dumps(data).encode())))
def test_the_sdk_reads_what_we_write_and_we_read_the_sdk(event: CloudEvent) -> None:
    """Binary and structured messages mean the same to both, in both directions."""
    timed = event if event.time else event._replace(time="2026-01-01T00:00:00Z")
    headers = parse_headers(encode_binary(timed))
    headers["content-type"] = headers.pop("ce-datacontenttype")
    theirs = http.from_binary_event(http.HTTPMessage(headers, timed.data))
    same_as_sdk(timed, theirs)
    message = http.to_binary_event(theirs)
    sent = {**message.headers, "ce-datacontenttype": quote(message.headers["content-type"])}
    same_as_sdk(decode(sent, message.body), theirs)
    block_, payload = encode_structured(timed)
    same_as_sdk(timed, http.from_structured_event(http.HTTPMessage(parse_headers(block_), payload)))
    structured = http.to_structured_event(theirs)
    same_as_sdk(decode(structured.headers, structured.body), theirs)


def test_header_names_are_read_in_any_case_and_spelling() -> None:
    """`CE-Id`, `ce-id` and `ce_id` are one attribute; a repeated equal value does no harm."""
    for prefix in ("CE-", "Ce_", "ce-"):
        lines = [("id", "1"), ("SOURCE", "/s"), ("Type", "t"), ("specversion", "1.0"), ("id", "1")]
        headers = header_block([(prefix + name, value) for name, value in lines])
        found = decode(headers, b"")
        assert isinstance(found, CloudEvent), found
        assert (found.id, found.source, found.type) == ("1", "/s", "t")


@pytest.mark.parametrize(
    ("headers", "defect"),
    [
        (None, Defect.NOT_AN_EVENT),
        (b"", Defect.BROKEN_HEADERS),
        (b"HTTP/1.1\r\nce-id: 1\r\n\r\n", Defect.BROKEN_HEADERS),
        (b"NATS/1.0\r\nno colon here\r\n\r\n", Defect.BROKEN_HEADERS),
        (b"NATS/1.0\r\n: no name\r\n\r\n", Defect.BROKEN_HEADERS),
        (b"NATS/1.0\r\nce-id: a\nce-x: b\r\n\r\n", Defect.BROKEN_HEADERS),
        (b"NATS/1.0\r\nce-id: a\rb\r\n\r\n", Defect.BROKEN_HEADERS),
        (b"NATS/1.0\r\nce-id: a\0b\r\n\r\n", Defect.BROKEN_HEADERS),
        (b"NATS/1.0\r\nce id: a\r\n\r\n", Defect.BROKEN_HEADERS),
        (b"NATS/1.0\r\nce-id: \xff\r\n\r\n", Defect.BROKEN_HEADERS),
        (b"NATS/1.0\r\n\r\n", Defect.NOT_AN_EVENT),
        (b"NATS/1.0 503\r\n\r\n", Defect.NOT_AN_EVENT),
        (block(Nats_Msg_Id="1"), Defect.NOT_AN_EVENT),
        (block(ce_specversion="1.0", ce_id="1", ce_type="t"), Defect.MISSING_ATTRIBUTE),
        (block(ce_specversion="1.0", ce_id="", ce_source="/", ce_type="t"), Defect.EMPTY_ATTRIBUTE),
        (minimal(ce_subject=""), Defect.EMPTY_ATTRIBUTE),
        (
            block(ce_specversion="0.3", ce_id="1", ce_source="/", ce_type="t"),
            Defect.UNSUPPORTED_VERSION,
        ),
        (minimal(ce_two_words="x"), Defect.BAD_NAME),
        (minimal(ce_data="x"), Defect.BAD_NAME),
        (minimal()[:-2] + b"ce-: x\r\n", Defect.BAD_NAME),
        (minimal(ce_x="%ff"), Defect.BAD_ENCODING),
        (minimal(ce_x="a%0D%0Aevil: 1"), Defect.FORBIDDEN_CHARACTER),
        (minimal(ce_x="a%00"), Defect.FORBIDDEN_CHARACTER),
        (minimal(ce_x="%EF%BF%BF"), Defect.FORBIDDEN_CHARACTER),
        (minimal(ce_x="%F0%9F%BF%BE"), Defect.FORBIDDEN_CHARACTER),
        (minimal(ce_x="a%F4%8F%BF%BFb"), Defect.FORBIDDEN_CHARACTER),
        (minimal(CE_ID="2"), Defect.CONFLICTING_ATTRIBUTE),
        (minimal(ce_time="yesterday"), Defect.BAD_TIME),
        (minimal(ce_time="2026-02-30T00:00:00Z"), Defect.BAD_TIME),
        (minimal(ce_time="2026-01-01T24:00:00Z"), Defect.BAD_TIME),
        (minimal(ce_time="2026-01-01T00:00:00"), Defect.BAD_TIME),
        (block(Content_Type="application/cloudevents-batch+json"), Defect.UNSUPPORTED_FORMAT),
        (block(content_type="Application/CloudEvents+avro"), Defect.UNSUPPORTED_FORMAT),
        (block(content_type=STRUCTURED), Defect.BAD_STRUCTURE),
    ],
)
def test_what_does_not_conform_is_classified(headers: bytes | None, defect: Defect) -> None:
    """Each fault has a name; none is an exception."""
    found = decode(headers, b"not JSON")
    assert isinstance(found, NonConforming)
    assert defect in found.defects, found


@pytest.mark.parametrize(
    ("document", "defect"),
    [
        ("[]", Defect.BAD_STRUCTURE),
        ('"text"', Defect.BAD_STRUCTURE),
        ("[" * 5000, Defect.BAD_STRUCTURE),
        ('{"specversion":"1.0"}', Defect.MISSING_ATTRIBUTE),
        ('{"data":1,"data_base64":"AA=="}', Defect.BAD_STRUCTURE),
        ('{"data_base64":"AA!=="}', Defect.BAD_STRUCTURE),
        ('{"data_base64":7}', Defect.BAD_STRUCTURE),
        ('{"specversion":"1.0","id":7,"source":"/","type":"t"}', Defect.BAD_TYPE),
        ('{"specversion":"1.0","id":"1","source":"/","type":"t","x":[1]}', Defect.BAD_TYPE),
        ('{"specversion":"1.0","id":"1","source":"/","type":"t","x":1.5}', Defect.BAD_TYPE),
        ('{"specversion":"1.0","id":"1","source":"/","type":"t","x":2147483648}', Defect.BAD_TYPE),
        ('{"specversion":"1.0","id":"1","source":"/","type":"t","X":"1"}', Defect.BAD_NAME),
        (
            '{"specversion":"1.0","id":"a\\nb","source":"/","type":"t"}',
            Defect.FORBIDDEN_CHARACTER,
        ),
    ],
)
def test_broken_structured_events_are_classified(document: str, defect: Defect) -> None:
    """The JSON of a structured event is held to the same rules as headers."""
    found = decode({"content-type": STRUCTURED}, document.encode())
    assert isinstance(found, NonConforming)
    assert defect in found.defects, found


def test_a_null_attribute_is_unset_and_text_data_is_text() -> None:
    """Null means absent; string data of a text type is its bytes, of a JSON type its JSON."""
    document = {"specversion": "1.0", "id": "1", "source": "/", "type": "t", "subject": None}
    for media, data in (
        ("text/plain", b"hi"),
        ("application/jsonl", b"hi"),
        ("application/json", b'"hi"'),
        ("application/vnd.x_y.v1+json; charset=utf-8", b'"hi"'),
    ):
        sent = json.dumps({**document, "data": "hi", "datacontenttype": media}).encode()
        found = decode({"Content-Type": "application/CloudEvents+JSON; charset=UTF-8"}, sent)
        assert isinstance(found, CloudEvent)
        assert (found.subject, found.data) == (None, data)


@given(st.binary(max_size=200), st.binary(max_size=50))
def test_no_bytes_make_the_decoder_raise(junk: bytes, payload: bytes) -> None:
    """Random bytes as headers, and after a proper beginning, are described and no more."""
    for headers in (junk, b"NATS/1.0\r\n" + junk, b"NATS/1.0\r\nce-id: " + junk + b"\r\n\r\n"):
        assert isinstance(decode(headers, payload), CloudEvent | NonConforming)
    assert isinstance(decode({"content-type": STRUCTURED}, payload), CloudEvent | NonConforming)


@given(st.dictionaries(st.text(max_size=10), st.text(max_size=20)), st.text(max_size=10))
def test_no_mapping_makes_the_decoder_raise(headers: dict[str, str], value: str) -> None:
    """Headers that some client has already parsed may hold anything."""
    assert isinstance(decode({**headers, "ce-id": value}, b""), CloudEvent | NonConforming)


ATTACKS = ["a\r\nevil: 1", "a\nevil: 1", "a\rb", "a\0b", "\x7f", "\u0085"]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("place", ["id", "source", "type", "subject", "extension"])
def test_control_characters_never_reach_a_header(attack: str, place: str) -> None:
    """An attribute that could end a header line is refused before anything is written."""
    event = CloudEvent(id="1", source="/s", type="t")
    wicked = (
        event._replace(extensions={"x": attack})
        if place == "extension"
        else event._replace(**{place: attack})
    )
    with pytest.raises(InvalidEvent) as refused:
        encode_binary(wicked)
    assert {f.defect for f in refused.value.findings} == {Defect.FORBIDDEN_CHARACTER}
    with pytest.raises(InvalidEvent):
        encode_structured(wicked)


@pytest.mark.parametrize(
    "line",
    [("Nats-Msg-Id", "1\r\nevil: 2"), ("a: b\r\nc", "d"), ("", "x"), ("a b", "x"), ("x", "\xe9")],
)
def test_other_headers_cannot_inject_either(line: tuple[str, str]) -> None:
    """Further headers are refused when name or value could break the block."""
    with pytest.raises(HeaderError):
        encode_binary(CloudEvent(id="1", source="/s", type="t"), others=[line])


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=30), max_size=3), TEXT, TEXT)
def test_a_written_block_has_only_the_lines_that_were_meant(
    extensions: dict[str, str], name: str, value: str
) -> None:
    """Either the writer refuses, or the block has one line per attribute and no other."""
    event = CloudEvent(id="1", source=value, type=name, extensions=extensions)
    try:
        headers = encode_binary(event)
    except (InvalidEvent, HeaderError):
        return
    assert headers.count(b"\n") == 1 + len(event.attributes())
    assert decode(headers, b"") == event


def test_invalid_events_are_not_written() -> None:
    """Faults of names, versions, times and data are refused by the writers too."""
    good = CloudEvent(id="1", source="/s", type="t")
    for bad in (
        good._replace(id=""),
        good._replace(specversion="0.3"),
        good._replace(time="now"),
        good._replace(extensions={"Bad": "x"}),
        good._replace(extensions={"id": ""}),
        good._replace(extensions={"n": 2**31}),
    ):
        with pytest.raises(InvalidEvent):
            encode_binary(bad)
    with pytest.raises(InvalidEvent):
        encode_structured(good._replace(data=b"{"))
    with pytest.raises(InvalidEvent):
        encode_binary(good._replace(extensions={"x": "\ud800"}))


def test_the_first_of_equal_headers_counts() -> None:
    """As in the servers' own clients, a repeated header does not replace the first."""
    assert parse_headers(b"NATS/1.0\r\nA: 1\r\nA: 2\r\n\r\n") == {"A": "1"}
    assert parse_headers(b"NATS/1.0 100 Idle Heartbeat\r\n\r\n") == {}
