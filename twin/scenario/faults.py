"""Carries out what a scenario's events do, and writes down what really happened."""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from twin.chaos.faultlog import FaultEntry, FaultLog
from twin.errors import TwinError
from twin.scenario.actions import Action, BrokerKill, BrokerPause, RegistrarKill, RegistrarPause
from twin.scenario.model import ScheduledEvent
from twin.scenario.triggers import EdgeTrigger
from twin.scenario.values import NS_PER_S

__all__ = ["FaultRunner", "Killable"]


class Killable(Protocol):
    """A process of the run that a fault may act on."""

    async def kill(self) -> None:
        """End it at once."""

    async def start(self) -> None:
        """Start it again."""

    def pause(self) -> None:
        """Stop it where it is."""

    def resume(self) -> None:
        """Let it go on."""


class FaultRunner:
    """Starts the faults of a run as tasks of `group`; every declared fault is in the log.

    Healing is part of a fault: `finish` waits until each is over, so that nothing stays
    broken by accident when the run drains.
    """

    def __init__(
        self,
        events: tuple[ScheduledEvent, ...],
        targets: Mapping[str, Killable],
        group: asyncio.TaskGroup,
    ) -> None:
        self.log = FaultLog()
        self._targets = targets
        self._group = group
        self._tasks: list[asyncio.Task[None]] = []
        declared = [
            (event, self.log.declare(event.do.fault, event.do.fault.partition(".")[0], event.at))
            for event in events
        ]
        self._timed = [(event, entry) for event, entry in declared if event.at is not None]
        self._conditional = [
            (EdgeTrigger(event.when), event, entry) for event, entry in declared if event.when
        ]

    def at_times(self, wall: Callable[[int], int]) -> list[tuple[int, Callable[[], None]]]:
        """Return what is due at moments of simulated time; `wall` maps them to wall time."""
        return [
            (event.at, partial(self._start, event.do, entry, wall(event.at)))
            for event, entry in self._timed
            if event.at is not None
        ]

    def check(self, snapshot: Mapping[str, float]) -> list[str]:
        """Start what the fleet's state triggers now; return the conditions that fired."""
        hits = []
        for trigger, event, entry in self._conditional:
            if trigger.fires(snapshot):
                self._start(event.do, entry, time.time_ns())
                hits.append(trigger.text)
        return hits

    async def finish(self) -> None:
        """Wait until every fault that was started is over."""
        await asyncio.gather(*self._tasks)

    def _start(self, action: Action, entry: FaultEntry, intended_wall_ns: int) -> None:
        entry.intended_wall_ns = intended_wall_ns
        self._tasks.append(self._group.create_task(self._carry_out(action, entry)))

    async def _carry_out(self, action: Action, entry: FaultEntry) -> None:
        target = self._targets[entry.target]
        try:
            match action:
                case BrokerKill() | RegistrarKill():
                    await _kill(target, action.restart_after, entry)
                case BrokerPause() | RegistrarPause():
                    await _pause(target, action.for_, entry)
        except TwinError as error:
            entry.failed(str(error))


async def _kill(target: Killable, restart_after_ns: int | None, entry: FaultEntry) -> None:
    await target.kill()
    entry.fired()
    if restart_after_ns is not None:
        await asyncio.sleep(restart_after_ns / NS_PER_S)
        await target.start()
        entry.healed()


async def _pause(target: Killable, for_ns: int, entry: FaultEntry) -> None:
    target.pause()
    entry.fired()
    try:
        await asyncio.sleep(for_ns / NS_PER_S)
    finally:
        target.resume()
    entry.healed()
