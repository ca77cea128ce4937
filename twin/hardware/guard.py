"""The radar guard: alerts when an unknown, a foe or a spoofer comes too near."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from twin.hardware.contacts import Iff, Xpdr
from twin.hardware.plane import Bools, Edge, Floats, Ints, Range
from twin.hardware.shard import Shard
from twin.hardware.tracker import Tracker, TrackStatus
from twin.spec.params.radar import TrackerParams

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["RULES", "Guard"]

RULES: Final = ("unknown", "foe", "spoof")
"""Rules in the order of their codes; what a track is decides which one holds for it."""
NO_RULE: Final = 3


class Guard:
    """Watches the confirmed tracks and appends an edge for every alert.

    A rule alerts when a track comes below its range and is armed for that track again when it
    went beyond range + hysteresis or was lost. A rule alerts at most once per bot and cooldown.
    Edge: kind radar_guard, source radar, subject the rule, values track (its serial), range_m,
    quality, iff, transponder_on, transponder_mode.

    `alerts` (n,) counts the alerts since the start.
    """

    name = "guard"
    startable: Mapping[str, Range] = MappingProxyType({})
    inputs: Mapping[str, Range] = MappingProxyType({})

    def __init__(self, shard: Shard, params: TrackerParams, tracker: Tracker) -> None:
        rules = (params.guard_unknown, params.guard_foe, params.guard_spoof)
        self._range_m = np.array([*(rule.range_m for rule in rules), -1.0])
        self._clear_m = self._range_m + np.array([*(rule.hysteresis_m for rule in rules), 0.0])
        self._cooldown_s = params.guard_cooldown_s
        shape = tracker.status.shape
        self._rule: Ints = np.full(shape, NO_RULE, dtype=np.int64)
        self._enter_m, self._leave_m = np.full((2, *shape), -1.0)
        self._near: Bools = np.zeros(shape, dtype=np.bool_)
        self._told: Bools = np.zeros(shape, dtype=np.bool_)
        self._quiet_until_s: Floats = np.full((len(RULES), shard.n), -np.inf)
        self.alerts = np.zeros(shard.n)

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Look at the tracks of this tick."""
        tracker = hw.tracker
        if tracker.fresh.any():
            self._classify(tracker)
        slots, bots = np.nonzero((tracker.range_m < self._leave_m) | self._near)
        if not len(bots):
            return
        where = (slots, bots)
        status, distance = tracker.status[where], tracker.range_m[where]
        limit = np.where(self._near[where], self._leave_m[where], self._enter_m[where])
        near = (status == TrackStatus.TRACKED) | (status == TrackStatus.COASTING)
        near &= distance < limit
        self._near[where] = near
        self._told[where] &= near
        untold = near & ~self._told[where]
        if untold.any():
            self._alert(hw, slots[untold], bots[untold], hw.time_s + dt_s)

    @property
    def alarmed(self) -> Floats:
        """How many tracks are too near, (n,)."""
        count: Floats = self._near.sum(axis=0).astype(np.float64)
        return count

    def _classify(self, tracker: Tracker) -> None:
        where = tracker.fresh
        iff, mode = tracker.iff[where], tracker.mode[where]
        rule = np.where(iff == Iff.UNKNOWN, 0, np.where(iff == Iff.FOE, 1, NO_RULE))
        rule[mode == Xpdr.SPOOF] = 2
        self._rule[where] = rule
        self._enter_m[where], self._leave_m[where] = self._range_m[rule], self._clear_m[rule]
        self._near[where] = self._told[where] = False

    def _alert(self, hw: "Hardware", slots: Ints, bots: Ints, now_s: float) -> None:
        """Tell of tracks that came too near, where the rule's cooldown is over."""
        tracker = hw.tracker
        for bot, slot in sorted(zip(bots.tolist(), slots.tolist(), strict=True)):
            rule = int(self._rule[slot, bot])
            if now_s < self._quiet_until_s[rule, bot]:
                continue
            self._quiet_until_s[rule, bot] = now_s + self._cooldown_s
            self._told[slot, bot] = True
            self.alerts[bot] += 1
            mode = int(tracker.mode[slot, bot])
            values = (
                ("track", float(tracker.serial[slot, bot])),
                ("range_m", float(tracker.range_m[slot, bot])),
                ("quality", float(tracker.quality[slot, bot])),
                ("iff", float(tracker.iff[slot, bot])),
                ("transponder_on", float(mode in (Xpdr.ON, Xpdr.SPOOF))),
                ("transponder_mode", float(mode)),
            )
            words = ("radar_guard", "radar", RULES[rule], "clear", "alert")
            hw.edges.append(Edge(bot, *words, values))
