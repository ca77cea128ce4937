"""The main computer (MCQPU): how busy it is with what the bot does."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from twin.hardware.plane import POSITIVE, Floats, Range
from twin.hardware.shard import Shard
from twin.spec.params.compute import ComputeParams

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["Compute"]

PERCENT = Range(0.0, 100.0)


class Compute:
    """`cpu_pct` and `ram_pct` (n,): load of processor and memory, 0 to 100.

    Each follows its target as a first-order lag: x += (target - x) (1 - exp(-dt / tau)), which
    is exact for a target that is constant over the tick. Targets: CPU% = 8 + 28 speed + 18
    (radar on) + min(18, 0.9 sensor queue + 0.6 actuator queue) + 3 (transponder on); RAM% =
    22 + min(35, 1.2 sensor queue) + min(20, actuator queue) + 10 (radar on).

    `sensor_queue` and `actuator_queue` (n,) are items that wait, set by whoever queues them.
    Malfunctions: `extra_cpu_pct`, `extra_ram_pct` (a runaway task). A bot without power has
    an idle computer.
    """

    name = "compute"
    startable: Mapping[str, Range] = MappingProxyType({"cpu_pct": PERCENT, "ram_pct": PERCENT})
    inputs: Mapping[str, Range] = MappingProxyType(
        {
            "sensor_queue": POSITIVE,
            "actuator_queue": POSITIVE,
            "extra_cpu_pct": PERCENT,
            "extra_ram_pct": PERCENT,
        }
    )

    def __init__(self, shard: Shard, params: ComputeParams) -> None:
        self._params = params
        self.cpu_pct = np.full(shard.n, params.cpu_base_pct)
        self.ram_pct = np.full(shard.n, params.ram_base_pct)
        self.sensor_queue, self.actuator_queue = np.zeros((2, shard.n))
        self.extra_cpu_pct, self.extra_ram_pct = np.zeros((2, shard.n))

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Let the load follow what the bot does in this tick."""
        p = self._params
        live = ~hw.power.bus_dead
        self._follow(self.cpu_pct, self._cpu_target(hw), p.cpu_tau_s, live, dt_s)
        self._follow(self.ram_pct, self._ram_target(hw), p.ram_tau_s, live, dt_s)

    def _cpu_target(self, hw: "Hardware") -> Floats:
        p = self._params
        queues = p.cpu_per_sensor_item * self.sensor_queue
        queues += p.cpu_per_actuator_item * self.actuator_queue
        target = np.minimum(queues, p.cpu_queue_max_pct)
        target += p.cpu_base_pct
        target += p.cpu_per_mps * hw.motion.speed_mps
        target += p.cpu_radar_pct * hw.power.radar_on
        target += p.cpu_transponder_pct * hw.power.transponder_on
        target += self.extra_cpu_pct
        return target

    def _ram_target(self, hw: "Hardware") -> Floats:
        p = self._params
        target = np.minimum(p.ram_per_sensor_item * self.sensor_queue, p.ram_sensor_max_pct)
        actuators = p.ram_per_actuator_item * self.actuator_queue
        target += np.minimum(actuators, p.ram_actuator_max_pct)
        target += p.ram_base_pct
        target += p.ram_radar_pct * hw.power.radar_on
        target += self.extra_ram_pct
        return target

    def _follow(
        self, value: Floats, target: Floats, tau_s: float, live: np.ndarray, dt_s: float
    ) -> None:
        np.minimum(target, 100.0, out=target)
        target -= value
        target *= -np.expm1(-dt_s / tau_s)
        value += target
        value *= live
