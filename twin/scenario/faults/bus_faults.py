"""Carries out faults of streams and of the scenario's consumers; each says what it has hit."""

import asyncio

from twin.chaos.consumer import Manner, SimulatedConsumer
from twin.chaos.faultlog import FaultEntry
from twin.chaos.stream import BreakableStream
from twin.errors import BrokerUnreachable, InfrastructureError
from twin.scenario.language.bus_actions import (
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
from twin.scenario.language.values import NS_PER_S

__all__ = ["break_bus"]

MANNERS = {
    ConsumerStall: Manner.HOLD,
    ConsumerCrash: Manner.GONE,
    ConsumerNak: Manner.REFUSE,
    ConsumerTerm: Manner.TERMINATE,
}
DONE = {
    ConsumerStall: "held",
    ConsumerCrash: "kept waiting",
    ConsumerNak: "refused",
    ConsumerTerm: "terminated",
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
        case ConsumerDelete():
            floor = await consumer.delete()
            await _last(seconds, entry)
            await consumer.restore(floor)
            entry.detail = f"deleted when its ack floor was {floor}"
            entry.healed()
        case ConsumerPause():
            await consumer.pause(seconds)
            await _last(seconds, entry)
            hit = await consumer.waiting()
            await consumer.resume()
            _over(entry, hit, "kept waiting")
        case ConsumerSlow():
            usual, consumer.rate, consumer.late = consumer.rate, action.rate, 0
            await _last(seconds, entry)
            hit, consumer.rate = consumer.late, usual
            _over(entry, hit, "late")
        case _:
            await _misbehave(action, consumer, entry)


async def _misbehave(action: ConsumerFault, consumer: SimulatedConsumer, entry: FaultEntry) -> None:
    """Let it treat messages otherwise; a consumer that is gone leaves them to wait."""
    consumer.manner, consumer.mistreated = MANNERS[type(action)], 0
    try:
        await _last(action.for_ / NS_PER_S, entry)
        gone = consumer.manner is Manner.GONE
        hit = await _waiting(consumer) if gone else consumer.mistreated
    finally:
        consumer.manner = Manner.WORK
    _over(entry, hit, DONE[type(action)])


async def _waiting(consumer: SimulatedConsumer) -> int | None:
    """Return what waits for it; None when the broker is away, too, and cannot be asked."""
    try:
        return await consumer.waiting()
    except BrokerUnreachable:
        return None


async def _break_stream(action: StreamFault, stream: BreakableStream, entry: FaultEntry) -> None:
    match action:
        case StreamPurge():
            entry.fired()
            _over(entry, await stream.purge(), "purged")
        case StreamDelete():
            deleted = await stream.delete()
            entry.fired()
            entry.detail = f"{deleted.messages} messages"
            if action.restore_after is None:
                return
            await asyncio.sleep(action.restore_after / NS_PER_S)
            await stream.make_again(deleted)
            entry.healed()
        case StreamEvict():
            before = await stream.limit(action.max_msgs, evict=True)
            await _last(action.for_ / NS_PER_S, entry)
            _over(entry, await stream.restore(before), "evicted")
        case StreamFull():
            await _fill(stream, action.for_ / NS_PER_S, entry)


async def _fill(stream: BreakableStream, seconds: float, entry: FaultEntry) -> None:
    """Let the stream take nothing; who else publishes there does not tell what was refused."""
    refusals = stream.refusals
    already = refusals() if refusals else 0
    before = await stream.limit(None, evict=False)
    await _last(seconds, entry)
    await stream.restore(before)
    _over(entry, refusals() - already if refusals else None, "refused")


async def _last(seconds: float, entry: FaultEntry) -> None:
    entry.fired()
    await asyncio.sleep(seconds)


def _over(entry: FaultEntry, hit: int | None, what: str) -> None:
    """Write down that it is over, and how many messages it has hit, if that is known."""
    entry.healed()
    if hit:
        entry.detail = f"{hit} messages {what}"
    elif hit == 0:
        entry.spared(f"no message was {what}")
