"""Store and forward: what a bot does with its events while its radio link is down."""

import math
from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from twin.events.event import Event

__all__ = ["Outbox", "Priority", "wire_bytes"]


class Priority(IntEnum):
    """What is given up first when there is no room; VITAL never is."""

    BULK = 0
    STATUS = 1
    VITAL = 2


class _Entry(NamedTuple):
    number: int
    event: Event


def wire_bytes(event: Event) -> int:
    """Return what an event takes on the radio and in the outbox."""
    return len(event.headers) + len(event.payload)


@dataclass(slots=True)
class Outbox:
    """The events of one bot that wait for its link, at most `capacity_bytes` of them.

    They leave in the order in which they were generated. When a new event does not fit, the
    oldest of the lowest priority makes room, if that priority is not above the new one's;
    otherwise the new event is shed. VITAL events are kept even beyond the capacity: there
    are only as many as the bot has changed its state.
    """

    capacity_bytes: int
    used_bytes: int = 0
    _queues: tuple[deque[_Entry], ...] = field(
        default_factory=lambda: tuple(deque() for _ in Priority)
    )
    _number: int = 0

    def __len__(self) -> int:
        return sum(map(len, self._queues))

    def put(self, event: Event, priority: Priority) -> list[Event]:
        """Store an event; return those that were shed for it, itself perhaps."""
        size = wire_bytes(event)
        shed: list[Event] = []
        if size > self.capacity_bytes and priority is not Priority.VITAL:
            return [event]
        for queue in self._queues[: min(priority + 1, Priority.VITAL)]:
            while queue and self.used_bytes + size > self.capacity_bytes:
                shed.append(self._take(queue))
        if self.used_bytes + size > self.capacity_bytes and priority is not Priority.VITAL:
            return [*shed, event]
        self._number += 1
        self._queues[priority].append(_Entry(self._number, event))
        self.used_bytes += size
        return shed

    def release(self, budget_bytes: float, most: float = math.inf) -> tuple[list[Event], float]:
        """Return the oldest events, at most `most`, that `budget_bytes` pay for, and the rest.

        What is left counts towards the next, larger event; an empty outbox saves nothing.
        """
        released: list[Event] = []
        while queues := [queue for queue in self._queues if queue]:
            oldest = min(queues, key=lambda queue: queue[0].number)
            size = wire_bytes(oldest[0].event)
            if size > budget_bytes or len(released) + 1 > most:
                return released, budget_bytes
            budget_bytes -= size
            released.append(self._take(oldest))
        return released, 0.0

    def _take(self, queue: deque[_Entry]) -> Event:
        event = queue.popleft().event
        self.used_bytes -= wire_bytes(event)
        return event
