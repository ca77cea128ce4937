"""The IMU: noise as its params say, and readings that follow the motion."""

import allantools
import numpy as np
import pytest
from flight_rig import fly, flying, record

from twin.hardware.plane import Floats

STILL = {"motion.behaviour": "hold", "contacts.count": 0}
TIMES_S = (1, 10, 100, 300)


def allan_deviation(series: Floats, dt_s: float, times_s: tuple[int, ...]) -> Floats:
    """Return the Allan deviation of (ticks, channels) at each time, over all channels."""
    each = [
        allantools.adev(channel, rate=1 / dt_s, data_type="freq", taus=times_s)[1]
        for channel in series.T
    ]
    return np.sqrt(np.mean(np.square(each), axis=0))


def expected_deviation(time_s: float, density: float, bias: float, tau_s: float) -> float:
    """Return white noise plus a first-order Gauss-Markov process (IEEE Std 952, annex B)."""
    decay = np.exp(-time_s / tau_s)
    markov = 1 - tau_s / (2 * time_s) * (3 - 4 * decay + decay**2)
    return float(np.sqrt(density**2 / time_s + 2 * bias**2 * tau_s / time_s * markov))


@pytest.mark.parametrize("dt_s", [1.0, 0.5])
def test_allan_deviation_is_that_of_the_params(dt_s: float) -> None:
    """White noise rules short times, bias instability long ones, whatever the tick."""
    gyro = {"density": 8.7e-5, "bias": 1e-4, "tau_s": 60.0}
    accel = {"density": 1e-3, "bias": 8e-4, "tau_s": 90.0}
    hw = flying(
        80,
        STILL
        | {"imu.gyro_noise_rps_rthz": gyro["density"], "imu.gyro_bias_rps": gyro["bias"]}
        | {"imu.gyro_bias_tau_s": gyro["tau_s"], "imu.accel_bias_tau_s": accel["tau_s"]}
        | {"imu.accel_noise_mps2_rthz": accel["density"], "imu.accel_bias_mps2": accel["bias"]},
    )
    shown = record(
        hw, (hw.suite, hw.imu), (hw.imu.gyro_rps, hw.imu.accel_mps2), round(3000 / dt_s), dt_s
    )
    for series, params in zip(shown, (gyro, accel), strict=True):
        flat = series.reshape(len(series), -1)
        seen = allan_deviation(flat, dt_s, TIMES_S)
        expected = [expected_deviation(time_s, **params) for time_s in TIMES_S]
        assert seen == pytest.approx(expected, rel=0.05)


def test_readings_are_unbiased_over_the_fleet() -> None:
    """The mean over many bots at rest is 0 within three standard errors."""
    hw = flying(400, STILL)
    for reading, sigma in ((hw.imu.gyro_rps, 9e-5), (hw.imu.accel_mps2, 1.2e-3)):
        assert np.all(np.abs(reading.mean(axis=0)) < 3 * sigma / 20)


def test_a_turn_and_a_burn_are_felt() -> None:
    """Gyroscope and accelerometer show the rates and the thrust of the tick, in body axes."""
    hw = flying(1, {"contacts.count": 0})
    hw.propulsion.burn(np.array([0]), "forward", 50, 5.0)
    fly(hw, 2)
    push = hw.propulsion.force_n[0] / (300 + hw.propulsion.propellant_kg[0])
    drive = hw.imu.accel_mps2[0] - push
    assert push[0] == pytest.approx(1.18, abs=0.02)
    assert np.all(np.abs(drive) <= 0.21)
    assert hw.imu.gyro_rps[0] == pytest.approx(hw.motion.rates_rps[0], abs=6e-4)


def test_a_tick_of_no_time_shows_the_noise_of_one_sample() -> None:
    """White noise does not grow without bound when the tick shrinks."""
    hw = flying(200, STILL)
    hw.step(0.0)
    assert np.std(hw.imu.gyro_rps) == pytest.approx(8.7e-5 * 10, rel=0.1)
