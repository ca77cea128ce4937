"""The bots that are simulated together, and the seed that their randomness comes from."""

from dataclasses import dataclass

from twin.hardware.draws import Draws

__all__ = ["Shard"]


@dataclass(frozen=True, slots=True)
class Shard:
    """Bots in the order of every array of their planes.

    `groups` names each bot's group ("" for none): bots see each other inside a group only,
    and a group is never split over shards. Empty means that no bot has a group.
    """

    bots: tuple[str, ...]
    seed: int
    groups: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Number of bots."""
        return len(self.bots)

    def draws(self, plane: str, *, normals: int = 0, uniforms: int = 0) -> Draws:
        """Return the random numbers of one plane: so many per bot and tick."""
        return Draws(self.seed, self.bots, plane, normals=normals, uniforms=uniforms)
