"""The payload contracts: what they refuse, and the facts that must pass them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from twin.events.channels import CHANNELS
from twin.events.cloudevents import CloudEvent, decode
from twin.events.encode import (
    RadarEncoder,
    Roster,
    TracksEncoder,
    answer_encoder,
    bus_encoder,
    guard_encoder,
    mode_encoder,
    state_encoder,
    telemetry_encoder,
    trip_encoder,
)
from twin.events.facts import CommandAnswer, GuardAlert, ModeSet, StateEdge, ThermalTrip
from twin.events.payloads import CONTRACTS, validate_payload
from twin.events.ratings import PowerRating
from twin.events.samples import NODES, sample_views
from twin.events.vocabulary import StateKind

ROSTER = Roster("run-1", 1_767_225_600 * 10**9, ("bot-0", "bot-1"))
METADATA = {
    "message_id": "1",
    "correlation_id": None,
    "timestamp": "2026-01-01T00:00:00+00:00",
    "message_type": "command",
    "source": "orion",
    "destination": "bot-0",
}


def sample(key: str) -> dict[str, Any]:
    """One valid payload of a channel."""
    views = sample_views(2)
    encoded = {
        "telemetry": lambda: telemetry_encoder(ROSTER, PowerRating(), NODES).encode(
            [0], views.telemetry, 0
        ),
        "radar.v1.frames": lambda: RadarEncoder(ROSTER).encode([0], views.radar, 0),
        "radar.v1.tracks": lambda: TracksEncoder(ROSTER).encode([0], views.tracks, 0)[1:],
        "events.v1.power.bus": lambda: bus_encoder(ROSTER).encode([0], views.power, 0),
    }
    document: dict[str, Any] = json.loads(encoded[key]()[0].payload)
    validate_payload(key, json.dumps(document).encode())
    return document


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("telemetry", lambda d: d["power"].update(extra=1)),
        ("telemetry", lambda d: d["power"].pop("bus_v")),
        ("telemetry", lambda d: d["power"].update(bus_v=-1.0)),
        ("telemetry", lambda d: d["power"].update(bus_v="28")),
        ("telemetry", lambda d: d["power"]["loads_w"].update(radar=-1.0)),
        ("telemetry", lambda d: d["position"].update(w=1.0)),
        ("telemetry", lambda d: d["attitude"].update(yaw_rad=6.29)),
        ("telemetry", lambda d: d.update(ts_unix_ms=1.5)),
        ("telemetry", lambda d: d.update(cpu_usage=100.1)),
        ("telemetry", lambda d: d.update(schema_version=2)),
        ("telemetry", lambda d: d.update(timestamp="2026-01-01T00:00:00+00:00")),
        ("telemetry", lambda d: d.update(timestamp="2026-13-01T00:00:00Z")),
        ("telemetry", lambda d: d["thermal"]["nodes"][0].update(x=1)),
        ("radar.v1.frames", lambda d: d.update(extra=1)),
        ("radar.v1.frames", lambda d: d.update(frame_id="17")),
        ("radar.v1.frames", lambda d: d.update(ts_event="2026-01-01T00:00:01Z")),
        ("radar.v1.frames", lambda d: d["detections"][0].update(range_m=-1)),
        ("radar.v1.frames", lambda d: d["detections"][0].update(bearing_deg=360)),
        ("radar.v1.frames", lambda d: d["detections"][0].update(elev_deg=90.1)),
        ("radar.v1.frames", lambda d: d["detections"][0].update(transponder_mode=4)),
        ("radar.v1.frames", lambda d: d["detections"][0].update(transponder_id="XP-1")),
        ("radar.v1.frames", lambda d: d["detections"][0].update(id_present=True)),
        ("radar.v1.frames", lambda d: d["detections"][0].update(snr_db=None)),
        ("radar.v1.tracks", lambda d: d.update(quality=1.1)),
        ("radar.v1.tracks", lambda d: d.update(position={"x": 1.0, "y": 2.0})),
        ("radar.v1.tracks", lambda d: d.update(position_covariance=[1.0] * 5)),
        ("radar.v1.tracks", lambda d: d.update(range_band=1, transponder_mode=1)),
        ("radar.v1.tracks", lambda d: d.update(miss_count=-1)),
        ("events.v1.power.bus", lambda d: d.update(unit="V")),
        ("events.v1.power.bus", lambda d: d.update(ts_epoch=None)),
        ("events.v1.power.bus", lambda d: d.pop("category")),
    ],
)
def test_a_payload_that_breaks_its_contract_is_refused(key: str, change: Change) -> None:
    """One wrong key, type or value is enough."""
    document = sample(key)
    change(document)
    with pytest.raises(ValidationError):
        validate_payload(key, json.dumps(document).encode())


def test_a_snapshot_may_have_further_keys_at_the_top() -> None:
    """Telemetry is open at its top level, as the platform says."""
    document = sample("telemetry") | {"orbit": {"a": 1}}
    validate_payload("telemetry", json.dumps(document).encode())


def test_frames_hold_only_their_band() -> None:
    """An SR detection on the LR subject breaks the contract, and the other way round."""
    union = json.dumps(sample("radar.v1.frames")).encode()
    for key in ("radar.v1.frames.lr", "radar.v1.tracks.sr"):
        with pytest.raises(ValidationError):
            validate_payload(key, union)


def test_nan_is_not_json() -> None:
    """A payload with a bare NaN or Infinity is refused."""
    for word in ("NaN", "Infinity"):
        text = json.dumps(sample("events.v1.power.bus") | {"bus_v": "@"}).replace('"@"', word)
        with pytest.raises(ValidationError):
            validate_payload("events.v1.power.bus", text.encode())


def test_a_reading_is_honest_or_refused() -> None:
    """Value and status must agree in the contract, too."""
    honest = {
        "schema_version": 1,
        "category": "sensor",
        "source": "thermal",
        "subject": "core",
        "ts_epoch": 1.0,
        "unit": "C",
    }
    for keys, valid in (
        ({"temp": 1.0}, True),
        ({"temp": None, "status": "failed", "reason": "stuck"}, True),
        ({"temp": None}, False),
        ({"temp": None, "status": "degraded"}, False),
        ({"temp": 1.0, "status": "failed"}, False),
    ):
        payload = json.dumps(honest | keys).encode()
        if valid:
            validate_payload("events.v1.sensor.thermal", payload)
        else:
            with pytest.raises(ValidationError):
                validate_payload("events.v1.sensor.thermal", payload)


def test_every_channel_has_a_contract() -> None:
    """The tables of channels and of contracts name the same keys; another key is an error."""
    assert set(CONTRACTS) == set(CHANNELS)
    with pytest.raises(KeyError):
        validate_payload("nothing", b"{}")


@pytest.mark.parametrize(
    ("key", "command"),
    [
        ("commands.control", {"command_name": "sim.start", "parameters": {"a": [1, None]}}),
        (
            "commands.thruster",
            {"schema_version": 1, "burns": [{"thruster": 15, "duty_pct": 50}], "duration_s": 1},
        ),
        ("commands.mode", {"schema_version": 1, "mode": "SAFE_MODE"}),
        ("commands.protocol", {"schema_version": 1, "protocol": "dock", "action": "start"}),
    ],
)
def test_commands_are_read_strictly(key: str, command: dict[str, Any]) -> None:
    """A command needs its metadata and has no key that is not known."""
    document = command | {"metadata": METADATA}
    validate_payload(key, json.dumps(document).encode())
    for wrong in (command, document | {"x": 1}, document | {"metadata": METADATA | {"x": 1}}):
        with pytest.raises(ValidationError):
            validate_payload(key, json.dumps(wrong).encode())


NAMES = st.text(min_size=1, max_size=20)


@given(NAMES, NAMES, st.none() | NAMES, st.sampled_from(StateKind))
def test_state_edges_say_what_changed(
    before: str, after: str, reason: str | None, kind: StateKind
) -> None:
    """Any words survive as JSON, and a reason is there only if there is one."""
    edge = StateEdge(1, kind, "power", "power", "battery", before, after, reason)
    (event,) = state_encoder(ROSTER).encode([edge], 10**9)
    document = json.loads(event.payload)
    assert (document["from"], document["to"], document["kind"]) == (before, after, str(kind))
    assert document.get("reason") == reason
    assert ("reason" in document) is (reason is not None)
    validate_payload("events.v1.state", event.payload)


def test_facts_keep_their_order_and_their_bot() -> None:
    """Edges of several bots become events in their order, each counted for its own bot."""
    edges = [
        StateEdge(bot, "mode", "system", "modes", "mode", "IDLE", to)
        for bot, to in ((1, "ACTIVE"), (0, "ACTIVE"), (1, "SAFE_MODE"))
    ]
    events = state_encoder(ROSTER).encode(edges, 10**9)
    named = [(ROSTER.sources[event.source].bot, event.seq) for event in events]
    assert named == [("bot-1", 1), ("bot-0", 1), ("bot-1", 2)]
    assert [json.loads(event.payload)["to"] for event in events] == [e.after for e in edges]


def test_other_facts_pass_their_contracts() -> None:
    """Trips, alerts, modes and answers are valid, and the alert names the track's own id."""
    alert = GuardAlert(0, "foe", 7, "WARN", "foe at 120 m", 120.004, 0.51239, 2, True, 3)
    answer = CommandAnswer(0, "r-1", "sim.start", False, "refused", "BUSY", "not now")
    trip = ThermalTrip(0, "core", True, 90.004, 90.0, 5.0)
    encoded = {
        "events.v1.sensor.thermal.trip": trip_encoder(ROSTER).encode(
            [trip, trip._replace(tripped=False)], 0
        ),
        "events.v1.radar.guard": guard_encoder(ROSTER).encode([alert], 0),
        "events.v1.system_mode": mode_encoder(ROSTER).encode([ModeSet(0, "MISSION")], 0),
        "responses.control": answer_encoder(ROSTER).encode([answer], 0),
    }
    for key, events in encoded.items():
        for event in events:
            validate_payload(key, event.payload)
            found = decode(event.headers, event.payload)
            assert isinstance(found, CloudEvent)
            assert found.type == CHANNELS[key].event_type
    kinds = [json.loads(e.payload)["kind"] for e in encoded["events.v1.sensor.thermal.trip"]]
    assert kinds == ["thermal_trip", "thermal_clear"]
    told = json.loads(encoded["events.v1.radar.guard"][0].payload)
    track = sample_views(2).tracks
    track.serial[:] = 7
    (seen, *_) = TracksEncoder(ROSTER).encode([0], track, 0)
    assert told["track_id"] == json.loads(seen.payload)["track_id"]
    said = json.loads(encoded["responses.control"][0].payload)
    assert (said["requestId"], said["ok"], said["error"]) == ("r-1", False, "BUSY")
