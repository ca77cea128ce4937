"""What a plane of hardware is, and the facts that it reports when something changes.

A plane holds one kind of hardware for all `n` bots of a shard as numpy arrays, bot by
bot in the same order. `Hardware` steps its planes one after the other; a plane reads
its neighbours through `hw` (`hw.power.soc_pct`) and writes its own arrays only, in
place, so that a reference to an array stays good for the life of the shard.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["ANY", "POSITIVE", "Bools", "Codes", "Edge", "Floats", "Ints", "Plane", "Range"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Codes = NDArray[np.int8]
"""Small codes and bit masks: members of an IntEnum, or of an IntFlag with less than 8 flags."""


class Range(NamedTuple):
    """Closed interval of the values that an input accepts."""

    low: float
    high: float


ANY = Range(-np.inf, np.inf)
POSITIVE = Range(0.0, np.inf)


class Edge(NamedTuple):
    """A change of state of one bot, reported once when it happens.

    `bot` indexes the shard's bots; `kind` is one of the codes of docs/decisions.md
    ("Codes": boot_start, boot_ok, boot_failed, sensor_io_ok, sensor_io_failed,
    power_low, power_critical, mode, dock, comms) or thermal_trip, thermal_clear,
    load_shed, load_restored, pdu_overcurrent and so on. `source` is the plane that
    reports, `subject` the part it speaks of, `before` and `after` its states in words,
    `values` numbers that belong to it, `reason` a word where there is one.
    """

    bot: int
    kind: str
    source: str
    subject: str
    before: str
    after: str
    values: tuple[tuple[str, float], ...] = ()
    reason: str = ""


class Plane(Protocol):
    """One kind of hardware, vectorised over the bots of a shard.

    `startable` and `inputs` name arrays of shape (n,) with the range of their values:
    the first may be set before the first step (a scenario's `start`), the second may be
    set by a malfunction at any tick and are read in every step.
    """

    @property
    def name(self) -> str:
        """Name of the plane: its attribute in Hardware and its stream of random draws."""

    @property
    def startable(self) -> Mapping[str, Range]:
        """Arrays that take start values."""

    @property
    def inputs(self) -> Mapping[str, Range]:
        """Arrays that malfunctions set and heal."""

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Advance all bots by `dt_s` > 0 seconds; append what changed to `hw.edges`."""
