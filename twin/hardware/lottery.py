"""Random values on demand, for what happens rarely: a pure function of seed, bot and tick."""

from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.hardware.plane import Floats, Ints
from twin.hardware.rotation import cos_sin
from twin.hardware.shard import Shard

__all__ = ["Lottery"]

Words = NDArray[np.uint64]
GOLDEN: Final = 0x9E3779B97F4A7C15
MASK: Final = (1 << 64) - 1


class Lottery:
    """Counter-based random values: SplitMix64 (Steele, Lea and Flood, 2014) over bot and count.

    Unlike Draws nothing is used up: value k of a bot in a tick is the same whether or not any
    other value, of this bot or another, was asked for. So only those bots pay that need one.
    """

    def __init__(self, shard: Shard, plane: str) -> None:
        keys = [_key(f"{shard.seed}\x00{bot}\x00{plane}\x00lottery") for bot in shard.bots]
        self._keys: Words = np.array(keys, dtype=np.uint64)
        self._tick = 0

    def next_tick(self) -> None:
        """Move on to the values of the next tick."""
        self._tick += 1

    def uniforms(self, lane: int, bots: Ints | slice = slice(None)) -> Floats:
        """Return value `lane` (0 to 255) of this tick, in [0, 1), for some bots."""
        offset = np.uint64(((self._tick << 8) + lane + 1) * GOLDEN & MASK)
        values: Floats = np.float64(2.0**-53) * (_mix(self._keys[bots] + offset) >> np.uint64(11))
        return values

    def normals(self, lane: int, bots: Ints | slice = slice(None)) -> Floats:
        """Return standard normals made of the uniforms `lane` and `lane + 1` (Box-Muller)."""
        return self.pairs(lane, bots)[0]

    def pairs(self, lane: int, bots: Ints | slice = slice(None)) -> tuple[Floats, Floats]:
        """Return two independent standard normals made of the uniforms `lane` and `lane + 1`."""
        radius = np.sqrt(-2 * np.log1p(-self.uniforms(lane, bots)))
        x, y = cos_sin(np.pi * (2 * self.uniforms(lane + 1, bots) - 1))
        return radius * x, radius * y


def _key(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")


def _mix(z: Words) -> Words:
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z
