"""Whether devices run at all on each bot: power and boot, asked once a tick for all sensors."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from twin.hardware.health import Reason
from twin.hardware.plane import Ints, Range
from twin.hardware.shard import Shard

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["Readiness"]


class Readiness:
    """`idle` (n,) holds the Reason why no device of a bot runs, 0 where they do.

    It is None when all bots run, which is the common case.
    """

    name = "readiness"
    startable: Mapping[str, Range] = MappingProxyType({})
    inputs: Mapping[str, Range] = MappingProxyType({})

    def __init__(self, shard: Shard) -> None:
        self._codes: Ints = np.zeros(shard.n, dtype=np.int64)
        self.idle: Ints | None = None

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Ask the planes that can take everything down."""
        dead, running = hw.power.bus_dead, hw.modes.running
        if not dead.any() and running.all():
            self.idle = None
            return
        self._codes[:] = np.where(running, Reason.NONE, Reason.BOOTING)
        self._codes[dead] = Reason.UNPOWERED
        self.idle = self._codes
