"""What a store was found to be when it was checked against what was written."""

from dataclasses import dataclass, field
from typing import NamedTuple

from twin.registrar.chain import Tip

__all__ = ["Break", "Verification"]


class Break(NamedTuple):
    """A place where the store is not what was written; batch 0 is the file as a whole."""

    segment: str
    batch: int
    message: str

    def __str__(self) -> str:
        place = f"{self.segment}, batch {self.batch}" if self.batch else self.segment
        return f"{place}: {self.message}"


@dataclass(slots=True)
class Verification:
    """What was checked, and every break in the order of the chain.

    `dropped` segments are vouched for by a tombstone. `signed` is the last batch under a
    checkpoint of the store, `anchored` the last under one that was kept elsewhere.
    """

    segments: int = 0
    batches: int = 0
    rows: int = 0
    notes: int = 0
    dropped: int = 0
    checkpoints: int = 0
    signed: int = 0
    anchored: int = 0
    key: str = ""
    tip: Tip = field(default_factory=Tip)
    breaks: list[Break] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is broken."""
        return not self.breaks

    @property
    def last_hash(self) -> str:
        """The hash of the last batch."""
        return self.tip.hash
