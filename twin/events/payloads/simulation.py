"""Events of the simulated bot: flat readings, edges, BIOS and mode."""

import math
from typing import Annotated, ClassVar, Literal, Self
from uuid import UUID

from pydantic import Field, JsonValue, model_validator

from twin.events.payloads.base import (
    Bearing,
    Contract,
    EpochS,
    Name,
    NotNegative,
    Percent,
    SensorStatus,
    UtcTimestamp,
    Vector,
)

__all__ = [
    "AuditRecord",
    "BiosStatus",
    "BusReading",
    "EnergyStatus",
    "GuardAlertEvent",
    "ImuReading",
    "NavState",
    "PduStatus",
    "ShieldStatus",
    "StateChange",
    "SystemMode",
    "ThermalReading",
    "ThermalTripEvent",
]

Angle = Annotated[float, Field(ge=-2 * math.pi, le=2 * math.pi)]
WITHOUT_VALUE = ("failed", "disabled")


class SimulationEvent(Contract):
    """The keys of every simulation event."""

    schema_version: Literal[1]
    category: Name
    source: Name
    subject: Name
    ts_epoch: EpochS


class Reading(SimulationEvent):
    """A reading: it has values, or says why it has none, never both."""

    values: ClassVar[tuple[str, ...]]

    status: SensorStatus = "ok"
    reason: Name | None = None

    @model_validator(mode="after")
    def _honest(self) -> Self:
        absent = [getattr(self, name) is None for name in self.values]
        if any(absent) != (self.status in WITHOUT_VALUE) or any(absent) != all(absent):
            raise ValueError(f"status {self.status} does not go with these values")
        return self


class ThermalReading(Reading):
    """`events.v1.sensor.thermal`."""

    values = ("temp",)

    category: Literal["sensor"]
    source: Literal["thermal"]
    subject: Literal["core"]
    temp: float | None
    unit: Literal["C"]


class BusReading(SimulationEvent):
    """`events.v1.power.bus`."""

    category: Literal["power"]
    source: Literal["bus"]
    subject: Literal["main"]
    current: NotNegative
    bus_v: NotNegative
    unit: Literal["A"]


class PduStatus(SimulationEvent):
    """`events.v1.power.pdu`."""

    category: Literal["power"]
    source: Literal["pdu"]
    subject: Literal["main"]
    overcurrent: Literal[0, 1]
    pdu_limit_w: NotNegative
    power_out_w: NotNegative
    bus_a: NotNegative
    bus_v: NotNegative


class ThermalTripEvent(SimulationEvent):
    """`events.v1.sensor.thermal.trip`."""

    category: Literal["sensor"]
    source: Literal["thermal"]
    kind: Literal["thermal_trip", "thermal_clear"]
    tripped: Literal[0, 1]
    temp: float
    trip_c: float
    hys_c: NotNegative
    unit: Literal["C"]

    @model_validator(mode="after")
    def _kind_agrees(self) -> Self:
        if (self.kind == "thermal_trip") != bool(self.tripped):
            raise ValueError("kind and tripped contradict each other")
        return self


class GuardAlertEvent(SimulationEvent):
    """`events.v1.radar.guard` (assumed)."""

    category: Literal["radar"]
    kind: Literal["guard_alert"]
    source: Literal["guard"]
    rule_id: Name
    track_id: UUID
    severity: Name
    message: str
    range_m: NotNegative
    quality: Annotated[float, Field(ge=0, le=1)]
    iff: Literal[0, 1, 2, 3]
    transponder_on: bool
    transponder_mode: Literal[0, 1, 2, 3]


class StateChange(SimulationEvent):
    """`events.v1.state` (assumed): an edge of a bot's own state."""

    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    before: Annotated[str, Field(alias="from")]
    after: Annotated[str, Field(alias="to")]
    reason: Name | None = None


class ImuReading(Reading):
    """`events.v1.sensor.imu` (assumed): body axes."""

    values = (
        "gyro_x_rps",
        "gyro_y_rps",
        "gyro_z_rps",
        "accel_x_mps2",
        "accel_y_mps2",
        "accel_z_mps2",
    )

    category: Literal["sensor"]
    source: Literal["imu"]
    status: SensorStatus
    gyro_x_rps: float | None
    gyro_y_rps: float | None
    gyro_z_rps: float | None
    accel_x_mps2: float | None
    accel_y_mps2: float | None
    accel_z_mps2: float | None


class NoVector(Contract):
    """A vector without a value."""

    x: None
    y: None
    z: None


class Pose(Contract):
    """An attitude estimate."""

    roll_rad: Angle | None
    pitch_rad: Angle | None
    yaw_rad: Angle | None


class NavState(Reading):
    """`events.v1.nav` (assumed): the bot's own estimate of where it is."""

    values = ("heading_deg", "position_sigma_m")

    category: Literal["nav"]
    status: SensorStatus
    position_m: Vector | NoVector
    velocity_mps: Vector | NoVector
    attitude: Pose
    heading_deg: Bearing | None
    position_sigma_m: NotNegative | None


class EnergyStatus(SimulationEvent):
    """`events.v1.energy` (assumed)."""

    category: Literal["power"]
    soc_pct: Percent
    supercap_soc_pct: Percent
    power_in_w: NotNegative
    power_out_w: NotNegative
    battery_charge_w: NotNegative
    battery_discharge_w: NotNegative
    bus_v: NotNegative
    bus_a: NotNegative
    dock_connected: bool
    load_shedding: bool
    shed_loads: list[Name]
    faults: list[Name]


class ShieldStatus(SimulationEvent):
    """`events.v1.shield` (assumed)."""

    category: Literal["defence"]
    state: Literal["nominal", "low", "critical", "disabled"]
    strength_pct: Percent
    power_w: NotNegative


class PostResult(Contract):
    """What one device answered to the power-on self test."""

    device_id: Name
    device_name: Name
    status: Literal[0, 1, 2, 3]
    status_message: str | None


class BiosStatus(Contract):
    """`events.v1.bios_status`."""

    event_schema_version: Literal[1]
    source: Name
    subject: Name
    timestamp: UtcTimestamp
    bios_version: Name
    firmware_version: Name
    hardware_profile_hash: Annotated[str, Field(pattern=r"^sha256:")] | None
    all_systems_go: bool
    post_results: list[PostResult]

    @model_validator(mode="after")
    def _go_means_all_ok(self) -> Self:
        if self.all_systems_go != all(result.status == 1 for result in self.post_results):
            raise ValueError("all_systems_go contradicts the results")
        return self


class SystemMode(Contract):
    """`events.v1.system_mode`."""

    event_schema_version: Literal[1]
    source: Name
    subject: Name
    timestamp: UtcTimestamp
    mode: Literal["FACTORY", "MISSION"]


class AuditRecord(Contract):
    """`events.v1.audit`, written by the registrar."""

    event_id: Name
    event_type: Name
    source: Name
    timestamp: UtcTimestamp
    payload: JsonValue
    severity: Name
