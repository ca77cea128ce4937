"""Params of the main computer (MCQPU): what makes it busy."""

from typing import Annotated

from pydantic import Field

from twin.spec.units import Params, Percent, Seconds

__all__ = ["ComputeParams"]

Share = Annotated[float, Field(ge=0, strict=True, allow_inf_nan=False)]


class ComputeParams(Params):
    """Component `mcqpu`: processor and memory load as sums of what the bot does, smoothed."""

    cpu_base_pct: Percent = Field(default=8.0, description="Processor at rest.")
    cpu_per_mps: Share = Field(default=28.0, description="... per metre per second of speed.")
    cpu_radar_pct: Percent = Field(default=18.0, description="... while the radar is on.")
    cpu_per_sensor_item: Share = Field(default=0.9, description="... per queued reading.")
    cpu_per_actuator_item: Share = Field(default=0.6, description="... per queued command.")
    cpu_queue_max_pct: Percent = Field(default=18.0, description="Most that queues can take.")
    cpu_transponder_pct: Percent = Field(default=3.0, description="... with the transponder on.")
    cpu_tau_s: Seconds = Field(default=2.0, gt=0, description="Time constant of the processor.")
    ram_base_pct: Percent = Field(default=22.0, description="Memory at rest.")
    ram_per_sensor_item: Share = Field(default=1.2, description="... per queued reading.")
    ram_sensor_max_pct: Percent = Field(default=35.0, description="Most that readings can take.")
    ram_per_actuator_item: Share = Field(default=1.0, description="... per queued command.")
    ram_actuator_max_pct: Percent = Field(default=20.0, description="Most that commands can take.")
    ram_radar_pct: Percent = Field(default=10.0, description="... while the radar is on.")
    ram_tau_s: Seconds = Field(default=4.0, gt=0, description="Time constant of the memory.")
