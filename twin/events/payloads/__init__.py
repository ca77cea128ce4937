"""The payload contracts as strict models, to hold what is sent and received against."""

from collections.abc import Mapping
from types import MappingProxyType

from twin.events.payloads.base import Contract
from twin.events.payloads.commands import (
    CommandResponse,
    ControlCommand,
    ModeCommand,
    ProtocolCommand,
    ThrusterCommand,
)
from twin.events.payloads.radar import LrFrame, RadarFrame, SrFrame, Track
from twin.events.payloads.simulation import (
    AuditRecord,
    BiosStatus,
    BusReading,
    EnergyStatus,
    GuardAlertEvent,
    ImuReading,
    NavState,
    PduStatus,
    ShieldStatus,
    StateChange,
    SystemMode,
    ThermalReading,
    ThermalTripEvent,
)
from twin.events.payloads.telemetry import TelemetrySnapshot

__all__ = ["CONTRACTS", "Contract", "validate_payload"]

CONTRACTS: Mapping[str, type[Contract]] = MappingProxyType(
    {
        "radar.v1.frames": RadarFrame,
        "radar.v1.frames.lr": LrFrame,
        "radar.v1.tracks.sr": SrFrame,
        "radar.v1.tracks": Track,
        "telemetry": TelemetrySnapshot,
        "events.v1.sensor.thermal": ThermalReading,
        "events.v1.sensor.thermal.trip": ThermalTripEvent,
        "events.v1.sensor.imu": ImuReading,
        "events.v1.power.bus": BusReading,
        "events.v1.power.pdu": PduStatus,
        "events.v1.radar.guard": GuardAlertEvent,
        "events.v1.bios_status": BiosStatus,
        "events.v1.system_mode": SystemMode,
        "events.v1.state": StateChange,
        "events.v1.nav": NavState,
        "events.v1.energy": EnergyStatus,
        "events.v1.shield": ShieldStatus,
        "events.v1.audit": AuditRecord,
        "commands.control": ControlCommand,
        "commands.thruster": ThrusterCommand,
        "commands.mode": ModeCommand,
        "commands.protocol": ProtocolCommand,
        "responses.control": CommandResponse,
    }
)
"""The contract of each channel by its key in `twin.events.channels.CHANNELS`."""


def validate_payload(channel_key: str, payload: bytes) -> Contract:
    """Return the payload as its channel's contract; KeyError for an unknown channel.

    A payload that breaks its contract raises pydantic.ValidationError, which is a ValueError.
    """
    return CONTRACTS[channel_key].model_validate_json(payload)
