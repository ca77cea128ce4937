"""Objects around each bot that a radar can see, with what is true about them."""

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.hardware.draws import generator
from twin.hardware.plane import Floats, Ints
from twin.hardware.shard import Shard
from twin.spec.params.radar import ContactsParams

__all__ = ["Codes", "Contacts", "Iff", "Kind", "Xpdr"]


class Kind(IntEnum):
    """What a contact is: object_type of a track."""

    UNSPECIFIED = 0
    DRONE = 1
    SHIP = 2
    STATION = 3
    ASTEROID = 4
    DEBRIS = 5


class Iff(IntEnum):
    """Friend or foe, as a track says it."""

    UNSPECIFIED = 0
    FRIEND = 1
    FOE = 2
    UNKNOWN = 3


class Xpdr(IntEnum):
    """Modes of a transponder."""

    OFF = 0
    ON = 1
    SILENT = 2
    SPOOF = 3


RCS_DBSM: Final = np.array([0.0, 1.0, 15.0, 30.0, 20.0, -5.0])
"""Typical radar cross-section of each Kind."""
HASTE: Final = np.array([0.0, 1.0, 0.7, 0.0, 0.4, 0.6])
"""Top speed of each Kind as a fraction of the fastest."""
NEAR_KINDS: Final = np.array([Kind.DRONE, Kind.SHIP, Kind.DEBRIS])
FAR_KINDS: Final = np.array([Kind.SHIP, Kind.STATION, Kind.ASTEROID])
Codes = NDArray[np.int8]
TRAITS: Final = 12
"""Uniform draws that make one contact; part of what a seed means."""


class Contacts:
    """`count` objects for each bot, each flying to and fro on a level straight line of its own.

    Rows are contacts, columns bots: `kind`, `iff`, `mode`, `rcs_dbsm` (count, n) and
    `identity` (count, n), an index into `identities`, -1 for an object that sends none.
    `position` and `velocity` (3, count, n) in m and m/s, world axes. Contact 0, 3, 6, ...
    passes the bot's home closely, contact 1, 4, ... is a large one far away. Seeded by bot,
    so the objects of a bot do not depend on the fleet.
    """

    def __init__(self, shard: Shard, params: ContactsParams, home: Floats) -> None:
        self.count = count = params.count
        traits = np.empty((shard.n, count, TRAITS))
        for bot, name in enumerate(shard.bots):
            generator(shard.seed, name, "contacts").random(out=traits[bot])
        u = traits.transpose(2, 1, 0).copy()
        turn = np.arange(count).reshape(-1, 1) % 3
        passes, far = turn == 0, turn == 1
        pick = (u[0] * 3).astype(np.int64)
        self.kind: Codes = np.where(far, FAR_KINDS[pick], NEAR_KINDS[pick]).astype(np.int8)
        self.rcs_dbsm: Floats = RCS_DBSM[self.kind] + 6 * (u[1] - 0.5)
        self.mode, self.iff = _allegiance(u[2], params)
        self._lay_out(u, passes, params, home)
        self.identity, self.identities = _identities(shard, self.mode)

    def _lay_out(self, u: Floats, passes: Floats, params: ContactsParams, home: Floats) -> None:
        """Choose the middle, course, length and speed of every line, and where it begins."""
        spread = params.near_m * np.exp(u[3] * np.log(params.far_m / params.near_m))
        distance = np.where(passes, u[3] * params.passing_m, spread)
        bearing = 2 * np.pi * u[4]
        course = bearing + np.pi / 2 + np.where(passes, 0.0, np.pi * (2 * u[5] - 1))
        up = 0.6 * (u[6] - 0.5)
        away = np.stack((np.sin(bearing), np.cos(bearing), up))
        self._middle = away * distance + home[:, np.newaxis]
        self._along = np.stack((np.sin(course), np.cos(course), np.zeros_like(course)))
        self._reach = np.where(passes, 600 + 2400 * u[7], (0.05 + 0.35 * u[7]) * distance)
        speed = params.speed_max_mps * HASTE[self.kind] * (0.2 + 0.8 * u[8])
        self._v = speed * np.where(u[9] < 0.5, -1.0, 1.0)
        self._s = self._reach * (2 * u[10] - 1)
        self.position = self._middle + self._along * self._s
        self.velocity = self._along * self._v

    def step(self, dt_s: float) -> None:
        """Fly on for `dt_s` seconds; turn back at the end of the line."""
        self._s += self._v * dt_s
        beyond = np.flatnonzero(np.abs(self._s) > self._reach)
        if len(beyond):
            self._turn_back(beyond)
        flat = self.position[:2]
        np.multiply(self._along[:2], self._s, out=flat)
        flat += self._middle[:2]

    def _turn_back(self, which: Ints) -> None:
        s, v, reach = self._s.reshape(-1), self._v.reshape(-1), self._reach.reshape(-1)
        ends = np.sign(s[which]) * reach[which]
        s[which] = np.clip(2 * ends - s[which], -reach[which], reach[which])
        v[which] = -np.sign(ends) * np.abs(v[which])
        velocity, along = self.velocity.reshape(3, -1), self._along.reshape(3, -1)
        velocity[:, which] = along[:, which] * v[which]


def _allegiance(share: Floats, params: ContactsParams) -> tuple[Codes, Codes]:
    """Return transponder mode and iff of contacts drawn at `share` in [0, 1)."""
    friend = share < params.transponder_fraction
    foe = ~friend & (share < params.transponder_fraction + params.foe_fraction)
    spoof = share >= 1 - params.spoof_fraction
    mode = np.where(friend, Xpdr.ON, np.where(spoof, Xpdr.SPOOF, Xpdr.OFF))
    iff = np.where(friend, Iff.FRIEND, np.where(foe, Iff.FOE, Iff.UNKNOWN))
    return mode.astype(np.int8), iff.astype(np.int8)


def _identities(shard: Shard, mode: Codes) -> tuple[Ints, list[str]]:
    """Number the contacts that send an identity; a spoofer takes a name that is not its own."""
    index = np.full(mode.shape, -1, dtype=np.int64)
    names: list[str] = []
    for bot, slot in np.argwhere((mode.T == Xpdr.ON) | (mode.T == Xpdr.SPOOF)).tolist():
        index[slot, bot] = len(names)
        names.append(f"XPDR-{shard.bots[bot]}-{slot}")
    return index, names
