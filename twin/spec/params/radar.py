"""Params of the 360 degree radar, of the objects it can see, and of the tracker behind it."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from twin.spec.units import (
    Decibels,
    DecibelSquareMetres,
    Degrees,
    Fraction,
    Metres,
    MetresPerSecond,
    Params,
    Seconds,
)

__all__ = ["ContactsParams", "GuardRuleParams", "RadarParams", "TrackerParams"]


class ContactsParams(Params):
    """Objects around each bot, seeded by the bot: each flies to and fro on a line of its own."""

    count: int = Field(default=2, ge=0, le=64, description="Objects around each bot.")
    passing_m: Metres = Field(
        default=400.0, description="Every third object passes the bot's home within this distance."
    )
    near_m: Metres = Field(default=800.0, description="Nearest middle of the other lines.")
    far_m: Metres = Field(default=20000.0, description="Farthest middle of the other lines.")
    speed_max_mps: MetresPerSecond = Field(default=15.0, description="Fastest object.")
    transponder_fraction: Fraction = Field(default=0.5, description="Objects with a transponder.")
    foe_fraction: Fraction = Field(default=0.1, description="Objects that are foes.")
    spoof_fraction: Fraction = Field(
        default=0.05, description="Objects whose transponder tells a false identity."
    )

    @model_validator(mode="after")
    def _fractions_fit(self) -> Self:
        if self.transponder_fraction + self.foe_fraction + self.spoof_fraction > 1:
            raise ValueError("transponder, foe and spoof fractions add up to more than 1")
        if self.near_m > self.far_m:
            raise ValueError("near_m is beyond far_m")
        return self


class RadarParams(Params):
    """A radar whose noise follows from its signal-to-noise ratio (SNR)."""

    contacts: ContactsParams = Field(
        default_factory=ContactsParams, description="Objects that the radar can see."
    )
    peers: int = Field(
        default=0, ge=0, le=64, description="Bots of the own group that the radar can see."
    )
    short_range_m: Metres = Field(
        default=5000.0, gt=0, description="Short range (SR) up to here, long range (LR) beyond."
    )
    snr_reference_db: Decibels = Field(default=20.0, description="SNR at the reference range.")
    rcs_reference_dbsm: DecibelSquareMetres = Field(
        default=1.0, description="Radar cross-section at which the reference SNR holds."
    )
    range_reference_m: Metres = Field(
        default=5000.0, gt=0, description="Range at which the reference SNR holds."
    )
    false_alarm_probability: Annotated[float, Field(gt=0, lt=0.1)] = Field(
        default=1e-6, description="Per resolution cell: sets the detection threshold."
    )
    false_alarms_per_scan: Fraction = Field(
        default=0.01, description="Probability that a scan shows one false alarm."
    )
    range_resolution_m: Metres = Field(default=15.0, gt=0, description="Width of a range cell.")
    beamwidth_deg: Degrees = Field(default=3.0, gt=0, le=90, description="Half-power beam width.")
    doppler_resolution_mps: MetresPerSecond = Field(
        default=1.0, gt=0, description="Width of a Doppler cell."
    )
    range_max_m: Metres = Field(default=50000.0, gt=0, description="Nothing is seen beyond.")


class GuardRuleParams(Params):
    """An alert when a track of one kind comes too near."""

    range_m: Metres = Field(description="Alert below this range.")
    hysteresis_m: Metres = Field(default=5.0, description="Clear above the range plus this.")


class TrackerParams(Params):
    """When a track is confirmed, coasts, is lost, and raises the guard."""

    confirm_hits: int = Field(default=2, ge=1, description="Hits that confirm a track.")
    drop_misses: int = Field(default=3, ge=1, description="Misses in a row that lose a track.")
    stale_s: Seconds = Field(default=5.0, description="A track without a hit for so long is stale.")
    dead_s: Seconds = Field(default=30.0, description="... and for so long is dropped.")
    snr_full_db: Decibels = Field(default=20.0, gt=0, description="SNR of full quality.")
    gate_m: Metres = Field(
        default=60.0, gt=0, description="A hit belongs to a track within this distance of it."
    )
    gate_fraction: Fraction = Field(
        default=0.05, description="... plus this fraction of the range, for the angular noise."
    )
    position_gain: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.6, description="Alpha of the alpha-beta filter."
    )
    velocity_gain: Annotated[float, Field(gt=0, le=2)] = Field(
        default=0.2, description="Beta of the alpha-beta filter."
    )
    fusion_bearing_deg: Degrees = Field(
        default=0.5, gt=0, description="LR and SR hits fuse within this difference of bearing."
    )
    fusion_elev_deg: Degrees = Field(default=0.5, gt=0, description="... of elevation.")
    fusion_vr_mps: MetresPerSecond = Field(default=1.0, gt=0, description="... of radial speed.")
    guard_unknown: GuardRuleParams = Field(
        default=GuardRuleParams(range_m=70.0, hysteresis_m=5.0), description="Unknown objects."
    )
    guard_foe: GuardRuleParams = Field(
        default=GuardRuleParams(range_m=150.0, hysteresis_m=5.0), description="Foes."
    )
    guard_spoof: GuardRuleParams = Field(
        default=GuardRuleParams(range_m=500.0, hysteresis_m=10.0),
        description="Objects whose transponder tells a false identity.",
    )
    guard_cooldown_s: Seconds = Field(
        default=60.0, description="A rule alerts at most once in this time."
    )
