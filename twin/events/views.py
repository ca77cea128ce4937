"""What the encoders of periodic channels read: plain arrays over all bots of a shard.

Row i of every array is bot i of the encoder's `Roster`; an encoder reads the rows it is told
to. Names are those of the payload contracts, with units `_w`, `_v`, `_a`, `_c` (degC), `_m`,
`_mps`, `_deg`, `_rad`. Values are float64 and finite; nan stands for "no value" only where a
docstring allows it. `*_state` arrays hold codes and sets hold bit masks over the names in
`twin.events.vocabulary`. Nothing is copied or kept: arrays may be live ones of a plane.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "BiosView",
    "BoolArray",
    "CommsView",
    "FloatArray",
    "Health",
    "ImuView",
    "IntArray",
    "NavView",
    "PowerView",
    "RadarView",
    "ShieldView",
    "TelemetryView",
    "ThermalView",
    "TracksView",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.integer]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Health:
    """Why a reading has no value, or how good it is.

    `status`: (n,) codes of STATUSES. `reason[i]` is read only where the status of bot i is not
    `ok`; None there means that no reason is known.
    """

    status: IntArray
    reason: Sequence[str | None]


@dataclass(frozen=True, slots=True)
class PowerView:
    """The power plane, all (n,). `sources_w` and `loads_w` have the keys named in the rating."""

    soc_pct: FloatArray
    sources_w: Mapping[str, FloatArray]
    loads_w: Mapping[str, FloatArray]
    power_in_w: FloatArray
    power_out_w: FloatArray
    battery_charge_w: FloatArray
    battery_discharge_w: FloatArray
    battery_temp_state: IntArray
    battery_spill_w: FloatArray
    battery_unserved_w: FloatArray
    bus_v: FloatArray
    battery_1_voltage_v: FloatArray
    battery_2_voltage_v: FloatArray
    bus_a: FloatArray
    load_shedding: BoolArray
    shed_loads: IntArray
    shed_reasons: IntArray
    pdu_limit_w: FloatArray
    pdu_throttled: BoolArray
    throttled_loads: IntArray
    faults: IntArray
    supercap_soc_pct: FloatArray
    supercap_charge_w: FloatArray
    supercap_discharge_w: FloatArray
    supercap_temp_state: IntArray
    dock_connected: BoolArray
    dock_soft_start_pct: FloatArray
    dock_power_w: FloatArray
    dock_v: FloatArray
    dock_a: FloatArray
    dock_temp_c: FloatArray
    nbl_active: BoolArray
    nbl_allowed: BoolArray
    nbl_power_w: FloatArray
    nbl_budget_w: FloatArray


@dataclass(frozen=True, slots=True)
class ThermalView:
    """The thermal nodes, all (n, nodes) in the order of the rating. A nan node has no reading."""

    temp_c: FloatArray
    tripped: BoolArray
    warned: BoolArray
    core: Health | None = None
    """Of the core's sensor, for `events.v1.sensor.thermal`; None: it is well."""


@dataclass(frozen=True, slots=True)
class CommsView:
    """The datalink, all (n,). `rssi_dbm` and `snr_db` may be nan: nothing is received."""

    enabled: BoolArray
    link: BoolArray
    link_state: IntArray
    latency_ms: FloatArray
    packet_loss_pct: FloatArray
    rssi_dbm: FloatArray
    snr_db: FloatArray
    tx_power_w: FloatArray
    data_rate_kbps: FloatArray
    antenna_status: IntArray
    plane_enabled: BoolArray
    plane_profile: IntArray
    """Codes of XPDR_MODES."""
    last_seen_ts: FloatArray
    """Epoch seconds (of the simulated clock) at which the link was last up; nan: never."""
    age_s: FloatArray
    """Seconds since then; nan: never."""


@dataclass(frozen=True, slots=True)
class TelemetryView:
    """`telemetry`. Arrays (n,) but `position` (n, 3) in m and `attitude` (n, 3) in rad.

    `velocity` is a speed in m/s, `heading` in degrees, attitude is roll, pitch, yaw. These may
    be nan, and are then left out of the payload and named in its `sensor_status`:
    radiation_usvh, temp_external_c; nan cpu_usage and memory_usage become null.
    """

    position: FloatArray
    velocity: FloatArray
    heading: FloatArray
    attitude: FloatArray
    hull_integrity: FloatArray
    power: PowerView
    thermal: ThermalView
    radiation_usvh: FloatArray
    temp_external_c: FloatArray
    cpu_usage: FloatArray
    memory_usage: FloatArray
    comms: CommsView | None = None


@dataclass(frozen=True, slots=True)
class BiosView:
    """`events.v1.bios_status`. `post_status` is (n, devices): 0 unknown, 1 OK, 2 degraded, 3 error.

    `message(bot, device)` gives the text for a device that is not OK.
    """

    post_status: IntArray
    status_message: Mapping[tuple[int, int], str]


@dataclass(frozen=True, slots=True)
class ImuView:
    """`events.v1.sensor.imu`, (n, 3) in body axes: rad/s and m/s2; nan rows where it failed."""

    gyro_rps: FloatArray
    accel_mps2: FloatArray
    health: Health


@dataclass(frozen=True, slots=True)
class NavView:
    """`events.v1.nav`, the bot's own estimate: (n, 3) m, m/s, rad; (n,) degrees and 1-sigma m."""

    position: FloatArray
    velocity: FloatArray
    attitude: FloatArray
    heading: FloatArray
    position_sigma_m: FloatArray
    health: Health


@dataclass(frozen=True, slots=True)
class ShieldView:
    """`events.v1.shield`, all (n,); `state` are codes of SHIELD_STATES."""

    strength_pct: FloatArray
    power_w: FloatArray
    state: IntArray


@dataclass(frozen=True, slots=True)
class RadarView:
    """One scan: the detections of bot i are the rows offsets[i]:offsets[i + 1] of the others.

    `offsets` is (n + 1,) and begins with 0. `range_band` 1 LR, 2 SR. `transponder` indexes
    `transponder_ids`, -1 where no identity is received; what an LR detection carries of its
    transponder is never written.
    """

    offsets: IntArray
    range_m: FloatArray
    bearing_deg: FloatArray
    elev_deg: FloatArray
    vr_mps: FloatArray
    snr_db: FloatArray
    rcs_dbsm: FloatArray
    range_band: IntArray
    transponder_on: BoolArray
    transponder_mode: IntArray
    transponder: IntArray
    transponder_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class TracksView:
    """The tracks of bot i are the rows offsets[i]:offsets[i + 1]; one event for each.

    `serial` numbers the tracks of one bot for good and makes the track_id. `position` (t, 3) m
    and `velocity` (t, 3) m/s may have nan rows: null. Codes of object_type, iff and status are
    the contract's. Covariances, if any, are (t, 6).
    """

    offsets: IntArray
    serial: IntArray
    object_type: IntArray
    iff: IntArray
    quality: FloatArray
    status: IntArray
    range_m: FloatArray
    bearing_deg: FloatArray
    elev_deg: FloatArray
    vr_mps: FloatArray
    snr_db: FloatArray
    rcs_dbsm: FloatArray
    position: FloatArray
    velocity: FloatArray
    age_s: FloatArray
    miss_count: IntArray
    range_band: IntArray
    transponder_on: BoolArray
    transponder_mode: IntArray
    transponder: IntArray
    transponder_ids: Sequence[str]
    position_covariance: FloatArray | None = None
    velocity_covariance: FloatArray | None = None
