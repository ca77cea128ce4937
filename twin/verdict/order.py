"""Order within sources: what came late, and where in a source something is missing."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from twin.verdict.dense import Dense, Ints

__all__ = ["inversions", "whereabouts"]

PIECE = 1 << 20


def inversions(dense: Dense, first: npt.NDArray[np.uint32]) -> Ints:
    """Return the numbers of events first recorded after a later event of the same source.

    `first` has the position of each event's first copy in its table, from 1; 0 is absent.
    """
    late = []
    for low, there, source in _present(dense, first):
        place = first[there + low]
        falls = (place[1:] < place[:-1]) & (source[1:] == source[:-1])
        for bad in np.unique(source[1:][falls]):
            mine = source == bad
            earliest_after = np.minimum.accumulate(place[mine][::-1])[::-1]
            late.append(there[mine][place[mine] > earliest_after] + low)
    return np.concatenate(late) if late else np.zeros(0, np.int64)


def whereabouts(dense: Dense, first: npt.NDArray[np.uint32], missing: Ints) -> dict[str, int]:
    """Count the missing before, within and after what is there of their source.

    A source of which nothing is there lacks its postfix.
    """
    low = np.full(len(dense.sources), dense.total, np.int64)
    high = np.full(len(dense.sources), -1, np.int64)
    found = {"prefix": 0, "middle": 0, "postfix": 0}
    for base, there, source in _present(dense, first) if len(missing) else ():
        np.minimum.at(low, source, there + base)
        np.maximum.at(high, source, there + base)
    for start in range(0, len(missing), PIECE):
        piece = missing[start : start + PIECE]
        source = dense.source_of(piece)
        postfix = piece > high[source]
        prefix = (piece < low[source]) & ~postfix
        found["postfix"] += int(np.count_nonzero(postfix))
        found["prefix"] += int(np.count_nonzero(prefix))
        found["middle"] += int(np.count_nonzero(~postfix & ~prefix))
    return found


def _present(dense: Dense, first: npt.NDArray[np.uint32]) -> Iterator[tuple[int, Ints, Ints]]:
    """Yield in blocks of sources: a base, the present numbers above it, and their sources."""
    for begin, end in dense.blocks(PIECE):
        base = int(dense.offsets[begin])
        there = np.flatnonzero(first[base : dense.offsets[end]])
        yield base, there, dense.source_of(there + base)
