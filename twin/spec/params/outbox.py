"""Params of the store-and-forward outbox of a bot."""

from pydantic import Field

from twin.spec.units import Params

__all__ = ["OutboxParams"]


class OutboxParams(Params):
    """How much a bot keeps for later while its link is down."""

    capacity_bytes: int = Field(
        default=262_144,
        ge=0,
        le=1 << 30,
        description="Bytes of headers and payload; beyond that low priority is given up first.",
    )
