"""Params of the inertial measurement unit."""

from typing import Annotated

from pydantic import Field

from twin.spec.units import Hertz, MetresPerSecondSquared, Params, RadiansPerSecond, Seconds

__all__ = ["ImuParams"]

GyroDensity = Annotated[
    float,
    Field(ge=0, strict=True, allow_inf_nan=False, json_schema_extra={"unit": "rad/s/sqrt(Hz)"}),
]
AccelDensity = Annotated[
    float,
    Field(ge=0, strict=True, allow_inf_nan=False, json_schema_extra={"unit": "m/s2/sqrt(Hz)"}),
]


class ImuParams(Params):
    """Three gyroscopes and three accelerometers; defaults are a tactical-grade MEMS unit.

    White noise is given as its one-sided root spectral density; the bias instability is a
    first-order Gauss-Markov process with standard deviation and correlation time, as in
    IEEE Std 952, annex B.
    """

    sample_rate_hz: Hertz = Field(
        default=100.0, gt=0, description="Samples that make up a reading; one at least."
    )
    gyro_noise_rps_rthz: GyroDensity = Field(
        default=8.7e-5, description="Angle random walk (0.3 deg per root hour)."
    )
    gyro_bias_rps: RadiansPerSecond = Field(
        default=9.7e-6, description="Standard deviation of the gyro's bias (2 deg/h)."
    )
    gyro_bias_tau_s: Seconds = Field(
        default=300.0, gt=0, description="Correlation time of the gyro's bias."
    )
    accel_noise_mps2_rthz: AccelDensity = Field(
        default=1.0e-3, description="Velocity random walk (0.1 mg per root hertz)."
    )
    accel_bias_mps2: MetresPerSecondSquared = Field(
        default=5.0e-4, description="Standard deviation of the accelerometer's bias (0.05 mg)."
    )
    accel_bias_tau_s: Seconds = Field(
        default=300.0, gt=0, description="Correlation time of the accelerometer's bias."
    )
