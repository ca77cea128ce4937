"""Building blocks of the contract models."""

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

__all__ = [
    "Bearing",
    "Contract",
    "Elevation",
    "EpochS",
    "Name",
    "NotNegative",
    "Percent",
    "SensorStatus",
    "Timestamp",
    "UtcTimestamp",
    "Vector",
]

RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", flags=re.ASCII
)


class Contract(BaseModel):
    """A payload, or a part of one: unknown keys, coerced types, nan and infinity are refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


def _moment(text: str) -> str:
    if not RFC3339.fullmatch(text):
        raise ValueError("not an RFC 3339 time")
    datetime.fromisoformat(text.upper())
    return text


def _utc(text: str) -> str:
    if not text.endswith("Z"):
        raise ValueError("not UTC with Z")
    return _moment(text)


Timestamp = Annotated[str, AfterValidator(_moment)]
"""RFC 3339 with any offset: what others may send."""
UtcTimestamp = Annotated[str, AfterValidator(_utc)]
"""RFC 3339 in UTC with Z: what the contracts ask of us."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]
NotNegative = Annotated[float, Field(ge=0)]
Percent = Annotated[float, Field(ge=0, le=100)]
Bearing = Annotated[float, Field(ge=0, lt=360)]
Elevation = Annotated[float, Field(ge=-90, le=90)]
EpochS = Annotated[float, Field(gt=0)]
SensorStatus = Literal["ok", "degraded", "failed", "disabled"]


class Vector(Contract):
    """Three components in metres, or metres per second."""

    x: float
    y: float
    z: float
