"""Random numbers that belong to a bot and a plane, whatever shard the bot lives in."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.hardware.plane import Floats

__all__ = ["BLOCK_TICKS", "Draw", "Draws", "generator"]

BLOCK_TICKS: Final = 32
"""Ticks that one refill lasts. Part of what a seed means: changing it changes every value."""

ANGLE: Final = np.float32(np.pi / 2**31)
SCALE: Final = np.float32(2**-31)
NOT_ZERO: Final = np.float32(2**-33)
MINUS_TWO: Final = np.float32(-2)


def _entropy(seed: int, *names: str) -> int:
    key = "\x00".join((str(seed), *names)).encode()
    return int.from_bytes(blake2b(key, digest_size=16).digest(), "big")


def generator(seed: int, *names: str) -> np.random.Generator:
    """Return the stream of random numbers that `seed` and `names` (bot, plane, ...) select."""
    return np.random.Generator(np.random.SFC64(_entropy(seed, *names)))


class Draw(NamedTuple):
    """Values of one tick: standard normals (n, normals), uniforms in [0, 1) (n, uniforms).

    Both are views whose columns are contiguous; they hold until the next `next()`.
    """

    normals: Floats
    uniforms: Floats


class Draws:
    """A fixed number of random values per bot and tick, from one stream of bits per bot.

    Values depend on seed, bot, plane, counts and the number of the tick only, never on the
    other bots. Bits are drawn for BLOCK_TICKS ticks at once; while one block is used up the
    next is filled, a few bots each tick, so that no tick pays for a whole refill.

    A word of 64 bits becomes two normals (Box and Muller 1958, in single precision: multiples
    of about 1e-7, at most 6.8 in size) or one uniform of 53 bits.
    """

    def __init__(
        self, seed: int, bots: Sequence[str], plane: str, *, normals: int = 0, uniforms: int = 0
    ) -> None:
        n, self._pairs = len(bots), (normals + 1) // 2
        self._streams = [np.random.SFC64(_entropy(seed, bot, plane)) for bot in bots]
        self._words = self._pairs + uniforms
        shape = (BLOCK_TICKS, self._words, n)
        self._now, self._next = np.empty(shape, np.uint64), np.empty(shape, np.uint64)
        self._radius, self._angle, self._wave = np.empty((3, self._pairs, n), np.float32)
        self._normals, self._uniforms = np.empty((2 * self._pairs, n)), np.empty((uniforms, n))
        self._draw = Draw(self._normals[:normals].T, self._uniforms.T)
        self._tick = 0
        self._fill(0, n)

    def next(self) -> Draw:
        """Return the values of the next tick."""
        slot = self._tick % BLOCK_TICKS
        if slot == 0:
            self._now, self._next = self._next, self._now
        bots = len(self._streams)
        self._fill(bots * slot // BLOCK_TICKS, bots * (slot + 1) // BLOCK_TICKS)
        self._tick += 1
        words = self._now[slot]
        self._make_normals(words[: self._pairs])
        np.right_shift(words[self._pairs :], np.uint64(11), out=words[self._pairs :])
        np.multiply(words[self._pairs :], 2.0**-53, out=self._uniforms)
        return self._draw

    def _fill(self, first: int, last: int) -> None:
        """Draw the next block of the bots of [first, last)."""
        if first == last or not self._words:
            return
        count = BLOCK_TICKS * self._words
        drawn = np.array([stream.random_raw(count) for stream in self._streams[first:last]])
        by_bot = drawn.reshape(last - first, BLOCK_TICKS, self._words)
        self._next[:, :, first:last] = by_bot.transpose(1, 2, 0)

    def _make_normals(self, words: NDArray[np.uint64]) -> None:
        """Turn the halves of each word into radius and angle, and those into two normals."""
        halves = words.view(np.int32).reshape(*words.shape, 2)
        radius, angle, wave = self._radius, self._angle, self._wave
        np.copyto(radius, halves[..., 0], casting="unsafe")
        np.abs(radius, out=radius)
        radius *= SCALE
        radius += NOT_ZERO
        np.log(radius, out=radius)
        radius *= MINUS_TWO
        np.sqrt(radius, out=radius)
        np.copyto(angle, halves[..., 1], casting="unsafe")
        angle *= ANGLE
        np.multiply(radius, np.cos(angle, out=wave), out=self._normals[: self._pairs])
        np.multiply(radius, np.sin(angle, out=wave), out=self._normals[self._pairs :])
