"""Params of the navigation stack."""

from typing import Annotated

from pydantic import Field

from twin.spec.units import Fraction, Metres, MetresPerSecond, Params, Radians, RadiansPerSecond

__all__ = ["NavigationParams"]

WalkDensity = Annotated[
    float, Field(ge=0, strict=True, allow_inf_nan=False, json_schema_extra={"unit": "m/sqrt(s)"})
]


class NavigationParams(Params):
    """Dead reckoning: heading from the gyroscopes, speed from the drive, fixes where there are."""

    position_sigma_m: Metres = Field(default=0.5, description="Uncertainty after a fix, each axis.")
    heading_sigma_rad: Radians = Field(default=0.002, ge=0, description="... of the heading.")
    walk_m_rts: WalkDensity = Field(
        default=0.05, description="Random walk of the position, each axis: noise of the speed."
    )
    scale_sigma: Fraction = Field(default=0.01, description="Relative error of the speed.")
    blind_rate_rps: RadiansPerSecond = Field(
        default=0.1, description="Turn rate to be reckoned with while there is no gyroscope."
    )
    blind_mps: MetresPerSecond = Field(
        default=0.5, description="Speed to be reckoned with while there is none measured."
    )
    degraded_m: Metres = Field(
        default=100.0, description="The estimate is degraded above this uncertainty."
    )
