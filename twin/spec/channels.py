"""The nine channels of a BotSpec, and what may be given a rate of its own."""

__all__ = ["CHANNELS", "RATED"]

CHANNELS = (
    "SensorFrame",
    "TrackSet",
    "ThrusterCmd",
    "ModeCmd",
    "ProtocolCmd",
    "EnergyStatus",
    "ShieldStatus",
    "NavState",
    "RegistrarEvent",
)
"""All nine; the profile qiki requires each of them."""

RATED = (
    "SensorFrame",
    "TrackSet",
    "EnergyStatus",
    "ShieldStatus",
    "NavState",
    "qiki.telemetry",
    "qiki.radar.v1.frames",
    "qiki.radar.v1.frames.lr",
    "qiki.radar.v1.tracks",
    "qiki.radar.v1.tracks.sr",
    "qiki.events.v1.bios_status",
    "qiki.events.v1.energy",
    "qiki.events.v1.nav",
    "qiki.events.v1.power.bus",
    "qiki.events.v1.power.pdu",
    "qiki.events.v1.sensor.imu",
    "qiki.events.v1.sensor.thermal",
    "qiki.events.v1.shield",
)
"""Channels and platform subjects that are sampled periodically; the others follow events."""
