"""Between a bot and the bus: what goes out now, what waits for the link, what is given up."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from twin.events.event import Event
from twin.hardware.plane import Bools, Floats
from twin.simulation.outbox import Outbox, Priority

__all__ = ["RELEASE_PERIOD_NS", "Relay"]

RELEASE_PERIOD_NS = 100_000_000
BYTES_PER_KBIT = 125.0


class Relay:
    """The outboxes of all bots of a squad.

    A bot stores while its link is down, and until all that it stored has left; the bandwidth
    limits only what was stored. Under a `limit` it also stores what is more than that. With
    every link up, no limit and nothing stored, `quiet` is true and events need not come here.

    `link` (n,) and `rate_kbps` (n,), the bandwidth after losses, are live arrays of a plane.
    `given_up` takes what is shed.
    """

    def __init__(
        self,
        link: Bools,
        rate_kbps: Callable[[], Floats],
        capacity_bytes: int,
        given_up: Callable[[list[Event]], None],
    ) -> None:
        self._link, self._rate_kbps = link, rate_kbps
        self._capacity_bytes, self._given_up = capacity_bytes, given_up
        self._outboxes: dict[int, Outbox] = {}
        self._budget: dict[int, float] = {}
        self._shed: dict[int, int] = {}
        self._limit_per_s = math.inf
        self._allowed = np.zeros(len(link))
        self._allowed_ns = 0
        self.quiet = True

    def look(self) -> None:
        """Take note of the links after a tick."""
        limited = math.isfinite(self._limit_per_s)
        self.quiet = not self._outboxes and not limited and bool(self._link.all())

    def limit(self, rate_per_s: float) -> None:
        """Let each bot send at most so many events a second, infinitely many at first."""
        self._limit_per_s = rate_per_s
        self._allowed[:] = np.minimum(self._allowed, self._most)
        self.look()

    @property
    def _most(self) -> float:
        """What a bot may save up: a second of its rate, at least one event."""
        return max(1.0, self._limit_per_s)

    def _earn(self, sim_ns: int) -> None:
        """Let every bot save up what the limit allows since the last time."""
        seconds, self._allowed_ns = (sim_ns - self._allowed_ns) / 1e9, sim_ns
        if math.isfinite(self._limit_per_s):
            self._allowed += self._limit_per_s * seconds
            np.minimum(self._allowed, self._most, out=self._allowed)
        else:
            self._allowed[:] = math.inf

    def pass_on(self, bots: Sequence[int], events: list[Event], priority: Priority) -> list[Event]:
        """Store what cannot go out; return what can, in order. `bots[i]` emitted `events[i]`."""
        if self.quiet:
            return events
        if events:
            self._earn(events[0].sim_ns)
        out: list[Event] = []
        for bot, event in zip(bots, events, strict=True):
            if self._goes(bot, priority):
                self._allowed[bot] -= 1
                out.append(event)
            else:
                self._store(bot, event, priority)
        return out

    def _goes(self, bot: int, priority: Priority) -> bool:
        """Tell whether a new event goes out now: in its turn, and vital or allowed."""
        in_turn = bool(self._link[bot]) and bot not in self._outboxes
        return in_turn and (priority is Priority.VITAL or self._allowed[bot] >= 1)

    def _store(self, bot: int, event: Event, priority: Priority) -> None:
        outbox = self._outboxes.get(bot)
        if outbox is None:
            outbox = self._outboxes[bot] = Outbox(self._capacity_bytes)
        if shed := outbox.put(event, priority):
            self._shed[bot] = self._shed.get(bot, 0) + len(shed)
            self._given_up(shed)

    def losses(self) -> list[tuple[int, int]]:
        """Return (bot, events shed) of bots whose link is back, and forget these numbers.

        Under a limit a bot tells when it has caught up, once for all that it shed.
        """
        limited = math.isfinite(self._limit_per_s)
        back = [
            bot
            for bot in sorted(self._shed)
            if self._link[bot] and not (limited and bot in self._outboxes)
        ]
        return [(bot, self._shed.pop(bot)) for bot in back]

    def release(self, sim_ns: int) -> list[Event]:
        """Return what leaves in one RELEASE_PERIOD_NS, bot after bot, with `sim_ns` as its time."""
        pay = self._rate_kbps() * (BYTES_PER_KBIT * RELEASE_PERIOD_NS / 1e9)
        self._earn(sim_ns)
        out: list[Event] = []
        for bot in sorted(bot for bot in self._outboxes if self._link[bot]):
            budget = self._budget.get(bot, 0.0) + float(pay[bot])
            events, self._budget[bot] = self._outboxes[bot].release(budget, self._allowed[bot])
            self._allowed[bot] -= len(events)
            out += [event._replace(sim_ns=sim_ns) for event in events]
            if not len(self._outboxes[bot]):
                del self._outboxes[bot], self._budget[bot]
        return out

    @property
    def draining(self) -> bool:
        """Whether a bot with a link has something to release."""
        return any(self._link[bot] for bot in self._outboxes)

    @property
    def stored(self) -> int:
        """Events that wait now."""
        return sum(map(len, self._outboxes.values()))

    def queued(self, n: int) -> Floats:
        """Return how many events wait for each of `n` bots."""
        counts = np.zeros(n)
        for bot, outbox in self._outboxes.items():
            counts[bot] = len(outbox)
        return counts
