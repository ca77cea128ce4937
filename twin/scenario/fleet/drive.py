"""The bridge between the world and the broker: paces SimPy from asyncio, and offers events.

The world is synchronous and knows no wall clock. Here its next instant is awaited, its
step is made, and what it emitted goes to the publisher, which never makes it wait: demand
stays as intended while the broker is slow (open model).
"""

import asyncio
from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Protocol

from twin.events.event import Event
from twin.scenario.language.values import NS_PER_S
from twin.simulation.pacing import Pacer

__all__ = ["Drivable", "Outlet", "Timeline", "drive"]

YIELD_EVERY = 64


class Drivable(Protocol):
    """What is driven: the world, or a shard of it."""

    def peek_ns(self) -> int | None:
        """Return the next instant at which something happens."""

    def step(self) -> None:
        """Let everything of that instant happen."""


class Outlet(Protocol):
    """Where events go; see `twin.jetstream.Publisher`."""

    def offer(self, events: list[Event], intended_ns: list[int], slip_us: int) -> None:
        """Take events over without waiting."""

    async def room(self) -> None:
        """Wait until few events are waiting."""


class Timeline:
    """What else is due at moments of simulated time, in order: phases, faults, samples."""

    def __init__(self, entries: Iterable[tuple[int, Callable[[], None]]] = ()) -> None:
        self._count = count()
        self._entries = [(at, next(self._count), action) for at, action in entries]
        heapify(self._entries)

    def add(self, sim_ns: int, action: Callable[[], None]) -> None:
        """Add an entry; one that is due already is done at the next instant."""
        heappush(self._entries, (sim_ns, next(self._count), action))

    def peek_ns(self) -> int | None:
        """Return when the next entry is due."""
        return self._entries[0][0] if self._entries else None

    def run_due(self, sim_ns: int) -> None:
        """Do everything that is due at or before `sim_ns`, in the order in which it was added."""
        while self._entries and self._entries[0][0] <= sim_ns:
            heappop(self._entries)[2]()


async def drive(
    world: Drivable,
    emitted: list[Event],
    outlet: Outlet,
    *,
    pacer: Pacer,
    timeline: Timeline,
    end_ns: int,
) -> None:
    """Step `world` up to, not including, `end_ns`; its sink appends to `emitted`.

    Timeline entries run before the world's events of the same instant.
    """
    steps = 0
    while True:
        instants = [at for at in (world.peek_ns(), timeline.peek_ns()) if at is not None]
        now = min(instants, default=end_ns)
        if now >= end_ns:
            break
        await _until_due(pacer, outlet, now)
        timeline.run_due(now)
        if world.peek_ns() == now:
            world.step()
        if emitted:
            slip_us = pacer.slip_us(now)
            batch = emitted[:]
            emitted.clear()
            outlet.offer(batch, [pacer.intended_ns(event.sim_ns) for event in batch], slip_us)
        steps += 1
        if steps % YIELD_EVERY == 0:
            await asyncio.sleep(0)
    await _until_due(pacer, outlet, end_ns)


async def _until_due(pacer: Pacer, outlet: Outlet, sim_ns: int) -> None:
    if pacer.fast:
        await outlet.room()
    elif (early_ns := pacer.early_ns(sim_ns)) > 0:
        await asyncio.sleep(early_ns / NS_PER_S)
