"""Encoders of periodic channels: the right values, within the contracts, reproducible."""

import json
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import numpy as np
import plain_payloads as plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.events.channels import CHANNELS
from twin.events.cloudevents import CloudEvent, decode, parse_headers
from twin.events.encode import (
    RADAR_KEYS,
    BiosEncoder,
    RadarEncoder,
    Roster,
    TracksEncoder,
    bus_encoder,
    energy_encoder,
    imu_encoder,
    nav_encoder,
    pdu_encoder,
    shield_encoder,
    telemetry_encoder,
    thermal_encoder,
)
from twin.events.event import Event
from twin.events.payloads import validate_payload
from twin.events.ratings import PowerRating
from twin.events.samples import FIRMWARE, NODES, SampleViews, sample_views
from twin.events.subjects import Layout, SubjectSpace

EPOCH_NS = 1_767_225_600 * 10**9
SIM_NS = 12_345_678_901
NOW_NS = EPOCH_NS + SIM_NS
BOTS = tuple(f"bot-{number}" for number in range(6))
RATING = PowerRating()

Encode = Callable[[Sequence[int], SampleViews, int], list[Event]]


def r(x: float, decimals: int) -> float:
    """Round as the encoders say they do."""
    return float(np.rint(x * 10.0**decimals) / 10.0**decimals)


def encoders(roster: Roster) -> dict[str, Encode]:
    """One function per encoder, all on the same kind of argument."""
    telemetry, thermal = telemetry_encoder(roster, RATING, NODES), thermal_encoder(roster)
    bus, pdu, energy = bus_encoder(roster), pdu_encoder(roster), energy_encoder(roster)
    imu, nav, shield = imu_encoder(roster), nav_encoder(roster), shield_encoder(roster)
    bios, radar = BiosEncoder(roster, FIRMWARE), RadarEncoder(roster)
    tracks = TracksEncoder(roster, covariance=True)
    return {
        "telemetry": lambda bots, v, ns: telemetry.encode(bots, v.telemetry, ns),
        "events.v1.sensor.thermal": lambda bots, v, ns: thermal.encode(bots, v.thermal, ns),
        "events.v1.power.bus": lambda bots, v, ns: bus.encode(bots, v.power, ns),
        "events.v1.power.pdu": lambda bots, v, ns: pdu.encode(bots, v.power, ns),
        "events.v1.energy": lambda bots, v, ns: energy.encode(bots, v.power, ns),
        "events.v1.sensor.imu": lambda bots, v, ns: imu.encode(bots, v.imu, ns),
        "events.v1.nav": lambda bots, v, ns: nav.encode(bots, v.nav, ns),
        "events.v1.shield": lambda bots, v, ns: shield.encode(bots, v.shield, ns),
        "events.v1.bios_status": lambda bots, v, ns: bios.encode(bots, v.bios, ns),
        "radar": lambda bots, v, ns: radar.encode(bots, v.radar, ns),
        "radar.v1.tracks": lambda bots, v, ns: tracks.encode(bots, v.tracks, ns),
    }


def roster(run: str = "run-1", layout: Layout = Layout.PLATFORM, **more: Any) -> Roster:
    return Roster(run, EPOCH_NS, BOTS, SubjectSpace(layout), **more)


def key_of(events: Roster, event: Event) -> str:
    """The channel of an event, from its source's name."""
    return events.sources[event.source].name.split("/", 1)[1]


def expected(key: str, v: SampleViews, bot: int, sent: dict[str, Any]) -> list[dict[str, Any]]:
    """What the events of a bot on a channel should say; ids are taken from what was sent."""
    simple = {
        "events.v1.sensor.thermal": plain.thermal,
        "events.v1.power.bus": plain.bus,
        "events.v1.power.pdu": plain.pdu,
        "events.v1.energy": plain.energy,
        "events.v1.sensor.imu": plain.imu,
        "events.v1.nav": plain.nav,
        "events.v1.shield": plain.shield,
    }
    if key in simple:
        return [simple[key](v, bot, NOW_NS, r)]
    if key == "telemetry":
        identity = {"name": BOTS[bot], "rating": RATING, "nodes": NODES}
        return [plain.telemetry(v, bot, NOW_NS, r, **identity)]
    if key == "events.v1.bios_status":
        subject = "qiki.events.v1.bios_status"
        return [plain.bios(v, bot, NOW_NS, name=BOTS[bot], subject=subject, firmware=FIRMWARE)]
    if key == "radar.v1.tracks":
        return list(plain.tracks(v, bot, NOW_NS, r, iter(sent["track_id"])))
    band = {"radar.v1.frames": None, "radar.v1.frames.lr": 1, "radar.v1.tracks.sr": 2}[key]
    ids = {"frame_id": sent["frame_id"][0], "sensor_id": sent["sensor_id"][0]}
    return [plain.frame(v, bot, NOW_NS, r, band=band, **ids)]


@given(st.integers(0, 2**32), st.permutations(range(len(BOTS))), st.integers(0, 5), st.booleans())
@settings(max_examples=25)
def test_every_payload_says_what_the_plain_way_says(
    seed: int, bots: list[int], detections: int, lively: bool
) -> None:
    """Keys, their order and all values equal those of a dictionary per event, bot by bot."""
    views = sample_views(len(BOTS), seed=seed, detections=detections, lively=lively)
    everybody = roster()
    for encode in encoders(everybody).values():
        said: dict[tuple[str, int], list[dict[str, Any]]] = {}
        for event in encode(bots, views, SIM_NS):
            bot = BOTS.index(everybody.sources[event.source].bot)
            document = json.loads(event.payload)
            said.setdefault((key_of(everybody, event), bot), []).append(document)
        for (key, bot), documents in said.items():
            ids = {name: [d.get(name) for d in documents] for name in documents[0]}
            wanted = expected(key, views, bot, ids)
            assert documents == wanted
            assert [list(d) for d in documents] == [list(d) for d in wanted]


@given(st.integers(0, 2**32), st.sampled_from(Layout), st.booleans())
@settings(max_examples=25)
def test_every_event_passes_its_contract_and_the_codec(
    seed: int, layout: Layout, underscore: bool
) -> None:
    """Payloads are valid, headers are CloudEvents, ids are dense and the message id is ours."""
    views = sample_views(len(BOTS), seed=seed, lively=True)
    everybody = roster(layout=layout, underscore=underscore)
    for encode in encoders(everybody).values():
        for round_ in (1, 2):
            for event in encode(range(len(BOTS)), views, SIM_NS * round_):
                source, key = everybody.sources[event.source], key_of(everybody, event)
                validate_payload(key, event.payload)
                found = decode(event.headers, event.payload)
                assert isinstance(found, CloudEvent), found
                assert found.id == f"{source.name}/{event.seq}"
                assert found.type == CHANNELS[key].event_type
                assert found.source == f"urn:twin:run-1:{source.bot}"
                assert found.time == plain.rfc3339(EPOCH_NS + SIM_NS * round_)
                assert found.datacontenttype == "application/json"
                assert found.extensions == {"twinbot": source.bot}
                headers = parse_headers(event.headers)
                assert headers["Nats-Msg-Id"] == f"run-1/{found.id}"
                assert headers.get("x-range-band") == CHANNELS[key].range_band
                assert ("ce_id" in headers) is underscore
                assert source.subject.startswith(
                    f"qiki.fleet.v1.{source.bot}." if layout is Layout.FLEET else "qiki."
                )
                assert event.sim_ns == SIM_NS * round_


def test_sequences_are_dense_per_bot_and_channel() -> None:
    """However calls are cut and ordered, each source counts 1, 2, 3 without a gap."""
    everybody, views = roster(), sample_views(len(BOTS))
    encode = encoders(everybody)
    seen: dict[int, list[int]] = {}
    for bots in ([0, 1], [2], [5, 1], [], [0, 1, 2, 3, 4, 5]):
        for name in ("telemetry", "radar", "radar.v1.tracks"):
            for event in encode[name](bots, views, SIM_NS):
                seen.setdefault(event.source, []).append(event.seq)
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in seen.values())
    counts = {everybody.sources[source].name: len(numbers) for source, numbers in seen.items()}
    assert counts["bot-1/telemetry"] == 3
    assert counts["bot-3/radar.v1.frames"] == 1
    assert counts["bot-1/radar.v1.tracks"] == 12


def history(run: str, cohorts: Sequence[Sequence[int]]) -> dict[str, list[bytes]]:
    everybody, views = roster(run), sample_views(len(BOTS), lively=True)
    told: dict[str, list[bytes]] = {}
    for encode in encoders(everybody).values():
        for bots in cohorts:
            for event in encode(bots, views, SIM_NS):
                told.setdefault(everybody.sources[event.source].name, []).append(event.payload)
    return told


def test_payloads_depend_neither_on_the_run_nor_on_how_bots_are_grouped() -> None:
    """Another run id, order or cut of the batches leaves every source's payloads as they were."""
    once = history("run-1", [range(6)])
    assert once == history("run-2", [[3], [5, 0], [1, 2, 4]])
    assert not any(b"run-" in payload for payloads in once.values() for payload in payloads)


def test_another_shard_writes_the_same_bytes() -> None:
    """A roster of one bot encodes it as the roster of all does."""
    views = sample_views(len(BOTS), lively=True)
    alone = Roster("run-1", EPOCH_NS, (BOTS[0],))
    together = roster()
    for name in encoders(alone):
        one = [e.payload for e in encoders(alone)[name]([0], views, SIM_NS)]
        all_ = [e.payload for e in encoders(together)[name]([0], views, SIM_NS)]
        assert one == all_, name


def test_scan_goes_to_the_channels_that_are_asked_for() -> None:
    """A scan's frames share their frame_id; a channel that is left out gives no event."""
    everybody, views = roster(), sample_views(len(BOTS))
    encoder = RadarEncoder(everybody)
    events = encoder.encode([2], views.radar, SIM_NS)
    assert [key_of(everybody, event) for event in events] == list(RADAR_KEYS)
    frames = [json.loads(event.payload) for event in events]
    assert len({frame["frame_id"] for frame in frames}) == 1
    assert [len(frame["detections"]) for frame in frames] == [4, 2, 2]
    later = encoder.encode([2], views.radar, SIM_NS + 10**9, keys={"radar.v1.frames"})
    assert [(key_of(everybody, e), e.seq) for e in later] == [("radar.v1.frames", 2)]
    assert json.loads(later[0].payload)["frame_id"] != frames[0]["frame_id"]


def test_ids_are_proper_uuids_of_their_bot() -> None:
    """Sensor and track ids are RFC 9562 UUIDs that differ between bots and between tracks."""
    everybody, views = roster(), sample_views(len(BOTS))
    encode = encoders(everybody)
    frames = [json.loads(e.payload) for e in encode["radar"](range(6), views, SIM_NS)]
    tracks = [json.loads(e.payload) for e in encode["radar.v1.tracks"](range(6), views, SIM_NS)]
    sensors = {frame["sensor_id"] for frame in frames}
    ids = {track["track_id"] for track in tracks}
    assert (len(sensors), len(ids)) == (6, 24)
    for text in (*sensors, *ids, *(frame["frame_id"] for frame in frames)):
        found = UUID(text)
        assert (found.version, found.variant, str(found)) == (8, "specified in RFC 4122", text)


def test_bios_messages_belong_to_their_device() -> None:
    """A degraded device carries its message and stops the go."""
    views = sample_views(len(BOTS))
    views.bios.post_status[1, 2] = 2
    views.bios.status_message[1, 2] = 'slow "bus"'  # type: ignore[index]
    events = BiosEncoder(roster(), FIRMWARE).encode([0, 1], views.bios, SIM_NS)
    well, ill = (json.loads(event.payload) for event in events)
    assert (well["all_systems_go"], ill["all_systems_go"]) == (True, False)
    assert [x["status_message"] for x in ill["post_results"]].index('slow "bus"') == 2
    validate_payload("events.v1.bios_status", events[1].payload)


@pytest.mark.parametrize("bots", [("a b",), ("a/b",), ("a", "a"), ("",), ("x" * 65,), ("a\r\nb",)])
def test_a_roster_refuses_ids_that_could_break_headers(bots: tuple[str, ...]) -> None:
    """Ids are letters, digits, underscore and hyphen, and no two are the same."""
    with pytest.raises(ValueError, match=r"id"):
        Roster("run-1", EPOCH_NS, bots)
    with pytest.raises(ValueError, match=r"id"):
        Roster("run 1", EPOCH_NS, ("a",))
