"""Encoding, ready to send: our encoders beside one dictionary per event.

`python benchmarks/bench_encode.py` prints a table by channel (microseconds per event, and the
ratio to the plain ways) and the rate of the default mix, measured in alternating rounds;
it fails below 250,000 events/s on one core. Time is CPU time of this process, because the
machine may be shared; `--json FILE` keeps every round for `twin bench report`. The same cases run
under pytest-benchmark (`make bench`).

The plain ways build what the encoders build, rounding included: columns to lists, then a
dictionary per event, json or orjson for the payload, and headers from a dictionary as
nats-py writes them.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/unit"))
import plain_payloads as plain

from twin.bench.record import costs_document
from twin.events.channels import CHANNELS
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
from twin.events.ratings import PowerRating
from twin.events.samples import FIRMWARE, NODES, SampleViews, sample_views

FLOOR: Final = 250_000
SIM_NS: Final = 10**9
EPOCH_NS: Final = 1_767_225_600 * 10**9
NOW_NS: Final = EPOCH_NS + SIM_NS
DETECTIONS: Final = 4

DEFAULT_MIX: Final = {
    "telemetry": 1.0,
    "events.v1.sensor.thermal": 1.0,
    "events.v1.power.bus": 1.0,
    "events.v1.power.pdu": 1.0,
    "radar": 1.0,
    "events.v1.bios_status": 0.2,
}
"""Calls per bot and second of the platform's own periodic channels; a radar call makes three."""

FULL_MIX: Final = DEFAULT_MIX | {
    "events.v1.sensor.imu": 1.0,
    "events.v1.nav": 1.0,
    "events.v1.energy": 1.0,
    "events.v1.shield": 1.0,
    "radar.v1.tracks": 1.0,
}
"""With our own channels, and as many tracks as detections."""

Case = Callable[[], int]
"""Encodes once all bots of a batch and returns the number of events."""


def ours(bots: int, lively: bool) -> dict[str, Case]:
    """Return the encoders on one batch of bots."""
    roster = Roster("20260101-abcdef", EPOCH_NS, tuple(f"bot-{i:05d}" for i in range(bots)))
    v, everyone = sample_views(bots, detections=DETECTIONS, lively=lively), range(bots)
    telemetry = telemetry_encoder(roster, PowerRating(), NODES)
    thermal, bus, pdu = thermal_encoder(roster), bus_encoder(roster), pdu_encoder(roster)
    radar, bios = RadarEncoder(roster), BiosEncoder(roster, FIRMWARE)
    imu, nav, energy = imu_encoder(roster), nav_encoder(roster), energy_encoder(roster)
    shield, tracks = shield_encoder(roster), TracksEncoder(roster)
    return {
        "telemetry": lambda: len(telemetry.encode(everyone, v.telemetry, SIM_NS)),
        "events.v1.sensor.thermal": lambda: len(thermal.encode(everyone, v.thermal, SIM_NS)),
        "events.v1.power.bus": lambda: len(bus.encode(everyone, v.power, SIM_NS)),
        "events.v1.power.pdu": lambda: len(pdu.encode(everyone, v.power, SIM_NS)),
        "radar": lambda: len(radar.encode(everyone, v.radar, SIM_NS)),
        "events.v1.bios_status": lambda: len(bios.encode(everyone, v.bios, SIM_NS)),
        "events.v1.sensor.imu": lambda: len(imu.encode(everyone, v.imu, SIM_NS)),
        "events.v1.nav": lambda: len(nav.encode(everyone, v.nav, SIM_NS)),
        "events.v1.energy": lambda: len(energy.encode(everyone, v.power, SIM_NS)),
        "events.v1.shield": lambda: len(shield.encode(everyone, v.shield, SIM_NS)),
        "radar.v1.tracks": lambda: len(tracks.encode(everyone, v.tracks, SIM_NS)),
    }


def plainly(bots: int, lively: bool, dump: Callable[[object], bytes]) -> dict[str, Case]:
    """Return the same work done with a dictionary per event and per header block."""
    views = sample_views(bots, detections=DETECTIONS, lively=lively)
    names = [f"bot-{i:05d}" for i in range(bots)]

    def documents(v: SampleViews, key: str, bot: int) -> list[plain.Document]:
        if key == "telemetry":
            rating = PowerRating()
            return [
                plain.telemetry(v, bot, NOW_NS, round, name=names[bot], rating=rating, nodes=NODES)
            ]
        if key == "events.v1.bios_status":
            subject = CHANNELS[key].subject
            return [plain.bios(v, bot, NOW_NS, name=names[bot], subject=subject, firmware=FIRMWARE)]
        if key == "radar.v1.tracks":
            return list(plain.tracks(v, bot, NOW_NS, round, iter([names[bot]] * DETECTIONS)))
        if key in BANDS:
            ids = {"frame_id": names[bot], "sensor_id": names[bot]}
            return [plain.frame(v, bot, NOW_NS, round, band=BANDS[key], **ids)]
        return [SIMPLE[key](v, bot, NOW_NS, round)]

    def case(*keys: str) -> Case:
        sequences: dict[str, int] = {}

        def encode() -> int:
            events = []
            v = as_lists(views, VIEW_OF.get(keys[0], "power"))
            for key in keys:
                for bot in range(bots):
                    for document in documents(v, key, bot):
                        name = f"{names[bot]}/{key}"
                        seq = sequences[name] = sequences.get(name, 0) + 1
                        headers = plain_headers(key, names[bot], f"{name}/{seq}")
                        events.append(Event(bot, seq, SIM_NS, headers, dump(document)))
            return len(events)

        return encode

    return {key: case(*(RADAR_KEYS if key == "radar" else (key,))) for key in FULL_MIX}


BANDS: Final = dict(zip(RADAR_KEYS, (None, 1, 2), strict=True))
SIMPLE: Final[dict[str, Callable[[SampleViews, int, int, plain.Round], plain.Document]]] = {
    "events.v1.sensor.thermal": plain.thermal,
    "events.v1.power.bus": plain.bus,
    "events.v1.power.pdu": plain.pdu,
    "events.v1.energy": plain.energy,
    "events.v1.sensor.imu": plain.imu,
    "events.v1.nav": plain.nav,
    "events.v1.shield": plain.shield,
}


def as_lists(views: SampleViews, name: str) -> SampleViews:
    """Return the views with one of them as lists: single items of arrays are slow to take."""
    return replace(views, **{name: listed(getattr(views, name))})


def listed(value: Any) -> Any:
    """Turn the arrays of a view, and of views within it, into lists."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {key: listed(column) for key, column in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: listed(getattr(value, f.name)) for f in fields(value)})
    return value


VIEW_OF: Final = {
    "telemetry": "telemetry",
    "events.v1.sensor.thermal": "thermal",
    "events.v1.bios_status": "bios",
    "events.v1.sensor.imu": "imu",
    "events.v1.nav": "nav",
    "events.v1.shield": "shield",
    "radar.v1.frames": "radar",
    "radar.v1.tracks": "tracks",
}
"""The view of each channel; `power` for all others."""


def plain_headers(key: str, bot: str, event_id: str) -> bytes:
    """Write a dictionary of headers line by line, as nats-py does."""
    headers = {
        "ce-specversion": "1.0",
        "ce-type": CHANNELS[key].event_type,
        "ce-source": f"urn:twin:20260101-abcdef:{bot}",
        "ce-datacontenttype": "application/json",
        "ce-twinbot": bot,
        "ce-id": event_id,
        "Nats-Msg-Id": f"20260101-abcdef/{event_id}",
        "ce-time": plain.rfc3339(NOW_NS),
    }
    block = bytearray(b"NATS/1.0\r\n")
    for name, value in headers.items():
        block += name.encode() + b": " + value.strip().encode() + b"\r\n"
    return bytes(block)


def json_dump(document: object) -> bytes:
    """Write compact JSON with the standard library."""
    return json.dumps(document, separators=(",", ":")).encode()


WAYS: Final[dict[str, Callable[[int, bool], dict[str, Case]]]] = {
    "twin": ours,
    "dict + orjson": lambda bots, lively: plainly(bots, lively, orjson.dumps),
    "dict + json": lambda bots, lively: plainly(bots, lively, json_dump),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("key", FULL_MIX)
def test_encode(benchmark: Callable[..., int], key: str, way: str) -> None:
    """One second of a channel for 200 bots."""
    assert benchmark(WAYS[way](200, False)[key]) >= 200


def measure(bots: int, rounds: int, lively: bool) -> dict[str, dict[str, list[float]]]:
    """Return for each way and channel the CPU seconds per event, ways alternating."""
    cases = {way: make(bots, lively) for way, make in WAYS.items()}
    taken: dict[str, dict[str, list[float]]] = {way: {k: [] for k in FULL_MIX} for way in WAYS}
    for _ in range(rounds):
        for key in FULL_MIX:
            for way in WAYS:
                start = time.process_time()
                events = cases[way][key]()
                taken[way][key].append((time.process_time() - start) / events)
    return taken


def rate(seconds: dict[str, float], mix: dict[str, float]) -> float:
    """Return events per second of a mix, from the seconds per event of each channel."""
    per_call = {"radar": len(RADAR_KEYS), "radar.v1.tracks": DETECTIONS}
    events = {key: calls * per_call.get(key, 1) for key, calls in mix.items()}
    return sum(events.values()) / sum(count * seconds[key] for key, count in events.items())


def main() -> int:
    """Print the table; 1 when the default mix is slower than promised."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bots", type=int, default=1000, help="bots in a batch")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--lively", action="store_true", help="every flag and state varies")
    parser.add_argument("--json", type=Path, help="also write every round to this file")
    options = parser.parse_args()
    began_ns, taken = time.time_ns(), measure(options.bots, options.rounds, options.lively)
    found = {w: {k: statistics.median(t) for k, t in by.items()} for w, by in taken.items()}
    print(f"{'channel':28}" + "".join(f"{way:>15}" for way in WAYS) + "   us/event")
    for key in FULL_MIX:
        row = [found[way][key] * 1e6 for way in WAYS]
        ratios = "  ".join(f"x{slow / row[0]:.1f}" for slow in row[1:])
        print(f"{key:28}" + "".join(f"{us:15.2f}" for us in row) + f"   {ratios}")
    for name, mix in (("default mix", DEFAULT_MIX), ("with our channels", FULL_MIX)):
        rates = [rate(found[way], mix) for way in WAYS]
        ratios = "  ".join(f"x{rates[0] / slow:.1f}" for slow in rates[1:])
        print(f"{name:28}" + "".join(f"{r:15,.0f}" for r in rates) + f"   events/s  {ratios}")
    if options.json:
        record = costs_document(
            "encode",
            {
                f"{key};{way}": [1e6 * s for s in taken[way][key]]
                for key in FULL_MIX
                for way in WAYS
            },
            began_ns=began_ns,
            settings={"bots": options.bots, "rounds": options.rounds},
        )
        options.json.write_text(record.model_dump_json(indent=2))
    return int(rate(found["twin"], DEFAULT_MIX) < FLOOR)


if __name__ == "__main__":
    sys.exit(main())
