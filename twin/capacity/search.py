"""Finds the highest load that passes: a ramp by doubling, then bisection with repeats.

A pure algorithm over an injected trial. Between the highest load that passed and the lowest
that failed it tries the geometric mean, `repeats` times at most, and goes by the majority;
both loads that it ends with have been tried as often. Loads are multiples of the scenario's own.
"""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from twin.capacity.blame import Limit, Limiter
from twin.errors import UsageError

__all__ = ["Found", "Search", "Trial"]

MOST_TRIALS = 100
LOWEST_PART = 64
"""The search goes down to this part of the first load before it says that none passes."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One run at a load: what broke, None if it passed, and the events per second it made."""

    load: float
    events_per_s: float
    limit: Limit | None = None
    run_id: str = ""


@dataclass(slots=True)
class Found:
    """The answer: `passed` (None: no load does) and `failed` (None: none does) enclose it."""

    passed: float | None = None
    failed: float | None = None
    trials: list[Trial] = field(default_factory=list)
    beyond: str = ""
    """Why no higher load could be tried, where nothing else ended the search."""

    def at(self, load: float | None) -> list[Trial]:
        """Return the trials at a load."""
        return [trial for trial in self.trials if trial.load == load]

    @property
    def limit(self) -> Limit | None:
        """What broke in most of the trials at the lowest load that failed.

        Where as many met the generator's limit as another one, it is the generator's.
        """
        broken = [trial.limit for trial in self.at(self.failed) if trial.limit]
        broken.sort(key=lambda one: one.kind is not Limiter.GENERATOR)
        kinds = [(one.kind, one.name) for one in broken]
        return max(broken, key=lambda one: kinds.count((one.kind, one.name)), default=None)

    @property
    def width(self) -> float:
        """How much higher the failing load is than the passing one, as a fraction."""
        return self.failed / self.passed - 1 if self.passed and self.failed else math.inf


@dataclass(slots=True)
class Search:
    """A search from load `start` up to `most`, until the answer is as narrow as `tolerance`.

    `fit` makes a load one that can be tried, as a whole number of bots does.
    """

    trial: Callable[[float], Awaitable[Trial]]
    start: float = 1.0
    most: float = 1000.0
    tolerance: float = 0.05
    repeats: int = 3
    fit: Callable[[float], float] = float
    found: Found = field(default_factory=Found)

    async def run(self) -> Found:
        """Return the answer."""
        await self._ramp()
        while self._open():
            await self._halve()
            if not self._open() and not await self._passes(self.found.passed):
                self._step_back()
        return self.found

    async def _ramp(self) -> None:
        """Double while it passes; or halve until it does."""
        found, load = self.found, self.fit(self.start)
        if await self._clears(load):
            found.passed = load
            while found.failed is None and found.passed < self.most:
                load = self.fit(min(load * 2, self.most))
                if load <= found.passed:
                    found.beyond = "the scenario can have no higher load"
                    return
                await self._climb(load)
                if found.beyond:
                    return
            return
        found.failed = load
        await self._descend(self.start / LOWEST_PART)

    async def _climb(self, load: float) -> None:
        """Try a higher load; what was measured stays though the scenario cannot have it."""
        found = self.found
        try:
            clears = await self._clears(load)
        except UsageError as error:
            found.beyond = str(error)
            return
        if clears:
            found.passed = load
        else:
            found.failed = load

    async def _descend(self, lowest: float) -> None:
        found = self.found
        while found.passed is None and found.failed and found.failed > lowest:
            load = self.fit(found.failed / 2)
            if load >= found.failed:
                return
            if await self._clears(load):
                found.passed = load
            else:
                found.failed = load

    async def _clears(self, load: float) -> bool:
        """Tell whether a load passes at once, or in the majority of all repeats."""
        return (await self._try(load)).limit is None or await self._passes(load)

    def _open(self) -> bool:
        """Tell whether there is a load between the two to be tried."""
        found = self.found
        if found.passed is None or found.failed is None or len(found.trials) >= MOST_TRIALS:
            return False
        middle = self._middle(found.passed, found.failed)
        return found.width > self.tolerance and found.passed < middle < found.failed

    async def _halve(self) -> None:
        found = self.found
        middle = self._middle(found.passed or 0.0, found.failed or 0.0)
        if await self._passes(middle):
            found.passed = middle
        else:
            found.failed = middle

    def _step_back(self) -> None:
        """What passed once has failed since: go on below it."""
        found = self.found
        found.failed = found.passed
        below = {one.load for one in found.trials if found.failed and one.load < found.failed}
        good = [load for load in below if self._majority(load)]
        found.passed = max(good, default=None)

    def _middle(self, low: float, high: float) -> float:
        return self.fit(math.sqrt(low * high))

    async def _passes(self, load: float | None) -> bool:
        """Try a load until the majority of all repeats is certain."""
        if load is None:
            return False
        while not self._settled(load):
            await self._try(load)
        return self._majority(load)

    def _settled(self, load: float) -> bool:
        good = sum(one.limit is None for one in self.found.at(load))
        bad = len(self.found.at(load)) - good
        return max(good, bad) > self.repeats // 2

    def _majority(self, load: float) -> bool:
        trials = self.found.at(load)
        return sum(one.limit is None for one in trials) * 2 > len(trials)

    async def _try(self, load: float) -> Trial:
        trial = await self.trial(load)
        self.found.trials.append(trial)
        return trial
