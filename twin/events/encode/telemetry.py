"""The telemetry snapshot: the widest payload, about 80 numbers and 20 states."""

import math
from collections.abc import Sequence

import orjson

from twin.events.encode.encoder import Encoder, per_bot
from twin.events.encode.leaves import (
    Clock,
    Document,
    Missing,
    Now,
    Number,
    OneOf,
    SetOf,
    WhatIsMissing,
    flag,
)
from twin.events.encode.roster import Roster
from twin.events.ratings import NodeRating, PowerRating
from twin.events.views import TelemetryView
from twin.events.vocabulary import (
    ANTENNA_STATES,
    LINK_STATES,
    POWER_FAULTS,
    SHED_LOADS,
    SHED_REASONS,
    TEMP_STATES,
    THROTTLED_LOADS,
    XPDR_MODES,
)

__all__ = ["telemetry_encoder"]

TAU = 2 * math.pi


def telemetry_encoder(
    roster: Roster,
    power: PowerRating,
    nodes: Sequence[NodeRating],
    *,
    comms: bool = True,
    hardware_profile_hash: str | None = None,
) -> Encoder[TelemetryView]:
    """Return the encoder of `telemetry`.

    One of `nodes` is `core`. With `comms` the view must have a CommsView.
    """
    core = [node.id for node in nodes].index("core")
    document: dict[str, Document] = {
        "schema_version": 1,
        "timestamp": Now(Clock.RFC3339),
        "ts_unix_ms": Now(Clock.EPOCH_MS),
        "source": per_bot([orjson.dumps(bot) for bot in roster.bots]),
        "position": {a: Number("position", 3, item=i) for i, a in enumerate("xyz")},
        "velocity": Number("velocity", 3),
        "heading": Number("heading", 2, 0, 360, wrap=True),
        "attitude": {
            name: Number("attitude", 5, -TAU, TAU, item=place)
            for place, name in enumerate(("roll_rad", "pitch_rad", "yaw_rad"))
        },
        "battery": Number("power.soc_pct", 2, 0, 100),
        "hull": {"integrity": Number("hull_integrity", 2, 0, 100)},
        "power": _power(power),
        "thermal": {"nodes": [_node(place, node) for place, node in enumerate(nodes)]},
        "radiation_usvh": _droppable("radiation_usvh", 3, low=0),
        "temp_external_c": _droppable("temp_external_c", 2),
        "temp_core_c": Number(
            "thermal.temp_c", 2, item=core, missing=Missing.DROP, label="temp_core_c"
        ),
        "cpu_usage": Number("cpu_usage", 2, 0, 100, missing=Missing.NULL),
        "memory_usage": Number("memory_usage", 2, 0, 100, missing=Missing.NULL),
    }
    if comms:
        document["comms"] = _comms()
    if hardware_profile_hash is not None:
        document["hardware_profile_hash"] = hardware_profile_hash
    document["sensor_status"] = WhatIsMissing()
    return Encoder("telemetry", roster, document)


def _droppable(name: str, decimals: int, low: float = -1e9) -> Number:
    return Number(name, decimals, low, missing=Missing.DROP)


def _watts(name: str) -> Number:
    return Number(f"power.{name}", 2, low=0)


def _power(rating: PowerRating) -> Document:
    return {
        "soc_pct": Number("power.soc_pct", 2, 0, 100),
        "sources_w": {
            name: Number("power.sources_w", 2, low=0, item=name) for name in rating.source_names
        },
        "loads_w": {
            name: Number("power.loads_w", 2, low=0, item=name) for name in rating.load_names
        },
        "power_in_w": _watts("power_in_w"),
        "power_out_w": _watts("power_out_w"),
        "battery_capacity_wh": rating.battery_capacity_wh,
        "battery_charge_w": _watts("battery_charge_w"),
        "battery_discharge_w": _watts("battery_discharge_w"),
        "battery_temp_state": OneOf("power.battery_temp_state", TEMP_STATES),
        "battery_spill_w": _watts("battery_spill_w"),
        "battery_unserved_w": _watts("battery_unserved_w"),
        "bus_v": Number("power.bus_v", 3, low=0),
        "battery_1_voltage_v": Number("power.battery_1_voltage_v", 3, low=0),
        "battery_2_voltage_v": Number("power.battery_2_voltage_v", 3, low=0),
        "bus_a": Number("power.bus_a", 3, low=0),
        "bus_v_min": rating.bus_v_min,
        "max_bus_a": rating.max_bus_a,
        "soc_shed_low_pct": rating.soc_shed_low_pct,
        "soc_shed_high_pct": rating.soc_shed_high_pct,
        "load_shedding": flag("power.load_shedding"),
        "shed_loads": SetOf("power.shed_loads", SHED_LOADS),
        "shed_reasons": SetOf("power.shed_reasons", SHED_REASONS),
        "pdu_limit_w": _watts("pdu_limit_w"),
        "pdu_throttled": flag("power.pdu_throttled"),
        "throttled_loads": SetOf("power.throttled_loads", THROTTLED_LOADS),
        "faults": SetOf("power.faults", POWER_FAULTS),
        "supercap_soc_pct": Number("power.supercap_soc_pct", 2, 0, 100),
        "supercap_capacity_wh": rating.supercap_capacity_wh,
        "supercap_charge_w": _watts("supercap_charge_w"),
        "supercap_discharge_w": _watts("supercap_discharge_w"),
        "supercap_temp_state": OneOf("power.supercap_temp_state", TEMP_STATES),
        "dock_connected": flag("power.dock_connected"),
        "dock_soft_start_pct": Number("power.dock_soft_start_pct", 2, 0, 100),
        "dock_power_w": _watts("dock_power_w"),
        "dock_v": Number("power.dock_v", 3, low=0),
        "dock_a": Number("power.dock_a", 3, low=0),
        "dock_temp_c": Number("power.dock_temp_c", 2),
        "nbl_active": flag("power.nbl_active"),
        "nbl_allowed": flag("power.nbl_allowed"),
        "nbl_power_w": _watts("nbl_power_w"),
        "nbl_budget_w": _watts("nbl_budget_w"),
    }


def _node(place: int, node: NodeRating) -> Document:
    reading = Number(
        "thermal.temp_c", 2, item=place, missing=Missing.DROP_OBJECT, label=f"thermal.{node.id}"
    )
    return {
        "id": node.id,
        "temp_c": reading,
        "tripped": flag("thermal.tripped", place),
        "warned": flag("thermal.warned", place),
        "warn_c": node.warn_c,
        "trip_c": node.trip_c,
        "hys_c": node.hys_c,
    }


def _comms() -> Document:
    return {
        "enabled": flag("comms.enabled"),
        "link": flag("comms.link"),
        "link_state": OneOf("comms.link_state", LINK_STATES),
        "latency_ms": Number("comms.latency_ms", 1, low=0),
        "packet_loss_pct": Number("comms.packet_loss_pct", 2, 0, 100),
        "rssi_dbm": Number("comms.rssi_dbm", 1, missing=Missing.NULL),
        "snr_db": Number("comms.snr_db", 1, missing=Missing.NULL),
        "tx_power_w": Number("comms.tx_power_w", 2, low=0),
        "data_rate_kbps": Number("comms.data_rate_kbps", 1, low=0),
        "antenna_status": OneOf("comms.antenna_status", ANTENNA_STATES),
        "plane_enabled": flag("comms.plane_enabled"),
        "plane_profile": OneOf("comms.plane_profile", [mode.lower() for mode in XPDR_MODES]),
        "last_seen_ts": Number("comms.last_seen_ts", 3, 0, 1e11, missing=Missing.NULL),
        "age_s": Number("comms.age_s", 3, low=0, missing=Missing.NULL),
    }
