"""All hardware of a shard of the fleet, stepped together in one documented order."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import numpy as np

from twin.errors import UsageError
from twin.hardware.plane import Edge, Floats, Plane, Range
from twin.hardware.shard import Shard

__all__ = ["Hardware"]

NANOSECONDS = 1_000_000_000


class Hardware:
    """Every plane of `n` bots that share one spec.

    A step runs the planes in the order of `planes`: the state of the machine (modes), what
    moves (propulsion, motion, docking), what wants power (compute, comms), what supplies it
    (power), what gets warm (thermal), what looks out (imu, radar, tracker, sensors,
    navigation, shields). A plane reads what earlier planes made of this tick and what later
    ones made of the tick before.
    """

    def __init__(self, bots: Sequence[str], seed: int, *, groups: Sequence[str] = ()) -> None:
        self.shard = Shard(tuple(bots), seed, tuple(groups))
        self.edges: list[Edge] = []
        self.time_ns = 0
        self.planes: tuple[Plane, ...] = ()

    @property
    def bots(self) -> tuple[str, ...]:
        """Names of the bots, in the order of every array."""
        return self.shard.bots

    @property
    def n(self) -> int:
        """Number of bots."""
        return self.shard.n

    @property
    def time_s(self) -> float:
        """Simulated seconds since the start."""
        return self.time_ns / NANOSECONDS

    def step(self, dt_s: float) -> None:
        """Advance every plane by `dt_s` seconds; `edges` grows by what changed."""
        for plane in self.planes:
            plane.step(self, dt_s)
        self.time_ns += round(dt_s * NANOSECONDS)

    def drain_edges(self) -> list[Edge]:
        """Return the edges since the last call, in the order in which they happened."""
        edges, self.edges = self.edges, []
        return edges

    def start(self, values: Mapping[str, Floats]) -> None:
        """Set start values by dotted name, such as `power.soc_pct`, before the first step.

        Raises UsageError for a name that no plane takes, or a value outside its range.
        """
        for name, value in values.items():
            self._assign(name, value, self.startable())

    def set_input(self, name: str, value: Floats, where: np.ndarray | slice = slice(None)) -> None:
        """Set a malfunction's input by dotted name for the bots of `where` (mask or indices).

        Raises UsageError as `start` does.
        """
        self._assign(name, value, self.inputs(), where)

    def startable(self) -> dict[str, Range]:
        """Return the dotted names that `start` takes, with their ranges."""
        return {f"{p.name}.{name}": span for p in self.planes for name, span in p.startable.items()}

    def inputs(self) -> dict[str, Range]:
        """Return the dotted names that malfunctions may set, with their ranges."""
        return {f"{p.name}.{name}": span for p in self.planes for name, span in p.inputs.items()}

    def read(self, name: str) -> Floats:
        """Return a plane's array of shape (n,) by dotted name; UsageError if there is none."""
        plane, _, attribute = name.partition(".")
        value = getattr(getattr(self, plane, None), attribute, None) if attribute else None
        if not isinstance(value, np.ndarray) or value.shape != (self.n,):
            raise UsageError(f"no hardware value is called {name!r}{self._hint(name)}")
        return value

    def _hint(self, name: str) -> str:
        known = [f"{p.name}.{key}" for p in self.planes for key in _arrays(p, self.n)]
        return _did_you_mean(name, known)

    def _assign(
        self,
        name: str,
        value: Floats,
        known: Mapping[str, Range],
        where: np.ndarray | slice = slice(None),
    ) -> None:
        if name not in known:
            raise UsageError(f"{name!r} cannot be set{_did_you_mean(name, list(known))}")
        low, high = known[name]
        values = np.asarray(value)
        if not bool(np.all((values >= low) & (values <= high))):
            raise UsageError(f"{name} must be between {low:g} and {high:g}")
        self.read(name)[where] = values


def _arrays(plane: Plane, n: int) -> list[str]:
    return [key for key in dir(plane) if not key.startswith("_") and _is_array(plane, key, n)]


def _is_array(plane: Plane, key: str, n: int) -> bool:
    value = getattr(plane, key)
    return isinstance(value, np.ndarray) and value.shape == (n,)


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
