"""What becomes of events: each is settled once, and its successors may go."""

import numpy as np
import numpy.typing as npt

from twin.jetstream.account import Account
from twin.jetstream.backlog import Backlog
from twin.jetstream.connection import Connection
from twin.jetstream.flights import Flights, Slots
from twin.jetstream.sender import Sender
from twin.jetstream.window import Window
from twin.verdict.journal import LocalRefusal

__all__ = ["Settlement"]

_AT_ONCE = 50_000


class Settlement:
    """Settles events as acknowledged, refused or unknown."""

    def __init__(
        self,
        connection: Connection,
        *,
        flights: Flights,
        backlog: Backlog,
        window: Window,
        account: Account,
        sender: Sender,
    ) -> None:
        self._connection = connection
        self._flights = flights
        self._backlog = backlog
        self._window = window
        self._account = account
        self._sender = sender

    def pump(self) -> None:
        """Send as many waiting events as the window allows; refuse what is too large."""
        while (refused := self._sender.send_waiting()) is not None:
            if len(refused):
                self.refuse(refused, LocalRefusal.MAX_PAYLOAD)

    def acknowledge(
        self, slots: Slots, stream_seq: Slots | int, *, duplicate: bool = False
    ) -> None:
        """Settle as stored; what waits leaves before that is booked, the server need not wait."""
        self._land(slots)
        self._window.widen(len(slots))
        try:
            self.pump()
        finally:
            self._account.acknowledged(slots, stream_seq, duplicate)
            self._flights.free(slots)

    def give_up(self, slots: Slots, unknown: npt.NDArray[np.bool_]) -> None:
        """Settle as unknown or refused; what flew in formation with them goes again, alone."""
        if len(slots):
            scattered = self._flights.scatter(self._flights.token[slots])
            self._account.given_up(slots, unknown)
            self._land(slots)
            self._flights.free(slots)
            if self._connection.up:
                self._sender.resend(scattered[~np.isin(scattered, slots)])

    def refuse(self, slots: Slots, error: int) -> None:
        """Settle as refused with an error, or unknown where some try may have been stored."""
        self._flights.error[slots] = error
        self.give_up(slots, self._flights.doubtful[slots])

    def end(self, slots: Slots) -> None:
        """Give up what was sent: refused if every try was refused, otherwise unknown."""
        self.give_up(slots, self._flights.doubtful[slots] | ~self._flights.resting[slots])

    def abandon(self) -> None:
        """Settle everything at once with what is known of it."""
        self.end(self._flights.sent())
        while len(waiting := self._backlog.take(_AT_ONCE)):
            self.refuse(waiting, LocalRefusal.NOT_SENT)

    def _land(self, slots: Slots) -> None:
        """Let the successors of settled events go."""
        if self._window.resting:
            self._window.resting -= int(np.count_nonzero(self._flights.resting[slots]))
        self._backlog.release(slots, self._flights.source[slots])
        self._flights.settle(slots)
