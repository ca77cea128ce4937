"""Params of the smaller sensors. Whether one is fitted is its component's `enabled`."""

from typing import Annotated

from pydantic import Field

from twin.spec.units import (
    Degrees,
    Hertz,
    Kelvins,
    Metres,
    MetresPerSecond,
    MicrosievertsPerHour,
    Microteslas,
    Params,
    Radians,
    RadiansPerSecond,
    Seconds,
)

__all__ = [
    "DockingSensorParams",
    "LidarParams",
    "MagnetometerParams",
    "ProximityParams",
    "RadiationParams",
    "SolarParams",
    "SpectrometerParams",
    "StarTrackerParams",
    "ThermometersParams",
]

SignedMicroteslas = Annotated[
    float, Field(strict=True, allow_inf_nan=False, json_schema_extra={"unit": "uT"})
]
Nanometres = Annotated[
    float, Field(ge=0, strict=True, allow_inf_nan=False, json_schema_extra={"unit": "nm"})
]
WattsPerSquareMetre = Annotated[
    float, Field(ge=0, strict=True, allow_inf_nan=False, json_schema_extra={"unit": "W/m2"})
]


class ThermometersParams(Params):
    """Component `sensor_thermal`: a digital thermometer on every thermal node."""

    resolution_k: Kelvins = Field(default=0.1, description="Readings are multiples of this.")


class RadiationParams(Params):
    """Component `sensor_radiation`: a counter of ionising radiation, and a dosimeter."""

    background_usvh: MicrosievertsPerHour = Field(
        default=0.15, description="Dose rate of the surroundings."
    )
    warn_usvh: MicrosievertsPerHour = Field(default=1.0, description="Warns from here.")
    critical_usvh: MicrosievertsPerHour = Field(default=2.0, description="Critical from here.")
    hysteresis_usvh: MicrosievertsPerHour = Field(
        default=0.2, description="A level is left this far below where it begins."
    )
    gate_s: Seconds = Field(default=1.0, gt=0, description="Shortest time that it counts for.")
    counts_hz_per_usvh: Hertz = Field(
        default=200.0, gt=0, description="Count rate for 1 uSv/h: sets the counting noise."
    )


class DockingSensorParams(Params):
    """Component `sensor_docking`: distance and closing speed of the station's port."""

    range_m: Metres = Field(default=30.0, description="Sees a port within this distance.")
    noise_m: Metres = Field(default=0.02, description="Standard deviation of a distance.")
    noise_mps: MetresPerSecond = Field(default=0.005, description="... of a closing speed.")


class ProximityParams(Params):
    """Component `sensor_proximity`: distance of the nearest object on any side."""

    range_m: Metres = Field(default=30.0, description="Sees objects within this distance.")
    noise_m: Metres = Field(default=0.05, description="Standard deviation of a distance.")


class LidarParams(Params):
    """Component `lidar`: distance of the nearest object ahead."""

    range_m: Metres = Field(default=100.0, description="Sees objects within this distance.")
    field_of_view_deg: Degrees = Field(
        default=180.0, gt=0, le=360, description="Full cone around the nose."
    )
    noise_m: Metres = Field(default=0.03, description="Standard deviation of a distance.")


class SpectrometerParams(Params):
    """Component `spectrometer`: the strongest spectral line of the nearest object."""

    range_m: Metres = Field(default=150.0, description="Sees objects within this distance.")
    noise_nm: Nanometres = Field(default=0.5, description="Standard deviation of a line.")


class SolarParams(Params):
    """Component `sensor_solar`: irradiance and direction of the sun."""

    irradiance_wm2: WattsPerSquareMetre = Field(default=1361.0, description="Of the free sun.")
    bearing_deg: Degrees = Field(default=135.0, description="Bearing of the sun.")
    elev_deg: Degrees = Field(default=30.0, ge=-90, le=90, description="Elevation of the sun.")
    noise_wm2: WattsPerSquareMetre = Field(default=5.0, description="Standard deviation.")
    noise_deg: Degrees = Field(default=0.1, ge=0, description="... of each angle.")


class StarTrackerParams(Params):
    """Component `sensor_star_tracker`: attitude from the stars, while the bot turns slowly."""

    noise_rad: Radians = Field(default=5e-5, ge=0, description="Standard deviation, each axis.")
    rate_max_rps: RadiansPerSecond = Field(default=0.05, description="Loses lock above this rate.")
    acquire_s: Seconds = Field(default=3.0, description="From a quiet sky to a new lock.")


class MagnetometerParams(Params):
    """Component `magnetometer`: the magnetic field in body axes."""

    field_ut: tuple[SignedMicroteslas, SignedMicroteslas, SignedMicroteslas] = Field(
        default=(0.0, 20.0, -43.0), description="Field in world axes: east, north, up."
    )
    noise_ut: Microteslas = Field(default=0.1, description="Standard deviation, each axis.")
