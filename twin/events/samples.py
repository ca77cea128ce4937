"""Random but plausible views of a fleet without any physics, for benchmarks and tests."""

from dataclasses import dataclass

import numpy as np

from twin.events.ratings import Device, Firmware, NodeRating, PowerRating
from twin.events.views import (
    BiosView,
    BoolArray,
    CommsView,
    FloatArray,
    Health,
    ImuView,
    IntArray,
    NavView,
    PowerView,
    RadarView,
    ShieldView,
    TelemetryView,
    ThermalView,
    TracksView,
)
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

__all__ = ["FIRMWARE", "NODES", "SampleViews", "sample_views"]

NODES = (
    NodeRating("core", 80.0, 90.0, 5.0),
    NodeRating("pdu", 85.0, 95.0, 5.0),
    NodeRating("supercap", 75.0, 85.0, 5.0),
    NodeRating("battery", 60.0, 70.0, 3.0),
    NodeRating("dock_bridge", 110.0, 120.0, 5.0),
    NodeRating("hull", 130.0, 140.0, 10.0),
)
FIRMWARE = Firmware(tuple(Device(f"device_{i}", f"Device {i}") for i in range(23)))
TRANSPONDERS = tuple(f"XP-{number:04d}" for number in range(20))


@dataclass(frozen=True, slots=True)
class SampleViews:
    """A view for each kind of encoder, all of the same bots."""

    power: PowerView
    thermal: ThermalView
    telemetry: TelemetryView
    bios: BiosView
    imu: ImuView
    nav: NavView
    shield: ShieldView
    radar: RadarView
    tracks: TracksView


class Sampler:
    """Draws columns for n bots; with `lively`, flags and states vary, otherwise all is well."""

    def __init__(self, bots: int, seed: int, lively: bool) -> None:
        self.bots = bots
        self._rng = np.random.default_rng(seed)
        self._lively = lively

    def between(self, low: float, high: float, *shape: int) -> FloatArray:
        """Return uniform numbers, by default one per bot."""
        return self._rng.uniform(low, high, shape or (self.bots,))

    def codes(self, count: int, *shape: int, calm: int = 0) -> IntArray:
        """Return codes below `count`, or `calm` for all."""
        shape = shape or (self.bots,)
        return self._rng.integers(0, count, shape) if self._lively else np.full(shape, calm)

    def flags(self, *shape: int, calm: bool = False) -> BoolArray:
        """Return truth values."""
        return self.codes(2, *shape, calm=calm).astype(bool)

    def health(self) -> Health:
        """Return statuses, with a reason for what is not well."""
        status = self.codes(len(STATUSES))
        return Health(status, [f"reason {code}" if code else None for code in status.tolist()])


def sample_views(
    bots: int, *, seed: int = 1, detections: int = 4, lively: bool = False
) -> SampleViews:
    """Return views of `bots` bots with `detections` detections and tracks each, half of them LR.

    `lively` varies every state, set and status; otherwise the fleet is well, as it mostly is.
    """
    draw = Sampler(bots, seed, lively)
    power, thermal = _power(draw), _thermal(draw)
    return SampleViews(
        power=power,
        thermal=thermal,
        telemetry=_telemetry(draw, power, thermal),
        bios=BiosView(draw.codes(4, bots, len(FIRMWARE.devices), calm=1), {}),
        imu=ImuView(draw.between(-3, 3, bots, 3), draw.between(-20, 20, bots, 3), draw.health()),
        nav=NavView(
            draw.between(-1e5, 1e5, bots, 3),
            draw.between(-50, 50, bots, 3),
            draw.between(-3, 3, bots, 3),
            draw.between(0, 360),
            draw.between(0, 100),
            draw.health(),
        ),
        shield=ShieldView(
            draw.between(0, 100), draw.between(0, 50), draw.codes(len(SHIELD_STATES))
        ),
        radar=_radar(draw, detections),
        tracks=_tracks(draw, detections),
    )


def _power(draw: Sampler) -> PowerView:
    rating = PowerRating()
    return PowerView(
        soc_pct=draw.between(0, 100),
        sources_w={name: draw.between(0, 250) for name in rating.source_names},
        loads_w={name: draw.between(0, 60) for name in rating.load_names},
        power_in_w=draw.between(0, 250),
        power_out_w=draw.between(0, 140),
        battery_charge_w=draw.between(0, 120),
        battery_discharge_w=draw.between(0, 140),
        battery_temp_state=draw.codes(len(TEMP_STATES)),
        battery_spill_w=draw.between(0, 9),
        battery_unserved_w=draw.between(0, 9),
        bus_v=draw.between(22, 28),
        battery_1_voltage_v=draw.between(22, 28),
        battery_2_voltage_v=draw.between(22, 28),
        bus_a=draw.between(0, 5),
        load_shedding=draw.flags(),
        shed_loads=draw.codes(1 << len(SHED_LOADS)),
        shed_reasons=draw.codes(1 << len(SHED_REASONS)),
        pdu_limit_w=draw.between(110, 140),
        pdu_throttled=draw.flags(),
        throttled_loads=draw.codes(1 << len(THROTTLED_LOADS)),
        faults=draw.codes(1 << len(POWER_FAULTS)),
        supercap_soc_pct=draw.between(0, 100),
        supercap_charge_w=draw.between(0, 120),
        supercap_discharge_w=draw.between(0, 200),
        supercap_temp_state=draw.codes(len(TEMP_STATES)),
        dock_connected=draw.flags(),
        dock_soft_start_pct=draw.between(0, 100),
        dock_power_w=draw.between(0, 250),
        dock_v=draw.between(0, 28),
        dock_a=draw.between(0, 10),
        dock_temp_c=draw.between(-60, 120),
        nbl_active=draw.flags(),
        nbl_allowed=draw.flags(),
        nbl_power_w=draw.between(0, 120),
        nbl_budget_w=draw.between(0, 120),
    )


def _thermal(draw: Sampler) -> ThermalView:
    shape = (draw.bots, len(NODES))
    return ThermalView(
        draw.between(-60, 130, *shape), draw.flags(*shape), draw.flags(*shape), draw.health()
    )


def _comms(draw: Sampler) -> CommsView:
    return CommsView(
        enabled=draw.flags(calm=True),
        link=draw.flags(calm=True),
        link_state=draw.codes(len(LINK_STATES)),
        latency_ms=draw.between(80, 1800),
        packet_loss_pct=draw.between(0, 35),
        rssi_dbm=draw.between(-110, -40),
        snr_db=draw.between(-5, 30),
        tx_power_w=draw.between(0, 6),
        data_rate_kbps=draw.between(96, 192),
        antenna_status=draw.codes(len(ANTENNA_STATES)),
        plane_enabled=draw.flags(calm=True),
        plane_profile=draw.codes(len(XPDR_MODES), calm=1),
        last_seen_ts=draw.between(1.7e9, 1.8e9),
        age_s=draw.between(0, 60),
    )


def _telemetry(draw: Sampler, power: PowerView, thermal: ThermalView) -> TelemetryView:
    return TelemetryView(
        position=draw.between(-1e5, 1e5, draw.bots, 3),
        velocity=draw.between(0, 50),
        heading=draw.between(0, 360),
        attitude=draw.between(-3, 3, draw.bots, 3),
        hull_integrity=draw.between(0, 100),
        power=power,
        thermal=thermal,
        radiation_usvh=draw.between(0, 3),
        temp_external_c=draw.between(-70, -50),
        cpu_usage=draw.between(0, 100),
        memory_usage=draw.between(0, 100),
        comms=_comms(draw),
    )


def _radar(draw: Sampler, each: int) -> RadarView:
    rows = draw.bots * each
    return RadarView(
        offsets=np.arange(draw.bots + 1) * each,
        range_m=draw.between(10, 20_000, rows),
        bearing_deg=draw.between(0, 360, rows),
        elev_deg=draw.between(-90, 90, rows),
        vr_mps=draw.between(-50, 50, rows),
        snr_db=draw.between(0, 40, rows),
        rcs_dbsm=draw.between(-20, 20, rows),
        range_band=np.resize([1, 2], rows),
        transponder_on=draw.flags(rows, calm=True),
        transponder_mode=draw.codes(len(XPDR_MODES), rows, calm=1),
        transponder=draw.codes(len(TRANSPONDERS) + 1, rows, calm=1) - 1,
        transponder_ids=TRANSPONDERS,
    )


def _tracks(draw: Sampler, each: int) -> TracksView:
    seen, rows = _radar(draw, each), draw.bots * each
    return TracksView(
        offsets=seen.offsets,
        serial=np.resize(np.arange(each), rows) + 1,
        object_type=draw.codes(6, rows),
        iff=draw.codes(4, rows),
        quality=draw.between(0, 1, rows),
        status=draw.codes(5, rows),
        range_m=seen.range_m,
        bearing_deg=seen.bearing_deg,
        elev_deg=seen.elev_deg,
        vr_mps=seen.vr_mps,
        snr_db=seen.snr_db,
        rcs_dbsm=seen.rcs_dbsm,
        position=draw.between(-1e5, 1e5, rows, 3),
        velocity=draw.between(-50, 50, rows, 3),
        age_s=draw.between(0, 30, rows),
        miss_count=draw.codes(4, rows),
        range_band=seen.range_band,
        transponder_on=seen.transponder_on,
        transponder_mode=seen.transponder_mode,
        transponder=seen.transponder,
        transponder_ids=TRANSPONDERS,
        position_covariance=draw.between(0, 9, rows, 6),
        velocity_covariance=draw.between(0, 9, rows, 6),
    )
