"""From detections to tracks: confirm, coast, lose; fuse the bands; hand tracks to the guard."""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from twin.hardware.contacts import Iff
from twin.hardware.plane import Bools, Floats, Ints, Range
from twin.hardware.radar import SR, Radar, bearing_of
from twin.hardware.rotation import sum_of_squares
from twin.hardware.shard import Shard
from twin.hardware.surroundings import Surroundings
from twin.spec.params.radar import TrackerParams

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["TrackStatus", "Tracker"]

Counts = NDArray[np.int32]
Where = tuple[Ints, ...]
SHORTEST_S: Final = 0.1
"""Hits closer together tell no speed."""


class TrackStatus(IntEnum):
    """Life of a track; FREE is an empty slot, LOST is shown for one tick."""

    FREE = 0
    NEW = 1
    TRACKED = 2
    LOST = 3
    COASTING = 4


class Tracker:
    """One track for each slot of the radar, as padded arrays (slots, n).

    `status` (TrackStatus), `hits`, `misses`, `serial` (numbers the tracks of one bot for good,
    from 1), `age_s` since the first hit, `silent_s` since the last; `range_m`, `bearing_deg`,
    `elev_deg`, `vr_mps`, `snr_db`, `rcs_dbsm`, `band` of the last hit, predicted while coasting;
    `relative_m` and `velocity_mps` (3, slots, n): the filtered position seen from the bot and
    its rate, world axes. `quality` = (1 - misses / drop) min(SNR / 20 dB, 1), 0 when stale.
    `kind`, `iff`, `mode`, `identity` are known while the band is SR, and blank in LR.

    Which slot a detection belongs to is the radar's knowledge, not the tracker's guess, but a
    hit must lie in the gate around the prediction; one of the other band must also be within
    the fusion limits of bearing, elevation and radial speed, and then SR is kept. A detection
    outside starts a new track once the old one is lost or was never confirmed. Alpha-beta
    filter (Bar-Shalom, Estimation with Applications to Tracking, section 6.5).
    """

    name = "tracker"
    startable: Mapping[str, Range] = MappingProxyType({})
    inputs: Mapping[str, Range] = MappingProxyType({})

    def __init__(
        self,
        shard: Shard,
        params: TrackerParams,
        around: Surroundings,
        radar: Radar,
        *,
        enabled: bool = True,
    ) -> None:
        shape = (radar.slots, shard.n)
        self._params, self._around, self._enabled = params, around, enabled
        self.status, self.misses, self.band = np.zeros((3, *shape), dtype=np.int8)
        self.kind, self.iff, self.mode = np.zeros((3, *shape), dtype=np.int8)
        self.hits: Counts = np.zeros(shape, dtype=np.int32)
        self.serial: Ints = np.zeros(shape, dtype=np.int64)
        self.identity: Ints = np.full(shape, -1, dtype=np.int64)
        self._serials: Ints = np.zeros(shard.n, dtype=np.int64)
        self.age_s, self.silent_s, self.quality = np.zeros((3, *shape))
        self.range_m, self.bearing_deg, self.elev_deg = np.zeros((3, *shape))
        self.vr_mps, self.snr_db = np.zeros((2, *shape))
        self.rcs_dbsm = radar.rcs_dbsm
        self.relative_m, self.velocity_mps = np.zeros((2, 3, *shape))
        self.fresh: Bools = np.zeros(shape, dtype=np.bool_)
        """Where what is known of an object changed in this tick."""

    @property
    def track_count(self) -> Floats:
        """How many tracks each bot has, (n,)."""
        count: Floats = (self.status != TrackStatus.FREE).sum(axis=0).astype(np.float64)
        return count

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Take in the scan of this tick; a tracker that is not fitted holds no tracks."""
        if not self._enabled:
            return
        radar, status = hw.radar, self.status
        status[status == TrackStatus.LOST] = TrackStatus.FREE
        active = status != TrackStatus.FREE
        self.relative_m += self.velocity_mps * dt_s
        error = radar.relative_m - self.relative_m
        crossed = self.band != radar.band
        hit = active & radar.detected & self._inside(error, radar)
        across = np.nonzero(hit & crossed)
        if len(across[0]):
            hit[across] = self._fuses(radar, across)
        start = radar.detected & ~hit & (status <= TrackStatus.NEW)
        missed = np.nonzero(active & ~hit & ~start)
        self.age_s += dt_s
        self.silent_s += dt_s
        error[:, missed[0], missed[1]] = 0.0
        self._correct(error, dt_s)
        self._copy(radar, missed)
        self._confirm(hit)
        self._begin(start, radar)
        self._coast(missed)
        np.logical_or(start, hit & crossed, out=self.fresh)
        if self.fresh.any():
            self._recognise(self.fresh)

    def _inside(self, error: Floats, radar: Radar) -> Bools:
        gate = radar.range_m * self._params.gate_fraction
        gate += self._params.gate_m
        gate *= gate
        inside: Bools = sum_of_squares(error) <= gate
        return inside

    def _fuses(self, radar: Radar, where: Where) -> Bools:
        """Whether a hit of the other band is close enough to be the same object."""
        p = self._params
        turn = np.abs(radar.bearing_deg[where] - self.bearing_deg[where])
        near: Bools = np.minimum(turn, 360 - turn) <= p.fusion_bearing_deg
        near &= np.abs(radar.elev_deg[where] - self.elev_deg[where]) <= p.fusion_elev_deg
        near &= np.abs(radar.vr_mps[where] - self.vr_mps[where]) <= p.fusion_vr_mps
        return near

    def _correct(self, error: Floats, dt_s: float) -> None:
        """Pull the filters towards the hits; those of free slots follow noise, unseen.

        Beta / dt for the speed, but nothing for a tick of no time.
        """
        self.relative_m += error * self._params.position_gain
        error *= self._params.velocity_gain * dt_s / (dt_s * dt_s + SHORTEST_S * SHORTEST_S)
        self.velocity_mps += error

    def _copy(self, radar: Radar, missed: Where) -> None:
        """Note what the radar measured; what it missed keeps SNR and band, and is predicted."""
        snr_db, band = self.snr_db[missed], self.band[missed]
        for own, measured in (
            (self.range_m, radar.range_m),
            (self.bearing_deg, radar.bearing_deg),
            (self.elev_deg, radar.elev_deg),
            (self.vr_mps, radar.vr_mps),
            (self.snr_db, radar.snr_db),
            (self.band, radar.band),
        ):
            np.copyto(own, measured)
        self.snr_db[missed], self.band[missed] = snr_db, band
        np.multiply(self.snr_db, 1 / self._params.snr_full_db, out=self.quality)
        np.minimum(self.quality, 1.0, out=self.quality)

    def _confirm(self, hit: Bools) -> None:
        """Count the hits, and confirm the tracks that have enough."""
        self.hits += hit
        np.copyto(self.silent_s, 0.0, where=hit)
        np.copyto(self.misses, 0, where=hit)
        tracked = self.hits >= self._params.confirm_hits
        tracked &= hit
        np.copyto(self.status, TrackStatus.TRACKED, where=tracked)

    def _begin(self, start: Bools, radar: Radar) -> None:
        """Open a track at each of these detections, numbered slot by slot."""
        bots, slots = np.nonzero(start.T)
        where = (slots, bots)
        rank = np.arange(len(bots)) - np.searchsorted(bots, bots)
        self.serial[where] = self._serials[bots] + rank + 1
        np.maximum.at(self._serials, bots, self.serial[where])
        self.status[where], self.hits[where], self.misses[where] = TrackStatus.NEW, 1, 0
        self.age_s[where], self.silent_s[where] = 0.0, 0.0
        place = radar.relative_m[:, slots, bots]
        self.relative_m[:, slots, bots] = place
        pace = radar.vr_mps[where] / np.maximum(np.sqrt(sum_of_squares(place)), 1e-9)
        self.velocity_mps[:, slots, bots] = place * pace

    def _coast(self, missed: Where) -> None:
        """Predict where the objects that were not seen must be; give up on the lost ones."""
        p, (slots, bots) = self._params, missed
        x, y, z = self.relative_m[:, slots, bots]
        vx, vy, vz = self.velocity_mps[:, slots, bots]
        distance = np.sqrt(x * x + y * y + z * z) + 1e-9
        self.range_m[missed] = distance
        self.bearing_deg[missed] = bearing_of(x, y, np.zeros(len(bots)))
        self.elev_deg[missed] = np.degrees(np.arcsin(np.clip(z / distance, -1, 1)))
        self.vr_mps[missed] = (x * vx + y * vy + z * vz) / distance
        misses, silent = self.misses[missed] + 1, self.silent_s[missed]
        status = self.status[missed]
        status[status == TrackStatus.TRACKED] = TrackStatus.COASTING
        status[(misses >= p.drop_misses) | (silent > p.dead_s)] = TrackStatus.LOST
        self.misses[missed], self.status[missed] = misses, status
        self.quality[missed] *= np.maximum(1 - misses / p.drop_misses, 0) * (silent <= p.stale_s)

    def _recognise(self, where: Bools) -> None:
        """Learn in SR what an object says of itself; forget it in LR."""
        around, objects = self._around, self._around.objects
        for own in (self.kind, self.iff, self.mode):
            np.copyto(own, 0, where=where)
        np.copyto(self.identity, -1, where=where)
        known = where & (self.band == SR)
        here = known[:objects]
        np.copyto(self.kind[:objects], around.kind, where=here)
        np.copyto(self.iff[:objects], around.iff, where=here)
        np.copyto(self.mode[:objects], around.mode, where=here)
        np.copyto(self.identity[:objects], around.identity, where=here)
        np.copyto(self.iff[objects:], Iff.UNKNOWN, where=known[objects:])
