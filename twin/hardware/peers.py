"""The bots of the own group, as objects that a bot's sensors can see."""

from collections import defaultdict

import numpy as np

from twin.hardware.plane import Bools, Ints
from twin.hardware.shard import Shard

__all__ = ["Peers"]


class Peers:
    """For every bot up to `count` others of its group: those that follow it by name, in a ring.

    `index` (count, n) holds their indices in the shard, the bot itself where there is none;
    `present` (count, n) tells which are real. `identities` are the bots' transponder names.
    """

    def __init__(self, shard: Shard, count: int) -> None:
        self.index: Ints = np.tile(np.arange(shard.n), (count, 1))
        members: defaultdict[str, list[int]] = defaultdict(list)
        for bot, group in enumerate(shard.groups if count else ()):
            if group:
                members[group].append(bot)
        for ring in members.values():
            ring.sort(key=lambda bot: shard.bots[bot])
            for place, bot in enumerate(ring):
                others = ring[place + 1 :] + ring[:place]
                self.index[: len(others), bot] = others[:count]
        self.present: Bools = self.index != np.arange(shard.n)
        self.identities = [f"XPDR-{bot}" for bot in shard.bots] if count else []
