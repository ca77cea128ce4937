"""Which events a closed segment may hold: a Bloom filter over (id, source), in memory."""

from collections.abc import Iterable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["KeyFilter", "Keys", "any_twice", "keys_of"]

BITS: Final = 25
"""Four MiB a filter: with a million events 0.3 % of others are taken for one of them."""

MASK: Final = (1 << BITS) - 1

Keys: TypeAlias = NDArray[np.int64]


def keys_of(identities: Iterable[tuple[str, str]]) -> Keys:
    """Return a number for each (id, source); they hold for this process only."""
    return np.fromiter(map(hash, identities), np.int64)


def any_twice(keys: Keys) -> bool:
    """Tell whether a key is among these more than once."""
    ordered = np.sort(keys)
    return bool((ordered[1:] == ordered[:-1]).any())


class KeyFilter:
    """Takes keys; `may_hold` never denies one that was added."""

    def __init__(self) -> None:
        self._bits = np.zeros((1 << BITS) // 8, np.uint8)

    def add(self, keys: Keys) -> None:
        """Remember keys."""
        for places in _places(keys):
            bits = np.left_shift(1, places & 7).astype(np.uint8)
            np.bitwise_or.at(self._bits, places >> 3, bits)

    def suspects(self, keys: Keys) -> list[int]:
        """Return the places of the keys that may have been added."""
        found: list[int] = self.may_hold(keys).nonzero()[0].tolist()
        return found

    def may_hold(self, keys: Keys) -> NDArray[np.bool_]:
        """Tell of each key whether it may have been added."""
        one, other = ((self._bits[places >> 3] >> (places & 7)) & 1 for places in _places(keys))
        found: NDArray[np.bool_] = (one & other).astype(np.bool_)
        return found


def _places(keys: Keys) -> tuple[Keys, Keys]:
    return keys & MASK, (keys >> 32) & MASK
