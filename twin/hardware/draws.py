"""Random numbers that belong to a bot and a plane, whatever shard the bot lives in."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

import numpy as np

from twin.hardware.plane import Floats

__all__ = ["BLOCK_TICKS", "Draw", "Draws", "generator"]

BLOCK_TICKS: Final = 32
"""Ticks that one refill lasts. Part of what a seed means: changing it changes every value."""


def generator(seed: int, *names: str) -> np.random.Generator:
    """Return the stream of random numbers that `seed` and `names` (bot, plane, ...) select."""
    key = "\x00".join((str(seed), *names)).encode()
    entropy = int.from_bytes(blake2b(key, digest_size=16).digest(), "big")
    return np.random.Generator(np.random.SFC64(entropy))


class Draw(NamedTuple):
    """Values of one tick: standard normals (n, normals), uniforms in [0, 1) (n, uniforms).

    Both are views whose columns are contiguous; they hold until the next `next()`.
    """

    normals: Floats
    uniforms: Floats


class Draws:
    """A fixed number of random values per bot and tick, from one generator per bot.

    Values depend on seed, bot, plane, counts and the number of the tick only, never on the
    other bots. They are drawn for BLOCK_TICKS ticks at once; while one block is used up the
    next is filled, a few bots each tick, so that no tick pays for a whole refill.
    """

    def __init__(
        self, seed: int, bots: Sequence[str], plane: str, *, normals: int = 0, uniforms: int = 0
    ) -> None:
        self._generators = [generator(seed, bot, plane) for bot in bots]
        self._normals, self._uniforms = normals, uniforms
        shape = (BLOCK_TICKS, normals + uniforms, len(bots))
        self._now, self._next = np.empty(shape), np.empty(shape)
        self._tick = 0
        self._fill(self._next, 0, len(bots))

    def next(self) -> Draw:
        """Return the values of the next tick."""
        slot = self._tick % BLOCK_TICKS
        if slot == 0:
            self._now, self._next = self._next, self._now
        bots = len(self._generators)
        self._fill(self._next, bots * slot // BLOCK_TICKS, bots * (slot + 1) // BLOCK_TICKS)
        self._tick += 1
        values = self._now[slot]
        return Draw(values[: self._normals].T, values[self._normals :].T)

    def _fill(self, block: Floats, first: int, last: int) -> None:
        """Draw one block for the bots of [first, last)."""
        normals = np.empty((last - first, BLOCK_TICKS, self._normals))
        uniforms = np.empty((last - first, BLOCK_TICKS, self._uniforms))
        chosen = self._generators[first:last]
        if self._normals:
            for stream, own in zip(chosen, normals, strict=True):
                stream.standard_normal(out=own)
        if self._uniforms:
            for stream, own in zip(chosen, uniforms, strict=True):
                stream.random(out=own)
        block[:, : self._normals, first:last] = normals.transpose(1, 2, 0)
        block[:, self._normals :, first:last] = uniforms.transpose(1, 2, 0)
