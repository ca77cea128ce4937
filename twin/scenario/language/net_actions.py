"""Faults of the network between one client and the broker, with Toxiproxy's names and meaning."""

from typing import Literal, Self, TypeAlias

from pydantic import Field, model_validator

from twin.chaos.network import READ
from twin.scenario.language.values import Delay, Duration, Model, Span, format_duration

__all__ = [
    "BOTS",
    "NetBandwidth",
    "NetDown",
    "NetFault",
    "NetLatency",
    "NetLimitData",
    "NetResetPeer",
    "NetSlicer",
    "NetSlowClose",
    "NetTimeout",
    "NetworkFault",
    "Toxicant",
]

BOTS = "bots"
"""The client that publishes for the whole fleet, and takes its commands."""


class NetFault(Model):
    """Something that is done to the connection of one client."""

    fault: str
    client: str = Field(
        default=BOTS,
        description="bots, registrar, or a name under `services` or `consumers`.",
    )
    for_: Span = Field(alias="for", description="Wall time until it is over.")


class Toxicant(NetFault):
    """A fault that Toxiproxy calls a toxic: it acts on one direction of some connections."""

    stream: Literal["upstream", "downstream"] = Field(
        default="downstream",
        description="From the client to the broker, or from the broker to the client.",
    )
    toxicity: float = Field(
        default=1.0, gt=0, le=1, description="The probability that a connection is hit."
    )


class NetLatency(Toxicant):
    """All data is late by latency +/- jitter."""

    fault: Literal["net.latency"]
    latency: Delay = Field(gt=0, description="How late.")
    jitter: Delay = Field(0, description="How much more or less, at random.")

    @model_validator(mode="after")
    def not_early(self) -> Self:
        """Refuse data from the future."""
        if self.jitter > self.latency:
            raise ValueError(
                f"a jitter of {format_duration(self.jitter)} is more than the latency of "
                f"{format_duration(self.latency)}"
            )
        return self


class NetBandwidth(Toxicant):
    """No more than `rate` gets through."""

    fault: Literal["net.bandwidth"]
    rate: float = Field(gt=0, le=1_000_000, description="KB/s, thousands of bytes a second.")


class NetSlicer(Toxicant):
    """Data comes in small pieces, with pauses in between."""

    fault: Literal["net.slicer"]
    average_size: int = Field(ge=1, description="Bytes of a piece.")
    size_variation: int = Field(default=0, ge=0, description="Bytes more or less, at random.")
    delay: Delay = Field(0, description="The pause after each piece.")

    @model_validator(mode="after")
    def has_pieces(self) -> Self:
        """Refuse pieces without bytes, and those that are larger than what is cut."""
        if self.size_variation >= self.average_size:
            raise ValueError(
                f"a size_variation of {self.size_variation} is not less than the average_size "
                f"of {self.average_size}"
            )
        if not self.delay and self.average_size - self.size_variation >= READ:
            raise ValueError(
                f"pieces of {self.average_size} bytes would have no effect: no more than {READ} "
                "come at once"
            )
        return self


class NetTimeout(Toxicant):
    """Nothing gets through; the connection is closed in the end, or after `timeout`."""

    fault: Literal["net.timeout"]
    timeout: Duration = Field(0, description="When it is closed; without it when the fault ends.")


class NetResetPeer(Toxicant):
    """The connection is reset, and those that are made meanwhile; without `for` once."""

    fault: Literal["net.reset_peer"]
    timeout: Duration = Field(0, description="How long each connection may live.")
    for_: Duration = Field(0, alias="for", description="Wall time in which connections are reset.")

    @model_validator(mode="after")
    def in_time(self) -> Self:
        """Refuse a reset that comes after the end."""
        if self.timeout and self.timeout >= self.for_:
            raise ValueError(
                f"connections that may live {format_duration(self.timeout)} are not reset within "
                f"{format_duration(self.for_)}"
            )
        return self


class NetLimitData(Toxicant):
    """The connection is closed once it has carried so many bytes."""

    fault: Literal["net.limit_data"]
    bytes: int = Field(ge=1, description="How many bytes each connection may carry.")


class NetSlowClose(Toxicant):
    """The end of a connection reaches the other side late."""

    fault: Literal["net.slow_close"]
    delay: Delay = Field(gt=0, description="How late.")


class NetDown(NetFault):
    """The connection ends, and new ones are refused."""

    fault: Literal["net.down"]


NetworkFault: TypeAlias = (
    NetLatency
    | NetBandwidth
    | NetSlicer
    | NetTimeout
    | NetResetPeer
    | NetLimitData
    | NetSlowClose
    | NetDown
)
