"""Params of the power plane: stores, bus, loads, shedding, dock bridge and NBL budget."""

from typing import Self

from pydantic import Field, model_validator

from twin.spec.units import (
    Amperes,
    DegC,
    Kelvins,
    Params,
    Percent,
    Seconds,
    Volts,
    WattHours,
    Watts,
)

__all__ = ["DockBridgeParams", "NblParams", "PduParams", "PowerParams", "SupervisorParams"]


class PowerParams(Params):
    """Component `power`: battery, supercapacitor, direct-current bus and what loads draw."""

    battery_capacity_wh: WattHours = Field(default=500.0, gt=0, description="Battery when full.")
    battery_soc_pct: Percent = Field(default=80.0, description="State of charge at the start.")
    battery_charge_max_w: Watts = Field(default=120.0, description="Charge limit of the battery.")
    battery_discharge_max_w: Watts = Field(
        default=140.0, description="Discharge limit of the battery."
    )
    bus_v_nominal: Volts = Field(default=28.0, gt=0, description="Bus with a full battery.")
    bus_v_min: Volts = Field(default=22.0, gt=0, description="Bus with an empty battery.")
    base_in_w: Watts = Field(default=30.0, description="Solar input in full sunlight.")
    base_out_w: Watts = Field(default=60.0, description="What the bot draws at rest.")
    motion_w_per_mps: float = Field(
        default=40.0,
        ge=0,
        strict=True,
        allow_inf_nan=False,
        description="Drive power per metre per second of speed.",
        json_schema_extra={"unit": "W s/m"},
    )
    mcqpu_w: Watts = Field(default=35.0, description="Main computer at 100 %.")
    radar_w: Watts = Field(default=18.0, description="Radar while it is on.")
    transponder_w: Watts = Field(default=6.0, description="Transponder while it is on.")
    supercap_capacity_wh: WattHours = Field(default=5.0, gt=0, description="Supercap when full.")
    supercap_soc_pct: Percent = Field(default=70.0, description="Charge at the start.")
    supercap_charge_max_w: Watts = Field(default=120.0, description="Charge limit.")
    supercap_discharge_max_w: Watts = Field(default=200.0, description="Discharge limit.")
    restart_soc_pct: Percent = Field(
        default=2.0,
        gt=0,
        description="A dead bus stays dead until the battery has this much, or a source can carry "
        "the base load and the main computer.",
    )

    @model_validator(mode="after")
    def _voltages_fit(self) -> Self:
        if self.bus_v_min > self.bus_v_nominal:
            raise ValueError("bus_v_min is above bus_v_nominal")
        return self


class SupervisorParams(Params):
    """Component `power_supervisor`: shedding by state of charge, with hysteresis."""

    soc_shed_low_pct: Percent = Field(
        default=20.0, description="Sheds radar, then transponder, at or below this."
    )
    soc_shed_high_pct: Percent = Field(
        default=30.0, description="Restores them in reverse at or above this."
    )
    soc_critical_pct: Percent = Field(default=10.0, description="Power is critical at or below.")
    soc_critical_clear_pct: Percent = Field(
        default=15.0, description="Power is no longer critical at or above."
    )

    @model_validator(mode="after")
    def _thresholds_fit(self) -> Self:
        if self.soc_shed_low_pct >= self.soc_shed_high_pct:
            raise ValueError("soc_shed_low_pct must be below soc_shed_high_pct")
        if self.soc_critical_pct >= self.soc_critical_clear_pct:
            raise ValueError("soc_critical_pct must be below soc_critical_clear_pct")
        return self


class PduParams(Params):
    """Component `pdu`: the current that the bus may carry."""

    bus_a_max: Amperes = Field(default=5.0, gt=0, description="Largest bus current.")
    overload_delay_s: Seconds = Field(
        default=2.0, description="A current above the limit is a bus overload after this time."
    )
    restore_margin_w: Watts = Field(
        default=10.0,
        description="A load shed for overcurrent returns when it fits with this to spare.",
    )


class DockBridgeParams(Params):
    """Component `dock_power_bridge`: power from a station over an open bridge."""

    dock_v: Volts = Field(default=28.0, description="Voltage of the station.")
    dock_max_w: Watts = Field(default=250.0, description="Largest power over the bridge.")
    dock_max_a: Amperes = Field(default=10.0, description="Largest current over the bridge.")
    soft_start_s: Seconds = Field(default=2.0, description="Time from no power to full power.")


class NblParams(Params):
    """Component `nbl_power_budgeter`: power for the NBL payload where charge and heat allow."""

    nominal_w: Watts = Field(default=20.0, description="Power that the payload asks for.")
    max_w: Watts = Field(default=120.0, description="Most that it may be set to ask for.")
    soc_min_pct: Percent = Field(default=35.0, description="No NBL below this state of charge.")
    soc_margin_pct: Percent = Field(
        default=2.0, description="After falling below, the charge has to exceed it by so much."
    )
    core_max_degc: DegC = Field(default=90.0, description="No NBL with a hotter core.")
    core_margin_k: Kelvins = Field(
        default=5.0, description="After getting hotter, the core has to be cooler by so much."
    )

    @model_validator(mode="after")
    def _power_fits(self) -> Self:
        if self.nominal_w > self.max_w:
            raise ValueError("nominal_w is above max_w")
        return self
