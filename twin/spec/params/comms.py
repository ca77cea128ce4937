"""Params of the datalink and of the transponder that it shares its antenna with."""

from typing import Annotated, Literal

from pydantic import Field

from twin.spec.params.outbox import OutboxParams
from twin.spec.units import (
    Decibels,
    DecibelsMilliwatt,
    KilobitsPerSecond,
    Milliseconds,
    Params,
    Percent,
    Watts,
)

__all__ = ["CommsParams", "LinkParams", "TransponderParams"]

PerPoint = Annotated[
    float, Field(ge=0, strict=True, allow_inf_nan=False, json_schema_extra={"unit": "ms/%"})
]


class LinkParams(Params):
    """What the link is like while it is down."""

    latency_ms: Milliseconds = Field(description="Reported latency.")
    loss_pct: Percent = Field(description="Reported packet loss.")


class CommsParams(Params):
    """Component `comms`: latency, loss and bandwidth of the link, and the outbox behind it."""

    latency_ms: Milliseconds = Field(default=80.0, description="Latency of an idle link.")
    latency_per_item_ms: Milliseconds = Field(default=10.0, description="... per queued item.")
    latency_queue_max_ms: Milliseconds = Field(default=1800.0, description="... at most.")
    latency_per_soc_ms: PerPoint = Field(
        default=3.0, description="... per point of charge below `latency_soc_pct`."
    )
    latency_soc_pct: Percent = Field(default=35.0, description="Charge below which it slows.")
    loss_max_pct: Percent = Field(default=25.0, description="Packet loss with no charge.")
    loss_soc_pct: Percent = Field(
        default=20.0, gt=0, description="Charge below which packets are lost, in proportion."
    )
    rate_kbps: KilobitsPerSecond = Field(default=192.0, gt=0, description="Bandwidth in mode ON.")
    rate_spoof_kbps: KilobitsPerSecond = Field(
        default=96.0, gt=0, description="Bandwidth in mode SPOOF."
    )
    tx_power_w: Watts = Field(default=2.0, gt=0, description="Power sent out while online.")
    rssi_dbm: DecibelsMilliwatt = Field(default=-70.0, description="Signal received, undisturbed.")
    noise_dbm: DecibelsMilliwatt = Field(default=-95.0, description="Noise floor of the receiver.")
    fading_db: Decibels = Field(default=20.0, description="Signal lost with the last packet.")
    inactive: LinkParams = Field(
        default=LinkParams(latency_ms=900.0, loss_pct=15.0),
        description="With the transponder OFF or SILENT.",
    )
    blocked: LinkParams = Field(
        default=LinkParams(latency_ms=1600.0, loss_pct=35.0),
        description="Without power, too hot, or blacked out.",
    )
    outbox: OutboxParams = Field(
        default_factory=OutboxParams, description="Store and forward while the link is down."
    )


class TransponderParams(Params):
    """Component `antenna_xpdr`: who the bot says it is."""

    mode: Literal["OFF", "ON", "SILENT", "SPOOF"] = Field(
        default="ON", description="Mode at the start."
    )
