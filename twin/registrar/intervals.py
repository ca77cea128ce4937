"""Sets of sequences as intervals with both ends included."""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

__all__ = ["Intervals", "Span"]

Span: TypeAlias = tuple[int, int]


class Intervals:
    """Adding in ascending order is cheap, out of order it is linear."""

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self._spans: list[Span] = []
        for first, last in spans:
            self.add(first, last)

    def add(self, first: int, last: int) -> None:
        """Add all from `first` to `last`."""
        spans = self._spans
        if not spans or first > spans[-1][1] + 1:
            spans.append((first, last))
        elif first >= spans[-1][0]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], last))
        else:
            self._spans = _merged(sorted([*spans, (first, last)]))

    def holes(self, first: int, last: int) -> Iterator[Span]:
        """Yield what is missing between `first` and `last`."""
        for start, end in self._spans:
            if start > last:
                break
            if start > first:
                yield first, start - 1
            first = max(first, end + 1)
        if first <= last:
            yield first, last

    def within(self, first: int, last: int) -> list[Span]:
        """Return what is there between `first` and `last`."""
        return [
            (max(start, first), min(end, last))
            for start, end in self._spans
            if end >= first and start <= last
        ]

    def forget(self, last: int) -> None:
        """Take everything up to `last` out."""
        self._spans = self.within(last + 1, self.top) if self.top > last else []

    @property
    def top(self) -> int:
        """The highest sequence, 0 for none."""
        return self._spans[-1][1] if self._spans else 0

    def __iter__(self) -> Iterator[Span]:
        return iter(self._spans)

    def __len__(self) -> int:
        return len(self._spans)


def _merged(spans: list[Span]) -> list[Span]:
    merged = [spans[0]]
    for first, last in spans[1:]:
        if first > merged[-1][1] + 1:
            merged.append((first, last))
        else:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
    return merged
