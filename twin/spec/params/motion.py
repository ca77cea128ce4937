"""Params of how a bot moves: its body, its default patrol, and its thrusters."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from twin.spec.units import (
    Coordinate,
    Degrees,
    Kilograms,
    KilogramsSquareMetre,
    Metres,
    MetresPerSecond,
    MetresPerSecondSquared,
    NewtonMetres,
    Newtons,
    Params,
    Point,
    RadiansPerSecond,
    Seconds,
    Watts,
)

__all__ = ["MotionParams", "PropulsionParams", "ThrusterClusterParams"]

RadiansPerSecondSquared = Annotated[
    float, Field(gt=0, strict=True, allow_inf_nan=False, json_schema_extra={"unit": "rad/s2"})
]


class MotionParams(Params):
    """The body, and the patrol that a bot flies when nobody commands it."""

    dry_mass_kg: Kilograms = Field(default=300.0, gt=0, description="Mass without propellant.")
    inertia_kgm2: KilogramsSquareMetre = Field(
        default=150.0, gt=0, description="Moment of inertia, the same about every axis."
    )
    behaviour: Literal["patrol", "hold", "coast"] = Field(
        default="patrol",
        description="patrol loops way-points, hold stands still, coast flies freely.",
    )
    cruise_mps: MetresPerSecond = Field(default=0.4, description="Speed on patrol.")
    cruise_spread: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.15, description="Bots differ from the cruise speed by at most this fraction."
    )
    drive_accel_mps2: MetresPerSecondSquared = Field(
        default=0.2, gt=0, description="Largest acceleration of the electric drive."
    )
    turn_rate_rps: RadiansPerSecond = Field(
        default=0.25, gt=0, description="Largest rate at which the attitude hold turns the bot."
    )
    turn_accel_rps2: RadiansPerSecondSquared = Field(
        default=0.1, description="Largest angular acceleration of the attitude hold."
    )
    turn_tau_s: Seconds = Field(
        default=2.0, gt=0, description="Time constant in which the attitude hold closes an error."
    )
    waypoints: int = Field(default=5, ge=2, le=64, description="Way-points of one patrol loop.")
    patrol_radius_m: Metres = Field(
        default=40.0, gt=0, description="Mean distance of the way-points from the bot's home."
    )
    arrival_m: Metres = Field(
        default=6.0, gt=0, description="A way-point counts as reached within this distance."
    )
    region_m: Metres = Field(
        default=5000.0, description="Homes lie within this distance of the origin, east and north."
    )
    group_spread_m: Metres = Field(
        default=300.0, description="Homes of one group lie within this distance of its centre."
    )


class ThrusterClusterParams(Params):
    """Eight thrusters at every sign combination of `corner_m`, canted in one plane."""

    corner_m: Point = Field(description="Position of the thruster in the all-positive corner.")
    thrust_n: Newtons = Field(gt=0, description="Thrust of each thruster when open.")
    plane: Literal["xy", "yz", "xz"] = Field(description="Plane in which the nozzles are canted.")
    cant_deg: Degrees = Field(
        default=45.0, gt=0, lt=90, description="Angle of a nozzle from the plane's first axis."
    )


class PropulsionParams(Params):
    """Reaction control: 16 thrusters in two sets of two clusters (A and B, C and D)."""

    clusters: tuple[ThrusterClusterParams, ...] = Field(
        default=(
            ThrusterClusterParams(corner_m=(0.85, 0.85, 0.4), thrust_n=260.0, plane="xy"),
            ThrusterClusterParams(corner_m=(0.4, 0.85, 0.85), thrust_n=220.0, plane="yz"),
        ),
        min_length=1,
        description="Pairs of clusters: eight thrusters each.",
    )
    centre_of_mass_m: tuple[Coordinate, Coordinate, Coordinate] = Field(
        default=(0.0, 0.0, 0.1), description="Body frame: X forward, Y left, Z up."
    )
    isp_s: Seconds = Field(default=60.0, gt=0, description="Specific impulse.")
    propellant_kg: Kilograms = Field(default=12.0, description="Propellant when full.")
    rcs_power_w: Watts = Field(
        default=80.0, description="Electrical power with one translation group wide open."
    )
    pulse_window_s: Seconds = Field(
        default=0.25, gt=0, description="A thruster opens once per window, for its duty of it."
    )
    pulse_min_s: Seconds = Field(
        default=0.03, description="Shortest opening; a shorter demand stays closed."
    )
    torque_tolerance_nm: NewtonMetres = Field(
        default=25.0, description="Torque that still counts as none in a translation."
    )
    mode: Literal["AUTO", "ADAPTIVE", "MANUAL_OVERRIDE"] = Field(
        default="AUTO",
        description=(
            "AUTO allocates as if all thrusters worked, ADAPTIVE leaves out those known to have "
            "failed, MANUAL_OVERRIDE takes the opening of each thruster as commanded."
        ),
    )

    @model_validator(mode="after")
    def _window_holds_a_pulse(self) -> Self:
        if self.pulse_min_s > self.pulse_window_s:
            raise ValueError("pulse_min_s is longer than pulse_window_s")
        return self
