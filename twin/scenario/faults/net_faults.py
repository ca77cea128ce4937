"""Carries out faults of the network; one has fired once it has hit bytes or a connection."""

import asyncio
import random
from collections.abc import Callable
from functools import partial

from twin.chaos.faultlog import FaultEntry
from twin.chaos.network import Dose, Proxy
from twin.chaos.toxics import (
    Bandwidth,
    Effect,
    Latency,
    LimitData,
    ResetPeer,
    Slicer,
    SlowClose,
    Timeout,
    Toxic,
)
from twin.errors import InfrastructureError
from twin.scenario.language.net_actions import (
    NetBandwidth,
    NetFault,
    NetLatency,
    NetLimitData,
    NetResetPeer,
    NetSlicer,
    NetSlowClose,
    NetTimeout,
    Toxicant,
)
from twin.scenario.language.values import NS_PER_S

__all__ = ["break_network"]

BYTES_PER_KB = 1000
LEAST_S = 1.0
"""How long a fault that is shorter may wait for something to act on."""


async def break_network(action: NetFault, proxy: Proxy, entry: FaultEntry, seed: int) -> None:
    """Do it, see that it takes hold, wait as long as it lasts, and undo it."""
    effect = Effect()
    seconds = action.for_ / NS_PER_S
    if isinstance(action, Toxicant):
        chance = random.Random(f"{seed}/{entry.id}")  # noqa: S311 - chance of a test, no secret
        dose = Dose(_maker(action), action.stream, action.toxicity, effect, chance)
        with proxy.dosed(dose):
            await _last(seconds, effect, entry)
    else:
        await proxy.down(effect)
        try:
            await _last(seconds, effect, entry)
        finally:
            await proxy.up()
    if effect.touched.is_set() and entry.fired_wall_ns is None:
        entry.fired()  # by its end, which closes connections
    entry.healed()
    if effect.touched.is_set():
        entry.detail = str(effect)
    else:
        entry.spared(f"nothing of {entry.target} was hit")


async def _last(seconds: float, effect: Effect, entry: FaultEntry) -> None:
    """Wait until the fault is over; it has fired with the first that it hits.

    What is hit only after its time makes it last for `seconds` from then on.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    try:
        async with asyncio.timeout(max(seconds, LEAST_S)):
            await effect.touched.wait()
    except TimeoutError:
        return
    entry.fired()
    left = end - loop.time()
    await asyncio.sleep(left if left > 0 else seconds)


def _maker(action: Toxicant) -> Callable[[Effect, random.Random], Toxic]:
    """Return what makes the toxic for one lane."""
    make: Callable[[Effect, random.Random], Toxic]
    match action:
        case NetLatency():
            latency, jitter = action.latency / NS_PER_S, action.jitter / NS_PER_S
            make = partial(Latency, latency=latency, jitter=jitter)
        case NetBandwidth():
            make = partial(Bandwidth, rate=action.rate * BYTES_PER_KB)
        case NetSlicer():
            make = partial(
                Slicer,
                average_size=action.average_size,
                size_variation=action.size_variation,
                delay=action.delay / NS_PER_S,
            )
        case NetTimeout():
            make = partial(Timeout, timeout=action.timeout / NS_PER_S)
        case NetResetPeer():
            make = partial(ResetPeer, timeout=action.timeout / NS_PER_S)
        case NetLimitData():
            make = partial(LimitData, limit=action.bytes)
        case NetSlowClose():
            make = partial(SlowClose, delay=action.delay / NS_PER_S)
        case _:
            raise InfrastructureError(f"{action.fault} is no fault of the network")
    return make
