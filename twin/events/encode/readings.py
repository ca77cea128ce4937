"""The small periodic channels: thermal, bus, PDU, IMU, navigation, energy and shield."""

import math

from twin.events.encode.encoder import Encoder
from twin.events.encode.leaves import (
    Clock,
    Document,
    Missing,
    Now,
    Number,
    OneOf,
    Reason,
    SetOf,
    Status,
    flag,
)
from twin.events.encode.roster import Roster
from twin.events.views import ImuView, NavView, PowerView, ShieldView, ThermalView
from twin.events.vocabulary import POWER_FAULTS, SHED_LOADS, SHIELD_STATES

__all__ = [
    "bus_encoder",
    "energy_encoder",
    "imu_encoder",
    "nav_encoder",
    "pdu_encoder",
    "shield_encoder",
    "thermal_encoder",
]

TAU = 2 * math.pi
OVERCURRENT = 1 << POWER_FAULTS.index("PDU_OVERCURRENT")


def _event(category: str, source: str, subject: str) -> dict[str, Document]:
    return {
        "schema_version": 1,
        "category": category,
        "source": source,
        "subject": subject,
        "ts_epoch": Now(Clock.EPOCH_S),
    }


def _xyz(path: str, decimals: int) -> dict[str, Document]:
    return {
        axis: Number(path, decimals, item=place, missing=Missing.NULL)
        for place, axis in enumerate("xyz")
    }


def thermal_encoder(roster: Roster, core: int = 0) -> Encoder[ThermalView]:
    """Return the encoder of `events.v1.sensor.thermal`; `core` is the column of the core node."""
    return Encoder(
        "events.v1.sensor.thermal",
        roster,
        {
            **_event("sensor", "thermal", "core"),
            "status": Status("core"),
            "reason": Reason(),
            "temp": Number("temp_c", 2, item=core, missing=Missing.NULL),
            "unit": "C",
        },
    )


def bus_encoder(roster: Roster) -> Encoder[PowerView]:
    """Return the encoder of `events.v1.power.bus`."""
    return Encoder(
        "events.v1.power.bus",
        roster,
        {
            **_event("power", "bus", "main"),
            "current": Number("bus_a", 3, low=0),
            "bus_v": Number("bus_v", 3, low=0),
            "unit": "A",
        },
    )


def pdu_encoder(roster: Roster) -> Encoder[PowerView]:
    """Return the encoder of `events.v1.power.pdu`."""
    overcurrent = [int(bool(mask & OVERCURRENT)) for mask in range(1 << len(POWER_FAULTS))]
    return Encoder(
        "events.v1.power.pdu",
        roster,
        {
            **_event("power", "pdu", "main"),
            "overcurrent": OneOf("faults", overcurrent),
            "pdu_limit_w": Number("pdu_limit_w", 2, low=0),
            "power_out_w": Number("power_out_w", 2, low=0),
            "bus_a": Number("bus_a", 3, low=0),
            "bus_v": Number("bus_v", 3, low=0),
        },
    )


def imu_encoder(roster: Roster) -> Encoder[ImuView]:
    """Return the encoder of `events.v1.sensor.imu`."""
    rates: dict[str, Document] = {
        f"gyro_{axis}_rps": Number("gyro_rps", 6, item=place, missing=Missing.NULL)
        for place, axis in enumerate("xyz")
    }
    forces: dict[str, Document] = {
        f"accel_{axis}_mps2": Number("accel_mps2", 5, item=place, missing=Missing.NULL)
        for place, axis in enumerate("xyz")
    }
    return Encoder(
        "events.v1.sensor.imu",
        roster,
        {
            **_event("sensor", "imu", "body"),
            "status": Status("health", quiet=False),
            "reason": Reason(),
            **rates,
            **forces,
        },
    )


def nav_encoder(roster: Roster) -> Encoder[NavView]:
    """Return the encoder of `events.v1.nav`."""
    attitude: dict[str, Document] = {
        name: Number("attitude", 5, -TAU, TAU, item=place, missing=Missing.NULL)
        for place, name in enumerate(("roll_rad", "pitch_rad", "yaw_rad"))
    }
    return Encoder(
        "events.v1.nav",
        roster,
        {
            **_event("nav", "navigation", "pose"),
            "status": Status("health", quiet=False),
            "reason": Reason(),
            "position_m": _xyz("position", 3),
            "velocity_mps": _xyz("velocity", 4),
            "attitude": attitude,
            "heading_deg": Number("heading", 2, 0, 360, wrap=True, missing=Missing.NULL),
            "position_sigma_m": Number("position_sigma_m", 3, low=0, missing=Missing.NULL),
        },
    )


def energy_encoder(roster: Roster) -> Encoder[PowerView]:
    """Return the encoder of `events.v1.energy`."""
    return Encoder(
        "events.v1.energy",
        roster,
        {
            **_event("power", "power", "energy"),
            "soc_pct": Number("soc_pct", 2, 0, 100),
            "supercap_soc_pct": Number("supercap_soc_pct", 2, 0, 100),
            "power_in_w": Number("power_in_w", 2, low=0),
            "power_out_w": Number("power_out_w", 2, low=0),
            "battery_charge_w": Number("battery_charge_w", 2, low=0),
            "battery_discharge_w": Number("battery_discharge_w", 2, low=0),
            "bus_v": Number("bus_v", 3, low=0),
            "bus_a": Number("bus_a", 3, low=0),
            "dock_connected": flag("dock_connected"),
            "load_shedding": flag("load_shedding"),
            "shed_loads": SetOf("shed_loads", SHED_LOADS),
            "faults": SetOf("faults", POWER_FAULTS),
        },
    )


def shield_encoder(roster: Roster) -> Encoder[ShieldView]:
    """Return the encoder of `events.v1.shield`."""
    return Encoder(
        "events.v1.shield",
        roster,
        {
            **_event("defence", "shields", "main"),
            "state": OneOf("state", SHIELD_STATES),
            "strength_pct": Number("strength_pct", 2, 0, 100),
            "power_w": Number("power_w", 2, low=0),
        },
    )
