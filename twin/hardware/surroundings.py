"""What is around each bot: its own objects and the bots of its group, in one table."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from twin.hardware.contacts import Contacts, Iff, Kind, Xpdr
from twin.hardware.peers import Peers
from twin.hardware.plane import Bools, Floats, Range
from twin.hardware.shard import Shard
from twin.spec.params.radar import RadarParams

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["Surroundings"]

BOT_RCS_DBSM: Final = 1.0


class Surroundings:
    """Ground truth about `objects` things around each bot: own contacts, then group mates.

    `relative_m` and `relative_mps` (3, objects, n) are seen from the bot, in world axes;
    `distance_m` and `ground_m` (objects, n) the distances in space and on the horizontal plane,
    never quite 0. `present`, `kind`, `iff`, `mode`, `identity` (index into `identities`, -1:
    sends none) and `rcs_dbsm` (objects, n) say what they are. `nearest_m` (n,) is the distance
    of the nearest, inf where there is none.
    """

    name = "surroundings"
    startable: Mapping[str, Range] = MappingProxyType({})
    inputs: Mapping[str, Range] = MappingProxyType({})

    def __init__(self, shard: Shard, params: RadarParams, home: Floats) -> None:
        self._contacts = Contacts(shard, params.contacts, home)
        self._peers = Peers(shard, params.peers)
        contacts, peers = self._contacts, self._peers
        self.objects = contacts.count + params.peers
        self.identities = (*contacts.identities, *peers.identities)
        mates = np.zeros((params.peers, shard.n), dtype=np.int8)
        self.kind = np.concatenate((contacts.kind, mates + np.int8(Kind.DRONE)))
        self.iff = np.concatenate((contacts.iff, mates + np.int8(Iff.FRIEND)))
        self.mode = np.concatenate((contacts.mode, mates + np.int8(Xpdr.ON)))
        self.identity = np.concatenate((contacts.identity, peers.index + len(contacts.identities)))
        self.rcs_dbsm: Floats = np.concatenate((contacts.rcs_dbsm, mates + BOT_RCS_DBSM))
        own = np.ones((contacts.count, shard.n), dtype=np.bool_)
        self.present: Bools = np.concatenate((own, peers.present))
        shape = (self.objects, shard.n)
        self.relative_m, self.relative_mps = np.zeros((2, 3, *shape))
        self.distance_m, self.ground_m = np.zeros((2, *shape))
        self.nearest_m = np.full(shard.n, np.inf)

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Let the objects fly on, and look where they are from where the bots are."""
        own = self._contacts.count
        self._contacts.step(dt_s)
        here, pace = hw.motion.position_m.T, hw.motion.velocity_mps.T
        np.subtract(self._contacts.position, here[:, np.newaxis], out=self.relative_m[:, :own])
        np.subtract(self._contacts.velocity, pace[:, np.newaxis], out=self.relative_mps[:, :own])
        if self.objects > own:
            self.relative_m[:, own:] = here[:, self._peers.index] - here[:, np.newaxis]
            self.relative_mps[:, own:] = pace[:, self._peers.index] - pace[:, np.newaxis]
        x, y, z = self.relative_m
        ground = x * x
        ground += y * y
        distance = z * z
        distance += ground
        np.sqrt(ground, out=self.ground_m)
        np.sqrt(distance, out=self.distance_m)
        self.ground_m += 1e-9
        self.distance_m += 1e-9
        self._find_nearest()

    def _find_nearest(self) -> None:
        self.nearest_m[:] = np.inf
        for distance, present in zip(self.distance_m, self.present, strict=True):
            np.minimum(self.nearest_m, distance, out=self.nearest_m, where=present)
