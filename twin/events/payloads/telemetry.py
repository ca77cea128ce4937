"""The telemetry snapshot."""

import math
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue

from twin.events.payloads.base import (
    Contract,
    Name,
    NotNegative,
    Percent,
    SensorStatus,
    UtcTimestamp,
    Vector,
)

__all__ = ["Comms", "Missing", "Power", "TelemetrySnapshot", "ThermalNode"]

Angle = Annotated[float, Field(ge=-2 * math.pi, le=2 * math.pi)]


class Attitude(Contract):
    """Roll, pitch and yaw of the body."""

    roll_rad: Angle
    pitch_rad: Angle
    yaw_rad: Angle


class Hull(Contract):
    """How much of the hull is left."""

    integrity: Percent


class Power(Contract):
    """The power plane."""

    soc_pct: Percent
    sources_w: dict[Name, NotNegative]
    loads_w: dict[Name, NotNegative]
    power_in_w: NotNegative
    power_out_w: NotNegative
    battery_capacity_wh: NotNegative
    battery_charge_w: NotNegative
    battery_discharge_w: NotNegative
    battery_temp_state: Name
    battery_spill_w: NotNegative
    battery_unserved_w: NotNegative
    bus_v: NotNegative
    battery_1_voltage_v: NotNegative
    battery_2_voltage_v: NotNegative
    bus_a: NotNegative
    bus_v_min: NotNegative
    max_bus_a: NotNegative
    soc_shed_low_pct: Percent
    soc_shed_high_pct: Percent
    load_shedding: bool
    shed_loads: list[Name]
    shed_reasons: list[Name]
    pdu_limit_w: NotNegative
    pdu_throttled: bool
    throttled_loads: list[Name]
    faults: list[Name]
    supercap_soc_pct: Percent
    supercap_capacity_wh: NotNegative
    supercap_charge_w: NotNegative
    supercap_discharge_w: NotNegative
    supercap_temp_state: Name
    dock_connected: bool
    dock_soft_start_pct: Percent
    dock_power_w: NotNegative
    dock_v: NotNegative
    dock_a: NotNegative
    dock_temp_c: float
    nbl_active: bool
    nbl_allowed: bool
    nbl_power_w: NotNegative
    nbl_budget_w: NotNegative


class ThermalNode(Contract):
    """One thermal node that has a reading."""

    id: Name
    temp_c: float
    tripped: bool
    warned: bool
    warn_c: float
    trip_c: float
    hys_c: NotNegative


class Thermal(Contract):
    """All thermal nodes that have a reading."""

    nodes: list[ThermalNode]


class Comms(Contract):
    """The datalink."""

    enabled: bool
    link: bool
    link_state: Name
    latency_ms: NotNegative
    packet_loss_pct: Percent
    rssi_dbm: float | None
    snr_db: float | None
    tx_power_w: NotNegative
    data_rate_kbps: NotNegative
    antenna_status: Name
    plane_enabled: bool
    plane_profile: Name
    last_seen_ts: NotNegative | None
    age_s: NotNegative | None


class Missing(Contract):
    """Why a value is not in the snapshot."""

    status: SensorStatus
    reason: Name


class TelemetrySnapshot(Contract):
    """A snapshot; further top-level keys are allowed, the blocks are strict.

    What has no reading is left out and named in `sensor_status`.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    schema_version: Literal[1]
    source: Name
    timestamp: UtcTimestamp
    ts_unix_ms: Annotated[int, Field(ge=0)]
    position: Vector
    velocity: float
    heading: float
    attitude: Attitude
    battery: Percent
    hull: Hull
    power: Power
    thermal: Thermal
    radiation_usvh: NotNegative | None = None
    temp_external_c: float | None = None
    temp_core_c: float | None = None
    cpu_usage: Percent | None
    memory_usage: Percent | None
    comms: Comms | None = None
    hardware_profile_hash: str | None = None
    sensor_status: dict[Name, Missing] | None = None
