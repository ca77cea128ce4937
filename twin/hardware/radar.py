"""The 360 degree radar: what it detects of the objects and bots around, with noise."""

from typing import TYPE_CHECKING, Final

import numpy as np

from twin.hardware.contacts import Contacts, Iff, Kind, Xpdr
from twin.hardware.health import Status
from twin.hardware.instrument import Instrument
from twin.hardware.peers import Peers
from twin.hardware.plane import Bools, Floats, Ints
from twin.hardware.shard import Shard
from twin.spec.params.radar import RadarParams

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["ALMOST_NORTH_DEG", "LR", "SR", "Radar"]

LR: Final = 1
SR: Final = 2
BOT_RCS_DBSM: Final = 1.0
FALSE_ALARM_DRAWS: Final = 5
BEAM_SPLIT: Final = 1.6
FALSE_SPEED_MPS: Final = 30.0
ALMOST_NORTH_DEG: Final = 359.9995
"""A bearing from here on would be written as 360, which is no bearing: it becomes 0."""


class Radar(Instrument):
    """One scan a tick, as padded arrays of shape (slots, n): a row for each thing to be seen.

    Slots are the bot's own contacts, then bots of its group, then one false alarm. `detected`
    tells which slots hold a detection of this scan; `range_m`, `bearing_deg` in [0, 360),
    `elev_deg` in [-90, 90], `vr_mps` (positive: going away), `snr_db`, `rcs_dbsm`, `band`
    (LR or SR by measured range) mean something only there. `relative_m` (3, slots, n) is the
    same measurement in world axes, to first order in the angular noise. Facts of an object
    that SR alone may tell: `mode`, `identity` (index into `identities`, -1: none), `kind`, `iff`.

    SNR follows the radar equation: 20 dB at the reference, times cross-section, times
    (R0 / R)^4. The echo's amplitude is sqrt(SNR + 1/2) + w / sqrt(2), detected above
    sqrt(-ln Pfa): North's approximation for a steady target. Measured values scatter by the
    measured SNR: range and Doppler by resolution / sqrt(2 SNR), angles by
    beam width / (1.6 sqrt(2 SNR)) (Curry, Radar Essentials, chapter 8). The malfunction
    inputs `bias`, `drift_per_s` and `noise` are metres of range; a stuck radar repeats itself.
    """

    name = "radar"

    def __init__(
        self, shard: Shard, params: RadarParams, home: Floats, *, enabled: bool = True
    ) -> None:
        super().__init__(shard.n, 1, enabled=enabled)
        self._params = params
        self.contacts = Contacts(shard, params.contacts, home)
        self.peers = Peers(shard, params.peers)
        self.identities = (*self.contacts.identities, *self.peers.identities)
        self.objects = params.contacts.count + params.peers
        self.slots = self.objects + 1
        self._draws = shard.draws(
            self.name, normals=5 * self.objects + 1, uniforms=FALSE_ALARM_DRAWS + 1
        )
        shape = (self.slots, shard.n)
        self.detected: Bools = np.zeros(shape, dtype=np.bool_)
        self.range_m, self.bearing_deg, self.elev_deg = np.zeros((3, *shape))
        self.vr_mps, self.snr_db, self.rcs_dbsm = np.zeros((3, *shape))
        self.relative_m = np.zeros((3, *shape))
        self.band: Ints = np.full(shape, SR, dtype=np.int64)
        self._know_objects(shape)
        echo_db = params.snr_reference_db - params.rcs_reference_dbsm
        self._echo: Floats = 10 ** ((echo_db + self.rcs_dbsm[:-1]) / 10) * (
            params.range_reference_m**4
        )
        self._threshold = np.sqrt(-np.log(params.false_alarm_probability))

    def _know_objects(self, shape: tuple[int, int]) -> None:
        """Note what does not change: what the objects are and what they say of themselves."""
        own = self.contacts.count
        self.kind: Ints = np.full(shape, Kind.UNSPECIFIED, dtype=np.int64)
        self.iff: Ints = np.full(shape, Iff.UNKNOWN, dtype=np.int64)
        self.mode: Ints = np.full(shape, Xpdr.OFF, dtype=np.int64)
        self.identity: Ints = np.full(shape, -1, dtype=np.int64)
        self.kind[:own], self.iff[:own] = self.contacts.kind, self.contacts.iff
        self.mode[:own], self.identity[:own] = self.contacts.mode, self.contacts.identity
        self.rcs_dbsm[:own] = self.contacts.rcs_dbsm
        peers = slice(own, self.objects)
        self.kind[peers], self.iff[peers], self.mode[peers] = Kind.DRONE, Iff.FRIEND, Xpdr.ON
        self.identity[peers] = self.peers.index + len(self.contacts.identities)
        self.rcs_dbsm[peers] = BOT_RCS_DBSM

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Scan once, from where the bot is at the end of the tick."""
        self.contacts.step(dt_s)
        draw = self._draws.next()
        normals, uniforms = draw.normals.T, draw.uniforms.T
        if self.is_off():
            self.detected[:] = False
            return
        stuck = np.flatnonzero(self.stuck)
        repeated = [array[..., stuck] for array in self._shown]
        self._scan_objects(hw, normals[1:])
        self._false_alarm(uniforms[1:])
        shift = np.zeros((1, hw.n))
        self.sense(hw, shift, normals[:1], uniforms[0], dt_s)
        if self._upset:
            self._suffer(shift[0])
        for array, before in zip(self._shown, repeated, strict=True):
            array[..., stuck] = before
        self.detected &= self.status <= Status.DEGRADED
        self.band[:] = np.where(self.range_m <= self._params.short_range_m, SR, LR)

    @property
    def _shown(self) -> tuple[Floats | Bools, ...]:
        polar = (self.range_m, self.bearing_deg, self.elev_deg, self.relative_m)
        return (*polar, self.vr_mps, self.snr_db, self.detected)

    def _scan_objects(self, hw: "Hardware", normals: Floats) -> None:
        """Measure every object; `normals` has five rows for each."""
        p, objects = self._params, slice(0, self.objects)
        echo, w_range, w_bearing, w_elev, w_doppler = normals.reshape(5, self.objects, hw.n)
        (x, y, z), (vx, vy, vz) = self._relative(hw)
        flat = x * x + y * y
        square = flat + z * z
        ground, distance = np.sqrt(flat) + 1e-9, np.sqrt(square) + 1e-9
        strength = np.sqrt(self._echo / (square * square) + 0.5)
        strength += echo * np.sqrt(0.5)
        np.greater(strength, self._threshold, out=self.detected[objects])
        self.detected[objects] &= distance < p.range_max_m
        self.detected[self.contacts.count : self.objects] &= self.peers.present
        np.maximum(strength, 1.0, out=strength)
        self.snr_db[objects] = 20 * np.log10(strength)
        scatter = np.sqrt(0.5) / strength
        off_range = w_range * (scatter * p.range_resolution_m)
        beam = scatter * (np.radians(p.beamwidth_deg) / BEAM_SPLIT)
        right, up = w_bearing * beam, w_elev * beam
        self.range_m[objects] = np.maximum(distance + off_range, 0.0)
        self.vr_mps[objects] = (x * vx + y * vy + z * vz) / distance
        self.vr_mps[objects] += w_doppler * (scatter * p.doppler_resolution_mps)
        self._point(np.arctan2(x, y) + right, np.arctan2(z, ground) + up)
        stretch = 1 + off_range / distance
        lift = up * z / ground
        relative = self.relative_m[:, objects]
        relative[0] = (x + right * y - lift * x) * stretch
        relative[1] = (y - right * x - lift * y) * stretch
        relative[2] = (z + up * ground) * stretch

    def _relative(self, hw: "Hardware") -> tuple[Floats, Floats]:
        """Return where the objects are and how they move, seen from the bot: (3, objects, n)."""
        position, velocity = self.contacts.position, self.contacts.velocity
        if self._params.peers:
            position = np.concatenate((position, self.peers.positions(hw)), axis=1)
            velocity = np.concatenate((velocity, self.peers.velocities(hw)), axis=1)
        own_position, own_velocity = hw.motion.position_m.T, hw.motion.velocity_mps.T
        return position - own_position[:, np.newaxis], velocity - own_velocity[:, np.newaxis]

    def _point(self, bearing: Floats, elev: Floats) -> None:
        """Note directions given in radians."""
        objects = slice(0, self.objects)
        bearing *= 180 / np.pi
        bearing += np.where(bearing < 0, 360.0, 0.0)
        bearing[bearing >= ALMOST_NORTH_DEG] = 0.0
        self.bearing_deg[objects] = bearing
        np.clip(elev * (180 / np.pi), -90, 90, out=self.elev_deg[objects])

    def _false_alarm(self, uniforms: Floats) -> None:
        """Put a detection of nothing into the last slot of a few bots."""
        p, slot = self._params, self.slots - 1
        alarms = uniforms[0] < p.false_alarms_per_scan
        self.detected[slot] = alarms
        bots = np.flatnonzero(alarms)
        height, far, round_, tilt, speed = uniforms[:, bots]
        height = 1 - height / max(p.false_alarms_per_scan, 1e-12)
        power = self._threshold**2 - np.log(np.maximum(height, 1e-12))
        bearing, elev = 2 * np.pi * round_, np.radians(60) * (tilt - 0.5)
        distance = p.range_max_m * np.maximum(far, 1e-3)
        self.range_m[slot, bots] = distance
        self.bearing_deg[slot, bots] = np.degrees(bearing) % ALMOST_NORTH_DEG
        self.elev_deg[slot, bots] = np.degrees(elev)
        self.vr_mps[slot, bots] = FALSE_SPEED_MPS * (2 * speed - 1)
        self.snr_db[slot, bots] = 10 * np.log10(power)
        self.rcs_dbsm[slot, bots] = p.rcs_reference_dbsm
        self.relative_m[0, slot, bots] = distance * np.cos(elev) * np.sin(bearing)
        self.relative_m[1, slot, bots] = distance * np.cos(elev) * np.cos(bearing)
        self.relative_m[2, slot, bots] = distance * np.sin(elev)

    def _suffer(self, shift_m: Floats) -> None:
        """Add what malfunctions do to ranges; `shift_m` (n,) is nan where there is no value."""
        self.range_m += np.nan_to_num(shift_m)
        np.maximum(self.range_m, 0.0, out=self.range_m)
