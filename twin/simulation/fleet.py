"""Which bots there are, what they start with, and which of them are simulated together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from twin.errors import UsageError
from twin.events.subjects import BOT_ID
from twin.hardware.draws import generator
from twin.hardware.plane import Floats, Range
from twin.simulation.distributions import Choice, Constant, Distribution, Normal, Uniform
from twin.spec.bot import BotSpec

__all__ = [
    "Choice",
    "Constant",
    "Distribution",
    "FleetGroup",
    "Normal",
    "Uniform",
    "shard",
    "start_values",
]


@dataclass(frozen=True, slots=True)
class FleetGroup:
    """Bots of one spec: `<name>-<0001..>`, or the part of them that a shard holds.

    `start` maps `plane.quantity` to how its first value is spread. Bots of a group that
    `interacts` see each other, so the group stays in one shard. `first` numbers the first bot.
    """

    name: str
    spec: BotSpec
    count: int
    start: Mapping[str, Distribution] = field(default_factory=dict)
    interacts: bool = False
    first: int = 1

    def __post_init__(self) -> None:
        if self.count < 1 or self.first < 1:
            raise UsageError(f"group {self.name!r} needs at least one bot, not {self.count}")
        if not BOT_ID.fullmatch(self.bot(self.first + self.count - 1)):
            raise UsageError(f"group name {self.name!r} makes no bot id: use A-Z a-z 0-9 _ -")

    def bot(self, number: int) -> str:
        """Return the id of one bot, numbered from 1 over the whole group."""
        return f"{self.name}-{number:04d}"

    @property
    def bots(self) -> tuple[str, ...]:
        """Ids of the bots, in the order of every array of their planes."""
        return tuple(self.bot(number) for number in range(self.first, self.first + self.count))


def shard(groups: Sequence[FleetGroup], shards: int) -> list[list[FleetGroup]]:
    """Spread the bots of all groups over at most `shards` parts, none of them empty.

    Groups that interact go whole to the part that is emptiest so far, largest first; the
    others are cut into runs of consecutive bots that fill the parts evenly.
    """
    if shards < 1:
        raise UsageError(f"a fleet needs at least one shard, not {shards}")
    parts: list[list[FleetGroup]] = [[] for _ in range(shards)]
    load = [0] * shards
    whole = sorted((g for g in groups if g.interacts), key=lambda g: (-g.count, g.name))
    for group in whole:
        emptiest = load.index(min(load))
        parts[emptiest].append(group)
        load[emptiest] += group.count
    total = sum(group.count for group in groups)
    for group in groups:
        if not group.interacts:
            _fill(parts, load, group, -(-total // shards))
    return [part for part in parts if part]


def _fill(parts: list[list[FleetGroup]], load: list[int], group: FleetGroup, capacity: int) -> None:
    """Put the bots of `group` into the first parts that are below `capacity`."""
    done = 0
    while done < group.count:
        target = next((i for i, bots in enumerate(load) if bots < capacity), len(load) - 1)
        count = min(group.count - done, max(capacity - load[target], 1))
        parts[target].append(replace(group, first=group.first + done, count=count))
        load[target] += count
        done += count


def start_values(group: FleetGroup, seed: int, key: str, bounds: Range) -> Floats:
    """Draw the start value `key` of each bot, shape (count,), each from its own generator.

    Raises UsageError when the distribution reaches beyond `bounds`.
    """
    distribution = group.start[key]
    low, high = distribution.support
    if not bounds.low <= low <= high <= bounds.high:
        raise UsageError(
            f"group {group.name!r}: start value {key} goes from {low:g} to {high:g}, "
            f"but must stay within {bounds.low:g} to {bounds.high:g}"
        )
    return np.array(
        [
            distribution.draw(generator(seed, bot, "start", key), bounds.low, bounds.high)
            for bot in group.bots
        ],
        dtype=np.float64,
    )
