"""How old the oldest unprocessed message is: asked for where it is cheap, else interpolated."""

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import Container
from datetime import datetime
from typing import Final, NamedTuple

from twin.jetstream.connection import Connection
from twin.lag.listing import Listed, Stream, next_message

__all__ = ["Ages", "Oldest"]

ANCHORS: Final = 900
DIRECT_GETS: Final = 32


class Oldest(NamedTuple):
    """The age in seconds, None when unknown; the sequence, None when the age is interpolated."""

    age_s: float | None
    seq: int | None


class _Known(NamedTuple):
    created: str
    filters: tuple[str, ...]
    floor: int
    seq: int
    stored_ns: int
    asked_ns: int
    holes: tuple[int, int] | None


class Ages:
    """Ages of the oldest unprocessed messages of many consumers, at a bounded cost.

    A consumer's oldest message stays the same while its ack floor and its filter rest and nothing
    leaves the stream but from its front, so it is asked for once. Of those for which that does not
    hold, up to `gets` a round are asked for, the longest waiting first; the others are interpolated
    between the times at which the stream had reached a sequence, which is an upper bound for a
    consumer with a filter.
    """

    def __init__(self, connection: Connection, gets: int = DIRECT_GETS) -> None:
        self._connection = connection
        self._gets = gets
        self._known: dict[tuple[str, str], _Known] = {}
        self._anchors: dict[str, deque[tuple[int, int]]] = {}

    def anchor(self, name: str, stream: Stream, now_ns: int) -> None:
        """Remember that the stream had reached its last sequence at `now_ns`."""
        anchors = self._anchors.setdefault(name, deque(maxlen=ANCHORS))
        state = stream.state
        if anchors and anchors[-1][0] > state.last_seq:
            anchors.clear()
        if not anchors and state.messages:
            anchors.append((state.first_seq, rfc3339_ns(state.first_ts)))
        if not anchors or anchors[-1][0] < state.last_seq:
            anchors.append((state.last_seq, now_ns))

    def forget(self, stream: str, consumer: str) -> None:
        """Drop what is known of a consumer that is gone."""
        self._known.pop((stream, consumer), None)

    @property
    def streams(self) -> set[str]:
        """The streams of which something is known."""
        return {*self._anchors, *(stream for stream, _ in self._known)}

    def keep(self, streams: Container[str]) -> None:
        """Drop what is known of all other streams."""
        for gone in [one for one in self._anchors if one not in streams]:
            del self._anchors[gone]
        for key in [key for key in self._known if key[0] not in streams]:
            del self._known[key]

    async def oldest(
        self, name: str, stream: Stream, consumers: list[Listed], now_ns: int
    ) -> dict[str, Oldest]:
        """Return the oldest unprocessed message of each of `consumers`, which have a backlog."""
        found: dict[str, Oldest] = {}
        moved = []
        for one in consumers:
            age = self._resting(name, one, stream, now_ns)
            if age is None:
                moved.append(one)
            else:
                found[one.name] = age
        moved.sort(key=lambda one: self._asked_ns(name, one.name))
        await asyncio.gather(*(self._ask(name, one, stream, now_ns) for one in moved[: self._gets]))
        for place, one in enumerate(moved):
            asked = self._resting(name, one, stream, now_ns) if place < self._gets else None
            found[one.name] = asked or self._interpolated(name, one, stream, now_ns)
        return found

    def _asked_ns(self, stream: str, consumer: str) -> int:
        known = self._known.get((stream, consumer))
        return known.asked_ns if known else 0

    def _resting(self, name: str, one: Listed, stream: Stream, now_ns: int) -> Oldest | None:
        """Return the age of a message that was asked for and is the oldest still, else None."""
        known = self._known.get((name, one.name))
        if (
            known is None
            or known.created != one.created
            or known.filters != one.filters
            or known.floor != one.ack_floor.stream_seq
            or known.seq < stream.state.first_seq
            or known.holes != _holes(stream)
        ):
            return None
        return Oldest(max(0.0, (now_ns - known.stored_ns) / 1e9), known.seq)

    async def _ask(self, name: str, one: Listed, stream: Stream, now_ns: int) -> None:
        after = max(one.ack_floor.stream_seq + 1, stream.state.first_seq)
        subjects = one.filters or (">",)
        answers = await asyncio.gather(
            *(next_message(self._connection, name, after, subject) for subject in subjects)
        )
        stored = min(filter(None, answers), key=lambda message: message.seq, default=None)
        if stored is None:
            self.forget(name, one.name)
            return
        floor = one.ack_floor.stream_seq
        self._known[name, one.name] = _Known(
            one.created,
            one.filters,
            floor,
            stored.seq,
            rfc3339_ns(stored.time),
            now_ns,
            _holes(stream),
        )

    def _interpolated(self, name: str, one: Listed, stream: Stream, now_ns: int) -> Oldest:
        after = max(one.ack_floor.stream_seq + 1, stream.state.first_seq)
        stored_ns = self._interpolated_ns(name, after)
        return Oldest(None if stored_ns is None else max(0.0, (now_ns - stored_ns) / 1e9), None)

    def _interpolated_ns(self, name: str, seq: int) -> int | None:
        anchors = self._anchors[name]
        place = bisect_left(anchors, (seq,))
        if place >= len(anchors):
            return None
        high_seq, high_ns = anchors[place]
        if place == 0:
            return high_ns if high_seq == seq else None
        low_seq, low_ns = anchors[place - 1]
        return low_ns + (high_ns - low_ns) * (seq - low_seq) // (high_seq - low_seq)


def _holes(stream: Stream) -> tuple[int, int] | None:
    """Return what changes when a message leaves from between others; None where none has."""
    state = stream.state
    missing = state.last_seq - state.first_seq + 1 - state.messages
    return (missing, state.first_seq) if missing > 0 else None


def rfc3339_ns(text: str) -> int:
    """Return nanoseconds since 1970 of the server's times, which end in Z."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole + "+00:00").timestamp())
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0")[:9])
