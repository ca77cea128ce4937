"""Channels that a user defines: their payloads are checked when read, and made from the seed."""

import base64
import json
import math
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from twin.errors import InputError
from twin.spec.bot import BotSpec
from twin.spec.dump import dump_spec, to_yaml
from twin.spec.load import load_spec
from twin.spec.parse import parse
from twin.spec.payload.model import CustomChannel, overlap
from twin.spec.payload.template import Moment
from twin.spec.yaml import Plain, read_text

T0 = 1_700_000_000_123_456_789
MOMENT = Moment("rover-0001", 1, T0, {"power.soc_pct": 55.5555, "power.bus_v": math.nan})


def spec_text(channel: Plain, *more: Plain, profile: str = "custom") -> str:
    """Return a spec with the given channels."""
    return to_yaml(
        {
            "version": 1,
            "kind": "BotSpec",
            "metadata": {"id": "T"},
            "profile": profile,
            "components": {},
            "event_bus": {"channels": [channel, *more]},
        }
    )


def channel(payload: Plain, **fields: Plain) -> dict[str, Plain]:
    """Return a channel as plain values."""
    return {"name": "gps", "subject": "fleet.{bot}.gps", "payload": payload, **fields}


def made(payload: Plain, moment: Moment = MOMENT, seed: int = 7) -> object:
    """Return the payload of one event, as JSON."""
    [one] = parse(BotSpec, read_text(spec_text(channel(payload)))).event_bus.custom
    return json.loads(one.maker(seed)(moment))


def problems(*channels: Plain, profile: str = "custom") -> list[str]:
    """Return the messages for a spec with these channels."""
    with pytest.raises(InputError) as caught:
        parse(BotSpec, read_text(spec_text(*channels, profile=profile)))
    return [problem.message for problem in caught.value.problems]


TEMPLATES: list[tuple[Plain, object]] = [
    ("{bot}", "rover-0001"),
    ("{seq}", 1),
    ("{time}", "2023-11-14T22:13:20.123Z"),
    ("{time_ms}", 1_700_000_000_123),
    ("{power.soc_pct}", 55.556),
    ("{power.soc_pct:1}", 55.6),
    ("{power.soc_pct:0}", 56),
    ("{power.bus_v}", None),
    ("{bot} at {power.soc_pct:0} % {{x}} {power.bus_v}", "rover-0001 at 56 % {x} null"),
    ({"a": [1, "{seq}", {"b": None}], "c": True}, {"a": [1, 1, {"b": None}], "c": True}),
]


@pytest.mark.parametrize(("template", "expected"), TEMPLATES)
def test_templates_are_filled_in(template: Plain, expected: object) -> None:
    """A lone placeholder keeps its type, others are written out, and no value is null."""
    assert made({"template": template}) == expected


def test_a_template_says_what_state_it_reads() -> None:
    """The twin is asked for the quantities that the template names, and for no others."""
    text = spec_text(channel({"template": {"a": "{power.soc_pct} {bot}", "b": ["{imu.x:2}"]}}))
    [one] = parse(BotSpec, read_text(text)).event_bus.custom
    assert one.payload.state == ("imu.x", "power.soc_pct")


BAD_PAYLOADS: list[tuple[Plain, str]] = [
    ({}, "a payload is json_schema, template or samples, not none of them"),
    ({"template": "x", "samples": ["a"]}, "not template and samples"),
    ({"template": {"a": "{bott}"}}, "unknown placeholder '{bott}'; did you mean 'bot'?"),
    ({"template": ["{power.Soc}"]}, "'{power.Soc}' is no placeholder"),
    ({"template": "{"}, "a lone '{': write '{{' for the character itself"),
    ({"json_schema": {"type": "objct"}}, "not 'objct'; did you mean 'object'?"),
    ({"json_schema": {}}, "`type` must be one of the JSON types, not None"),
    ({"json_schema": {"type": "number", "minimun": 1}}, "did you mean 'minimum'?"),
    ({"json_schema": {"type": "number", "minimum": 5, "maximum": 4}}, "minimum 5 is above maximum"),
    ({"json_schema": {"type": "number", "minimum": "5"}}, "minimum must be a number"),
    ({"json_schema": {"type": "integer", "minimum": 0.5}}, "minimum must be a whole number"),
    ({"json_schema": {"type": "array"}}, "an array needs `items`"),
    (
        {"json_schema": {"type": "array", "items": {"type": "null"}, "maxItems": 101}},
        "maxItems must be at most 100",
    ),
    ({"json_schema": {"type": "string", "format": "uid"}}, "did you mean 'uuid'?"),
    ({"json_schema": {"enum": []}}, "an enum is a list with at least one value"),
    ({"json_schema": {"type": "object", "properties": {"a": 1}}}, "a schema is a mapping"),
    ({"json_schema": {"type": "object", "properties": []}}, "`properties` is a mapping"),
    ({"json_schema": {"type": "string", "pattern": "a+"}}, "'pattern' is not understood for str"),
    ({"inline": ["%"]}, "is not base64"),
]


@pytest.mark.parametrize(("payload", "message"), BAD_PAYLOADS)
def test_what_cannot_be_made_is_refused_when_read(payload: Plain, message: str) -> None:
    """Nothing is found out only when the first message is due."""
    [found] = problems(channel(payload))
    assert message in found


BAD_CHANNELS: list[tuple[dict[str, Plain], str]] = [
    ({"subject": "fleet.gps"}, "must have {bot} as one token"),
    ({"subject": "fleet.{bot}.{bot}"}, "must have {bot} as one token"),
    ({"subject": "fleet.x{bot}.gps"}, "does not match the pattern"),
    ({"subject": "fleet.{bot}.>"}, "does not match the pattern"),
    ({"subject": "qiki.{bot}.gps"}, "begins with qiki, which is not free"),
    ({"subject": "$JS.{bot}"}, "does not match the pattern"),
    ({"stream": "QIKI_RADAR_V1"}, "the stream QIKI_RADAR_V1 is the platform's"),
    ({"stream": "a.b"}, "does not match the pattern"),
    ({"rate_hz": 0}, "0 must be more than 0 Hz"),
    ({"headers": {"ce-id": "x"}}, "the header 'ce-id' is set by twin"),
    ({"headers": {"Nats-Msg-Id": "x"}}, "the header 'Nats-Msg-Id' is set by twin"),
    ({"headers": {"a": "x\r\ny"}}, "may hold printable ASCII only"),
    ({"headers": {"a b": "x"}}, "'a b' is no header name"),
    ({"name": "NavState"}, "the channel 'NavState' is listed twice"),
    ({"rate": 1}, "unknown key 'rate'; did you mean 'rate_hz'?"),
]


@pytest.mark.parametrize(("fields", "message"), BAD_CHANNELS)
def test_a_channel_is_safe_to_publish(fields: dict[str, Plain], message: str) -> None:
    """Subjects name the bot and stay out of others' space; headers cannot forge ours."""
    assert any(message in found for found in problems(channel({"template": 1}, **fields)))


def test_subjects_must_not_overlap() -> None:
    """Two channels that could meet on one subject are refused, whatever bots there are."""
    other = channel({"template": 1}, name="two", subject="fleet.gps.{bot}")
    [found] = problems(channel({"template": 1}), other)
    assert found == "the subject 'fleet.gps.{bot}' overlaps that of 'gps'"
    assert not overlap("fleet.*.gps", "fleet.*.imu")


def test_own_channels_need_the_profile_custom() -> None:
    """A QIKI bot speaks on its nine channels only."""
    found = problems(channel({"template": 1}), profile="qiki")
    assert "the channel 'gps' needs `profile: custom`" in found


SCHEMA: Plain = {
    "type": "object",
    "required": ["n"],
    "properties": {
        "n": {"type": "number", "minimum": -2, "maximum": 2.5},
        "i": {"type": "integer", "minimum": 3, "maximum": 5},
        "s": {"type": "string", "minLength": 2, "maxLength": 4},
        "id": {"type": "string", "format": "uuid"},
        "at": {"type": "string", "format": "date-time"},
        "e": {"enum": ["a", None]},
        "c": {"const": {"x": 1}},
        "b": {"type": "boolean"},
        "l": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
        "z": {"type": "null"},
    },
}


def test_schema_values_fit_and_cover_the_schema() -> None:
    """A thousand values stay within every bound, and reach all of a small range."""
    values = [made({"json_schema": SCHEMA}, MOMENT._replace(seq=seq)) for seq in range(1, 400)]
    for value in values:
        assert isinstance(value, dict)
        assert -2 <= value["n"] <= 2.5
        assert 2 <= len(value["s"]) <= 4
        assert 1 <= len(value["l"]) <= 3
        assert (value["c"], value["z"]) == ({"x": 1}, None)
        assert value["at"] == "2023-11-14T22:13:20.123Z"
    assert {value["i"] for value in values} == {3, 4, 5}  # type: ignore[index]  # checked above
    assert {value["e"] for value in values} == {"a", None}  # type: ignore[index]
    assert {value["b"] for value in values} == {True, False}  # type: ignore[index]
    assert len({value["id"] for value in values}) == len(values)  # type: ignore[index]


def test_schema_values_follow_from_seed_bot_and_sequence() -> None:
    """The same event has the same payload in every run and shard; another has another."""
    first = made({"json_schema": SCHEMA})
    assert first == made({"json_schema": SCHEMA})
    assert first != made({"json_schema": SCHEMA}, seed=8)
    assert first != made({"json_schema": SCHEMA}, MOMENT._replace(bot="rover-0002"))
    assert first != made({"json_schema": SCHEMA}, MOMENT._replace(seq=2))


BOUNDS = st.none() | st.integers(-50, 200)


@settings(deadline=None)
@given(kind=st.sampled_from(["number", "integer"]), low=BOUNDS, high=BOUNDS, seq=st.integers(1, 99))
def test_numbers_stay_within_whatever_bounds_are_given(
    kind: str, low: int | None, high: int | None, seq: int
) -> None:
    """One bound, both or none: the value keeps to those that are there."""
    assume(low is None or high is None or low <= high)
    bounds = {"minimum": low, "maximum": high}
    schema = {"type": kind, **{k: v for k, v in bounds.items() if v is not None}}
    value = made({"json_schema": schema}, MOMENT._replace(seq=seq))
    assert isinstance(value, float | int)
    assert low is None or value >= low
    assert high is None or value <= high


def test_samples_are_read_with_the_spec_and_sent_in_turn(tmp_path: Path) -> None:
    """The loaded spec holds the bytes, so its written copy needs no files."""
    blobs = [b"\x00\xff\xfe", b"second", b""]
    for number, blob in enumerate(blobs):
        (tmp_path / f"{number}.bin").write_bytes(blob)
    names: Plain = [f"{number}.bin" for number in range(3)]
    (tmp_path / "s.yaml").write_text(spec_text(channel({"samples": names})))
    spec = load_spec(tmp_path / "s.yaml")
    again = parse(BotSpec, read_text(dump_spec(spec)))
    assert again == spec
    [one] = again.event_bus.custom
    maker = one.maker(0)
    assert [maker(MOMENT._replace(seq=seq)) for seq in range(1, 5)] == [*blobs, blobs[0]]
    assert one.payload.inline[1] == base64.b64encode(b"second").decode()
    assert one.media_type == "application/octet-stream"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.bin", "'none.bin' cannot be read: No such file or directory"),
        ("../outside.bin", "'../outside.bin' lies outside the spec's folder"),
        ("/etc/passwd", "'/etc/passwd' lies outside the spec's folder"),
        ("link.bin", "'link.bin' lies outside the spec's folder"),
    ],
)
def test_samples_stay_in_the_specs_folder(tmp_path: Path, name: str, message: str) -> None:
    """Neither `..`, nor an absolute path, nor a link leads out."""
    folder = tmp_path / "specs"
    folder.mkdir()
    (tmp_path / "outside.bin").write_bytes(b"x")
    (folder / "link.bin").symlink_to(tmp_path / "outside.bin")
    (folder / "s.yaml").write_text(spec_text(channel({"samples": [name]})))
    with pytest.raises(InputError) as caught:
        load_spec(folder / "s.yaml")
    [problem] = caught.value.problems
    assert problem.message == message
    assert problem.line == (folder / "s.yaml").read_text().split("\n").index(f"      - {name}") + 1


def test_too_many_sample_bytes_are_refused(tmp_path: Path) -> None:
    """The samples of a spec have to fit into its written copy."""
    (tmp_path / "big.bin").write_bytes(b"x" * 300_000)
    (tmp_path / "s.yaml").write_text(spec_text(channel({"samples": ["big.bin", "big.bin"]})))
    with pytest.raises(InputError, match="600000 bytes together, more than 524288"):
        load_spec(tmp_path / "s.yaml")


def test_samples_that_were_not_read_are_no_payload() -> None:
    """A spec that was parsed without its folder says so instead of sending nothing."""
    [one] = parse(BotSpec, read_text(spec_text(channel({"samples": ["a"]})))).event_bus.custom
    with pytest.raises(ValueError, match="have not been read"):
        one.maker(0)


def test_the_shipped_rover_has_one_payload_of_each_kind() -> None:
    """`builtin:rover` shows JSON Schema, template and opaque bytes."""
    rover = load_spec("builtin:rover")
    assert rover.profile == "custom"
    kinds = {one.name: one.payload.kind for one in rover.event_bus.custom}
    assert kinds == {"gps": "json_schema", "status": "template", "camera": "inline"}
    one: CustomChannel = rover.event_bus.custom[0]
    assert (one.subject_of("r-1"), one.pattern) == ("fleet.r-1.gps", "fleet.*.gps")
    assert rover.event_bus.names == ("gps", "status", "camera")


def test_rounding_does_not_leave_a_narrow_range() -> None:
    """Bounds closer together than the third decimal still hold."""
    schema: Plain = {"type": "number", "minimum": 0.0004, "maximum": 0.0006}
    for seq in range(1, 20):
        value = made({"json_schema": schema}, MOMENT._replace(seq=seq))
        assert isinstance(value, float)
        assert 0.0004 <= value <= 0.0006
