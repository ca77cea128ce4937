"""Puts events on the wire: those that wait for the first time, others again."""

import random
import time
from typing import Final

import numpy as np
import numpy.typing as npt

from twin.jetstream.account import PublishCounts
from twin.jetstream.backlog import Backlog
from twin.jetstream.connection import Connection
from twin.jetstream.flights import Flights, Slots
from twin.jetstream.formations import MOST
from twin.jetstream.permitted import Subjects
from twin.jetstream.window import PublisherSettings, Window
from twin.jetstream.wire import Volley, stamp

__all__ = ["GROWING", "Sender"]

GROWING: Final = 10
"""Tries after which the pauses between them no longer grow."""
_MAX_TRIES = 0xFFFF
_STAMP_SIZE = len(stamp(time.time_ns()))


class Sender:
    """Sends as many waiting events as the window allows, and what has to be sent again.

    Nothing is sent before `inbox` is set: the subject below which acknowledgements come.
    """

    def __init__(
        self,
        connection: Connection,
        settings: PublisherSettings,
        *,
        flights: Flights,
        backlog: Backlog,
        window: Window,
        subjects: Subjects,
        counts: PublishCounts,
    ) -> None:
        self.inbox = b""
        self.jitter = random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._connection = connection
        self._settings = settings
        self._flights = flights
        self._backlog = backlog
        self._window = window
        self._subjects = subjects
        self._counts = counts

    def send_waiting(self) -> Slots | None:
        """Send a volley of what may go now; None when there was none.

        Returns the events that the server would not take, which were not sent. In volleys, so
        that the server works on the first while the next is put together.
        """
        free = self._window.left(self._flights.in_flight)
        if free <= 0 or self._window.stuck or not self._connection.up:
            return None
        waiting = self._backlog.take(min(free, MOST))
        if not len(waiting):
            return None
        fits = self._fits(waiting)
        slots = waiting[fits]
        if len(slots):
            wait_s = self._settings.ack_wait_s * self.jitter.uniform(0.8, 1.2)
            self._send(slots, self._flights.launch(slots, wait_s))
        return waiting[~fits]

    def resend(self, slots: Slots) -> None:
        """Send events again, each with a token of its own."""
        if not len(slots):
            return
        flights, now = self._flights, time.monotonic()
        flights.scatter(flights.token[slots])
        growth = np.minimum(1.5 ** np.minimum(flights.tries[slots], GROWING), 4.0)
        jitter = [self.jitter.uniform(0.8, 1.2) for _ in slots]
        wait_s = self._settings.ack_wait_s * growth * jitter
        last = flights.first_sent[slots] + self._settings.retry_for_s
        flights.due[slots] = np.minimum(now + wait_s, last)
        flights.tries[slots] = np.minimum(flights.tries[slots], _MAX_TRIES - 1) + 1
        self._counts.resent += len(slots)
        self._send(slots, flights.tokens(slots))

    def _fits(self, waiting: Slots) -> npt.NDArray[np.bool_]:
        """Tell which of these the server will take."""
        largest = self._connection.max_payload
        if self._window.largest + _STAMP_SIZE <= largest:
            return np.ones(len(waiting), np.bool_)
        fits: npt.NDArray[np.bool_] = self._flights.size[waiting] <= largest
        return fits

    def _send(self, slots: Slots, tokens: list[bytes]) -> None:
        flights = self._flights
        volley = Volley(
            self._subjects.each(flights.source[slots]),
            tokens,
            flights.head[slots],
            flights.size[slots],
            flights.headers[slots].tolist(),
            flights.closings[slots].tolist(),
            flights.payloads[slots].tolist(),
        )
        self._connection.launch(self.inbox, volley)
