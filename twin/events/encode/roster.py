"""Who emits: the bots of a shard, the run they are in, and the tables their events go into."""

from dataclasses import dataclass, field

from twin.events.event import SourceTable
from twin.events.subjects import BOT_ID, SubjectSpace

__all__ = ["Roster"]


@dataclass(frozen=True, slots=True)
class Roster:
    """What all encoders of a shard share.

    `bots[i]` is the id of row i in every view. `epoch_ns` is the simulated start as ns since
    1970. `underscore` writes the platform's `ce_` headers instead of `ce-`.
    """

    run_id: str
    epoch_ns: int
    bots: tuple[str, ...]
    space: SubjectSpace = field(default_factory=SubjectSpace)
    sources: SourceTable = field(default_factory=SourceTable)
    underscore: bool = False

    def __post_init__(self) -> None:
        for name in (self.run_id, *self.bots):
            if not BOT_ID.fullmatch(name):
                raise ValueError(f"{name!r} is no id: letters, digits, _ and -, at most 64")
        if len(set(self.bots)) != len(self.bots):
            raise ValueError("two bots have the same id")
