"""Publishes events with an account of each: acknowledged, refused or unknown.

An event is re-sent with the same bytes and the same Nats-Msg-Id, so that JetStream stores it
once, and with a reply subject of its own, so that any of its acknowledgements settles it. By
default a source has one event in flight, which keeps its order through every failure.
"""

import asyncio
import contextlib
import random
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from twin.errors import InfrastructureError, UsageError
from twin.events.event import Event, SourceTable, columns
from twin.events.subjects import SubjectSpace
from twin.jetstream.account import Account, PublishCounts, PublishJournal, Quantiles
from twin.jetstream.backlog import Backlog
from twin.jetstream.connection import Connection, Subscription
from twin.jetstream.flights import Flights, Slots
from twin.jetstream.formations import MOST
from twin.jetstream.permitted import Subjects, header_sizes
from twin.jetstream.puback import NO_STREAM, TRANSIENT, PubAck, read_ack
from twin.jetstream.wire import INTENDED_HEADER, Delivery, Stored, Volley, stamp
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
_MAX_WINDOW = 50_000
_MAX_TRIES = 0xFFFF
_GROWING = 10
_LEAST_WINDOW = 16
_RECENT = 0.1
_STAMP_SIZE = len(stamp(time.time_ns()))
_FORBIDDEN = re.compile(r'permissions violation for publish to "(?P<subject>[^"]+)"', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PublisherSettings:
    """Bounds and times of a publisher.

    `window` is the number of events on the wire at once, `backlog` that of all unsettled
    ones. Where events are large the window is smaller: about `window_bytes` in all. A try
    without an answer is repeated after `ack_wait_s`, growing with each try and jittered;
    `retry_for_s` after its first send an event's outcome is unknown. That must stay well below
    the streams' duplicate window. `pipelined` gives up the order per source.
    """

    window: int = 8192
    window_bytes: int = 16 * 2**20
    backlog: int = 100_000
    ack_wait_s: float = 2.0
    retry_for_s: float = 60.0
    duplicate_window_s: float = 120.0
    checkpoint_s: float = 1.0
    pipelined: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.window <= _MAX_WINDOW:
            raise UsageError(f"A publisher's window is 1 to {_MAX_WINDOW}, not {self.window}.")
        if self.retry_for_s > 0.8 * self.duplicate_window_s:
            raise UsageError(
                f"Retrying for {self.retry_for_s:g} s needs a duplicate window of at least "
                f"{self.retry_for_s / 0.8:g} s, not {self.duplicate_window_s:g} s."
            )


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
        self._resting = 0
        self._largest = 0
        self._usual = 0.0
        self._inbox = b""
        self._idle = asyncio.Event()
        self._room = asyncio.Event()
        self._subscription: Subscription | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._stack = contextlib.ExitStack()
        self._jitter = random.Random()  # noqa: S311 - spreads retries, guards nothing

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
        sizes = heads + rows["size"]
        self._largest = max(self._largest, int(sizes.max()))
        usual = float(sizes.sum()) / len(events)
        self._usual += (usual - self._usual) * (_RECENT if self._usual else 1.0)
        room = self._flights.room
        if len(events) > room:
            self._account.overflowed(rows[room:])
        if room:
            slots = self._flights.board(
                rows[:room], heads[:room], fields.headers[:room], fields.payload[:room]
            )
            self._backlog.push(slots.tolist(), fields.source[:room].tolist())
        self._pump()
        self._signal()

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
            self._abandon()
            clean = False
        self._check()
        await self._checkpoint()
        return clean

    async def __aenter__(self) -> Self:
        inbox = self._connection.new_inbox()
        self._inbox = inbox.encode()
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
        self._abandon()
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
            (self._room, unsettled <= min(2 * self._window(), self._settings.backlog // 2)),
        ):
            if now:
                event.set()
            else:
                event.clear()

    def _pump(self) -> None:
        """Send as many waiting events as the window allows."""
        while self._send_waiting():
            pass

    def _send_waiting(self) -> bool:
        """Send a volley of what may go now; False when there was none.

        In pieces, so that the server works on the first while the next is put together.
        """
        free = self._window_left()
        stuck = self._settings.pipelined and self._resting >= self._window()
        if free <= 0 or stuck or not self._connection.up:
            return False
        waiting = self._backlog.take(min(free, MOST))
        slots = self._fitting(np.array(waiting, np.int64))
        if len(slots):
            wait_s = self._settings.ack_wait_s * self._jitter.uniform(0.8, 1.2)
            self._send(slots, self._flights.launch(slots, wait_s))
        return bool(waiting)

    def _fitting(self, waiting: Slots) -> Slots:
        """Return those that the server will take; the others are refused."""
        largest = self._connection.max_payload
        if self._largest + _STAMP_SIZE <= largest:
            return waiting
        fits = self._flights.size[waiting] <= largest
        refused = waiting[~fits]
        self._flights.error[refused] = LocalRefusal.MAX_PAYLOAD
        self._give_up(refused, np.zeros(len(refused), np.bool_))
        return waiting[fits]

    def _window(self) -> int:
        """Return how many events of the size that is usual lately may be on the wire."""
        fitting = int(self._settings.window_bytes / max(self._usual, 1.0))
        return min(self._settings.window, max(fitting, _LEAST_WINDOW))

    def _window_left(self) -> int:
        return self._window() - (self._flights.in_flight - self._resting)

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
        self._connection.launch(self._inbox, volley)

    def _resend(self, slots: Slots) -> None:
        if not len(slots):
            return
        flights, now = self._flights, time.monotonic()
        flights.scatter(flights.token[slots])
        growth = np.minimum(1.5 ** np.minimum(flights.tries[slots], _GROWING), 4.0)
        jitter = [self._jitter.uniform(0.8, 1.2) for _ in slots]
        wait_s = self._settings.ack_wait_s * growth * jitter
        last = flights.first_sent[slots] + self._settings.retry_for_s
        flights.due[slots] = np.minimum(now + wait_s, last)
        flights.tries[slots] = np.minimum(flights.tries[slots], _MAX_TRIES - 1) + 1
        self._account.counts.resent += len(slots)
        self._send(slots, flights.tokens(slots))

    def _on_stored(self, stored: Stored) -> None:
        """Settle what was stored at first sight."""
        self._settle(stored)
        self._pump()
        self._signal()

    def _settle(self, stored: Stored) -> None:
        flights = self._flights
        alone, complete, broken = flights.formations.take(stored)
        if complete:
            slots, sequences = map(np.concatenate, zip(*complete, strict=True))
            self._acknowledge(slots, sequences)
        for token in broken:
            self._resend(flights.scatter(np.array([token])))
        if not len(alone.tokens):
            return
        slots, places = flights.find(alone.tokens)
        once = flights.tries[slots] == 1
        flights.formations.prove(flights.source[slots][once], alone.streams[places][once])
        self._acknowledge(slots, alone.sequences[places])
        self._late(len(alone.tokens) - len(slots))

    def _late(self, answers: int) -> None:
        """Count answers for settled events; more of them than second tries are a stranger's."""
        counts = self._account.counts
        counts.late += answers
        if counts.late + counts.strange > counts.resent + counts.unknown:
            self._flights.formations.allowed = False

    def _on_answers(self, batch: list[Delivery]) -> None:
        start = len(self._inbox) + 1
        for subject, _, headers, payload in batch:
            missing = headers.startswith(b"NATS/1.0 503")
            ack = NO_STREAM if missing else read_ack(payload)
            self._on_answer(int(subject[start:]), ack)
        self._pump()
        self._signal()

    def _on_answer(self, number: int, ack: PubAck | None) -> None:
        """Handle acknowledgements, duplicates, refusals, and what is no answer of JetStream."""
        flights, token = self._flights, np.array([number])
        slots, _ = flights.find(token)
        stream = 0 if ack is None else hash(ack.stream.encode())
        if ack is not None and ack.duplicate:
            flights.formations.repeated(number, stream, ack.seq)
        if ack is not None and not ack.error and not ack.duplicate:
            self._settle(Stored(token, np.array([ack.seq]), np.array([stream])))
        elif not len(slots):
            self._late(1)
        elif ack is None:
            self._account.counts.strange += 1
            self._late(0)
        elif number in flights.formations:
            self._resend(flights.scatter(token))
        elif ack.duplicate:
            if flights.formations.was_repeated(stream, ack.seq):
                flights.tries[slots] = 1
            self._acknowledge(slots, ack.seq, duplicate=True)
        elif ack.error in TRANSIENT:
            self._rest(slots, ack.error)
        else:
            self._flights.error[slots] = ack.error
            self._give_up(slots, self._flights.doubtful[slots])

    def _rest(self, slots: Slots, error: int) -> None:
        """Take one event off the wire after a refusal that may be over soon."""
        flights = self._flights
        flights.error[slots] = error
        self._resting += int(np.count_nonzero(~flights.resting[slots]))
        flights.resting[slots] = True
        pause_s = np.minimum(0.025 * 2.0 ** np.minimum(flights.tries[slots], _GROWING), 2.0)
        flights.due[slots] = time.monotonic() + pause_s * self._jitter.uniform(0.5, 1.5)

    def _acknowledge(
        self, slots: Slots, stream_seq: Slots | int, *, duplicate: bool = False
    ) -> None:
        self._land(slots)
        try:
            self._pump()
        finally:
            self._account.acknowledged(slots, stream_seq, duplicate)
            self._flights.free(slots)

    def _give_up(self, slots: Slots, unknown: npt.NDArray[np.bool_]) -> None:
        """Settle as unknown or refused; what flew in formation with them goes again, alone."""
        if len(slots):
            scattered = self._flights.scatter(self._flights.token[slots])
            self._account.given_up(slots, unknown)
            self._land(slots)
            self._flights.free(slots)
            if self._connection.up:
                self._resend(scattered[~np.isin(scattered, slots)])

    def _land(self, slots: Slots) -> None:
        """Let the successors of settled events go."""
        if self._resting:
            self._resting -= int(np.count_nonzero(self._flights.resting[slots]))
        self._backlog.release(slots.tolist(), self._flights.source[slots].tolist())
        self._flights.settle(slots)

    def _end(self, slots: Slots) -> None:
        """Give up what was sent: refused if every try was refused, otherwise unknown."""
        self._give_up(slots, self._flights.doubtful[slots] | ~self._flights.resting[slots])

    def _abandon(self) -> None:
        """Settle everything at once with what is known of it."""
        self._end(self._flights.sent())
        while waiting := self._backlog.take(_MAX_WINDOW):
            slots = np.array(waiting)
            self._flights.error[slots] = LocalRefusal.NOT_SENT
            self._give_up(slots, np.zeros(len(slots), np.bool_))
        self._signal()

    def _on_state(self, up: bool) -> None:
        flights = self._flights
        slots = flights.sent()
        on_the_wire = slots[~flights.resting[slots]]
        if up:
            self._resend(on_the_wire)
            self._pump()
            return
        self._account.counts.disconnects += 1
        flights.doubtful[on_the_wire] = True

    def _on_error(self, text: str) -> None:
        if found := _FORBIDDEN.search(text):
            slots = self._flights.sent()
            sources = self._subjects.of(found["subject"])
            hit = slots[np.isin(self._flights.source[slots], sources)]
            self._flights.error[hit] = LocalRefusal.PERMISSION
            self._give_up(hit, self._flights.doubtful[hit])
            self._pump()
            self._signal()

    async def _sweep_forever(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            self._sweep(time.monotonic())

    def _sweep(self, now: float) -> None:
        """Re-send what is due, give up what is past its deadline."""
        flights = self._flights
        due = flights.sent(due_by=now)
        over = flights.first_sent[due] <= now - self._settings.retry_for_s
        self._end(due[over])
        if self._connection.up:
            self._resend(self._woken(due[~over]))
            self._pump()
        self._signal()

    def _woken(self, due: Slots) -> Slots:
        """Return what is to be sent now; resting events only as far as the window allows."""
        flights = self._flights
        resting = flights.resting[due]
        flights.doubtful[due[~resting]] = True  # no answer came, and it may yet have been stored
        again = np.flatnonzero(resting)[: max(0, self._window_left())]
        flights.resting[due[again]] = False
        self._resting -= len(again)
        resting[again] = False
        return due[~resting]

    async def _checkpoint_forever(self) -> None:
        while True:
            await asyncio.sleep(self._settings.checkpoint_s)
            await self._checkpoint()

    async def _checkpoint(self) -> None:
        self._account.journal.flush()
        await asyncio.to_thread(self._account.journal.sync)
