"""The main computer: load and memory follow what the bot does."""

import numpy as np
import pytest
from hardware_rig import booted, rig, run


def settle(**values: float) -> tuple[float, float]:
    """Return processor and memory load of a parked bot after a long time."""
    hw = booted(start={"docking.docked": 1.0})
    for name, value in values.items():
        hw.set_input(f"compute.{name}", np.array(value))
    run(hw, 300, 10.0)
    return float(hw.compute.cpu_pct[0]), float(hw.compute.ram_pct[0])


@pytest.mark.parametrize(
    ("sensor_queue", "actuator_queue", "cpu_pct", "ram_pct"),
    [
        (0, 0, 8 + 18 + 3, 22 + 10),
        (10, 5, 8 + 18 + 3 + 12, 22 + 10 + 12 + 5),
        (1000, 1000, 8 + 18 + 3 + 18, 22 + 10 + 35 + 20),
    ],
)
def test_load_settles_at_the_sum_of_what_is_done(
    sensor_queue: float, actuator_queue: float, cpu_pct: float, ram_pct: float
) -> None:
    """Radar, transponder and queues each add their part, queues up to a limit."""
    load = settle(sensor_queue=sensor_queue, actuator_queue=actuator_queue)
    assert load == pytest.approx((cpu_pct, ram_pct), abs=1e-3)


def test_speed_costs_processor_time() -> None:
    """Each metre per second adds 28 %."""
    hw = booted(start={"docking.docked": 1.0})
    hw.motion.speed_mps[:] = 0.5
    run(hw, 100, 10.0)
    assert hw.compute.cpu_pct[0] == pytest.approx(8 + 18 + 3 + 14, abs=1e-3)


@pytest.mark.parametrize("dt_s", [0.1, 0.5, 2.0])
def test_smoothing_is_exact_for_any_tick(dt_s: float) -> None:
    """After a step of the target, the lag is exp(-t / tau), however time is cut."""
    hw = booted(start={"docking.docked": 1.0})
    run(hw, 200, 10.0)
    cpu, ram = float(hw.compute.cpu_pct[0]), float(hw.compute.ram_pct[0])
    hw.set_input("compute.extra_cpu_pct", np.array(10.0))
    hw.set_input("compute.extra_ram_pct", np.array(10.0))
    run(hw, 4.0, dt_s)
    assert hw.compute.cpu_pct[0] - cpu == pytest.approx(10 * (1 - np.exp(-4 / 2)), abs=1e-6)
    assert hw.compute.ram_pct[0] - ram == pytest.approx(10 * (1 - np.exp(-4 / 4)), abs=1e-6)


def test_load_stays_below_one_hundred_percent() -> None:
    """A runaway task cannot use more than there is."""
    assert settle(extra_cpu_pct=100.0, extra_ram_pct=100.0) == pytest.approx((100.0, 100.0))


def test_a_computer_without_power_is_idle() -> None:
    """On a dead bus the load is zero, not the last one seen."""
    hw = rig(start={"power.soc_pct": 0.0, "power.supercap_soc_pct": 0.0})
    run(hw, 2)
    assert (hw.compute.cpu_pct[0], hw.compute.ram_pct[0]) == (0.0, 0.0)
