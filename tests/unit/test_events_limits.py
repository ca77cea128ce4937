"""Encoders at the edges: extremes, missing values, dishonest ones, and what is refused."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from twin.events.encode import (
    RadarEncoder,
    Roster,
    TracksEncoder,
    bus_encoder,
    imu_encoder,
    nav_encoder,
    telemetry_encoder,
    thermal_encoder,
)
from twin.events.encode.codes import Bits
from twin.events.encode.form import Form
from twin.events.encode.leaves import Missing, Now, Number, OneOf, SetOf, WhatIsMissing
from twin.events.encode.moment import Moment
from twin.events.encode.template import Templates
from twin.events.payloads import validate_payload
from twin.events.ratings import PowerRating
from twin.events.samples import NODES, SampleViews, sample_views
from twin.events.views import Health, ImuView, TelemetryView

ROSTER = Roster("run-1", 1_767_225_600 * 10**9, ("bot-0", "bot-1"))
NOWHERE = Moment(0)
TELEMETRY = telemetry_encoder(ROSTER, PowerRating(), NODES)
TAU = 2 * math.pi


def views(**more: Any) -> SampleViews:
    return sample_views(2, **more)


def telemetry(view: TelemetryView, bot: int = 0) -> dict[str, Any]:
    """Encode a snapshot, hold it against its contract, and return it."""
    (event,) = TELEMETRY.encode([bot], view, 10**9)
    validate_payload("telemetry", event.payload)
    document: dict[str, Any] = json.loads(event.payload)
    return document


class Column:
    """A view of one column."""

    def __init__(self, *values: float) -> None:
        self.x = np.array(values)
        self.code = np.array(values)


def written(number: Number, *values: float) -> list[Any]:
    form = Form({"x": number})
    payloads = form.render(Column(*values), np.arange(len(values)), NOWHERE)
    return [json.loads(payload)["x"] for payload in payloads]


@given(
    st.floats(-1e9, 1e9),
    st.integers(0, 6),
)
def test_a_number_is_the_nearest_with_its_decimals(value: float, decimals: int) -> None:
    """Rounding moves a number by at most half of its last place, and leaves no further digits."""
    (found,) = written(Number("x", decimals), value)
    assert abs(found - value) <= 0.5 * 10.0**-decimals + abs(value) * 1e-15
    assert float(f"{found:.{decimals}f}") == found
    assert math.copysign(1, found) == 1 or found < 0


@given(st.floats(0, 360), st.integers(0, 4))
@example(359.996, 2)
@example(360.0, 2)
def test_a_bearing_never_becomes_360(value: float, decimals: int) -> None:
    """What would be rounded up to a full turn is north."""
    (found,) = written(Number("x", decimals, 0, 360, wrap=True), value)
    assert 0 <= found < 360


@given(st.floats(-TAU, TAU), st.integers(0, 5))
@example(TAU, 4)
@example(-TAU, 4)
def test_rounding_does_not_leave_the_range(value: float, decimals: int) -> None:
    """A bound that has more decimals than the number is not stepped over."""
    (found,) = written(Number("x", decimals, -TAU, TAU), value)
    assert -TAU <= found <= TAU
    assert float(f"{found:.{decimals}f}") == found


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 100.01, -0.01, 1e300])
def test_a_value_outside_its_range_is_refused(value: float) -> None:
    """A plane that computes nonsense is told so; nothing is clipped to look real."""
    with pytest.raises(ValueError, match=r"^x = .* \(row 1\)"):
        written(Number("x", 2, 0, 100), 50.0, value)


def test_a_hair_over_the_range_is_rounding() -> None:
    """A charge of 100 % plus a few ulps is 100 %."""
    assert written(Number("x", 2, 0, 100), 100.0000001, -1e-9) == [100.0, 0.0]


def test_no_bots_give_no_events() -> None:
    """Nothing to encode is not an error."""
    everything = views()
    assert TELEMETRY.encode([], everything.telemetry, 0) == []
    assert RadarEncoder(ROSTER).encode([], everything.radar, 0) == []
    assert TracksEncoder(ROSTER).encode([], everything.tracks, 0) == []


def test_a_bot_without_contacts_sends_empty_frames_and_no_tracks() -> None:
    """A scan that sees nothing is still a scan; no track is no event."""
    nothing = views(detections=0)
    events = RadarEncoder(ROSTER).encode([0, 1], nothing.radar, 0)
    assert [json.loads(event.payload)["detections"] for event in events] == [[]] * 6
    assert TracksEncoder(ROSTER).encode([0, 1], nothing.tracks, 0) == []


def test_failed_sensor_gives_null_with_status_and_reason() -> None:
    """A reading without a value says so, even where the plane left a number behind."""
    thermal = replace(views().thermal, core=Health(np.array([0, 2]), [None, 'stuck at "7"']))
    well, ill = thermal_encoder(ROSTER).encode([0, 1], thermal, 0)
    assert set(json.loads(well.payload)) & {"status", "reason"} == set()
    document = json.loads(ill.payload)
    assert (document["temp"], document["status"]) == (None, "failed")
    assert document["reason"] == 'stuck at "7"'
    validate_payload("events.v1.sensor.thermal", ill.payload)


def test_degraded_sensor_keeps_its_value() -> None:
    """A doubtful value is still one, and carries its reason."""
    imu = replace(views().imu, health=Health(np.array([1, 3]), ["drift", None]))
    doubtful, off = imu_encoder(ROSTER).encode([0, 1], imu, 0)
    assert json.loads(doubtful.payload)["status"] == "degraded"
    assert json.loads(doubtful.payload)["gyro_x_rps"] is not None
    assert json.loads(off.payload)["status"] == "disabled"
    assert json.loads(off.payload)["accel_z_mps2"] is None
    for event in (doubtful, off):
        validate_payload("events.v1.sensor.imu", event.payload)


@pytest.mark.parametrize("status", [0, 1])
def test_nan_with_a_status_of_a_value_is_refused(status: int) -> None:
    """A sensor cannot be well, or merely degraded, and have nothing to say."""
    health = Health(np.array([0, status]), [None, "why"])
    gyro = np.array([[1.0, 2.0, 3.0], [1.0, np.nan, 3.0]])
    with pytest.raises(ValueError, match="nan"):
        imu_encoder(ROSTER).encode([0, 1], ImuView(gyro, gyro, health), 0)
    thermal = replace(views().thermal, temp_c=np.full((2, 6), np.nan), core=None)
    with pytest.raises(ValueError, match="nan"):
        thermal_encoder(ROSTER).encode([0], thermal, 0)


def test_an_unknown_status_is_refused() -> None:
    """A status that has no name would change what else the event says."""
    health = Health(np.array([0, 4]), [None, None])
    with pytest.raises(ValueError, match="status"):
        imu_encoder(ROSTER).encode([0, 1], replace(views().imu, health=health), 0)


def test_lost_navigation_is_null_throughout() -> None:
    """Without a fix there is no position, heading or attitude that looks real."""
    nav = replace(views().nav, health=Health(np.array([2, 2]), ["no fix", "no fix"]))
    (event,) = nav_encoder(ROSTER).encode([1], nav, 0)
    document = json.loads(event.payload)
    assert document["position_m"] == {"x": None, "y": None, "z": None}
    assert document["heading_deg"] is None
    validate_payload("events.v1.nav", event.payload)


def test_snapshot_leaves_out_what_has_no_reading_and_names_it() -> None:
    """Missing sensors vanish from the snapshot, node by node, and `sensor_status` lists them."""
    sample = views().telemetry
    temp = sample.thermal.temp_c.copy()
    temp[0, [0, 4]] = np.nan
    nan = np.array([np.nan, 1.0])
    broken = replace(
        sample,
        thermal=replace(sample.thermal, temp_c=temp),
        radiation_usvh=nan,
        temp_external_c=nan,
        cpu_usage=nan,
        memory_usage=nan,
    )
    document = telemetry(broken)
    assert not {"radiation_usvh", "temp_external_c", "temp_core_c"} & set(document)
    assert (document["cpu_usage"], document["memory_usage"]) == (None, None)
    nodes = [node["id"] for node in document["thermal"]["nodes"]]
    assert nodes == ["pdu", "supercap", "battery", "hull"]
    assert set(document["sensor_status"]) == {
        *("radiation_usvh", "temp_external_c", "temp_core_c"),
        *("thermal.core", "thermal.dock_bridge"),
    }
    whole = telemetry(broken, bot=1)
    assert len(whole["thermal"]["nodes"]) == 6
    assert "sensor_status" not in whole
    assert whole["comms"] == telemetry(sample, bot=1)["comms"]


@given(st.sets(st.integers(0, 5)))
def test_any_set_of_nodes_may_be_missing(gone: set[int]) -> None:
    """Whichever nodes have no reading, the others keep their own temperatures."""
    sample = views(seed=3).telemetry
    temp = sample.thermal.temp_c.copy()
    temp[0, list(gone)] = np.nan
    document = telemetry(replace(sample, thermal=replace(sample.thermal, temp_c=temp)))
    kept = [place for place in range(6) if place not in gone]
    assert [node["id"] for node in document["thermal"]["nodes"]] == [NODES[k].id for k in kept]
    found = [node["temp_c"] for node in document["thermal"]["nodes"]]
    assert found == pytest.approx([temp[0, k] for k in kept], abs=0.0051)
    assert document["radiation_usvh"] == pytest.approx(sample.radiation_usvh[0], abs=0.00051)


def test_track_without_a_position_says_null() -> None:
    """A vector with any nan is null as a whole; its neighbours are not moved."""
    tracks = views().tracks
    position = tracks.position.copy()
    position[0, 1] = np.nan
    view = replace(tracks, position=position)
    events = TracksEncoder(ROSTER).encode([0], view, 0)
    first, second = (json.loads(event.payload) for event in events[:2])
    assert first["position"] is None
    assert first["velocity"]["x"] == pytest.approx(tracks.velocity[0, 0], abs=0.00051)
    assert second["position"]["y"] == pytest.approx(position[1, 1], abs=0.00051)
    assert (first["position_covariance"], first["velocity_covariance"]) == (None, None)
    validate_payload("radar.v1.tracks", events[0].payload)


def test_lr_contact_never_carries_identity() -> None:
    """Whatever a plane writes beside an LR detection or track, the wire does not show it."""
    radar = replace(
        views(lively=True).radar,
        transponder=np.zeros(8, dtype=np.int64),
        transponder_on=np.ones(8, dtype=bool),
        transponder_mode=np.full(8, 3),
    )
    frame = json.loads(RadarEncoder(ROSTER).encode([0], radar, 0)[0].payload)
    lr, sr = frame["detections"][0], frame["detections"][1]
    assert (lr["range_band"], sr["range_band"]) == (1, 2)
    identity = ("transponder_on", "transponder_mode", "transponder_id", "id_present")
    assert [lr[key] for key in identity] == [False, 0, None, False]
    assert [sr[key] for key in identity] == [True, 3, "XP-0000", True]
    assert radar.transponder_on.all()


def test_a_transponder_name_is_written_as_json() -> None:
    """A hostile or spoofed name stays one JSON string."""
    name = 'x","range_m":0,"y":"%s\r\n'
    radar = replace(views().radar, transponder_ids=[name] * 20, transponder=np.zeros(8, np.int64))
    frame = json.loads(RadarEncoder(ROSTER).encode([0], radar, 0)[0].payload)
    assert frame["detections"][1]["transponder_id"] == name


@pytest.mark.parametrize(
    ("leaf", "code"), [(OneOf("code", ("a", "b")), 2), (SetOf("code", ("a", "b")), 4)]
)
def test_a_code_outside_its_vocabulary_is_refused(leaf: OneOf | SetOf, code: int) -> None:
    """An unknown state is a fault of the plane, not some other state."""
    form = Form({"x": Number("x", 0), "leaf": leaf})
    for wrong in (code, -1):
        with pytest.raises(ValueError, match="code"):
            form.render(Column(wrong), np.arange(1), NOWHERE)
    assert form.render(Column(1), np.arange(1), NOWHERE)


def test_a_form_that_cannot_be_filled_in_order_is_refused() -> None:
    """Times stand before numbers, no leaf stands twice, and the discrete state has a limit."""
    shared = Number("x", 1)
    wide = [SetOf("code", tuple("abcdefghij")) for _ in range(7)]
    for wrong in (
        {"x": Number("x", 1), "when": Now()},
        {"x": shared, "y": shared},
        {"x": Number("x", 1), "wide": wide},
    ):
        with pytest.raises(ValueError, match="form"):
            Form(wrong)


def test_percent_signs_and_marks_in_constants_are_kept() -> None:
    """Text of a document that looks like a format or a slot is only text."""
    form = Form({"a": "100% %b %d", "x": Number("x", 1), "%s": "\\u0000"})
    (payload,) = form.render(Column(1.5), np.arange(1), NOWHERE)
    assert json.loads(payload) == {"a": "100% %b %d", "x": 1.5, "%s": "\\u0000"}


def test_a_thousand_states_do_not_fill_the_memory() -> None:
    """Templates are dropped and made again when a fleet shows very many states."""
    names = tuple("abcdefghijklm")
    leaf = SetOf("code", names)
    templates = Templates({"set": leaf}, [], lambda _leaf: Bits(0, len(names)))
    texts = {templates[code] for code in range(1 << len(names))}
    assert len(texts) == 1 << len(names)
    assert len(templates) <= 4096
    assert templates[3] == b'{"set":["a","b"]}'


def test_dropped_numbers_at_any_place_leave_sound_json() -> None:
    """The first, the last, or all members of an object may be missing."""
    document = {
        "o": {k: Number("x", 0, missing=Missing.DROP, item=i) for i, k in enumerate("abc")},
        "last": WhatIsMissing(),
    }
    form = Form(document)

    class Table:
        x = np.array([[np.nan if mask >> i & 1 else i for i in range(3)] for mask in range(8)])

    for mask, payload in enumerate(form.render(Table(), np.arange(8), NOWHERE)):
        found = json.loads(payload)
        assert found["o"] == {k: i for i, k in enumerate("abc") if not mask >> i & 1}
        assert ("last" in found) is (mask > 0)


def test_bus_reading_out_of_reason_names_the_field() -> None:
    """The error says which value of which bot's row is wrong."""
    power = views().power
    power.bus_a[1] = -3.0
    with pytest.raises(ValueError, match=r"bus_a = -3\.0 is out of its range \(row 1\)"):
        bus_encoder(ROSTER).encode([0, 1], power, 0)


def test_a_snapshot_may_do_without_comms_and_carry_a_hash() -> None:
    """A bot without a datalink has no comms block; the profile's hash is written as it is."""
    mute = telemetry_encoder(
        ROSTER, PowerRating(), NODES, comms=False, hardware_profile_hash="sha256:00ff"
    )
    (event,) = mute.encode([0], replace(views().telemetry, comms=None), 0)
    validate_payload("telemetry", event.payload)
    document = json.loads(event.payload)
    assert "comms" not in document
    assert document["hardware_profile_hash"] == "sha256:00ff"
