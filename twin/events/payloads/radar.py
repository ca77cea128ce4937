"""Radar frames, detections and tracks."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from twin.events.payloads.base import (
    Bearing,
    Contract,
    Elevation,
    NotNegative,
    UtcTimestamp,
    Vector,
)

__all__ = ["Detection", "LrFrame", "RadarFrame", "SrFrame", "Track"]

LR = 1
Triangle = Annotated[list[float], Field(min_length=6, max_length=6)]
"""The upper triangle of a symmetric 3 x 3 matrix."""


class Contact(Contract):
    """What detections and tracks share; in the LR band nothing identifies."""

    range_m: NotNegative
    bearing_deg: Bearing
    elev_deg: Elevation
    vr_mps: float
    snr_db: NotNegative
    rcs_dbsm: float
    transponder_on: bool
    transponder_mode: Literal[0, 1, 2, 3]
    transponder_id: str | None
    range_band: Literal[0, 1, 2]
    id_present: bool | None

    @model_validator(mode="after")
    def _lr_has_no_identity(self) -> Self:
        if self.range_band == LR and (self.transponder_id is not None or self.id_present):
            raise ValueError("an LR contact carries identity")
        return self


class Detection(Contact):
    """One echo."""


class RadarFrame(Contract):
    """One scan: all of its detections."""

    schema_version: Literal[1]
    frame_id: UUID
    sensor_id: UUID
    timestamp: UtcTimestamp
    ts_event: UtcTimestamp
    ts_ingest: UtcTimestamp
    detections: list[Detection]

    @model_validator(mode="after")
    def _one_time(self) -> Self:
        if self.timestamp != self.ts_event:
            raise ValueError("timestamp and ts_event differ")
        return self


class LrFrame(RadarFrame):
    """The LR detections of a scan."""

    @model_validator(mode="after")
    def _only_lr(self) -> Self:
        _refuse_others(self.detections, 1)
        return self


class SrFrame(RadarFrame):
    """The SR detections of a scan."""

    @model_validator(mode="after")
    def _only_sr(self) -> Self:
        _refuse_others(self.detections, 2)
        return self


def _refuse_others(detections: list[Detection], band: int) -> None:
    if any(detection.range_band != band for detection in detections):
        raise ValueError(f"a detection is not of band {band}")


class Track(Contact):
    """One tracked object."""

    schema_version: Literal[1]
    track_id: UUID
    object_type: Literal[0, 1, 2, 3, 4, 5]
    iff: Literal[0, 1, 2, 3]
    quality: Annotated[float, Field(ge=0, le=1)]
    status: Literal[0, 1, 2, 3, 4]
    position: Vector | None
    velocity: Vector | None
    position_covariance: Triangle | None
    velocity_covariance: Triangle | None
    age_s: NotNegative
    miss_count: Annotated[int, Field(ge=0)]
    timestamp: UtcTimestamp
    ts_event: UtcTimestamp
    ts_ingest: UtcTimestamp

    @model_validator(mode="after")
    def _lr_has_no_mode(self) -> Self:
        if self.range_band == LR and self.transponder_mode != 0:
            raise ValueError("an LR track carries a transponder mode")
        return self
