"""The inertial measurement unit: what the bot feels of its own motion."""

from typing import TYPE_CHECKING

import numpy as np

from twin.hardware.plane import Floats
from twin.hardware.rotation import to_body
from twin.hardware.shard import Shard
from twin.hardware.suite import Element, Suite
from twin.spec.params.imu import ImuParams

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["Imu"]

AXES = 6
BIAS_LANE = 128


class Imu(Element):
    """Three gyroscopes and three accelerometers: `gyro_rps`, `accel_mps2` (n, 3), body axes.

    A reading is the mean of the tick, or of one sample of the sensor if that is longer: true
    rate or specific force + bias + white noise. The bias is a first-order Gauss-Markov process,
    b' = phi b + s sqrt(1 - phi^2) w with phi = exp(-dt / tau); white noise of density N has the
    standard deviation N / sqrt(dt) (IEEE Std 952-1997, annex B). The biases, slow as they are,
    take their exact steps in turn, one axis a tick. In free space there is no gravity to feel.

    Malfunctions act on all six axes, in rad/s and m/s2.
    """

    name = "imu"

    def __init__(
        self, shard: Shard, suite: Suite, params: ImuParams, *, enabled: bool = True
    ) -> None:
        super().__init__(shard, suite, axes=AXES, noises=AXES + 1, fitted=enabled)
        self._sample_s = 1 / params.sample_rate_hz
        self._density = _six(params.gyro_noise_rps_rthz, params.accel_noise_mps2_rthz)
        self._spread = _six(params.gyro_bias_rps, params.accel_bias_mps2)
        self._tau = _six(params.gyro_bias_tau_s, params.accel_bias_tau_s)
        first = [self.lottery.normals(BIAS_LANE + 2 * axis) for axis in range(AXES)]
        self._bias: Floats = np.stack(first) * self._spread
        self._since_s = np.zeros(AXES)
        self._turn = 0
        self.gyro_rps, self.accel_mps2 = self._values[:3].T, self._values[3:].T

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Read the rates and accelerations that the bots had in this tick."""
        if not self.fitted:
            return
        normals, shown = self.draw(), self._values
        self._wander(normals[AXES], dt_s)
        shown[:3] = hw.motion.rates_rps.T
        shown[3:] = to_body(hw.motion.rotation, hw.motion.acceleration_mps2.T)
        shown += self._bias
        shown += normals[:AXES] * (self._density / np.sqrt(max(dt_s, self._sample_s)))
        self.sense(hw, shown, dt_s)

    def _wander(self, normal: Floats, dt_s: float) -> None:
        """Let the bias of one axis take the step for the time since it last did."""
        self._since_s += dt_s
        axis = self._turn
        phi = float(np.exp(-self._since_s[axis] / self._tau[axis, 0]))
        self._bias[axis] *= phi
        self._bias[axis] += normal * (self._spread[axis, 0] * np.sqrt(1 - phi * phi))
        self._since_s[axis] = 0.0
        self._turn = (axis + 1) % AXES


def _six(gyro: float, accel: float) -> Floats:
    return np.array([gyro] * 3 + [accel] * 3).reshape(6, 1)
