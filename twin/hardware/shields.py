"""Shields: strength that damage takes away and time restores."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from twin.events.vocabulary import SHIELD_STATES
from twin.hardware.plane import POSITIVE, Edge, Ints, Range
from twin.hardware.shard import Shard
from twin.spec.params.shields import ShieldsParams

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["Shields"]

DISABLED: Final = SHIELD_STATES.index("disabled")


class Shields:
    """`strength_pct` in [0, 100], `power_w` and `state` (n,), codes of SHIELD_STATES.

    Low below 30 %, critical below 10 %; a state is left a little above where it begins, so a
    strength at the threshold does not flutter. Disabled without power. The power is part of
    the bot's base load. Input `damage_pct_per_s` is what the shields have to bear. Changes of
    state are edges of kind shield.
    """

    name = "shields"
    startable: Mapping[str, Range] = MappingProxyType({"strength_pct": Range(0.0, 100.0)})
    inputs: Mapping[str, Range] = MappingProxyType(
        {"damage_pct_per_s": POSITIVE, "enabled": Range(0.0, 1.0)}
    )

    def __init__(self, shard: Shard, params: ShieldsParams, *, enabled: bool = True) -> None:
        self._params = params
        self.strength_pct = np.full(shard.n, params.strength_pct)
        self.enabled = np.full(shard.n, float(enabled))
        self.damage_pct_per_s, self.power_w = np.zeros((2, shard.n))
        self.state: Ints = np.full(shard.n, 0 if enabled else DISABLED, dtype=np.int64)

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Take damage, recover, and say what changed."""
        p, strength = self._params, self.strength_pct
        works = (self.enabled > 0) & ~hw.power.bus_dead
        gain = (works * p.recharge_pct_per_s - self.damage_pct_per_s) * dt_s
        recovers = works & (strength < 100)
        strength += gain
        np.clip(strength, 0.0, 100.0, out=strength)
        np.multiply(strength, p.hold_w / 100, out=self.power_w)
        self.power_w += recovers * p.recharge_w
        self.power_w *= works
        falls = 1 * (strength < p.low_pct) + (strength < p.critical_pct)
        stays = 1 * (strength < p.low_pct + p.hysteresis_pct) + (
            strength < p.critical_pct + p.hysteresis_pct
        )
        state = np.where(self.state == DISABLED, falls, np.clip(self.state, falls, stays))
        state[~works] = DISABLED
        self._report(hw, state)

    def _report(self, hw: "Hardware", state: Ints) -> None:
        for bot in np.flatnonzero(state != self.state).tolist():
            before, after = SHIELD_STATES[self.state[bot]], SHIELD_STATES[state[bot]]
            values = (("strength_pct", float(self.strength_pct[bot])),)
            hw.edges.append(Edge(bot, "shield", self.name, "shield", before, after, values))
        self.state[:] = state
