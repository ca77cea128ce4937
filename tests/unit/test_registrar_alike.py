"""Messages that are read together are recorded as each would be by itself."""

from collections.abc import Sequence
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registrar_rig import PLAIN

from twin.events.subjects import SubjectSpace
from twin.jetstream.message import Message
from twin.registrar import alike
from twin.registrar.alike import Alike
from twin.registrar.content import content_of, unusual
from twin.registrar.glance import MOST_KNOWN
from twin.registrar.intake import Intake
from twin.registrar.record import Note
from twin.registrar.records import Event, Records
from twin.registrar.rules import Bounds, Classifier, Json, Rule, Rules
from twin.registrar.times import EventTimes, parse_ns

RULES = Rules.load()
TRACED = PLAIN | {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "correlation-id": "c-1"}
TIMELESS = {name: value for name, value in PLAIN.items() if name != "ce-time"}
OPAQUE = PLAIN | {"ce-datacontenttype": "image/png"}
SHAPES = (PLAIN, TRACED, TIMELESS, OPAQUE)
STATE, AUDIT = b"lab.qiki.events.v1.state", b"lab.qiki.events.v1.audit"
SUBJECTS = (STATE, AUDIT, b"lab.qiki.telemetry", b"lab.qiki.fleet.v1.bot-9.radar")

ODD_VALUES = ["", " ", "a b", '"q"', "%41", "x\0y", "x\ny", "x\ry", "\x7f", "\xe4", "a" * 1024,
              "a" * 1025, "7" * 19, "9" * 19, "007", "-1", "2026-02-30T00:00:00Z", "2026-1-1",
              "2016-12-31T23:59:60.5Z", "2026-01-01T00:00:00+05:30", "9999-01-01T00:00:00Z",
              "2262-04-11T23:47:16Z", "2262-04-11T23:47:17Z", "1677-09-21T00:12:43Z",
              "2026-01-01T00:00:00", "2026-01-01T00:00.12.5Z", "2026-01-01t00:00:00.1234567890z",
              "c\r\n\r\n\0NATS/1.0\r\n"]  # fmt: skip
odd_values = st.text(st.characters(max_codepoint=0x17F), max_size=9) | st.sampled_from(ODD_VALUES)
payloads = st.one_of(
    st.sampled_from([b'{"kind":"boot_ok"}', b"{}", b"[1]", b"7", b"", b"{", b"1],[2", b"1,2", b"[1",
                     b"2]", b'{"a":[1', b"2]}", b' {"a":1} ', b'{"t":"\xff"}', b'{"a":NaN}',
                     b'{"metadata":{"correlation_id":"c-2"}}', b'{"request_id":"r"}',
                     b'{"request_id":8}', b"[" * 64 + b"]" * 64, b"[" * 65 + b"]" * 65,
                     b'{"a":' * 65 + b"1" + b"}" * 65, b"[" + b"[1]," * 99 + b"2]",
                     b'"' + b"x" * 1000 + b'"']),
    st.binary(max_size=12),
)  # fmt: skip


@st.composite
def blocks(draw: st.DrawFn) -> bytes:
    """Mostly a usual block; else one with another value, name, line, or no such block at all."""
    fields = dict(draw(st.sampled_from(SHAPES)))
    fields["ce-id"] = f"e/{draw(st.integers(0, 99))}"
    if draw(st.integers(0, 5)) == 0:
        fields[draw(st.sampled_from(sorted(fields)))] = draw(odd_values)
    if draw(st.integers(0, 9)) == 0:
        fields.pop(draw(st.sampled_from(sorted(fields))))
    text = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    block = f"NATS/1.0\r\n{text}\r\n".encode()
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(block)))
        block = block[:at] + draw(st.sampled_from([b"\0", b"\r\n", b"", block])) + block[at + 3 :]
    return block


@st.composite
def batches(draw: st.DrawFn) -> list[Message]:
    """Messages of one stream; a run of the usual ones among others, so that they are together."""
    kinds = st.tuples(
        st.sampled_from(SUBJECTS), blocks(), st.just(b'{"kind":"boot_ok"}') | payloads
    )
    found = draw(st.lists(kinds, min_size=1, max_size=24))
    usual = [(STATE, block(**{"ce-id": f"u/{n}"}), b'{"n":%d}' % n) for n in range(20)]
    at = draw(st.integers(0, len(found)))
    found[at:at] = usual[: draw(st.integers(0, 20))]
    return [
        Message((subject, b"$JS.ACK.S.reg.1.%d.%d.%d.0" % (n, n, 70 + n), headers, payload))
        for n, (subject, headers, payload) in enumerate(found, 1)
    ]


def block(fields: dict[str, str] = PLAIN, **changes: str) -> bytes:
    """Return a header block."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in (fields | changes).items())
    return f"NATS/1.0\r\n{lines}\r\n".encode()


def new_intake(max_payload: int = 900) -> Intake:
    """Return an intake that has seen nothing."""
    return Intake(Classifier(RULES), SubjectSpace(prefix="lab"), max_payload)


def taught(max_payload: int = 900) -> Intake:
    """Return an intake that knows the shapes."""
    intake = new_intake(max_payload)
    for fields in SHAPES:
        for subject in SUBJECTS:
            for n in range(5):
                headers = block(fields, **{"ce-id": f"t/{n}"})
                reply = b"$JS.ACK.S.reg.1.1.1.1.1"
                intake.take_all([Message((subject, reply, headers, b"{}"))], 1)
    return intake


def one_by_one(messages: list[Message]) -> Records:
    """Return what the long way finds in messages."""
    records = Records()
    for message in messages:
        match STRANGER.take(message, 88):
            case Event(row, publish):
                records.rows.append(row)
                if publish:
                    records.publish.add((row.id, row.source))
            case Note() as note:
                records.notes.append(note)
            case None:
                records.unrecorded.append(message.stream_seq)
    return records


TAUGHT = taught()
STRANGER = new_intake()
"""Takes messages one by one only."""


@given(batches())
def test_together_is_as_one_by_one(messages: list[Message]) -> None:
    """Whatever stands among the usual: rows, notes, order and audit records are the same."""
    assert TAUGHT.take_all(messages, 88) == one_by_one(messages)


@pytest.mark.parametrize("name", TRACED)
def test_an_odd_value_among_usual_ones_is_seen(name: str) -> None:
    """A block of the usual lines with one odd value is recorded as it would be by itself."""
    for value in ODD_VALUES:
        changes = [{"ce-id": f"u/{n}"} for n in range(4)]
        changes[2] |= {name: value}
        messages = [
            Message((STATE, b"$JS.ACK.S.reg.1.%d.%d.1.1" % (n, n), block(TRACED, **one), b"{}"))
            for n, one in enumerate(changes, 1)
        ]
        intake = taught()
        assert intake.take_all([messages[0]] * 2, 88).rows, "now the subject is for this shape"
        assert intake.take_all(messages, 88) == one_by_one(messages), value


@pytest.mark.parametrize(
    ("headers", "payload"),
    [
        (block() + b"junk", b"{}"),
        (b"junk" + block(), b"{}"),
        (block() + block(), b"{}"),
        (block()[:-2], b"{}"),
        (block(**{"Nats-Msg-Id": "y" * 17_000}), b"{}"),
        (block(), b'"%b"' % (b"x" * 1000)),
    ],
)
def test_an_odd_message_among_usual_ones_is_seen(headers: bytes, payload: bytes) -> None:
    """What stands beside a block, or is too large, is found as if it came alone."""
    both = [(block(), b"{}"), (headers, payload), (block(), b"{}")]
    messages = [Message((STATE, b"$JS.ACK.S.reg.1.1.1.1.1", *one)) for one in both]
    intake = taught()
    assert intake.take_all(messages[:1], 88).rows, "now the subject is for this shape"
    assert intake.take_all(messages, 88) == one_by_one(messages)


def test_the_usual_is_read_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand plain events with one poison among them: few go the long way."""
    intake = taught()
    longs: list[Message] = []
    take = intake.take

    def counted(message: Message, received_ns: int) -> Event | Note | None:
        longs.append(message)
        return take(message, received_ns)

    monkeypatch.setattr(intake, "take", counted)
    messages = [
        Message((STATE, b"$JS.ACK.S.reg.1.%d.%d.1.1" % (n, n), block(**{"ce-id": f"e/{n}"}), b"{}"))
        for n in range(1, 1001)
    ]
    assert len(intake.take_all(messages, 1).rows) == 1000
    assert not longs
    messages[500] = messages[500]._replace(payload=b"{")
    records = intake.take_all(messages, 1)
    assert (len(records.rows), [note.stream_seq for note in records.notes]) == (999, [501])
    assert 1 <= len(longs) <= 8


def test_large_payloads_are_read_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What JSON says takes many times its size: never that of a whole batch of large payloads."""
    sizes: list[int] = []

    def counted(payloads: Sequence[bytes]) -> set[int]:
        sizes.append(sum(map(len, payloads)))
        return unusual(payloads)

    monkeypatch.setattr(alike, "unusual", counted)
    intake, large = taught(10_000), b'"%b"' % (b"x" * 9_000)
    messages = [
        Message((STATE, b"$JS.ACK.S.reg.1.%d.%d.1.1" % (n, n), block(**{"ce-id": f"e/{n}"}), large))
        for n in range(1, 501)
    ]
    rows = intake.take_all(messages, 1).rows
    assert [(row.stream_seq, row.id) for row in rows] == [(n, f"e/{n}") for n in range(1, 501)]
    assert sum(sizes) >= len(messages) * len(large), "they are read together still"
    assert max(sizes) <= 4 * 1024 * 1024


THERMAL, POWER = b"lab.qiki.events.v1.sensor.thermal", b"lab.qiki.events.v1.power.pdu"
READING = (
    b'{"schema_version":1,"category":"sensor","source":"thermal","subject":"core",'
    b'"ts_epoch":1767225602.25,"temp":-24.7e-1,"unit":"C","kind":"boot_ok","overcurrent":1,'
    b'"current":[0,1.5],"bus_v":{"a":null},"power_out_w":true}'
)
"""Of which the rules look at something on each of our subjects."""

PIECES = [*b'{}[]",:0123456789.eE+-trufalsn \x1f\\\x80', *b'{}"1,9']


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Return a reading of which a few bytes were changed, taken out or put in."""
    text = bytearray(READING)
    for _ in range(draw(st.integers(0, 3))):
        at, piece = draw(st.integers(0, len(text) - 1)), draw(st.sampled_from(PIECES))
        match draw(st.integers(0, 3)):
            case 0:
                text[at] = piece
            case 1:
                del text[at]
            case 2:
                text.insert(at, piece)
            case _:
                end = draw(st.integers(at, min(at + 30, len(text))))
                text[at:at] = text[at:end]
    return bytes(text)


def recorded_alike(intake: Intake, subject: bytes, payloads: list[bytes]) -> None:
    """Look whether payloads of a subject, read together, are recorded as one by one."""
    messages = [
        Message((subject, b"$JS.ACK.S.reg.1.%d.%d.1.1" % (n, n), block(**{"ce-id": f"e/{n}"}), one))
        for n, one in enumerate(payloads, 1)
    ]
    for message in messages:
        assert intake.take_all([message], 88) == one_by_one([message]), message.payload
    assert intake.take_all(messages, 88) == one_by_one(messages)


@given(st.sampled_from([STATE, THERMAL, POWER]), st.lists(damaged(), min_size=1, max_size=4))
def test_damaged_content_is_poison_at_a_glance_too(subject: bytes, found: list[bytes]) -> None:
    """What is no JSON is poison, and what is JSON gets its code, whatever reads it."""
    recorded_alike(TAUGHT, subject, found)


EDGES = [
    b"1e999", b"-1e999", b"1E+999", b"1e0999", b"1e309", b"1.7e308", b"1.8e308", b"1e-999", b"1e99",
    b"9" * 200 + b"e99", b"9" * 309, b"1" + b"0" * 308, b"9" * 150 + b"." + b"9" * 300 + b"e99",
    b"-0", b"18446744073709551616", b"18446744073709551617", b"9007199254740993", b"01", b"NaN",
    b"1.0", b"2.0", b"true", b"false", b"null", b'"1"', b'"2"', b"[1]", b'{"a":1}', b'"\\u0031"',
    b'"\\ud800"', b'"\\ud83d\\ude00"', b'"\xff"', b'"\xed\xa0\x80"', b'"\x7f"', b'"a\tb"',
    b'"x, 3e412"', b'"3e412"', b"1\n", b"1 ", b"[" * 62 + b"]" * 62, b"[" * 64 + b"]" * 64,
    b"[" + b"[]," * 99 + b"[]]", b'2,"schema_version":1', b'1,"schema_version":2',
    b'1,"schema\\u005fversion":2', b'1,"request_id":"r-1"', b'1,"metadata":{"correlation_id":"c"}',
    b'1,"request_id":8', b'1,"kind":"boot_failed"', b'1,"kind":["boot_ok"]', b'1} {"a":1',
]  # fmt: skip


@pytest.mark.parametrize("value", EDGES)
@pytest.mark.parametrize("field", ["schema_version", "temp", "else"])
def test_what_parsers_differ_on_is_recorded_as_ever(field: str, value: bytes) -> None:
    """Numbers beyond a float, escapes, depth, doubled fields, truth beside numbers: one word."""
    payload = b'{"schema_version":1,"kind":"boot_ok","%b":%b}' % (field.encode(), value)
    for subject in (STATE, THERMAL):
        recorded_alike(TAUGHT, subject, [READING, payload, READING])


def test_rules_see_what_they_look_at_at_a_glance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Usual events are judged without their content being read whole; an unusual one is read."""
    read: list[bytes] = []

    def counted(data: bytes) -> Json:
        read.append(data)
        return content_of(data)

    monkeypatch.setattr(alike, "content_of", counted)
    intake = taught()
    read.clear()
    escaped = READING.replace(b"core", b"c\\u006fre")
    for subject in (STATE, THERMAL, POWER):
        recorded_alike(intake, subject, [READING] * 9)
    assert read == []
    recorded_alike(intake, STATE, [READING, escaped, READING])
    assert set(read) == {escaped}


def test_a_rule_on_what_names_a_correlation_takes_nothing_from_it() -> None:
    """Where a rule compares `request_id`, that is still the event's correlation."""
    rule = Rule(where={"request_id": "r-1", "kind": "boot_ok"}, code=710)
    judge = Alike(Classifier(Rules((rule, *RULES.rules), RULES.text)), 900)._judge
    payloads = [b'{"kind":"boot_ok","request_id":"r-%d"}' % n for n in (1, 2)]
    verdicts, correlations = judge(["t"] * 2, ["qiki.events.v1.state"] * 2, payloads)
    assert [one.code for one in verdicts] == [710, 101]
    assert list(correlations) == ["r-1", "r-2"]


@pytest.mark.parametrize("order", [1, -1])
def test_values_that_are_equal_but_not_the_same_are_told_apart(order: int) -> None:
    """Truth is no number, a whole number beyond 64 bits is a float: whichever came first."""
    rules = (
        Rule(where={"value": Bounds(min=1, max=9)}, code=710),
        Rule(where={"value": 2.0**64}, code=711),
        *RULES.rules,
    )
    classifier = Classifier(Rules(rules, RULES.text))
    kind, subject = "qiki.events.v1.SensorReading", "qiki.events.v1.sensor.imu"
    values = (b"true", b"1", b"1.0", b"false", b"0", b"%d" % (2**64), b"%d" % (2**64 + 1))
    payloads = [b'{"value":%b}' % value for value in values][::order]
    wanted = [classifier.classify(kind, subject, content_of(one)) for one in payloads]
    verdicts, _ = Alike(classifier, 900)._judge([kind] * 7, [subject] * 7, payloads)
    assert list(verdicts) == wanted
    assert [one.code for one in wanted][::order] == [221, 710, 710, 221, 221, 711, 711]


def test_long_texts_are_judged_and_not_remembered() -> None:
    """A rule may compare a text of any length; nothing large stays in memory for it."""
    wanted = "x" * 100_000
    rules = (Rule(where={"value": wanted}, code=710), *RULES.rules)
    classifier = Classifier(Rules(rules, RULES.text))
    kind, subject = "qiki.events.v1.SensorReading", "qiki.events.v1.sensor.imu"
    payloads = [b'{"value":"%b"}' % text for text in (wanted.encode(), b"y" * 100_000, b"x")]
    verdicts, _ = Alike(classifier, 1 << 20)._judge([kind] * 3, [subject] * 3, payloads)
    assert [one.code for one in verdicts] == [710, 221, 221]
    known = classifier.plans[kind, subject].glance.known
    assert max(len(str(values)) for values in known) < 1000


def test_values_without_number_are_judged_rightly_and_not_remembered() -> None:
    """Where a rule compares what is new each time, each event is still judged by itself."""
    rule = Rule(where={"temp": Bounds(above=100.5)}, code=710)
    classifier = Classifier(Rules((rule, *RULES.rules), RULES.text))
    judge = Alike(classifier, 900)._judge
    kind, subject = "qiki.events.v1.SensorReading", "qiki.events.v1.sensor.imu"
    payloads = [b'{"schema_version":1,"temp":%d}' % n for n in range(1000)]
    verdicts, correlations = judge([kind] * 1000, [subject] * 1000, payloads)
    again, _ = judge([kind] * 1000, [subject] * 1000, payloads)
    assert [one.code for one in verdicts] == [221] * 101 + [710] * 899
    assert list(again) == list(verdicts)
    glance = classifier.plans[kind, subject].glance
    assert len(glance.known) <= MOST_KNOWN
    assert glance.word(payloads[-1]).code == 710
    assert {*islice(correlations, 1000)} == {""}


@given(
    st.datetimes().map(lambda one: one.isoformat()[:19]),
    st.from_regex(r"(\.[0-9]{1,12})?(Z|z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])", fullmatch=True),
)
def test_times_of_events_are_read_as_any_other(second: str, rest: str) -> None:
    """Read by their parts, they are what they are as a whole, unless too far for the store."""
    text, whole = second + rest, parse_ns(second + rest)
    try:
        assert EventTimes().read([text, text]) == [whole, whole]
    except ValueError:
        assert abs(whole) > (1 << 63) - 3 * 86400 * 10**9
