"""How large a store's segments grow, how long they are kept, how often the chain is signed."""

from dataclasses import dataclass
from typing import Final

__all__ = ["Limits"]

GIB: Final = 1024**3
DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, ages in seconds; 0 keeps for ever.

    A segment is closed before the batch with which it would be older or larger than this.
    Whole segments are dropped, oldest first, while their last commit is older than `keep_age_s`
    or all files together are larger than `keep_bytes`; the active one is never dropped. A
    checkpoint is signed at most every `checkpoint_s`. An event is recognised in
    the active segment and in the `dedupe_segments` before it, wherever in its stream it
    comes again; in all others only under the sequence that it was recorded with.
    """

    segment_bytes: int = GIB
    segment_age_s: float = DAY_S
    keep_bytes: int = 0
    keep_age_s: float = 0.0
    checkpoint_s: float = 1.0
    dedupe_segments: int = 4
