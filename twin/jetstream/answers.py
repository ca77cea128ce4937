"""Finds the event of each answer, and what the answer means for it."""

import re
import time

import numpy as np

from twin.jetstream.account import PublishCounts
from twin.jetstream.flights import Flights, Slots
from twin.jetstream.puback import NO_STREAM, TRANSIENT, PubAck, read_ack
from twin.jetstream.sender import GROWING, Sender
from twin.jetstream.settlement import Settlement
from twin.jetstream.window import Window
from twin.jetstream.wire import Delivery, Stored

__all__ = ["Answers"]

_TOKEN = re.compile(rb"[0-9]{1,18}")


class Answers:
    """Takes all that comes to the publisher's inbox."""

    def __init__(
        self,
        flights: Flights,
        window: Window,
        counts: PublishCounts,
        sender: Sender,
        settlement: Settlement,
    ) -> None:
        self._flights = flights
        self._window = window
        self._counts = counts
        self._sender = sender
        self._settlement = settlement

    def stored(self, stored: Stored) -> None:
        """Settle what was stored at first sight."""
        flights = self._flights
        alone, complete, broken = flights.formations.take(stored)
        if complete:
            slots, sequences = map(np.concatenate, zip(*complete, strict=True))
            self._settlement.acknowledge(slots, sequences)
        for token in broken:
            self._sender.resend(flights.scatter(np.array([token])))
        if not len(alone.tokens):
            return
        slots, places = flights.find(alone.tokens)
        once = flights.tries[slots] == 1
        flights.formations.prove(flights.source[slots][once], alone.streams[places][once])
        self._settlement.acknowledge(slots, alone.sequences[places])
        self._late(len(alone.tokens) - len(slots))

    def each(self, batch: list[Delivery]) -> None:
        """Handle answers one by one."""
        start = len(self._sender.inbox) + 1
        for subject, _, headers, payload in batch:
            missing = headers.startswith(b"NATS/1.0 503")
            ack = NO_STREAM if missing else read_ack(payload)
            token = subject[start:]
            if _TOKEN.fullmatch(token):
                self._one(int(token), ack)
            else:  # somebody else's, to our inbox
                self._counts.strange += 1
                self._late(0)

    def _one(self, number: int, ack: PubAck | None) -> None:
        """Handle acknowledgements, duplicates, refusals, and what is no answer of JetStream."""
        flights, token = self._flights, np.array([number])
        slots, _ = flights.find(token)
        stream = 0 if ack is None else hash(ack.stream.encode())
        if ack is not None and ack.duplicate:
            flights.formations.repeated(number, stream, ack.seq)
        if ack is not None and not ack.error and not ack.duplicate:
            self.stored(Stored(token, np.array([ack.seq]), np.array([stream])))
        elif not len(slots):
            self._late(1)
        elif ack is None:
            self._counts.strange += 1
            self._late(0)
        elif number in flights.formations:
            self._sender.resend(flights.scatter(token))
        elif ack.duplicate:
            if flights.formations.was_repeated(stream, ack.seq):
                flights.tries[slots] = 1
            self._settlement.acknowledge(slots, ack.seq, duplicate=True)
        elif ack.error in TRANSIENT:
            self._rest(slots, ack.error)
        else:
            self._settlement.refuse(slots, ack.error)

    def _late(self, answers: int) -> None:
        """Count answers for settled events; more of them than second tries are a stranger's."""
        counts = self._counts
        counts.late += answers
        if counts.late + counts.strange > counts.resent + counts.unknown:
            self._flights.formations.allowed = False

    def _rest(self, slots: Slots, error: int) -> None:
        """Take one event off the wire after a refusal that may be over soon."""
        flights = self._flights
        flights.error[slots] = error
        self._window.resting += int(np.count_nonzero(~flights.resting[slots]))
        flights.resting[slots] = True
        pause_s = np.minimum(0.025 * 2.0 ** np.minimum(flights.tries[slots], GROWING), 2.0)
        flights.due[slots] = time.monotonic() + pause_s * self._sender.jitter.uniform(0.5, 1.5)
