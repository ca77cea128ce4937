"""What may be sent: subjects and header blocks that mean the same on the wire as here."""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from twin.errors import UsageError
from twin.events.event import SourceTable
from twin.events.subjects import SubjectSpace

__all__ = ["Subjects", "header_sizes"]

_START = b"NATS/1.0\r\n"
_START_WORD = int.from_bytes(_START[:8], "little")
_LINE_END = b"\r\n"
_LINE_END_WORD = int.from_bytes(_LINE_END, "little")
_EARLY_END = b"\r\n\r\n"
_FIRST_SOURCES = 1024
_SUBJECT = re.compile(rb"[^\s.*>]+(\.[^\s.*>]+)*")


class Subjects:
    """The subject of each source as it is on the wire."""

    def __init__(self, sources: SourceTable, space: SubjectSpace) -> None:
        self._table = sources
        self._space = space
        self._known: dict[int, bytes] = {}
        self._column = np.zeros(_FIRST_SOURCES, np.object_)
        self._met = np.zeros(_FIRST_SOURCES, np.bool_)

    def meet(self, sources: npt.NDArray[np.uint32]) -> None:
        """Look up the subjects of sources; UsageError for what cannot be published to."""
        if int(sources.max()) < len(self._met) and self._met[sources].all():
            return
        for source in set(sources.tolist()).difference(self._known):
            logical = self._table[source].subject
            subject = self._space.wire(logical).encode()
            if not _SUBJECT.fullmatch(subject):
                raise UsageError(f"{logical!r} is not a subject that can be published to.")
            self._keep(source, subject)

    def each(self, sources: npt.NDArray[np.uint32]) -> list[bytes]:
        """Return the subject of each of these sources, which were met before."""
        subjects: list[bytes] = self._column[sources].tolist()
        return subjects

    def of(self, subject: str) -> list[int]:
        """Return the known sources of a subject, whose letters' case is not known."""
        wanted = subject.lower().encode()
        return [source for source, one in self._known.items() if one.lower() == wanted]

    def _keep(self, source: int, subject: bytes) -> None:
        self._known[source] = subject
        if source >= len(self._column):
            self._column.resize(2 * source + 1, refcheck=False)
            self._met.resize(2 * source + 1, refcheck=False)
        self._column[source] = subject
        self._met[source] = True


def header_sizes(blocks: Sequence[bytes]) -> npt.NDArray[np.int64]:
    """Return the size of each block; UsageError for one that is none, or ends early.

    All are looked through at once, and one by one where something looks odd.
    """
    sizes = np.fromiter(map(len, blocks), np.int64, len(blocks))
    if sizes.min() < len(_START) or not _well_formed(b"".join(blocks), sizes):
        for block in blocks:
            if not block.startswith(_START) or block[-2:] != _LINE_END or _EARLY_END in block:
                raise UsageError(f"The headers of an event are malformed: {block[:200]!r}")
    return sizes


def _well_formed(text: bytes, sizes: npt.NDArray[np.int64]) -> bool:
    """Tell whether each block of a text begins and ends as it should, and no line is empty."""
    letters = np.frombuffer(text, np.uint8)
    ends = np.cumsum(sizes)
    starts = ends - sizes
    return bool(
        (_words(text, "<u8")[starts] == _START_WORD).all()
        and (_words(text, "<u2")[starts + 8] == _LINE_END_WORD).all()
        and (_words(text, "<u2")[ends - 2] == _LINE_END_WORD).all()
        and not ((letters[:-1] == _LINE_END[1]) & (letters[1:] == _LINE_END[0])).any()
    )


def _words(text: bytes, kind: str) -> npt.NDArray[np.uint64]:
    """View a text as the words that begin at each of its letters."""
    size = np.dtype(kind).itemsize
    return np.ndarray((len(text) - size + 1,), kind, text, strides=(1,))
