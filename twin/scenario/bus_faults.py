"""Carries out faults of streams and of the scenario's consumers; each is seen to have fired."""

import asyncio

from twin.chaos.consumer import Manner, SimulatedConsumer
from twin.chaos.faultlog import FaultEntry
from twin.chaos.stream import BreakableStream
from twin.errors import InfrastructureError
from twin.scenario.bus_actions import (
    BusFault,
    ConsumerCrash,
    ConsumerDelete,
    ConsumerFault,
    ConsumerNak,
    ConsumerPause,
    ConsumerSlow,
    ConsumerStall,
    ConsumerTerm,
    StreamDelete,
    StreamEvict,
    StreamFault,
    StreamFull,
    StreamPurge,
)
from twin.scenario.values import NS_PER_S

__all__ = ["break_bus"]

MANNERS = {
    ConsumerStall: Manner.HOLD,
    ConsumerCrash: Manner.GONE,
    ConsumerNak: Manner.REFUSE,
    ConsumerTerm: Manner.TERMINATE,
}


async def break_bus(
    action: BusFault, target: SimulatedConsumer | BreakableStream, entry: FaultEntry
) -> None:
    """Do it, wait as long as it lasts, and undo it."""
    match action, target:
        case ConsumerFault(), SimulatedConsumer():
            await _break_consumer(action, target, entry)
        case StreamFault(), BreakableStream():
            await _break_stream(action, target, entry)
        case _:
            raise InfrastructureError(f"{action.fault} cannot be done to {entry.target}")


async def _break_consumer(
    action: ConsumerFault, consumer: SimulatedConsumer, entry: FaultEntry
) -> None:
    seconds = action.for_ / NS_PER_S
    match action:
        case ConsumerPause():
            await consumer.pause(seconds)
            await _last(seconds, entry)
            await consumer.resume()
        case ConsumerDelete():
            floor = await consumer.delete()
            await _last(seconds, entry)
            await consumer.restore(floor)
        case ConsumerSlow():
            before, consumer.rate = consumer.rate, action.rate
            await _last(seconds, entry)
            consumer.rate = before
        case _:
            consumer.manner = MANNERS[type(action)]
            await _last(seconds, entry)
            consumer.manner = Manner.WORK
    entry.healed()


async def _break_stream(action: StreamFault, stream: BreakableStream, entry: FaultEntry) -> None:
    match action:
        case StreamPurge():
            if not (purged := await stream.purge()):
                raise InfrastructureError("there was nothing to purge")
            entry.fired()
            entry.detail = f"{purged} messages"
        case StreamDelete():
            deleted = await stream.delete()
            entry.fired()
            entry.detail = f"{deleted.messages} messages"
            if action.restore_after is None:
                return
            await asyncio.sleep(action.restore_after / NS_PER_S)
            await stream.make_again(deleted)
        case StreamFull() | StreamEvict():
            evict = isinstance(action, StreamEvict)
            most = action.max_msgs if isinstance(action, StreamEvict) else None
            before = await stream.limit(most, evict=evict)
            await _last(action.for_ / NS_PER_S, entry)
            await stream.restore(before)
    entry.healed()


async def _last(seconds: float, entry: FaultEntry) -> None:
    entry.fired()
    await asyncio.sleep(seconds)
