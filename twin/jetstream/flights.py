"""The unsettled events of a publisher, in columns: a slot each, from the offer to the outcome."""

import time
from collections.abc import Sequence
from itertools import chain, repeat
from operator import sub
from typing import Final

import numpy as np
import numpy.typing as npt

from twin.jetstream.formations import Formations, Slots
from twin.jetstream.wire import stamp

__all__ = ["Flights", "Slots"]

FIRST_VOLLEY: Final = 10**5
_DECIMAL = b"%d".__mod__


class Flights:
    """What is known of each event; every column is a live array or list, indexed by slot.

    `tries` counts sends. `doubtful` says that some try may have been stored without our
    knowing; `resting` that the last try was refused for now. `error` is the last refusal's
    code. `token` is 0 until the first send, afterwards that of every try, unless the event was
    sent in a formation that was dissolved; `number` counts first sends. `first_sent` and `due`
    (when to act next) are on the monotonic clock, in seconds. A slot is used again after its
    event was settled, its token never.

    What is sent of each: `headers`, `closings` (which end the header blocks, see `stamp`) and
    `payloads`; `head` is the size of the whole header block, `size` that of block and payload.
    """

    def __init__(self, capacity: int) -> None:
        self.source = np.zeros(capacity, np.uint32)
        self.seq = np.zeros(capacity, np.uint32)
        self.intended_ns = np.zeros(capacity, np.int64)
        self.token = np.zeros(capacity, np.int64)
        self.number = np.zeros(capacity, np.int64)
        self.tries = np.zeros(capacity, np.uint16)
        self.error = np.zeros(capacity, np.uint32)
        self.first_sent = np.zeros(capacity)
        self.due = np.zeros(capacity)
        self.doubtful = np.zeros(capacity, np.bool_)
        self.resting = np.zeros(capacity, np.bool_)
        self.head = np.zeros(capacity, np.int64)
        self.size = np.zeros(capacity, np.int64)
        self.headers = np.zeros(capacity, np.object_)
        self.closings = np.zeros(capacity, np.object_)
        self.payloads = np.zeros(capacity, np.object_)
        self.formations = Formations()
        self.in_flight = 0
        """Events that were sent and are not settled, resting ones included."""
        self._free = np.arange(capacity)[::-1].copy()
        self._left = capacity
        self._place = np.zeros(capacity, np.int64)
        self._scale = 10 ** len(str(capacity))
        self._volleys = FIRST_VOLLEY
        self._launched = 0

    @property
    def room(self) -> int:
        """How many more events fit in."""
        return self._left

    def board(
        self,
        rows: npt.NDArray[np.void],
        heads: npt.NDArray[np.int64],
        headers: Sequence[bytes],
        payloads: Sequence[bytes],
    ) -> Slots:
        """Take events in, by their ATTEMPT rows and what of them is sent; return their slots.

        `heads` are the sizes of `headers`.
        """
        left = self._left
        self._left = left - len(rows)
        slots: Slots = self._free[self._left : left][::-1].copy()
        self.source[slots] = rows["source"]
        self.seq[slots] = rows["seq"]
        self.intended_ns[slots] = rows["intended_ns"]
        for column in (self.token, self.tries, self.error, self.doubtful, self.resting):
            column[slots] = 0
        self.headers[slots] = headers
        self.payloads[slots] = payloads
        closings = _stamps(rows["intended_ns"])
        self.closings[slots] = closings
        self.head[slots] = heads + _lengths(closings)
        self.size[slots] = self.head[slots] + rows["size"]
        return slots

    def launch(self, slots: Slots, wait_s: float) -> list[bytes]:
        """Note the first send of events, to be repeated after `wait_s`; return their tokens."""
        now = time.monotonic()
        self._volleys += 1
        base = self._volleys * self._scale
        leaders = self.formations.form(slots, self.source[slots], base)
        self.token[slots] = base + leaders
        self.number[slots] = np.arange(self._launched, self._launched + len(slots))
        self.tries[slots] = 1
        self.first_sent[slots] = now
        self.due[slots] = now + wait_s
        self._launched += len(slots)
        self.in_flight += len(slots)
        return self.tokens(slots)

    def scatter(self, tokens: Slots) -> Slots:
        """Dissolve the formations among these tokens, give each of their events a token of its
        own, and return their slots.
        """
        slots = self.formations.dissolve(tokens)
        self._volleys += 1
        self.token[slots] = self._volleys * self._scale + slots
        self.formations.doubt(self.source[slots])
        return slots

    def tokens(self, slots: Slots) -> list[bytes]:
        """Return the tokens of events that were sent, as text."""
        numbers = self.token[slots]
        changes = np.flatnonzero(numbers[1:] != numbers[:-1]) + 1
        if 2 * len(changes) > len(numbers):
            return list(map(_DECIMAL, numbers.tolist()))
        starts = [0, *changes.tolist()]
        lengths = map(sub, [*starts[1:], len(numbers)], starts)
        tokens = map(_DECIMAL, numbers[starts].tolist())
        return list(chain.from_iterable(map(repeat, tokens, lengths)))

    def find(self, tokens: Slots) -> tuple[Slots, Slots]:
        """Return the slots of the tokens that are in flight, and where these stand in `tokens`.

        A token that comes twice is found once.
        """
        slots: Slots = tokens % self._scale
        slots[slots >= len(self.token)] = 0
        places: Slots = np.flatnonzero((self.token[slots] == tokens) & (tokens != 0))
        slots = slots[places]
        self._place[slots[::-1]] = places[::-1]
        first = self._place[slots] == places
        return slots[first], places[first]

    def sent(self, due_by: float = np.inf) -> Slots:
        """Return the slots of the events in flight, in the order of their first sends."""
        slots: Slots = np.flatnonzero((self.token != 0) & (self.due <= due_by))
        return slots[np.argsort(self.number[slots])]

    def settle(self, slots: Slots) -> None:
        """Take settled events out of the air: no token leads to them any more."""
        self.in_flight -= int(np.count_nonzero(self.token[slots]))
        self.token[slots] = 0

    def free(self, slots: Slots) -> None:
        """Forget settled events."""
        self._free[self._left : self._left + len(slots)] = slots
        self._left += len(slots)
        for column in (self.headers, self.payloads):
            column[slots] = None


def _stamps(intended: npt.NDArray[np.int64]) -> bytes | list[bytes]:
    """Return the closing of each header block, or the one that all have."""
    if (intended == intended[0]).all():
        return stamp(int(intended[0]))
    moments = intended.tolist()
    closing = {at: stamp(at) for at in set(moments)}
    return [closing[at] for at in moments]


def _lengths(closings: bytes | list[bytes]) -> npt.NDArray[np.int64] | int:
    if isinstance(closings, bytes):
        return len(closings)
    return np.fromiter(map(len, closings), np.int64, len(closings))
