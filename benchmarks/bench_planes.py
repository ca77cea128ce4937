"""Physics alone: what one simulated second of a fleet costs, plane by plane.

`python benchmarks/bench_planes.py` prints a table of the planes for a calm fleet and for a
troubled one (a tenth of the bots each short of charge, without cooling, docked, on a dead bus
or with a noisy sensor), and fails when a calm second of 10,000 bots costs more than 10 ms. Then it
compares with one SimPy process per bot and device, as such a twin is usually written. Time is
CPU time of this process (the machine may be shared), of whole ticks and of each plane in turn;
medians count, and `--json FILE` keeps every tick for `twin bench report`. The same ticks run
under pytest-benchmark (`make bench`).
"""

import argparse
import gc
import math
import random
import statistics
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import simpy

from twin.bench.record import costs_document
from twin.hardware.assembly import Hardware
from twin.spec.load import load_spec

LIMIT_MS: Final = 10.0
BOTS: Final = 10_000
PLAIN_BOTS: Final = 300
TICK_S: Final = 1.0
WHOLE: Final = "a whole tick"


def calm(bots: int) -> Hardware:
    """Return a fleet of the platform's bots, booted and on patrol."""
    hw = Hardware(load_spec("builtin:BotSpec"), [f"bot-{i}" for i in range(bots)], seed=1)
    hw.step(0.0)
    for _ in range(5):
        hw.step(TICK_S)
    hw.drain_edges()
    return hw


def troubled(bots: int) -> Hardware:
    """Return a fleet of which half is in some kind of trouble."""
    hw = calm(bots)
    group = np.arange(bots) % 10
    hw.power.soc_pct[group == 0] = 18.0
    hw.set_input("thermal.cooling_fraction", np.array(0.3), group == 1)
    hw.docking.docked[group == 2] = 1.0
    hw.power.soc_pct[group == 3] = hw.power.supercap_soc_pct[group == 3] = 0.0
    hw.set_input("imu.noise", np.array(0.01), group == 4)
    for _ in range(5):
        hw.step(TICK_S)
    hw.drain_edges()
    return hw


FLEETS: Final[dict[str, Callable[[int], Hardware]]] = {"calm": calm, "troubled": troubled}


def cpu_ms(work: Callable[[], object]) -> float:
    """Return the CPU time of one call in milliseconds."""
    before = time.process_time_ns()
    work()
    return round((time.process_time_ns() - before) / 1e6, 4)


def whole_ticks(hw: Hardware, ticks: int) -> list[float]:
    """Return the cost of each tick of all planes."""
    costs = []
    for _ in range(ticks):
        costs.append(cpu_ms(lambda: hw.step(TICK_S)))
        hw.drain_edges()
    return costs


def by_plane(hw: Hardware, ticks: int) -> dict[str, list[float]]:
    """Return the costs of each plane, stepped in its order."""
    costs: dict[str, list[float]] = {plane.name: [] for plane in hw.planes}
    for _ in range(ticks):
        for plane in hw.planes:
            costs[plane.name].append(cpu_ms(lambda plane=plane: plane.step(hw, TICK_S)))  # type: ignore[misc]  # bound at once
        hw.time_ns += round(TICK_S * 1e9)
        hw.drain_edges()
    return costs


def plain_fleet(bots: int, seconds: int) -> float:
    """Return milliseconds per simulated second of one SimPy process per bot and device.

    Physics in plain Python, and much less of it: no supervisor, no PDU, no modes, no tracker.
    """
    env = simpy.Environment()
    for number in range(bots):
        bot = {"soc": 80.0, "temp": [20.0] * 6, "cpu": 8.0, "x": 0.0, "v": 0.4}
        dice = random.Random(number)  # noqa: S311 - physics, no secret
        for device in (_power, _thermal, _computer, _motion, _imu, _radar, _link):
            env.process(_device(env, bot, dice, device))
    return cpu_ms(lambda: env.run(until=seconds)) / seconds


Bot = dict[str, Any]


def _device(
    env: simpy.Environment,
    bot: Bot,
    dice: random.Random,
    step: Callable[[Bot, random.Random], None],
) -> Generator[simpy.Event, None, None]:
    while True:
        step(bot, dice)
        yield env.timeout(TICK_S)


def _power(bot: Bot, dice: random.Random) -> None:
    loads = {"base": 60.0, "motion": 40 * bot["v"], "mcqpu": 0.35 * bot["cpu"], "radar": 18.0}
    bot["volts"] = 22 + 6 * bot["soc"] / 100
    bot["amps"] = sum(loads.values()) / bot["volts"]
    bot["soc"] = max(0.0, bot["soc"] - (sum(loads.values()) - 30) / 36 / 500)


def _thermal(bot: Bot, dice: random.Random) -> None:
    temp, heat = bot["temp"], (0.28 * bot["cpu"], 0.4 * bot["amps"] ** 2, 0.0, 0.6, 0.0, 0.0)
    for node in range(6):
        flow = heat[node] - 1.1 * (temp[node] + 60) - 0.3 * (temp[node] - temp[node - 1])
        temp[node] += flow / 800


def _computer(bot: Bot, dice: random.Random) -> None:
    bot["cpu"] += (8 + 28 * bot["v"] + 21 - bot["cpu"]) * (1 - math.exp(-0.5))


def _motion(bot: Bot, dice: random.Random) -> None:
    bot["x"] += bot["v"]
    bot["heading"] = math.atan2(bot["v"], bot["x"] + 1)


def _imu(bot: Bot, dice: random.Random) -> None:
    bot["imu"] = [dice.gauss(0, 0.01) for _ in range(6)]


def _radar(bot: Bot, dice: random.Random) -> None:
    bot["radar"] = [
        (900 + dice.gauss(0, 3), dice.gauss(40, 0.1), dice.gauss(0, 0.1), dice.gauss(5, 0.3))
        for _ in range(3)
    ]


def _link(bot: Bot, dice: random.Random) -> None:
    bot["latency"] = 80 + 3 * max(0.0, 35 - bot["soc"])


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("fleet", FLEETS)
def test_tick_of_a_fleet(benchmark: Any, fleet: str) -> None:
    """One simulated second of 10,000 bots."""
    hw = FLEETS[fleet](BOTS)
    benchmark.pedantic(lambda: (hw.step(TICK_S), hw.drain_edges()), rounds=30, warmup_rounds=5)


@pytest.mark.benchmark(timer=time.process_time)
def test_tick_of_plain_bots(benchmark: Any) -> None:
    """The same second of 300 bots as they are usually written; `extra_info` says how many."""
    benchmark.extra_info["bots"] = PLAIN_BOTS
    benchmark.pedantic(plain_fleet, (PLAIN_BOTS, 1), rounds=10, warmup_rounds=1)


def main() -> int:
    """Print the tables; 1 when the calm fleet is too slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bots", type=int, default=BOTS)
    parser.add_argument("--ticks", type=int, default=96, help="ticks per median")
    parser.add_argument("--json", type=Path, help="also write every tick to this file")
    options = parser.parse_args()
    began_ns, costs = time.time_ns(), measured(options.bots, options.ticks)
    medians = {of: statistics.median(values) for of, values in costs.items()}
    print(f"{options.bots} bots, one simulated second, ms of one core (numpy {np.__version__})")
    print(f"{'plane':16}" + "".join(f"{fleet:>12}" for fleet in FLEETS))
    for plane in dict.fromkeys(of.partition(";")[0] for of in costs):
        print(f"{plane:16}" + "".join(f"{medians[f'{plane};{fleet}']:12.3f}" for fleet in FLEETS))
    tick = medians[f"{WHOLE};calm"]
    plain = plain_fleet(PLAIN_BOTS, 20) / PLAIN_BOTS * options.bots
    print(f"\none SimPy process per bot and device: {plain:.0f} ms, {plain / tick:.0f} times")
    limit = LIMIT_MS * options.bots / BOTS
    print(f"limit {limit:.1f} ms: {'met' if tick <= limit else 'MISSED'}")
    if options.json:
        settings = {"bots": options.bots, "ticks": options.ticks}
        record = costs_document(
            "planes",
            costs,
            "ms",
            began_ns=began_ns,
            settings=settings,
        )
        options.json.write_text(record.model_dump_json(indent=2))
    return int(tick > limit)


def measured(bots: int, ticks: int) -> dict[str, list[float]]:
    """Return the milliseconds of every tick, by `plane;fleet`, the dearest plane first."""
    found: dict[str, list[float]] = {}
    for name, fleet in FLEETS.items():
        hw = fleet(bots)
        gc.collect()
        gc.freeze()
        whole = whole_ticks(hw, ticks)
        planes = by_plane(hw, ticks)
        dearest = sorted(planes, key=lambda plane: -statistics.median(planes[plane]))
        found |= {f"{plane};{name}": planes[plane] for plane in dearest}
        found[f"{WHOLE};{name}"] = whole
    return found


if __name__ == "__main__":
    sys.exit(main())
