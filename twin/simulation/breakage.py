"""Carries malfunctions into the hardware of a squad, and takes them out again."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from twin.errors import UsageError
from twin.hardware.assembly import Hardware
from twin.hardware.draws import generator
from twin.hardware.plane import ANY, Floats, Ints, Range
from twin.simulation.clocks import Clocks
from twin.simulation.inputs import Region, Start, Target
from twin.simulation.malfunctions import CLOCK_DRIFT, CLOCK_OFFSET
from twin.spec.findings import did_you_mean

__all__ = ["Breakage"]

BITS = {"propulsion.stuck_open", "propulsion.stuck_closed"}
"""Inputs that are bit masks: malfunctions that overlap add up."""


@dataclass(frozen=True, slots=True)
class _Broken:
    bots: Ints
    inputs: Mapping[str, float]


class Breakage:
    """The malfunctions that a squad has now.

    Where several set the same input of the same bot, the last one started holds; when it is
    healed the one before it does, and in the end what the input was at the start of the run.
    """

    def __init__(self, name: str, hw: Hardware, clocks: Clocks, seed: int) -> None:
        self._name, self._hw, self._clocks, self._seed = name, hw, clocks, seed
        self._ranges: dict[str, Range] = {
            **hw.inputs(),
            CLOCK_OFFSET: ANY,
            CLOCK_DRIFT: ANY,
        }
        self._well: dict[str, Floats] = {}
        self._broken: dict[str, _Broken] = {}

    def check(self, start: Start) -> None:
        """Raise UsageError when a bot of this squad could not have the malfunction."""
        for name, value in start.malfunction.inputs().items():
            if name not in self._ranges:
                raise UsageError(
                    f"{start.malfunction.fault}: a bot of {self._name!r} has no {name!r}"
                    f"{did_you_mean(name, list(self._ranges))}"
                )
            low, high = self._ranges[name]
            if not low <= value <= high:
                raise UsageError(f"{start.malfunction.fault}: {name} must be {low:g} to {high:g}")

    def start(self, start: Start) -> tuple[str, ...]:
        """Break the bots that the target means; return their ids."""
        bots = self.hit(start.target, start.id)
        inputs = start.malfunction.inputs()
        for name in inputs:
            if name not in self._well:
                self._well[name] = self._array(name).copy()
        self._broken[start.id] = _Broken(bots, inputs)
        self._settle(bots, inputs)
        return tuple(self._hw.bots[bot] for bot in bots.tolist())

    def heal(self, id_: str) -> None:
        """End a malfunction; one that does not exist here is already healed."""
        broken = self._broken.pop(id_, None)
        if broken is not None:
            self._settle(broken.bots, broken.inputs)

    def hit(self, target: Target, draw: str) -> Ints:
        """Return the bots of this squad that a target means, in ascending order."""
        bots = self._hw.bots
        chosen = np.full(len(bots), target.group in (None, self._name))
        if target.bots:
            named = set(target.bots)
            chosen &= np.array([bot in named for bot in bots])
        if target.region is not None:
            chosen &= self._within(target.region)
        found = np.flatnonzero(chosen)
        if target.fraction < 1:
            share = [generator(self._seed, bots[bot], "hit", draw).random() for bot in found]
            found = found[np.array(share, dtype=np.float64) < target.fraction]
        return found

    def _within(self, region: Region) -> np.ndarray:
        x, y, z = self._hw.motion.position_m.T
        away = (x - region.x_m) ** 2 + (y - region.y_m) ** 2 + (z - region.z_m) ** 2
        return np.asarray(away <= region.radius_m**2)

    def _settle(self, bots: Ints, names: Mapping[str, float]) -> None:
        """Work out the inputs anew for these bots, from what is broken now."""
        for name in names:
            value = self._well[name].copy()
            for broken in self._broken.values():
                if name in broken.inputs:
                    self._put(name, value, broken)
            self._array(name)[bots] = value[bots]
        self._clocks.look()

    def _put(self, name: str, value: Floats, broken: _Broken) -> None:
        if name in BITS:
            mask = value[broken.bots].astype(np.int64) | int(broken.inputs[name])
            value[broken.bots] = mask
        else:
            value[broken.bots] = broken.inputs[name]

    def _array(self, name: str) -> Floats:
        if name == CLOCK_OFFSET:
            return self._clocks.offset_s
        if name == CLOCK_DRIFT:
            return self._clocks.drift_ppm
        return self._hw.read(name)
