"""The 360 degree radar: what it detects of the objects and bots around, with noise."""

from typing import TYPE_CHECKING, Final

import numpy as np

from twin.hardware.contacts import Codes
from twin.hardware.health import Reason, Status
from twin.hardware.plane import Bools, Floats, Ints
from twin.hardware.rotation import to_bearing
from twin.hardware.shard import Shard
from twin.hardware.suite import Element, Suite
from twin.hardware.surroundings import Surroundings
from twin.spec.params.radar import RadarParams

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["LR", "SR", "Radar", "bearing_of"]

LR: Final = 1
SR: Final = 2
BEAM_SPLIT: Final = 1.6
FALSE_SPEED_MPS: Final = 30.0
DRAWS_PER_OBJECT: Final = 5
ALARM_LANE: Final = 128


class Radar(Element):
    """One scan a tick, as padded arrays of shape (slots, n): a row for each thing to be seen.

    Slots are the objects of Surroundings, then one false alarm. `detected` tells which slots
    hold a detection of this scan; `range_m`, `bearing_deg` in [0, 360), `elev_deg` in [-90, 90],
    `vr_mps` (positive: going away), `snr_db`, `rcs_dbsm`, `band` (LR or SR by measured range)
    mean something only there. `relative_m` (3, slots, n) is the same measurement in world axes,
    to first order in the angular noise. `detections` (n,) counts them.

    SNR follows the radar equation: 20 dB at the reference, times cross-section, times
    (R0 / R)^4. The echo's amplitude is sqrt(SNR + 1/2) + w / sqrt(2), detected above
    sqrt(-ln Pfa): North's approximation for a steady target. Measured values scatter by the
    measured SNR: range and Doppler by resolution / sqrt(2 SNR), angles by
    beam width / (1.6 sqrt(2 SNR)) (Curry, Radar Essentials, chapter 8). The malfunction
    inputs `bias`, `drift_per_s` and `noise` are metres of range; a stuck radar repeats itself.
    """

    name = "radar"

    def __init__(
        self,
        shard: Shard,
        suite: Suite,
        params: RadarParams,
        around: Surroundings,
        *,
        enabled: bool = True,
    ) -> None:
        rows = DRAWS_PER_OBJECT * around.objects
        super().__init__(shard, suite, axes=1, noises=rows, fitted=enabled)
        self._params, self._around = params, around
        self.objects, self.slots = around.objects, around.objects + 1
        shape = (self.slots, shard.n)
        self.detected: Bools = np.zeros(shape, dtype=np.bool_)
        self.range_m, self.bearing_deg, self.elev_deg = np.zeros((3, *shape))
        self.vr_mps, self.snr_db = np.zeros((2, *shape))
        self.relative_m = np.zeros((3, *shape))
        self.rcs_dbsm = np.full(shape, params.rcs_reference_dbsm)
        self.rcs_dbsm[:-1] = around.rcs_dbsm
        self.band: Codes = np.full(shape, SR, dtype=np.int8)
        gain_db = params.snr_reference_db - params.rcs_reference_dbsm + around.rcs_dbsm
        self._echo: Floats = 10 ** (gain_db / 20) * params.range_reference_m**2
        self._threshold = float(np.sqrt(-np.log(params.false_alarm_probability)))

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Scan once, from where the bot is at the end of the tick."""
        if not self.fitted:
            return
        stuck = np.flatnonzero(self.stuck)
        repeated = [array[..., stuck] for array in self._shown]
        self._scan(self.draw())
        self._raise_false_alarms()
        shift = self._values
        shift[:] = 0.0
        self.sense(hw, shift, dt_s, idle=self._idle(hw))
        for array, before in zip(self._shown, repeated, strict=True):
            array[..., stuck] = before
        if self._upset:
            self._suffer(shift[0])
        self.band[:] = LR
        self.band += self.range_m <= self._params.short_range_m

    @property
    def detections(self) -> Floats:
        """How many detections the scan of each bot holds, (n,)."""
        count: Floats = self.detected.sum(axis=0).astype(np.float64)
        return count

    def _idle(self, hw: "Hardware") -> Ints | None:
        """Return why radars do not run, None if all do: as other devices, or shed."""
        idle = hw.readiness.idle
        if hw.power.radar_on.all():
            return idle
        shed = np.where(hw.power.radar_on, Reason.NONE, Reason.SHED)
        reasons: Ints = shed if idle is None else np.where(idle > 0, idle, shed)
        return reasons

    @property
    def _shown(self) -> tuple[Floats | Bools, ...]:
        polar = (self.range_m, self.bearing_deg, self.elev_deg, self.relative_m)
        return (*polar, self.vr_mps, self.snr_db, self.detected)

    def _scan(self, normals: Floats) -> None:
        """Measure every object; `normals` has five rows for each."""
        p, real, around = self._params, slice(0, self.objects), self._around
        echo, w_range, w_bearing, w_elev, w_doppler = normals.reshape(
            DRAWS_PER_OBJECT, self.objects, normals.shape[1]
        )
        strength = self._amplitude(echo)
        scatter = np.sqrt(0.5) / strength
        off_range = w_range * (scatter * p.range_resolution_m)
        np.add(around.distance_m, off_range, out=self.range_m[real])
        np.maximum(self.range_m[real], 0.0, out=self.range_m[real])
        speed = around.relative_m * around.relative_mps
        speed = (speed[0] + speed[1] + speed[2]) / around.distance_m
        speed += w_doppler * (scatter * p.doppler_resolution_mps)
        self.vr_mps[real] = speed
        scatter *= np.radians(p.beamwidth_deg) / BEAM_SPLIT
        right, up = w_bearing * scatter, w_elev * scatter
        x, y, z = around.relative_m
        self.bearing_deg[real] = bearing_of(x, y, right)
        elev = np.arctan2(z, around.ground_m)
        elev += up
        elev *= 180 / np.pi
        np.clip(elev, -90, 90, out=self.elev_deg[real])
        self._place(off_range, right, up)

    def _amplitude(self, echo: Floats) -> Floats:
        """Return the amplitude of every echo over the noise; note what is detected."""
        around, real = self._around, slice(0, self.objects)
        strength = self._echo / (around.distance_m * around.distance_m)
        strength *= strength
        strength += 0.5
        np.sqrt(strength, out=strength)
        strength += echo * np.sqrt(0.5)
        seen = self.detected[real]
        np.greater(strength, self._threshold, out=seen)
        seen &= around.distance_m < self._params.range_max_m
        seen &= around.present
        np.maximum(strength, 1.0, out=strength)
        np.log10(strength, out=self.snr_db[real])
        self.snr_db[real] *= 20
        return strength

    def _place(self, off_range: Floats, right: Floats, up: Floats) -> None:
        """Note the measured position: the true one, moved by noise along and across the beam."""
        around = self._around
        x, y, z = around.relative_m
        to = self.relative_m[:, : self.objects]
        lift = 1 - up * z / around.ground_m
        np.multiply(x, lift, out=to[0])
        to[0] += right * y
        np.multiply(y, lift, out=to[1])
        to[1] -= right * x
        np.add(z, up * around.ground_m, out=to[2])
        off_range /= around.distance_m
        off_range += 1
        to *= off_range

    def _raise_false_alarms(self) -> None:
        """Put a detection of nothing into the last slot of a few bots."""
        p, slot, share = self._params, self.slots - 1, self._params.false_alarms_per_scan
        chance = self.lottery.uniforms(ALARM_LANE)
        alarms = chance < share
        self.detected[slot] = alarms
        bots = np.flatnonzero(alarms)
        height = 1 - chance[bots] / max(share, 1e-12)
        power = self._threshold**2 - np.log(np.maximum(height, 1e-12))
        far, round_, tilt, speed = (
            self.lottery.uniforms(ALARM_LANE + k, bots) for k in (1, 2, 3, 4)
        )
        bearing, elev = 2 * np.pi * (round_ - 0.5), np.radians(60) * (tilt - 0.5)
        distance = p.range_max_m * np.maximum(far, 1e-3)
        east, north = np.cos(elev) * np.sin(bearing), np.cos(elev) * np.cos(bearing)
        self.range_m[slot, bots] = distance
        self.bearing_deg[slot, bots] = bearing_of(east, north, np.zeros(len(bots)))
        self.elev_deg[slot, bots] = np.degrees(elev)
        self.vr_mps[slot, bots] = FALSE_SPEED_MPS * (2 * speed - 1)
        self.snr_db[slot, bots] = 10 * np.log10(power)
        self.relative_m[:, slot, bots] = distance * np.stack((east, north, np.sin(elev)))

    def _suffer(self, shift_m: Floats) -> None:
        """Apply what malfunctions do; `shift_m` (n,) is nan where there is no scan."""
        self.detected &= self.status <= Status.DEGRADED
        moved = np.nan_to_num(shift_m) * (self.stuck == 0)
        np.maximum(self.range_m + moved, 0.0, out=self.range_m)


def bearing_of(x: Floats, y: Floats, off_rad: Floats) -> Floats:
    """Return the bearing in degrees of x east, y north, turned clockwise by `off_rad` < pi."""
    bearing: Floats = np.arctan2(x, y)
    bearing += off_rad
    bearing *= 180 / np.pi
    return to_bearing(bearing)
