"""Bots of the built-in spec on a test bench: parked, with little around them."""

from collections.abc import Mapping
from functools import cache

import numpy as np

from twin.hardware.assembly import Hardware
from twin.hardware.plane import Edge
from twin.spec.bot import BotSpec
from twin.spec.load import load_spec
from twin.spec.overrides import with_overrides
from twin.spec.yaml import Plain

PARKED: Mapping[str, Plain] = {"motion.behaviour": "hold", "radar.contacts.count": 1}


@cache
def builtin() -> BotSpec:
    """The spec that we ship."""
    return load_spec("builtin:BotSpec")


def rig(
    n: int = 1,
    start: Mapping[str, float] | None = None,
    overrides: Mapping[str, Plain] | None = None,
    *,
    parked: bool = True,
) -> Hardware:
    """Return `n` bots before their first step."""
    spec = with_overrides(builtin(), {**(PARKED if parked else {}), **(overrides or {})})
    hw = Hardware(spec, [f"bot-{i}" for i in range(n)], seed=7)
    hw.start({name: np.asarray(value, dtype=float) for name, value in (start or {}).items()})
    return hw


def booted(
    n: int = 1,
    start: Mapping[str, float] | None = None,
    overrides: Mapping[str, Plain] | None = None,
) -> Hardware:
    """Return `n` parked bots whose devices have run long enough to draw a steady power."""
    hw = rig(n, start, overrides)
    run(hw, 2)
    return hw


def run(hw: Hardware, seconds: float, dt_s: float = 1.0) -> list[Edge]:
    """Step the planes that a parked bot needs for some time; return what was reported."""
    if hw.time_ns == 0:
        hw.step(0.0)
    planes = (hw.modes, hw.docking, hw.compute, hw.power, hw.thermal, hw.comms, hw.readiness)
    for _ in range(round(seconds / dt_s)):
        for plane in planes:
            plane.step(hw, dt_s)
        hw.time_ns += round(dt_s * 1e9)
    return hw.drain_edges()


def told(edges: list[Edge], *kinds: str) -> list[tuple[str, str, str]]:
    """Return kind, subject and new state of the edges of some kinds (all if none is named)."""
    return [(e.kind, e.subject, e.after) for e in edges if not kinds or e.kind in kinds]
