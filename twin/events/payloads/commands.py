"""Commands to bots and the answers to them."""

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from twin.events.payloads.base import (
    Contract,
    Name,
    Percent,
    Timestamp,
    UtcTimestamp,
)

__all__ = [
    "CONTROL_NAMES",
    "CommandResponse",
    "ControlCommand",
    "ModeCommand",
    "ProtocolCommand",
    "ThrusterCommand",
]

CONTROL_NAMES = (
    "sim.start",
    "sim.pause",
    "sim.stop",
    "sim.reset",
    "sim.dock.engage",
    "sim.dock.release",
    "sim.rcs.fire",
    "sim.rcs.stop",
    "sim.xpdr.mode",
    "power.dock.on",
    "power.dock.off",
    "power.nbl.on",
    "power.nbl.off",
    "power.nbl.set_max",
)
"""The command names in use. A command with another name is valid, and answered as unknown."""


class Metadata(Contract):
    """Who asks whom, and under which id."""

    message_id: Name
    correlation_id: Name | None = None
    timestamp: Timestamp
    message_type: Name
    source: Name
    destination: Name


class ControlCommand(Contract):
    """`commands.control`."""

    command_name: Name
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    metadata: Metadata


class Burn(Contract):
    """One thruster's part of a burn."""

    thruster: Annotated[int, Field(ge=0, le=15)]
    duty_pct: Percent


class ThrusterCommand(Contract):
    """`commands.thruster` (assumed): fire thrusters for a while; no burns stops them."""

    schema_version: Literal[1]
    burns: list[Burn]
    duration_s: Annotated[float, Field(ge=0, le=3600)]
    metadata: Metadata


class ModeCommand(Contract):
    """`commands.mode` (assumed)."""

    schema_version: Literal[1]
    mode: Literal["IDLE", "ACTIVE", "SAFE_MODE", "SHUTDOWN"]
    metadata: Metadata


class ProtocolCommand(Contract):
    """`commands.protocol` (assumed): start or abort a named procedure."""

    schema_version: Literal[1]
    protocol: Name
    action: Literal["start", "abort"]
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    metadata: Metadata


class Outcome(Contract):
    """Which command this answers, and how it went."""

    command_name: str
    status: Name


class CommandResponse(Contract):
    """`responses.control`."""

    version: Literal[1]
    kind: Name
    success: bool
    ok: bool
    requestId: str  # noqa: N815 - the platform writes both spellings
    request_id: str
    timestamp: UtcTimestamp
    payload: Outcome
    error: str | None
    error_detail: str | None

    @model_validator(mode="after")
    def _spellings_agree(self) -> Self:
        if self.requestId != self.request_id or self.ok != self.success:
            raise ValueError("the two spellings of one value differ")
        return self
