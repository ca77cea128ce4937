"""Every periodic payload written the plain way: one dictionary per event.

The oracle of the encoders' tests, and what benchmarks compare them with. Columns may be
arrays or lists. `r(x, decimals)` rounds a number; documents are values that json and orjson
can both write.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from twin.events.ratings import Firmware, NodeRating, PowerRating
from twin.events.samples import SampleViews
from twin.events.views import Health, PowerView, RadarView, TracksView
from twin.events.vocabulary import (
    ANTENNA_STATES,
    LINK_STATES,
    POWER_FAULTS,
    SHED_LOADS,
    SHED_REASONS,
    SHIELD_STATES,
    STATUSES,
    TEMP_STATES,
    THROTTLED_LOADS,
    XPDR_MODES,
)

Round = Callable[[float, int], float]
Document = dict[str, Any]


@lru_cache
def rfc3339(ns: int) -> str:
    moment = datetime.fromtimestamp(ns // 10**9, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ns % 10**9 // 1000:06d}Z"


def names(mask: int, vocabulary: tuple[str, ...]) -> list[str]:
    return [name for bit, name in enumerate(vocabulary) if int(mask) >> bit & 1]


def turned(degrees: float) -> float:
    """Return 360 as 0, which is where rounding may lead."""
    return degrees % 360.0


def xyz(row: Any, decimals: int, r: Round) -> Document:
    return {axis: r(value, decimals) for axis, value in zip("xyz", row, strict=True)}


def event(ns: int, category: str, source: str, subject: str) -> Document:
    return {
        "schema_version": 1,
        "category": category,
        "source": source,
        "subject": subject,
        "ts_epoch": ns // 1000 / 1e6,
    }


def health(of: Health | None, bot: int, *, quiet: bool = False) -> tuple[Document, bool]:
    """Return the keys that a health adds, and whether there is a value."""
    code = 0 if of is None else int(of.status[bot])
    if code == 0 or of is None:
        return ({} if quiet else {"status": "ok"}), True
    return {"status": STATUSES[code], "reason": of.reason[bot]}, code < STATUSES.index("failed")


def thermal(v: SampleViews, bot: int, ns: int, r: Round) -> Document:
    keys, valued = health(v.thermal.core, bot, quiet=True)
    return {
        **event(ns, "sensor", "thermal", "core"),
        **keys,
        "temp": r(v.thermal.temp_c[bot][0], 2) if valued else None,
        "unit": "C",
    }


def bus(v: SampleViews, bot: int, ns: int, r: Round) -> Document:
    return {
        **event(ns, "power", "bus", "main"),
        "current": r(v.power.bus_a[bot], 3),
        "bus_v": r(v.power.bus_v[bot], 3),
        "unit": "A",
    }


def pdu(v: SampleViews, bot: int, ns: int, r: Round) -> Document:
    return {
        **event(ns, "power", "pdu", "main"),
        "overcurrent": int("PDU_OVERCURRENT" in names(v.power.faults[bot], POWER_FAULTS)),
        "pdu_limit_w": r(v.power.pdu_limit_w[bot], 2),
        "power_out_w": r(v.power.power_out_w[bot], 2),
        "bus_a": r(v.power.bus_a[bot], 3),
        "bus_v": r(v.power.bus_v[bot], 3),
    }


def imu(v: SampleViews, bot: int, ns: int, r: Round) -> Document:
    keys, valued = health(v.imu.health, bot)
    gyro = zip("xyz", v.imu.gyro_rps[bot], strict=True)
    accel = zip("xyz", v.imu.accel_mps2[bot], strict=True)
    return {
        **event(ns, "sensor", "imu", "body"),
        **keys,
        **{f"gyro_{axis}_rps": r(x, 6) if valued else None for axis, x in gyro},
        **{f"accel_{axis}_mps2": r(x, 5) if valued else None for axis, x in accel},
    }


def nav(v: SampleViews, bot: int, ns: int, r: Round) -> Document:
    keys, valued = health(v.nav.health, bot)

    def known(x: float, decimals: int) -> float | None:
        return r(x, decimals) if valued else None

    angles = zip(("roll_rad", "pitch_rad", "yaw_rad"), v.nav.attitude[bot], strict=True)
    return {
        **event(ns, "nav", "navigation", "pose"),
        **keys,
        "position_m": xyz(v.nav.position[bot], 3, known),  # type: ignore[arg-type]
        "velocity_mps": xyz(v.nav.velocity[bot], 4, known),  # type: ignore[arg-type]
        "attitude": {name: known(x, 5) for name, x in angles},
        "heading_deg": turned(r(v.nav.heading[bot], 2)) if valued else None,
        "position_sigma_m": known(v.nav.position_sigma_m[bot], 3),
    }


def energy(v: SampleViews, bot: int, ns: int, r: Round) -> Document:
    p = v.power
    return {
        **event(ns, "power", "power", "energy"),
        "soc_pct": r(p.soc_pct[bot], 2),
        "supercap_soc_pct": r(p.supercap_soc_pct[bot], 2),
        "power_in_w": r(p.power_in_w[bot], 2),
        "power_out_w": r(p.power_out_w[bot], 2),
        "battery_charge_w": r(p.battery_charge_w[bot], 2),
        "battery_discharge_w": r(p.battery_discharge_w[bot], 2),
        "bus_v": r(p.bus_v[bot], 3),
        "bus_a": r(p.bus_a[bot], 3),
        "dock_connected": bool(p.dock_connected[bot]),
        "load_shedding": bool(p.load_shedding[bot]),
        "shed_loads": names(p.shed_loads[bot], SHED_LOADS),
        "faults": names(p.faults[bot], POWER_FAULTS),
    }


def shield(v: SampleViews, bot: int, ns: int, r: Round) -> Document:
    return {
        **event(ns, "defence", "shields", "main"),
        "state": SHIELD_STATES[v.shield.state[bot]],
        "strength_pct": r(v.shield.strength_pct[bot], 2),
        "power_w": r(v.shield.power_w[bot], 2),
    }


def power_block(p: PowerView, rating: PowerRating, bot: int, r: Round) -> Document:
    return {
        "soc_pct": r(p.soc_pct[bot], 2),
        "sources_w": {name: r(p.sources_w[name][bot], 2) for name in rating.source_names},
        "loads_w": {name: r(p.loads_w[name][bot], 2) for name in rating.load_names},
        "power_in_w": r(p.power_in_w[bot], 2),
        "power_out_w": r(p.power_out_w[bot], 2),
        "battery_capacity_wh": rating.battery_capacity_wh,
        "battery_charge_w": r(p.battery_charge_w[bot], 2),
        "battery_discharge_w": r(p.battery_discharge_w[bot], 2),
        "battery_temp_state": TEMP_STATES[p.battery_temp_state[bot]],
        "battery_spill_w": r(p.battery_spill_w[bot], 2),
        "battery_unserved_w": r(p.battery_unserved_w[bot], 2),
        "bus_v": r(p.bus_v[bot], 3),
        "battery_1_voltage_v": r(p.battery_1_voltage_v[bot], 3),
        "battery_2_voltage_v": r(p.battery_2_voltage_v[bot], 3),
        "bus_a": r(p.bus_a[bot], 3),
        "bus_v_min": rating.bus_v_min,
        "max_bus_a": rating.max_bus_a,
        "soc_shed_low_pct": rating.soc_shed_low_pct,
        "soc_shed_high_pct": rating.soc_shed_high_pct,
        "load_shedding": bool(p.load_shedding[bot]),
        "shed_loads": names(p.shed_loads[bot], SHED_LOADS),
        "shed_reasons": names(p.shed_reasons[bot], SHED_REASONS),
        "pdu_limit_w": r(p.pdu_limit_w[bot], 2),
        "pdu_throttled": bool(p.pdu_throttled[bot]),
        "throttled_loads": names(p.throttled_loads[bot], THROTTLED_LOADS),
        "faults": names(p.faults[bot], POWER_FAULTS),
        "supercap_soc_pct": r(p.supercap_soc_pct[bot], 2),
        "supercap_capacity_wh": rating.supercap_capacity_wh,
        "supercap_charge_w": r(p.supercap_charge_w[bot], 2),
        "supercap_discharge_w": r(p.supercap_discharge_w[bot], 2),
        "supercap_temp_state": TEMP_STATES[p.supercap_temp_state[bot]],
        "dock_connected": bool(p.dock_connected[bot]),
        "dock_soft_start_pct": r(p.dock_soft_start_pct[bot], 2),
        "dock_power_w": r(p.dock_power_w[bot], 2),
        "dock_v": r(p.dock_v[bot], 3),
        "dock_a": r(p.dock_a[bot], 3),
        "dock_temp_c": r(p.dock_temp_c[bot], 2),
        "nbl_active": bool(p.nbl_active[bot]),
        "nbl_allowed": bool(p.nbl_allowed[bot]),
        "nbl_power_w": r(p.nbl_power_w[bot], 2),
        "nbl_budget_w": r(p.nbl_budget_w[bot], 2),
    }


def telemetry(
    v: SampleViews,
    bot: int,
    ns: int,
    r: Round,
    *,
    name: str,
    rating: PowerRating,
    nodes: tuple[NodeRating, ...],
) -> Document:
    t, c = v.telemetry, v.telemetry.comms
    assert c is not None
    angles = zip(("roll_rad", "pitch_rad", "yaw_rad"), t.attitude[bot], strict=True)
    return {
        "schema_version": 1,
        "timestamp": rfc3339(ns),
        "ts_unix_ms": ns // 10**6,
        "source": name,
        "position": xyz(t.position[bot], 3, r),
        "velocity": r(t.velocity[bot], 3),
        "heading": turned(r(t.heading[bot], 2)),
        "attitude": {key: r(x, 5) for key, x in angles},
        "battery": r(t.power.soc_pct[bot], 2),
        "hull": {"integrity": r(t.hull_integrity[bot], 2)},
        "power": power_block(t.power, rating, bot, r),
        "thermal": {
            "nodes": [
                {
                    "id": node.id,
                    "temp_c": r(t.thermal.temp_c[bot][place], 2),
                    "tripped": bool(t.thermal.tripped[bot][place]),
                    "warned": bool(t.thermal.warned[bot][place]),
                    "warn_c": node.warn_c,
                    "trip_c": node.trip_c,
                    "hys_c": node.hys_c,
                }
                for place, node in enumerate(nodes)
            ]
        },
        "radiation_usvh": r(t.radiation_usvh[bot], 3),
        "temp_external_c": r(t.temp_external_c[bot], 2),
        "temp_core_c": r(t.thermal.temp_c[bot][0], 2),
        "cpu_usage": r(t.cpu_usage[bot], 2),
        "memory_usage": r(t.memory_usage[bot], 2),
        "comms": {
            "enabled": bool(c.enabled[bot]),
            "link": bool(c.link[bot]),
            "link_state": LINK_STATES[c.link_state[bot]],
            "latency_ms": r(c.latency_ms[bot], 1),
            "packet_loss_pct": r(c.packet_loss_pct[bot], 2),
            "rssi_dbm": r(c.rssi_dbm[bot], 1),
            "snr_db": r(c.snr_db[bot], 1),
            "tx_power_w": r(c.tx_power_w[bot], 2),
            "data_rate_kbps": r(c.data_rate_kbps[bot], 1),
            "antenna_status": ANTENNA_STATES[c.antenna_status[bot]],
            "plane_enabled": bool(c.plane_enabled[bot]),
            "plane_profile": XPDR_MODES[c.plane_profile[bot]].lower(),
            "last_seen_ts": r(c.last_seen_ts[bot], 3),
            "age_s": r(c.age_s[bot], 3),
        },
    }


def identity(v: RadarView | TracksView, row: int) -> Document:
    """Return what a detection and a track say about who it is."""
    heard = v.range_band[row] != 1
    named = heard and v.transponder[row] >= 0
    return {
        "transponder_on": bool(heard and v.transponder_on[row]),
        "transponder_mode": int(v.transponder_mode[row]) if heard else 0,
        "transponder_id": v.transponder_ids[v.transponder[row]] if named else None,
        "id_present": bool(named),
        "range_band": int(v.range_band[row]),
    }


def geometry(v: RadarView | TracksView, row: int, r: Round) -> Document:
    """Return what a detection and a track say about where it is."""
    return {
        "range_m": r(v.range_m[row], 2),
        "bearing_deg": turned(r(v.bearing_deg[row], 3)),
        "elev_deg": r(v.elev_deg[row], 3),
        "vr_mps": r(v.vr_mps[row], 3),
        "snr_db": r(v.snr_db[row], 2),
        "rcs_dbsm": r(v.rcs_dbsm[row], 2),
    }


def rows_of(v: RadarView | TracksView, bot: int) -> range:
    return range(int(v.offsets[bot]), int(v.offsets[bot + 1]))


def frame(
    v: SampleViews, bot: int, ns: int, r: Round, *, band: int | None, frame_id: str, sensor_id: str
) -> Document:
    when = rfc3339(ns)
    return {
        "schema_version": 1,
        "frame_id": frame_id,
        "sensor_id": sensor_id,
        "timestamp": when,
        "ts_event": when,
        "ts_ingest": when,
        "detections": [
            identity(v.radar, row) | geometry(v.radar, row, r)
            for row in rows_of(v.radar, bot)
            if band in (None, v.radar.range_band[row])
        ],
    }


def tracks(v: SampleViews, bot: int, ns: int, r: Round, ids: Iterator[str]) -> Iterator[Document]:
    t, when = v.tracks, rfc3339(ns)
    assert t.position_covariance is not None
    assert t.velocity_covariance is not None
    for row in rows_of(t, bot):
        yield {
            "schema_version": 1,
            "timestamp": when,
            "ts_event": when,
            "ts_ingest": when,
            "track_id": next(ids),
            "object_type": int(t.object_type[row]),
            "iff": int(t.iff[row]),
            "status": int(t.status[row]),
            **identity(t, row),
            "miss_count": int(t.miss_count[row]),
            **geometry(t, row, r),
            "quality": r(t.quality[row], 3),
            "position": xyz(t.position[row], 3, r),
            "velocity": xyz(t.velocity[row], 3, r),
            "position_covariance": [r(x, 6) for x in t.position_covariance[row]],
            "velocity_covariance": [r(x, 6) for x in t.velocity_covariance[row]],
            "age_s": r(t.age_s[row], 3),
        }


def bios(
    v: SampleViews, bot: int, ns: int, *, name: str, subject: str, firmware: Firmware
) -> Document:
    statuses = [int(status) for status in v.bios.post_status[bot]]
    return {
        "event_schema_version": 1,
        "source": name,
        "subject": subject,
        "timestamp": rfc3339(ns),
        "bios_version": firmware.bios_version,
        "firmware_version": firmware.firmware_version,
        "hardware_profile_hash": firmware.hardware_profile_hash,
        "all_systems_go": all(status == 1 for status in statuses),
        "post_results": [
            {
                "device_id": device.device_id,
                "device_name": device.device_name,
                "status": status,
                "status_message": v.bios.status_message.get((bot, place)),
            }
            for place, (device, status) in enumerate(zip(firmware.devices, statuses, strict=True))
        ],
    }
