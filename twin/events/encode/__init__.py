"""From arrays to events that are ready to be sent: header block and JSON payload.

A payload's *form* is a document whose leaves name what is filled in. Everything discrete
about an event selects a `%`-template that is made once; numbers are rounded by numpy, printed
by orjson a whole batch at a time, and filled in. Nothing is looked up by key per event.
"""

from twin.events.encode.encoder import Encoder
from twin.events.encode.happenings import (
    FactEncoder,
    answer_encoder,
    guard_encoder,
    mode_encoder,
    state_encoder,
    trip_encoder,
)
from twin.events.encode.radar import RADAR_KEYS, RadarEncoder
from twin.events.encode.readings import (
    bus_encoder,
    energy_encoder,
    imu_encoder,
    nav_encoder,
    pdu_encoder,
    shield_encoder,
    thermal_encoder,
)
from twin.events.encode.roster import Roster
from twin.events.encode.status import BiosEncoder
from twin.events.encode.telemetry import telemetry_encoder
from twin.events.encode.tracks import TracksEncoder

__all__ = [
    "RADAR_KEYS",
    "BiosEncoder",
    "Encoder",
    "FactEncoder",
    "RadarEncoder",
    "Roster",
    "TracksEncoder",
    "answer_encoder",
    "bus_encoder",
    "energy_encoder",
    "guard_encoder",
    "imu_encoder",
    "mode_encoder",
    "nav_encoder",
    "pdu_encoder",
    "shield_encoder",
    "state_encoder",
    "telemetry_encoder",
    "thermal_encoder",
    "trip_encoder",
]
