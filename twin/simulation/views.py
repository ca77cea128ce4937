"""What the encoders read, taken from the planes: live arrays, gathered once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np

from twin.events.views import (
    CommsView,
    Health,
    ImuView,
    NavView,
    PowerView,
    ShieldView,
    TelemetryView,
    ThermalView,
)
from twin.hardware.assembly import Hardware
from twin.hardware.plane import Floats

__all__ = ["PostMessages", "Views"]

View = TypeVar("View", PowerView, ShieldView)


def _same_names(view: type[View], plane: object) -> View:
    """Return a view whose arrays are those of the same names of a plane."""
    return view(**{field.name: getattr(plane, field.name) for field in fields(view)})


@dataclass(frozen=True, slots=True)
class Views:
    """The views of the channels with one event per bot; they follow the planes by themselves.

    `refresh` brings up to date what no plane keeps.
    """

    power: PowerView
    thermal: ThermalView
    comms: CommsView
    imu: ImuView
    nav: NavView
    shield: ShieldView
    telemetry: TelemetryView
    _hw: Hardware
    _epoch_s: float

    @classmethod
    def of(cls, hw: Hardware, epoch_ns: int) -> "Views":
        """Gather the arrays of all planes."""
        power = _same_names(PowerView, hw.power)
        thermal, comms = _thermal(hw), _comms(hw)
        return cls(
            power=power,
            thermal=thermal,
            comms=comms,
            imu=ImuView(hw.imu.gyro_rps, hw.imu.accel_mps2, Health(hw.imu.status, hw.imu.reasons)),
            nav=_nav(hw),
            shield=_same_names(ShieldView, hw.shields),
            telemetry=_telemetry(hw, power, thermal, comms),
            _hw=hw,
            _epoch_s=epoch_ns / 1e9,
        )

    def refresh(self) -> None:
        """Work out when the link was last up; call it after each tick."""
        seen: Floats = self._hw.comms.last_seen_s
        np.add(seen, self._epoch_s, out=self.comms.last_seen_ts)
        np.subtract(self._hw.time_s, seen, out=self.comms.age_s)


def _thermal(hw: Hardware) -> ThermalView:
    sensor = hw.thermometers
    return ThermalView(
        temp_c=sensor.temp_c,
        tripped=hw.thermal.tripped,
        warned=hw.thermal.warned,
        core=Health(sensor.status, sensor.reasons),
    )


def _comms(hw: Hardware) -> CommsView:
    comms = hw.comms
    return CommsView(
        enabled=comms.enabled,
        link=comms.link_up,
        link_state=comms.link_state,
        latency_ms=comms.latency_ms,
        packet_loss_pct=comms.packet_loss_pct,
        rssi_dbm=comms.rssi_dbm,
        snr_db=comms.snr_db,
        tx_power_w=comms.tx_power_w,
        data_rate_kbps=comms.data_rate_kbps,
        antenna_status=comms.antenna_status,
        plane_enabled=comms.switched_on,
        plane_profile=comms.plane_profile,
        last_seen_ts=np.full(hw.n, np.nan),
        age_s=np.full(hw.n, np.nan),
    )


def _nav(hw: Hardware) -> NavView:
    nav = hw.navigation
    return NavView(
        position=nav.position_m,
        velocity=nav.velocity_mps,
        attitude=nav.attitude_rad,
        heading=nav.heading_deg,
        position_sigma_m=nav.position_sigma_m,
        health=Health(nav.status, nav.reasons),
    )


def _telemetry(
    hw: Hardware, power: PowerView, thermal: ThermalView, comms: CommsView
) -> TelemetryView:
    motion = hw.motion
    return TelemetryView(
        position=motion.position_m,
        velocity=motion.speed_mps,
        heading=motion.heading_deg,
        attitude=motion.attitude_rad,
        hull_integrity=np.full(hw.n, 100.0),
        power=power,
        thermal=thermal,
        radiation_usvh=hw.radiation.radiation_usvh,
        temp_external_c=hw.thermometers.external_c,
        cpu_usage=hw.compute.cpu_pct,
        memory_usage=hw.compute.ram_pct,
        comms=comms,
    )


class PostMessages(Mapping[tuple[int, int], str]):
    """What the device (bot, device) says that is not OK, asked only when it is wanted."""

    def __init__(self, hw: Hardware) -> None:
        self._hw = hw

    def __getitem__(self, key: tuple[int, int]) -> str:
        message = self._hw.modes.message(self._hw, *key)
        if message is None:
            raise KeyError(key)
        return message

    def __iter__(self) -> Iterator[tuple[int, int]]:
        bots, devices = self._hw.n, len(self._hw.modes.devices)
        keys = ((bot, device) for bot in range(bots) for device in range(devices))
        return (key for key in keys if self._hw.modes.message(self._hw, *key) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)
