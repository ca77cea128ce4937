"""Params of boot, self-test and modes."""

from pydantic import Field

from twin.spec.units import Params, Seconds

__all__ = ["ModesParams"]


class ModesParams(Params):
    """Component `mainboard`: how long it takes to boot and when the bot trusts itself."""

    post_s: Seconds = Field(default=0.6, description="Until the self-test has asked all devices.")
    boot_s: Seconds = Field(
        default=1.0, description="Until the boot is complete; the first frames come after it."
    )
    safe_good_ticks: int = Field(
        default=3, ge=1, description="Good ticks in a row that end the safe mode."
    )
    active_mps: float = Field(
        default=0.05,
        ge=0,
        strict=True,
        allow_inf_nan=False,
        description="A bot that moves faster is active.",
        json_schema_extra={"unit": "m/s"},
    )
