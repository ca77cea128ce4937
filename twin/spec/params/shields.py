"""Params of the shields."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from twin.spec.units import Params, Percent, Watts

__all__ = ["ShieldsParams"]

PercentPerSecond = Annotated[
    float, Field(ge=0, strict=True, allow_inf_nan=False, json_schema_extra={"unit": "%/s"})
]


class ShieldsParams(Params):
    """Strength that damage takes away and time restores."""

    strength_pct: Percent = Field(default=100.0, description="Strength at the start.")
    low_pct: Percent = Field(default=30.0, description="Low below this.")
    critical_pct: Percent = Field(default=10.0, description="Critical below this.")
    hysteresis_pct: Percent = Field(default=2.0, description="A state is left this far above.")
    recharge_pct_per_s: PercentPerSecond = Field(default=0.5, description="Recovery while powered.")
    hold_w: Watts = Field(default=2.0, description="Drawn at full strength, of the base load.")
    recharge_w: Watts = Field(default=8.0, description="Drawn in addition while recovering.")

    @model_validator(mode="after")
    def _thresholds_fit(self) -> Self:
        if self.critical_pct >= self.low_pct:
            raise ValueError("critical_pct must be below low_pct")
        return self
