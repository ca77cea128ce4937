"""Sensors that look at the sky and the field: sun, stars, magnetism. Usually not fitted."""

from typing import TYPE_CHECKING

import numpy as np

from twin.hardware.health import Reason
from twin.hardware.plane import Bools, Floats
from twin.hardware.rotation import sum_of_squares, to_body
from twin.hardware.shard import Shard
from twin.hardware.suite import Element, Suite
from twin.spec.params.sensors import MagnetometerParams, SolarParams, StarTrackerParams

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["Magnetometer", "Solar", "StarTracker"]


class Solar(Element):
    """`irradiance_wm2` (n,), and the sun's direction in body axes while it shines.

    `azimuth_deg` (n,) from the nose to the left, `elev_deg` (n,) upwards; both nan in the dark.
    Malfunctions act on all three values, each in its unit.
    """

    name = "solar"

    def __init__(
        self, shard: Shard, suite: Suite, params: SolarParams, *, enabled: bool = False
    ) -> None:
        super().__init__(shard, suite, axes=3, noises=3, fitted=enabled)
        self._full_wm2 = params.irradiance_wm2
        self._noise = np.array([[params.noise_wm2], [params.noise_deg], [params.noise_deg]])
        bearing, elev = np.radians(params.bearing_deg), np.radians(params.elev_deg)
        flat = np.cos(elev)
        sun = (flat * np.sin(bearing), flat * np.cos(bearing), np.sin(elev))
        self._sun: Floats = np.array(sun).reshape(3, 1)
        self.irradiance_wm2, self.azimuth_deg, self.elev_deg = self._values

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Look for the sun."""
        if not self.fitted:
            return
        x, y, z = to_body(hw.motion.rotation, self._sun)
        sunlight = hw.power.sunlight
        self._values[0] = self._full_wm2 * sunlight
        self._values[1] = np.degrees(np.arctan2(y, x))
        self._values[2] = np.degrees(np.arcsin(np.clip(z, -1, 1)))
        self.measure(hw, dt_s, self._noise)
        self._values[1:, sunlight <= 0] = np.nan


class StarTracker(Element):
    """Attitude from the stars: `attitude_rad` (n, 3) and its `error_rad` (n, 3), while `locked`.

    A bot that turns faster than the limit loses the lock, and finds it again after a quiet
    while. Roll, pitch, yaw; the error is reading minus truth.
    """

    name = "star_tracker"

    def __init__(
        self, shard: Shard, suite: Suite, params: StarTrackerParams, *, enabled: bool = False
    ) -> None:
        super().__init__(shard, suite, axes=3, noises=3, fitted=enabled)
        self._params = params
        self.locked: Bools = np.zeros(shard.n, dtype=np.bool_)
        self._quiet_s = np.zeros(shard.n)
        self._error = np.full((3, shard.n), np.nan)
        self.attitude_rad, self.error_rad = self._values.T, self._error.T

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Match the stars."""
        if not self.fitted:
            return
        rate = np.sqrt(sum_of_squares(hw.motion.rates_rps.T))
        self._quiet_s += dt_s
        self._quiet_s *= rate <= self._params.rate_max_rps
        truth = hw.motion.attitude_rad.T
        self._values[:] = truth
        self.measure(hw, dt_s, self._params.noise_rad)
        np.greater_equal(self._quiet_s, self._params.acquire_s, out=self.locked)
        self.lack(self._values, ~self.locked, Reason.NOT_LOCKED)
        self.locked &= self.status < 2
        np.subtract(self._values, truth, out=self._error)


class Magnetometer(Element):
    """`field_ut` (n, 3) in body axes, of a field that is the same everywhere."""

    name = "magnetometer"

    def __init__(
        self, shard: Shard, suite: Suite, params: MagnetometerParams, *, enabled: bool = False
    ) -> None:
        super().__init__(shard, suite, axes=3, noises=3, fitted=enabled)
        self._world: Floats = np.array(params.field_ut).reshape(3, 1)
        self._noise_ut = params.noise_ut
        self.field_ut: Floats = self._values.T

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Feel the field."""
        if not self.fitted:
            return
        self._values[:] = to_body(hw.motion.rotation, self._world)
        self.measure(hw, dt_s, self._noise_ut)
