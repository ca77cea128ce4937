"""Detections and tracks as the encoders read them: one after the other, bot by bot.

The planes hold them as padded arrays (slots, n); here the slots that hold nothing are left
out, and so are the bots that nobody asked for.
"""

import numpy as np

from twin.events.views import IntArray, RadarView, TracksView
from twin.hardware.assembly import Hardware
from twin.hardware.contacts import Xpdr
from twin.hardware.plane import Bools, Floats, Ints
from twin.hardware.tracker import TrackStatus

__all__ = ["ScanReader", "TracksReader"]


class ScanReader:
    """Reads the detections of a scan; who the objects are does not change during a run."""

    def __init__(self, hw: Hardware) -> None:
        around, radar = hw.surroundings, hw.radar
        self._radar, self._names = radar, around.identities
        self._mode: Ints = np.zeros(radar.detected.shape, dtype=np.int64)
        self._mode[: around.objects] = around.mode
        self._identity: Ints = np.full(radar.detected.shape, -1, dtype=np.int64)
        self._identity[: around.objects] = around.identity

    def view(self, bots: IntArray) -> RadarView:
        """Return what these bots saw in the last tick; the others have nothing in it."""
        radar = self._radar
        offsets, where = _filled(radar.detected[:, bots], bots, radar.detected.shape[1])
        mode = self._mode[where]
        sends = _sends(mode)
        transponder, names = _named(np.where(sends, self._identity[where], -1), self._names)
        return RadarView(
            offsets=offsets,
            range_m=radar.range_m[where],
            bearing_deg=radar.bearing_deg[where],
            elev_deg=radar.elev_deg[where],
            vr_mps=radar.vr_mps[where],
            snr_db=radar.snr_db[where],
            rcs_dbsm=radar.rcs_dbsm[where],
            range_band=radar.band[where],
            transponder_on=sends,
            transponder_mode=mode,
            transponder=transponder,
            transponder_ids=names,
        )


class TracksReader:
    """Reads the tracks that the tracker holds, also the ones lost in this tick."""

    def __init__(self, hw: Hardware) -> None:
        self._hw, self._names = hw, hw.surroundings.identities

    def view(self, bots: IntArray) -> TracksView:
        """Return the tracks of these bots; positions and velocities are in world axes."""
        tracker, motion = self._hw.tracker, self._hw.motion
        offsets, where = _filled(tracker.status[:, bots] != TrackStatus.FREE, bots, self._hw.n)
        mode = tracker.mode[where]
        sends = _sends(mode)
        transponder, names = _named(np.where(sends, tracker.identity[where], -1), self._names)
        return TracksView(
            offsets=offsets,
            serial=tracker.serial[where],
            object_type=tracker.kind[where],
            iff=tracker.iff[where],
            quality=tracker.quality[where],
            status=tracker.status[where],
            range_m=tracker.range_m[where],
            bearing_deg=tracker.bearing_deg[where],
            elev_deg=tracker.elev_deg[where],
            vr_mps=tracker.vr_mps[where],
            snr_db=tracker.snr_db[where],
            rcs_dbsm=tracker.rcs_dbsm[where],
            position=_absolute(tracker.relative_m, motion.position_m, where),
            velocity=_absolute(tracker.velocity_mps, motion.velocity_mps, where),
            age_s=tracker.age_s[where],
            miss_count=tracker.misses[where],
            range_band=tracker.band[where],
            transponder_on=sends,
            transponder_mode=mode,
            transponder=transponder,
            transponder_ids=names,
        )


Where = tuple[IntArray, IntArray]


def _filled(slots: Bools, bots: IntArray, n: int) -> tuple[IntArray, Where]:
    """Return offsets (n + 1,) and indices of the slots that hold something, bot by bot.

    Column j of `slots` belongs to bot `bots[j]`; bots are in ascending order.
    """
    columns, rows = np.nonzero(slots.T)
    counts = np.zeros(n + 1, dtype=np.int64)
    counts[bots + 1] = slots.sum(axis=0)
    return np.cumsum(counts), (rows, bots[columns])


def _sends(mode: IntArray) -> Bools:
    sends: Bools = (mode == Xpdr.ON) | (mode == Xpdr.SPOOF)
    return sends


def _named(identity: IntArray, names: tuple[str, ...]) -> tuple[IntArray, list[str]]:
    """Number the identities that occur from 0, so that the encoder sees no others."""
    known, index = np.unique(identity, return_inverse=True)
    unknown = int(known.size > 0 and known[0] == -1)
    return index - unknown, [names[which] for which in known[unknown:].tolist()]


def _absolute(relative: Floats, own: Floats, where: Where) -> Floats:
    """Return (t, 3) in world axes from values (3, slots, n) seen from bots at `own` (n, 3)."""
    rows, bots = where
    seen: Floats = relative[:, rows, bots].T + own[bots]
    return seen
