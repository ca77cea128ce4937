"""The assembled hardware: names, start values, boot, and independence of the shard."""

import numpy as np
import pytest
from hardware_rig import builtin, rig, run

from twin.errors import UsageError
from twin.hardware.assembly import Hardware

BOTS = [f"bot-{i}" for i in range(7)]
WATCHED = ("power.soc_pct", "thermal.core_degc", "compute.cpu_pct", "comms.latency_ms")


def fly(bots: list[str]) -> tuple[np.ndarray, list[tuple[object, ...]]]:
    """Fly some bots for a while; return their values (names, bots) and what each reported."""
    hw = Hardware(builtin(), bots, seed=3)
    hw.start({"power.soc_pct": np.array([20.0 + int(bot[4:]) / 20 for bot in bots])})
    hw.step(0.0)
    edges = []
    for _ in range(30):
        hw.step(1.0)
        edges += [(hw.time_ns, bots[edge.bot], *edge[1:]) for edge in hw.drain_edges()]
    values = [hw.read(name) for name in WATCHED]
    values += [*hw.motion.position_m.T, *hw.imu.gyro_rps.T, hw.radar.status]
    return np.array(values), sorted(edges, key=lambda edge: (edge[1], edge[0]))


@pytest.mark.parametrize("shards", [2, 7])
def test_shards_give_the_same_bits(shards: int) -> None:
    """Physics and edges of a bot do not depend on how many bots are stepped with it."""
    whole, edges = fly(BOTS)
    parts = [fly(part.tolist()) for part in np.array_split(np.array(BOTS), shards)]
    assert np.array_equal(np.concatenate([part[0] for part in parts], axis=1), whole, True)
    joined = sorted((e for part in parts for e in part[1]), key=lambda edge: (edge[1], edge[0]))
    assert joined == edges


def test_start_sets_values_by_dotted_name() -> None:
    """A start value reaches the array of its plane."""
    hw = rig(2)
    hw.start({"power.soc_pct": np.array([30.0, 40.0]), "thermal.core_degc": np.array(50.0)})
    assert hw.read("power.soc_pct").tolist() == [30.0, 40.0]
    assert hw.thermal.temp_c[:, 0].tolist() == [50.0, 50.0]


def test_start_suggests_the_name_that_was_meant() -> None:
    """A misspelt start value is refused with a suggestion."""
    with pytest.raises(UsageError, match=r"did you mean 'power\.soc_pct'"):
        rig().start({"power.soc_pc": np.array(50.0)})


def test_start_refuses_what_is_not_startable() -> None:
    """A value that follows from others cannot be started with."""
    with pytest.raises(UsageError, match=r"'power\.bus_v' cannot be set"):
        rig().start({"power.bus_v": np.array(25.0)})


@pytest.mark.parametrize("soc", [-1.0, 101.0, np.nan])
def test_start_refuses_values_out_of_range(soc: float) -> None:
    """A start value outside its range is refused with the range."""
    with pytest.raises(UsageError, match=r"power\.soc_pct must be between 0 and 100"):
        rig().start({"power.soc_pct": np.array(soc)})


def test_read_suggests_the_name_that_was_meant() -> None:
    """Reading a misspelt value is refused with a suggestion."""
    with pytest.raises(UsageError, match=r"did you mean 'thermal\.core_degc'"):
        rig().read("thermal.core_degs")


def test_every_startable_and_input_is_an_array_per_bot() -> None:
    """Whatever a plane offers to be set can be read under the same name."""
    hw = rig(3)
    for name in {**hw.startable(), **hw.inputs()}:
        assert hw.read(name).shape == (3,)


def test_inputs_can_be_set_for_some_bots() -> None:
    """A malfunction reaches the bots that it is meant for."""
    hw = rig(3)
    hw.set_input("power.short_w", np.array(40.0), np.array([True, False, True]))
    assert hw.power.short_w.tolist() == [40.0, 0.0, 40.0]


def test_arrays_stay_the_same_objects() -> None:
    """A reference that was taken before the first step shows the values of the last one."""
    hw = rig(2)
    planes = (hw.modes, hw.docking, hw.compute, hw.power, hw.thermal, hw.comms, hw.motion, hw.imu)
    before = [arrays(plane) for plane in planes]
    hw.step(0.0)
    run(hw, 4)
    assert [arrays(plane) for plane in planes] == before


def arrays(plane: object) -> dict[str, int]:
    """Return name and identity of the arrays that a plane shows."""
    public = {name: value for name, value in vars(plane).items() if not name.startswith("_")}
    return {name: id(value) for name, value in public.items() if isinstance(value, np.ndarray)}


def test_time_is_counted_exactly() -> None:
    """Ticks that are no binary fractions of a second add up without drift."""
    hw = rig()
    for _ in range(20):
        hw.step(0.1)
        hw.step(1.001)
    assert hw.time_ns == 22_020_000_000
