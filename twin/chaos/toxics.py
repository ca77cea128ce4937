"""What a proxy can do to the bytes that pass through it: Toxiproxy's toxics, by its names.

Each toxic object acts on one direction of one connection, a `Lane`. An `Effect` is what all
objects of one fault share: whether it is still wanted, and what it has really touched.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, Protocol

__all__ = [
    "Bandwidth",
    "Chunk",
    "Effect",
    "Lane",
    "Latency",
    "LimitData",
    "ResetPeer",
    "Slicer",
    "SlowClose",
    "Timeout",
    "Toxic",
]

PERCEPTIBLE_S: Final = 0.001
"""What is held for less than this is not counted as hit: the event loop itself is no faster."""
QUANTUM_S: Final = 0.1
"""Bandwidth lets at most as much through at once as the rate gives in this time."""


class Chunk(NamedTuple):
    """Bytes, and when the proxy got them (time of the event loop)."""

    data: bytes
    arrived: float


Onward = Callable[[Chunk], Awaitable[None]]
"""Hands bytes to the next toxic, or to the other side."""


class Lane(Protocol):
    """One direction of one connection."""

    def close(self) -> None:
        """End the whole connection in good order."""

    def reset(self) -> None:
        """End the whole connection with a TCP reset on both sides."""


class Effect:
    """What one fault has done so far. `touched` is set with the first byte or connection.

    `data` counts bytes that were delayed, cut up or dropped, `connections` those that were
    closed, reset or refused; `longest_s` is how long bytes were held at most.
    """

    def __init__(self) -> None:
        self.touched = asyncio.Event()
        self.data = 0
        self.connections = 0
        self.longest_s = 0.0
        self._over = asyncio.Event()

    @property
    def over(self) -> bool:
        """Whether the fault is not wanted any more."""
        return self._over.is_set()

    def end(self) -> None:
        """Let go of everything at once."""
        self._over.set()

    def hit_data(self, size: int) -> None:
        """Count bytes."""
        self.data += size
        self.touched.set()

    def hit_connection(self) -> None:
        """Count a connection."""
        self.connections += 1
        self.touched.set()

    async def hold(self, size: int, moment: float) -> None:
        """Hold bytes until a time of the event loop; they are hit once that can be seen."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        seen = began + PERCEPTIBLE_S
        await self.sleep_until(min(seen, moment))
        if moment < seen or self.over:
            return
        self.hit_data(size)
        await self.sleep_until(moment)
        self.longest_s = max(self.longest_s, loop.time() - began)

    async def sleep_until(self, moment: float) -> None:
        """Sleep until a time of the event loop, or until the fault is over."""
        delay = moment - asyncio.get_running_loop().time()
        if delay <= 0 or self.over:
            return
        try:
            async with asyncio.timeout(delay):
                await self._over.wait()
        except TimeoutError:
            return

    async def sleep(self, seconds: float) -> None:
        """Sleep so long, or until the fault is over."""
        await self.sleep_until(asyncio.get_running_loop().time() + seconds)

    def __str__(self) -> str:
        parts = [f"{self.data} bytes"] if self.data else []
        parts += [f"{self.connections} connections"] if self.connections else []
        held = f", held up to {self.longest_s * 1000:.0f} ms" if self.longest_s else ""
        return f"hit {' and '.join(parts) or 'nothing'}{held}"


class Toxic:
    """The toxic that does nothing; others change one of these steps.

    `random` is the fault's own stream of numbers, from the seed of the run.
    """

    def __init__(self, effect: Effect, random: random.Random) -> None:
        self.effect = effect
        self.random = random

    async def attach(self, lane: Lane) -> None:
        """Act on a lane as such, once, beside the bytes."""

    def detach(self, lane: Lane) -> None:
        """Let go of a lane, when the fault is over before the connection is."""

    async def carry(self, chunk: Chunk, lane: Lane, onward: Onward) -> None:
        """Pass bytes on; in order, since the next ones wait until this returns."""
        await onward(chunk)

    async def close(self) -> None:
        """Be asked before the end of one side is passed on to the other."""


class Latency(Toxic):
    """Delays all data by latency +/- jitter seconds, without limiting how much flows."""

    def __init__(
        self, effect: Effect, random: random.Random, latency: float, jitter: float = 0.0
    ) -> None:
        super().__init__(effect, random)
        self._latency, self._jitter = latency, jitter

    async def carry(self, chunk: Chunk, lane: Lane, onward: Onward) -> None:
        """Hold bytes until their delay, counted from their arrival, is over."""
        delay = self._latency + self.random.uniform(-self._jitter, self._jitter)
        await self.effect.hold(len(chunk.data), chunk.arrived + max(0.0, delay))
        await onward(chunk)


class Bandwidth(Toxic):
    """Lets at most `rate` bytes a second through."""

    def __init__(self, effect: Effect, random: random.Random, rate: float) -> None:
        super().__init__(effect, random)
        self._rate = rate
        self._free_at = 0.0

    async def carry(self, chunk: Chunk, lane: Lane, onward: Onward) -> None:
        """Pass pieces on, each once the line has had the time for it."""
        size = max(1, int(self._rate * QUANTUM_S))
        for at in range(0, len(chunk.data), size):
            piece = chunk.data[at : at + size]
            now = asyncio.get_running_loop().time()
            self._free_at = max(now, self._free_at) + len(piece) / self._rate
            await self.effect.hold(len(piece), self._free_at)
            await onward(Chunk(piece, chunk.arrived))


class Slicer(Toxic):
    """Cuts data into pieces of `average_size` +/- `size_variation` bytes, `delay` s apart."""

    def __init__(
        self,
        effect: Effect,
        random: random.Random,
        average_size: int,
        size_variation: int = 0,
        delay: float = 0.0,
    ) -> None:
        super().__init__(effect, random)
        self._average, self._variation, self._delay = average_size, size_variation, delay

    async def carry(self, chunk: Chunk, lane: Lane, onward: Onward) -> None:
        """Pass the pieces on one by one."""
        at = 0
        while at < len(chunk.data):
            spread = self.random.randint(-self._variation, self._variation)
            piece = chunk.data[at : at + max(1, self._average + spread)]
            if self.effect.over:
                piece = chunk.data[at:]
            at += len(piece)
            if self._delay or len(piece) < len(chunk.data):  # what stays whole was not hit
                self.effect.hit_data(len(piece))
            await onward(Chunk(piece, chunk.arrived))
            await self.effect.sleep(self._delay)


class Timeout(Toxic):
    """Lets nothing through, and closes the connection after `timeout` s.

    With 0, or when the fault is over before, at the end of the fault: bytes are gone, so that
    the connection cannot go on.
    """

    def __init__(self, effect: Effect, random: random.Random, timeout: float = 0.0) -> None:
        super().__init__(effect, random)
        self._timeout = timeout

    async def attach(self, lane: Lane) -> None:
        """Close the connection in time."""
        if self._timeout:
            await self.effect.sleep(self._timeout)
            self.detach(lane)

    def detach(self, lane: Lane) -> None:
        """Close the connection."""
        self.effect.hit_connection()
        lane.close()

    async def carry(self, chunk: Chunk, lane: Lane, onward: Onward) -> None:
        """Drop bytes."""
        self.effect.hit_data(len(chunk.data))


class ResetPeer(Toxic):
    """Resets the connection `timeout` s after it was made, or after the fault began."""

    def __init__(self, effect: Effect, random: random.Random, timeout: float = 0.0) -> None:
        super().__init__(effect, random)
        self._timeout = timeout

    async def attach(self, lane: Lane) -> None:
        """Reset it, unless the fault is over before."""
        await self.effect.sleep(self._timeout)
        if not self.effect.over or not self._timeout:
            self.effect.hit_connection()
            lane.reset()


class LimitData(Toxic):
    """Closes the connection once `limit` bytes have passed."""

    def __init__(self, effect: Effect, random: random.Random, limit: int) -> None:
        super().__init__(effect, random)
        self._left = limit

    async def carry(self, chunk: Chunk, lane: Lane, onward: Onward) -> None:
        """Pass on what is allowed."""
        if self.effect.over or len(chunk.data) < self._left:
            self._left -= len(chunk.data)
            await onward(chunk)
            return
        await onward(Chunk(chunk.data[: self._left], chunk.arrived))
        self._left = 0
        self.effect.hit_connection()
        lane.close()


class SlowClose(Toxic):
    """Passes the end of a connection on `delay` s late."""

    def __init__(self, effect: Effect, random: random.Random, delay: float) -> None:
        super().__init__(effect, random)
        self._delay = delay

    async def close(self) -> None:
        """Hold the end back."""
        self.effect.hit_connection()
        await self.effect.sleep(self._delay)
