"""What may be sent: subjects and header blocks that mean the same on the wire as here."""

import re
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from twin.errors import UsageError
from twin.events.event import SourceTable
from twin.events.subjects import SubjectSpace

__all__ = ["Subjects", "header_sizes"]

_START = np.frombuffer(b"NATS/1.0\r\n", np.uint8)
_LINE_END = np.frombuffer(b"\r\n", np.uint8)
_SUBJECT = re.compile(rb"[^\s.*>]+(\.[^\s.*>]+)*")


class Subjects(dict[int, bytes]):
    """The subject of each source as it is on the wire."""

    def __init__(self, sources: SourceTable, space: SubjectSpace) -> None:
        super().__init__()
        self._table = sources
        self._space = space

    def each(self, sources: Iterable[int]) -> list[bytes]:
        """Return the subject of each source; UsageError for what cannot be published to."""
        return list(map(self.__getitem__, sources))

    def __missing__(self, source: int) -> bytes:
        logical = self._table[source].subject
        subject = self._space.wire(logical).encode()
        if not _SUBJECT.fullmatch(subject):
            raise UsageError(f"{logical!r} is not a subject that can be published to.")
        self[source] = subject
        return subject

    def of(self, subject: str) -> list[int]:
        """Return the known sources of a subject, whose letters' case is not known."""
        wanted = subject.lower().encode()
        return [source for source, one in self.items() if one.lower() == wanted]


def header_sizes(blocks: Sequence[bytes]) -> npt.NDArray[np.int64]:
    """Return the size of each block; UsageError for one that is none, or ends early.

    All are looked through at once, and one by one where something looks odd.
    """
    sizes = np.fromiter(map(len, blocks), np.int64, len(blocks))
    text = np.frombuffer(b"".join(blocks), np.uint8)
    ends = np.cumsum(sizes)
    if (
        sizes.min() < len(_START)
        or (text[(ends - sizes)[:, None] + np.arange(len(_START))] != _START).any()
        or (text[ends[:, None] - (2, 1)] != _LINE_END).any()
        or ((text[:-1] == _LINE_END[1]) & (text[1:] == _LINE_END[0])).any()
    ):
        for block in blocks:
            if block[:10] != b"NATS/1.0\r\n" or block[-2:] != b"\r\n" or b"\r\n\r\n" in block:
                raise UsageError(f"The headers of an event are malformed: {block[:200]!r}")
    return sizes
