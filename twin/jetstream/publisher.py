"""Publishes events with an account of each: acknowledged, refused or unknown.

An event is re-sent with the same bytes and the same Nats-Msg-Id, so that JetStream stores it
once, and with a reply subject of its own, so that any of its acknowledgements settles it. By
default a source has one event in flight, which keeps its order through every failure.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

import numpy as np

from twin.errors import InfrastructureError
from twin.events.event import Event, SourceTable, columns
from twin.events.subjects import SubjectSpace
from twin.jetstream.account import Account, PublishCounts, PublishJournal, Quantiles
from twin.jetstream.answers import Answers
from twin.jetstream.backlog import Backlog
from twin.jetstream.connection import Connection, Subscription
from twin.jetstream.flights import Flights, Slots
from twin.jetstream.permitted import Subjects, header_sizes
from twin.jetstream.sender import Sender
from twin.jetstream.settlement import Settlement
from twin.jetstream.window import PublisherSettings, Window
from twin.jetstream.wire import INTENDED_HEADER, Delivery, Stored
from twin.verdict.journal import LocalRefusal

__all__ = [
    "INTENDED_HEADER",
    "PublishCounts",
    "PublishJournal",
    "Publisher",
    "PublisherSettings",
    "Quantiles",
]

_SWEEP_S = 0.05
_FORBIDDEN = re.compile(r'permissions violation for publish to "(?P<subject>[^"]+)"', re.IGNORECASE)


class Publisher:
    """Sends what is offered, as fast as the window and the order allow.

    Used as a context: leaving it gives up whatever was not flushed. Synchronous methods are
    called from the event loop's thread.
    """

    def __init__(
        self,
        connection: Connection,
        sources: SourceTable,
        space: SubjectSpace,
        journal: PublishJournal,
        settings: PublisherSettings | None = None,
    ) -> None:
        self._connection = connection
        self._settings = settings or PublisherSettings()
        self._flights = Flights(self._settings.backlog)
        self._account = Account(journal, self._flights)
        self._backlog = Backlog(ordered=not self._settings.pipelined)
        self._subjects = Subjects(sources, space)
        self._window = window = Window(self._settings)
        flights, backlog, account = self._flights, self._backlog, self._account
        self._sender = sender = Sender(
            connection,
            self._settings,
            flights=flights,
            backlog=backlog,
            window=window,
            subjects=self._subjects,
            counts=account.counts,
        )
        self._settlement = Settlement(
            connection,
            flights=flights,
            backlog=backlog,
            window=window,
            account=account,
            sender=sender,
        )
        self._answers = Answers(flights, window, account.counts, sender, self._settlement)
        self._idle = asyncio.Event()
        self._room = asyncio.Event()
        self._subscription: Subscription | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._stack = contextlib.ExitStack()

    @property
    def counts(self) -> PublishCounts:
        """The account so far."""
        return replace(
            self._account.counts, in_flight=self._flights.in_flight, waiting=len(self._backlog)
        )

    @property
    def overfull(self) -> Mapping[int, int]:
        """How many events of each source were refused because their stream was full."""
        return self._account.overfull

    @property
    def latency_sum_ns(self) -> int:
        """The latencies of all acknowledgements so far, added up."""
        return self._account.latency_sum_ns

    @property
    def latency(self) -> Quantiles | None:
        """Quantiles over the most recent acknowledgements, None before the first."""
        return self._account.latency()

    def offer(self, events: Sequence[Event], intended_ns: Sequence[int], slip_us: int = 0) -> None:
        """Take events over and send what may be sent; never waits.

        `intended_ns` holds each event's intended wall time. What the bounded backlog cannot
        take is refused and journalled as such. Raises UsageError, and takes nothing, when a
        header block or a subject is malformed.
        """
        self._check()
        if not events:
            return
        fields = columns(events)
        heads = header_sizes(fields.headers)
        self._subjects.meet(fields.source)
        rows = self._account.offered(fields, intended_ns, slip_us)
        self._window.weigh(heads + rows["size"])
        room = self._flights.room
        if len(events) > room:
            self._account.overflowed(rows[room:])
        if room:
            slots = self._flights.board(
                rows[:room], heads[:room], fields.headers[:room], fields.payload[:room]
            )
            self._backlog.push(slots, fields.source[:room])
        self._go_on()

    async def room(self) -> None:
        """Return once more can be offered without a risk of overflow; yields to the loop."""
        await asyncio.sleep(0)
        await self._room.wait()
        self._check()

    async def flush(self, deadline_s: float) -> bool:
        """Wait until every event is settled, and make the journal durable.

        After `deadline_s` what was sent is unknown and what was not is refused; returns
        whether that was not needed.
        """
        try:
            async with asyncio.timeout(deadline_s):
                await self._idle.wait()
            clean = True
        except TimeoutError:
            self._settlement.abandon()
            self._signal()
            clean = False
        self._check()
        await self._checkpoint()
        return clean

    async def __aenter__(self) -> Self:
        inbox = self._connection.new_inbox()
        self._sender.inbox = inbox.encode()
        self._subscription = await self._connection.subscribe(
            f"{inbox}.*", self._on_answers, self._on_stored
        )
        self._stack.enter_context(
            self._connection.listening(state=self._on_state, error=self._on_error)
        )
        self._tasks = [
            asyncio.create_task(self._sweep_forever(), name="publisher-sweep"),
            asyncio.create_task(self._checkpoint_forever(), name="publisher-checkpoint"),
        ]
        for task in self._tasks:
            task.add_done_callback(self._wake)
        self._signal()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._stack.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        self._settlement.abandon()
        self._account.journal.flush()
        if self._subscription is not None:
            await self._connection.unsubscribe(self._subscription)

    def _check(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise InfrastructureError(f"The publisher stopped: {error}") from error

    def _wake(self, ended: "asyncio.Task[None]") -> None:
        """Let those who wait find out that the publisher has stopped."""
        self._idle.set()
        self._room.set()

    def _signal(self) -> None:
        """Wake those who wait for room or for the end."""
        unsettled = len(self._backlog) + self._flights.in_flight
        for event, now in (
            (self._idle, unsettled == 0),
            (self._room, unsettled <= min(2 * self._window.size, self._settings.backlog // 2)),
        ):
            if now:
                event.set()
            else:
                event.clear()

    def _on_stored(self, stored: Stored) -> None:
        self._answers.stored(stored)
        self._go_on()

    def _on_answers(self, batch: list[Delivery]) -> None:
        self._answers.each(batch)
        self._go_on()

    def _go_on(self) -> None:
        """Send what may go now, and wake who may."""
        self._settlement.pump()
        self._signal()

    def _on_state(self, up: bool) -> None:
        flights = self._flights
        slots = flights.sent()
        on_the_wire = slots[~flights.resting[slots]]
        if up:
            begun = time.monotonic() - self._settings.retry_for_s
            self._sender.resend(on_the_wire[flights.first_sent[on_the_wire] > begun])
            self._settlement.pump()
            return
        self._account.counts.disconnects += 1
        flights.doubtful[on_the_wire] = True

    def _on_error(self, text: str) -> None:
        if found := _FORBIDDEN.search(text):
            slots = self._flights.sent()
            sources = np.array(self._subjects.of(found["subject"]), np.uint32)
            hit = slots[np.isin(self._flights.source[slots], sources)]
            if len(hit):
                taken = self._flights.formations.forbid(sources)
                self._doubt_the_last(hit, taken=taken)
                self._settlement.refuse(hit, LocalRefusal.PERMISSION)
            self._go_on()

    def _doubt_the_last(self, forbidden: Slots, *, taken: bool) -> None:
        """Note which events of a forbidden subject may have been stored before it was.

        The server does not say which try of several it refused, and its complaint overtakes
        acknowledgements. A single event's only try is the one; and unless something on this
        subject was `taken` since it was last forbidden, all are.
        """
        flights = self._flights
        flights.doubtful[forbidden] |= flights.tries[forbidden] > 1
        if taken and len(forbidden) > 1:
            flights.doubtful[forbidden] = True

    async def _sweep_forever(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            self._sweep(time.monotonic())

    def _sweep(self, now: float) -> None:
        """Re-send what is due, give up what is past its deadline."""
        flights = self._flights
        due = flights.sent(due_by=now)
        over = flights.first_sent[due] <= now - self._settings.retry_for_s
        self._settlement.end(due[over])
        if self._connection.up:
            self._sender.resend(self._woken(due[~over]))
            self._settlement.pump()
        self._signal()

    def _woken(self, due: Slots) -> Slots:
        """Return what is to be sent now; resting events only as far as the window allows."""
        flights = self._flights
        resting = flights.resting[due]
        flights.doubtful[due[~resting]] = True  # no answer came, and it may yet have been stored
        again = np.flatnonzero(resting)[: max(0, self._window.left(flights.in_flight))]
        flights.resting[due[again]] = False
        self._window.resting -= len(again)
        resting[again] = False
        return due[~resting]

    async def _checkpoint_forever(self) -> None:
        while True:
            await asyncio.sleep(self._settings.checkpoint_s)
            await self._checkpoint()

    async def _checkpoint(self) -> None:
        self._account.journal.flush()
        await asyncio.to_thread(self._account.journal.sync)
