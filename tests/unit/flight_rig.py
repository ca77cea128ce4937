"""Bots in flight: all planes, or the few that a long statistical test needs."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from hardware_rig import builtin

from twin.hardware.assembly import Hardware
from twin.hardware.plane import Edge, Floats, Plane
from twin.spec.overrides import with_overrides
from twin.spec.yaml import Plain

EVERY_SENSOR: Mapping[str, Plain] = {
    "sensor_proximity.enabled": True,
    "sensor_solar.enabled": True,
    "sensor_star_tracker.enabled": True,
    "magnetometer.enabled": True,
}


def flying(
    n: int = 1,
    overrides: Mapping[str, Plain] | None = None,
    start: Mapping[str, float] | None = None,
    *,
    names: Sequence[str] = (),
    groups: Sequence[str] = (),
    boot: bool = True,
) -> Hardware:
    """Return bots on patrol, booted unless it is not wished."""
    spec = with_overrides(builtin(), overrides or {})
    bots = list(names) or [f"bot-{i}" for i in range(n)]
    hw = Hardware(spec, bots, seed=11, groups=groups)
    hw.start({name: np.asarray(value, dtype=float) for name, value in (start or {}).items()})
    if boot:
        fly(hw, 3)
    return hw


def fly(hw: Hardware, seconds: float, dt_s: float = 1.0) -> list[Edge]:
    """Step everything for some time; return what was reported."""
    for _ in range(round(seconds / dt_s)):
        hw.step(dt_s)
    return hw.drain_edges()


def look(hw: Hardware, seconds: int = 1) -> list[Edge]:
    """Step what moves and what looks out, and nothing else; return what was reported."""
    planes = (hw.motion, hw.suite, hw.surroundings, hw.radar, hw.tracker, hw.guard)
    for _ in range(seconds):
        for plane in planes:
            plane.step(hw, 1.0)
        hw.time_ns += 1_000_000_000
    return hw.drain_edges()


def record(
    hw: Hardware, planes: Iterable[Plane], values: Sequence[Floats], ticks: int, dt_s: float = 1.0
) -> list[Floats]:
    """Step some planes only; return the history of each array, time first."""
    order, history = tuple(planes), [[] for _ in values]
    for _ in range(ticks):
        for plane in order:
            plane.step(hw, dt_s)
        hw.time_ns += round(dt_s * 1e9)
        for row, value in zip(history, values, strict=True):
            row.append(value.copy())
    return [np.array(row) for row in history]
