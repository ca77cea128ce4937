"""Carries out faults of processes: signals, ends and new starts."""

import asyncio
from typing import Protocol

from twin.chaos.disk import BrokerDisk
from twin.chaos.faultlog import FaultEntry
from twin.errors import InfrastructureError, ProcessFailed
from twin.jetstream.server import NatsServer
from twin.scenario.faults.felt import Felt
from twin.scenario.language.process_actions import (
    BrokerDiskFull,
    BrokerKill,
    BrokerLameDuck,
    BrokerPause,
    BrokerRestart,
    ProcessFault,
    RegistrarKill,
    RegistrarPause,
    ServiceKill,
    ServicePause,
    ServiceRestart,
    SlowProcess,
)
from twin.scenario.language.values import NS_PER_S
from twin.scenario.processes.service import ServiceProcess

__all__ = ["Killable", "break_process"]

PERIOD_S = 0.1
"""How long one turn of a slow process lasts, in which it stands and runs."""
LAME_DUCK_S = 45.0


class Killable(Protocol):
    """A process of the run that a fault may act on."""

    @property
    def running(self) -> bool:
        """Whether there is a process now."""

    async def kill(self) -> None:
        """End it at once."""

    async def start(self) -> None:
        """Start it again."""

    def pause(self) -> None:
        """Stop it where it is."""

    def resume(self) -> None:
        """Let it go on."""


async def break_process(
    action: ProcessFault,
    target: Killable | BrokerDisk,
    entry: FaultEntry,
    felt: Felt | None = None,
) -> None:
    """Do it, wait as long as it lasts, and undo it.

    `felt` tells whether anybody needed a process that stood still; without it none can say.
    """
    match action:
        case BrokerDiskFull() if isinstance(target, BrokerDisk):
            await _fill(target, action.for_ / NS_PER_S, entry)
        case _ if not isinstance(target, BrokerDisk):
            await _break(action, target, entry, felt)
        case _:
            raise InfrastructureError(f"{action.fault} cannot be done to a disk")


async def _break(
    action: ProcessFault, target: Killable, entry: FaultEntry, felt: Felt | None
) -> None:
    match action:
        case BrokerKill() | RegistrarKill() | ServiceKill():
            await target.kill()
            entry.fired()
            await _start_again(target, action.restart_after, entry)
        case BrokerPause() | RegistrarPause() | ServicePause():
            await _pause(target, action.for_ / NS_PER_S, entry, felt)
        case SlowProcess():
            await _slow_down(target, action, entry, felt)
        case BrokerLameDuck() if isinstance(target, NatsServer):
            await _send_away(target, entry)
            await _start_again(target, action.restart_after, entry)
        case BrokerRestart() if isinstance(target, NatsServer):
            await target.stop()
            entry.fired()
            await _start_again(target, action.after, entry)
        case ServiceRestart() if isinstance(target, ServiceProcess):
            await target.end()
            entry.fired()
            await _start_again(target, action.after, entry)
        case _:
            raise InfrastructureError(f"{action.fault} cannot be done to {entry.target}")


async def _start_again(target: Killable, after_ns: int | None, entry: FaultEntry) -> None:
    """Start it after a while; None means never."""
    if after_ns is not None:
        await asyncio.sleep(after_ns / NS_PER_S)
        await target.start()
        entry.healed()


async def _pause(target: Killable, seconds: float, entry: FaultEntry, felt: Felt | None) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    hit = None
    target.pause()
    entry.fired()
    try:
        if felt is not None:
            await felt.begin()
        await asyncio.sleep(max(0.0, end - loop.time()))
        if felt is not None:
            hit = await felt.waited()
    finally:
        target.resume()
    if not target.running:
        raise ProcessFailed("it ended while it was paused")
    _over(entry, hit, felt)


def _over(entry: FaultEntry, hit: int | None, felt: Felt | None) -> None:
    """Write down that it is over, and what has felt it, if that is known."""
    entry.healed()
    if felt is None or hit is None:
        return
    if not hit:
        entry.spared(f"0 {felt.what}")
        return
    entry.detail = ", ".join(filter(None, (entry.detail, f"{hit} {felt.what}")))


async def _slow_down(
    target: Killable, action: SlowProcess, entry: FaultEntry, felt: Felt | None
) -> None:
    """Let it run a part of each turn only, until the time is over."""
    loop = asyncio.get_running_loop()
    end = loop.time() + action.for_ / NS_PER_S
    turns = 0
    try:
        while target.running and loop.time() < end:
            target.pause()
            if not turns:
                entry.fired()
                if felt is not None:
                    await felt.begin()
            await asyncio.sleep(PERIOD_S * (1 - action.share))
            target.resume()
            await asyncio.sleep(PERIOD_S * action.share)
            turns += 1
        hit = await felt.waited() if felt is not None else None
    finally:
        target.resume()
    if not target.running:
        raise ProcessFailed("it ended while it was slow")
    entry.detail = f"stopped {turns} times"
    _over(entry, hit, felt)


async def _fill(disk: BrokerDisk, seconds: float, entry: FaultEntry) -> None:
    """Leave the broker no room for a while."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    try:
        await disk.fill(seconds)
        entry.fired()
        await asyncio.sleep(max(0.0, end - loop.time()))
    finally:
        await disk.free()
    entry.healed()


async def _send_away(server: NatsServer, entry: FaultEntry) -> None:
    """Let the server go its lame duck's way to its end."""
    server.lame_duck()
    entry.fired()
    try:
        async with asyncio.timeout(LAME_DUCK_S):
            await server.wait()
    except TimeoutError:
        limit = f"{LAME_DUCK_S:g} s"
        raise InfrastructureError(f"the server still had clients after {limit}") from None
