"""Events that share the subject of their acknowledgements, because a server routes it faster.

A subject that it has just seen costs a server about a sixth less per message than a new one. So
events that go together to one stream share a token, their formation's. No single
acknowledgement says which of them it is for, therefore nothing is concluded from a part: once
there are as many plain ones as events, from that stream and of rising sequences, all are
stored, in this order. Any other answer, or none in time, dissolves the formation: its
events are sent again, each with a token of its own, and JetStream tells which it had.
"""

from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from twin.jetstream.wire import Stored

__all__ = ["FEWEST", "MOST", "MOST_REMEMBERED", "Formations", "Slots"]

T = TypeVar("T")
Slots = npt.NDArray[np.int64]

MOST: Final = 1024
FEWEST: Final = 8
_FIRST_SOURCES: Final = 1024
MOST_REMEMBERED: Final = 10_000


class _Formation:
    """Events of one stream in the order in which they were sent, and what was answered."""

    __slots__ = ("_stream", "sequences", "slots", "sound")

    def __init__(self, slots: Slots, stream: int) -> None:
        self.slots = slots
        self.sound = True
        """Whether the answers so far may be those of these events, one each."""
        self._stream = stream
        self.sequences = slots[:0]
        """Of the stream, as they were told so far."""

    def add(self, sequences: Slots, streams: Slots) -> bool:
        """Take acknowledgements; True once there is one for each event."""
        self.sequences = np.concatenate((self.sequences, sequences))
        came = len(self.sequences)
        whole = came == len(self.slots)
        self.sound = (
            self.sound
            and came <= len(self.slots)
            and bool((streams == self._stream).all())
            and (not whole or bool((self.sequences[1:] > self.sequences[:-1]).all()))
        )
        return self.sound and whole


class Formations:
    """Which events fly together; each formation is known by its token.

    Only events of a source whose last event, alone, was acknowledged in the plain way join one,
    and only with those whose acknowledgement came from the same stream.
    """

    def __init__(self) -> None:
        self.allowed = True
        """False once somebody besides the streams answers: then answers cannot be counted."""
        self._streams = np.zeros(_FIRST_SOURCES, np.int64)
        self._taken = np.zeros(_FIRST_SOURCES, np.bool_)
        self._flying: dict[int, _Formation] = {}
        self._dissolved: dict[int, None] = {}
        """Lately, the oldest first: late answers to them are still understood."""
        self._repeats: dict[tuple[int, int], None] = {}
        """By stream and sequence, the oldest first."""

    def prove(self, sources: npt.NDArray[np.uint32], streams: Slots) -> None:
        """Let sources take part whose events alone were acknowledged by these streams."""
        if len(sources):
            self._reach(sources)
            self._streams[sources] = streams
            self._taken[sources] = True

    def forbid(self, sources: npt.NDArray[np.uint32]) -> bool:
        """Let the next event of these sources go alone; tell whether any was acknowledged since
        the last time.
        """
        self._reach(sources)
        taken = bool(self._taken[sources].any())
        self._taken[sources] = False
        self.doubt(sources)
        return taken

    def form(self, slots: Slots, sources: npt.NDArray[np.uint32], base: int) -> Slots:
        """Return each event's leader, itself if it goes alone; `base` + leader is its token."""
        self._reach(sources)
        streams = self._streams[sources]
        leaders = slots.copy()
        if not self.allowed or len(slots) < FEWEST:
            return leaders
        alike = bool((streams == streams[0]).all())
        for stream in set(streams[:1].tolist() if alike else streams.tolist()) - {0}:
            places = np.flatnonzero(streams == stream)
            for start in range(0, len(places) - FEWEST + 1, MOST):
                chosen = places[start : start + MOST]
                members = slots[chosen]
                leaders[chosen] = members[0]
                self._flying[base + int(members[0])] = _Formation(members, stream)
        return leaders

    def take(self, stored: Stored) -> tuple[Stored, list[tuple[Slots, Slots]], list[int]]:
        """Count acknowledgements. Returns those that are of no formation, the slots and
        sequences of formations that are stored, and the tokens of those to be dissolved.
        """
        if not self._flying:
            return stored, [], []
        tokens, sequences, streams = stored
        if (tokens[1:] < tokens[:-1]).any():
            order = np.argsort(tokens, kind="stable")
            tokens, sequences, streams = (column[order] for column in stored)
        ends = [*(np.flatnonzero(tokens[1:] != tokens[:-1]) + 1).tolist(), len(tokens)]
        starts = [0, *ends[:-1]]
        alone = np.ones(len(tokens), np.bool_)
        complete: list[tuple[Slots, Slots]] = []
        broken: list[int] = []
        for token, start, end in zip(tokens[starts].tolist(), starts, ends, strict=True):
            if (formation := self._flying.get(token)) is None:
                continue
            alone[start:end] = False
            if formation.add(sequences[start:end], streams[start:end]):
                complete.append((formation.slots, formation.sequences))
                del self._flying[token]
            elif not formation.sound:
                broken.append(token)
        return Stored(tokens[alone], sequences[alone], streams[alone]), complete, broken

    def repeated(self, token: int, stream: int, sequence: int) -> None:
        """Note that the first try of some event of a formation was called a duplicate."""
        if token in self._flying or token in self._dissolved:
            self._repeats[stream, sequence] = None
            _forget(self._repeats, MOST_REMEMBERED)

    def was_repeated(self, stream: int, sequence: int) -> bool:
        """Whether that event's first try was called a duplicate; asked once."""
        found = (stream, sequence) in self._repeats
        self._repeats.pop((stream, sequence), None)
        return found

    def __contains__(self, token: int) -> bool:
        return token in self._flying

    def dissolve(self, tokens: Slots) -> Slots:
        """Forget the formations among these tokens; return the slots of all their events."""
        if not self._flying:
            return tokens[:0]
        gone = [token for token in dict.fromkeys(tokens.tolist()) if token in self._flying]
        self._dissolved.update(dict.fromkeys(gone))
        _forget(self._dissolved, MOST_REMEMBERED)
        return np.concatenate([tokens[:0], *(self._flying.pop(token).slots for token in gone)])

    def doubt(self, sources: npt.NDArray[np.uint32]) -> None:
        """Let the next event of these sources go alone."""
        self._streams[sources] = 0

    def _reach(self, sources: npt.NDArray[np.uint32]) -> None:
        highest = int(sources.max())
        if highest >= len(self._streams):
            self._streams.resize(2 * highest + 1, refcheck=False)
            self._taken.resize(2 * highest + 1, refcheck=False)


def _forget(remembered: dict[T, None], most: int) -> None:
    """Keep the latest only."""
    while len(remembered) > most:
        del remembered[next(iter(remembered))]
