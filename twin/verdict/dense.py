"""Dense numbering of a run's events: event `seq` of source `s` is number `offset[s] + seq - 1`.

Sequences are dense from 1 per source, so that everything known about N events fits into
plain arrays of length N, and no event id is ever kept as text.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from twin.events.event import Source
from twin.events.subjects import FLEET_ROOT, subject_key
from twin.verdict.facts import BrokenEvidence
from twin.verdict.journal import ATTEMPT, read_table

__all__ = ["CHUNK", "Bools", "Dense", "Ints", "Records", "channel_of", "tables"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Records = npt.NDArray[np.void]
CHUNK = 1 << 18
"""Records held at once while a table is read."""


def tables(path: Path, dtype: np.dtype[np.void]) -> Iterator[Records]:
    """Yield a whole table in chunks; raises BrokenEvidence when it is missing or torn."""
    if not path.is_file():
        raise BrokenEvidence(f"{path} is missing")
    if path.stat().st_size % dtype.itemsize:
        raise BrokenEvidence(f"{path} ends within a record of {dtype.itemsize} bytes")
    yield from read_table(path, dtype, CHUNK)


def channel_of(source: Source) -> str:
    """Return the platform subject of a source, the same in both layouts."""
    if source.subject.startswith(f"{FLEET_ROOT}{source.bot}."):
        return f"qiki.{subject_key(source.subject, source.bot)}"
    return source.subject


@dataclass(frozen=True)
class Dense:
    """The numbering of one run. `offsets` has one entry more than there are sources."""

    sources: list[Source]
    offsets: Ints

    @classmethod
    def of_journal(cls, sources: list[Source], attempted: Path) -> "Dense":
        """Number what the journal says was attempted; BrokenEvidence if not dense."""
        last = np.zeros(len(sources), dtype=np.uint32)
        rows = 0
        for chunk in tables(attempted, ATTEMPT):
            source, seq = chunk["source"], chunk["seq"]
            if (source >= len(sources)).any() or (seq == 0).any():
                raise BrokenEvidence(f"{attempted} names sources or sequences that cannot be")
            np.maximum.at(last, source, seq)
            rows += len(chunk)
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(last, dtype=np.int64)])
        if offsets[-1] > 4 * rows + 1_000_000:
            raise BrokenEvidence(
                f"{attempted} has {rows} events and sequences up to {last.max()}: not dense"
            )
        return cls(sources, offsets)

    @property
    def total(self) -> int:
        """How many numbers there are, holes included."""
        return int(self.offsets[-1])

    def numbers(self, rows: Records) -> tuple[Ints, Bools]:
        """Return each row's number, and which rows have one (others get 0)."""
        source = rows["source"]
        known = source < len(self.sources)
        source = np.where(known, source, 0).astype(np.int64)
        if not len(self.sources):
            return np.zeros(len(rows), np.int64), np.zeros(len(rows), np.bool_)
        low = self.offsets[source]
        number = low + rows["seq"].astype(np.int64) - 1
        known = known & (number >= low) & (number < self.offsets[source + 1])
        return np.where(known, number, 0), known

    def source_of(self, numbers: Ints) -> Ints:
        """Return the source of each number."""
        return np.searchsorted(self.offsets, numbers, side="right") - 1

    def seq_of(self, numbers: Ints) -> Ints:
        """Return the sequence of each number."""
        return numbers - self.offsets[self.source_of(numbers)] + 1

    def event_id(self, number: int) -> str:
        """Return the event id of a number."""
        source = int(self.source_of(np.array([number]))[0])
        return f"{self.sources[source].name}/{number - int(self.offsets[source]) + 1}"

    def blocks(self, size: int = 1 << 20) -> Iterator[tuple[int, int]]:
        """Yield ranges of sources that hold about `size` numbers each, or one source."""
        first = 0
        while first < len(self.sources):
            end = int(np.searchsorted(self.offsets, self.offsets[first] + size, side="right")) - 1
            end = min(max(end, first + 1), len(self.sources))
            yield first, end
            first = end

    def sums(self, plane: npt.NDArray[np.generic]) -> Ints:
        """Return for each source how many entries of a plane of length `total` are not zero."""
        found = np.zeros(len(self.sources), dtype=np.int64)
        for first, end in self.blocks():
            low = self.offsets[first]
            block = np.asarray(plane[low : self.offsets[end]] != 0)
            running = np.concatenate([np.zeros(1, np.int64), np.cumsum(block, dtype=np.int64)])
            cuts = self.offsets[first : end + 1] - low
            found[first:end] = running[cuts[1:]] - running[cuts[:-1]]
        return found
