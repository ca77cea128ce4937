"""Publishes events with an account of each: acknowledged, refused or unknown.

An event is re-sent with the same bytes, the same Nats-Msg-Id and the same reply subject, so
that any of its acknowledgements settles it and JetStream stores it once. By default a
source has one event in flight, which keeps its order through every failure.
"""

import asyncio
import contextlib
import random
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from twin.errors import InfrastructureError, UsageError
from twin.events.event import Event, SourceTable
from twin.events.subjects import SubjectSpace
from twin.jetstream.account import (
    Account,
    PublishCounts,
    PublishJournal,
    Quantiles,
    Settlement,
)
from twin.jetstream.backlog import Backlog, Flight
from twin.jetstream.connection import Connection, Subscription
from twin.jetstream.puback import TRANSIENT, read_ack
from twin.jetstream.wire import INTENDED_HEADER, Delivery, stamp
from twin.verdict.journal import LocalRefusal, Outcome

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
_STAMP_SIZE = len(stamp(time.time_ns()))
_FORBIDDEN = re.compile(r'permissions violation for publish to "(?P<subject>[^"]+)"', re.IGNORECASE)
_SUBJECT = re.compile(rb"[^\s.*>]+(\.[^\s.*>]+)*")


@dataclass(frozen=True, slots=True)
class PublisherSettings:
    """Bounds and times of a publisher.

    `window` is the number of events on the wire at once, `backlog` that of all unsettled
    ones. A try without an answer is repeated after `ack_wait_s`, growing with each try and
    jittered; `retry_for_s` after its first send an event's outcome is unknown. That must stay
    well below the streams' duplicate window. `pipelined` gives up the order per source.
    """

    window: int = 4096
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
        self._sources = sources
        self._space = space
        self._account = Account(journal)
        self._settings = settings or PublisherSettings()
        self._backlog = Backlog(ordered=not self._settings.pipelined)
        self._flights: dict[int, Flight] = {}
        self._resting = 0
        self._tokens = 0
        self._inbox = b""
        self._subjects: dict[int, bytes] = {}
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
            self._account.counts, in_flight=len(self._flights), waiting=len(self._backlog)
        )

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
        header block is malformed.
        """
        self._check()
        _check_headers([event.headers for event in events])
        self._account.offered(events, intended_ns, slip_us)
        space = max(0, self._settings.backlog - len(self._backlog) - len(self._flights))
        fitting = events[:space]
        self._backlog.push(list(map(Flight, fitting, intended_ns)))
        if len(events) > space:
            self._account.overflowed(events[space:])
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
        unsettled = len(self._backlog) + len(self._flights)
        for event, now in (
            (self._idle, unsettled == 0),
            (self._room, unsettled <= min(2 * self._settings.window, self._settings.backlog // 2)),
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
        """Send what may go now in one piece; True when refusals have made way for more."""
        free = self._free_window()
        if free <= 0 or not self._connection.up:
            return False
        now = time.monotonic()
        due = now + self._settings.ack_wait_s * self._jitter.uniform(0.8, 1.2)
        largest = self._connection.max_payload - _STAMP_SIZE
        token, flights, subjects = self._tokens, self._flights, self._subjects
        launched: list[Flight] = []
        refused: list[Settlement] = []
        for flight in self._backlog.take(free):
            source, _, _, headers, payload = flight.event
            flight.subject = subjects.get(source) or self._subject(source)
            if len(headers) + len(payload) > largest:
                flight.error = LocalRefusal.MAX_PAYLOAD
                refused.append((flight, Outcome.REFUSED, 0, False))
                continue
            flight.token = token = token + 1
            flight.tries = 1
            flight.first_sent = now
            flight.due = due
            flights[token] = flight
            launched.append(flight)
        self._tokens = token
        if launched:
            self._connection.launch(self._inbox, launched)
        self._settle(refused)
        return bool(refused)

    def _free_window(self) -> int:
        window = self._settings.window
        if self._settings.pipelined and self._resting >= window:
            return 0
        return window - (len(self._flights) - self._resting)

    def _subject(self, source: int) -> bytes:
        logical = self._sources[source].subject
        subject = self._space.wire(logical).encode()
        if not _SUBJECT.fullmatch(subject):
            raise UsageError(f"{logical!r} is not a subject that can be published to.")
        self._subjects[source] = subject
        return subject

    def _resend(self, flights: Iterable[Flight]) -> None:
        now = time.monotonic()
        again = list(flights)
        for flight in again:
            growth = min(1.5**flight.tries, 4.0)
            wait_s = self._settings.ack_wait_s * growth * self._jitter.uniform(0.8, 1.2)
            flight.due = min(now + wait_s, flight.first_sent + self._settings.retry_for_s)
            flight.tries += 1
        self._account.counts.resent += len(again)
        self._connection.launch(self._inbox, again)

    def _on_stored(self, acks: list[tuple[int, int]]) -> None:
        """Settle what was stored at first sight: token and stream sequence of each."""
        pop = self._flights.pop
        stored = [
            (flight, stream_seq) for token, stream_seq in acks if (flight := pop(token, None))
        ]
        self._account.counts.late += len(acks) - len(stored)
        self._account.acknowledged(stored)
        settled = [flight for flight, _ in stored]
        if self._resting:
            self._resting -= sum(flight.resting for flight in settled)
        self._backlog.release(settled)
        self._pump()
        self._signal()

    def _on_answers(self, batch: list[Delivery]) -> None:
        start = len(self._inbox) + 1
        for subject, _, headers, payload in batch:
            flight = self._flights.get(int(subject[start:]))
            if flight is None:
                self._account.counts.late += 1
            else:
                self._on_answer(flight, headers, payload)
        self._pump()
        self._signal()

    def _on_answer(self, flight: Flight, headers: bytes, payload: bytes) -> None:
        """Handle acknowledgements, duplicates, refusals, and what is no answer of JetStream."""
        if headers.startswith(b"NATS/1.0 503"):
            self._rest(flight, LocalRefusal.NO_RESPONDERS)
        elif (ack := read_ack(payload)) is None:
            self._account.counts.strange += 1
        elif not ack.error:
            self._settle([(flight, Outcome.ACKNOWLEDGED, ack.seq, ack.duplicate)])
        elif ack.error in TRANSIENT:
            self._rest(flight, ack.error)
        else:
            flight.error = ack.error
            self._settle([(flight, _given_up(flight), 0, False)])

    def _rest(self, flight: Flight, error: int) -> None:
        """Take a flight off the wire after a refusal that may be over soon."""
        flight.error = error
        if not flight.resting:
            flight.resting = True
            self._resting += 1
        pause = min(0.025 * 2.0**flight.tries, 2.0) * self._jitter.uniform(0.5, 1.5)
        flight.due = time.monotonic() + pause

    def _settle(self, settled: list[Settlement]) -> None:
        """Record outcomes and let the successors go."""
        self._account.settle(settled)
        for flight, *_ in settled:
            if flight.tries:
                self._flights.pop(flight.token, None)
            self._resting -= flight.resting
        self._backlog.release(flight for flight, *_ in settled)

    def _abandon(self) -> None:
        """Settle everything at once with what is known of it."""
        self._settle([(f, _given_up(f, ended=True), 0, False) for f in self._flights.values()])
        while waiting := self._backlog.take(_MAX_WINDOW):
            for flight in waiting:
                flight.error = LocalRefusal.NOT_SENT
            self._settle([(flight, Outcome.REFUSED, 0, False) for flight in waiting])
        self._signal()

    def _on_state(self, up: bool) -> None:
        if up:
            self._resend([f for f in self._flights.values() if not f.resting])
            self._pump()
            return
        self._account.counts.disconnects += 1
        for flight in self._flights.values():
            flight.doubtful = flight.doubtful or not flight.resting

    def _on_error(self, text: str) -> None:
        if found := _FORBIDDEN.search(text):
            subject = found["subject"].lower().encode()
            hit = [f for f in self._flights.values() if f.subject.lower() == subject]
            for flight in hit:
                flight.error = LocalRefusal.PERMISSION
            self._settle([(flight, _given_up(flight), 0, False) for flight in hit])
            self._pump()
            self._signal()

    async def _sweep_forever(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            self._sweep(time.monotonic())

    def _sweep(self, now: float) -> None:
        """Re-send what is due, give up what is past its deadline."""
        due = [flight for flight in self._flights.values() if flight.due <= now]
        last = now - self._settings.retry_for_s
        over = [flight for flight in due if flight.first_sent <= last]
        if over:
            self._settle([(f, _given_up(f, ended=True), 0, False) for f in over])
        if self._connection.up:
            self._resend(self._woken(flight for flight in due if flight.first_sent > last))
            self._pump()
        self._signal()

    def _woken(self, due: Iterable[Flight]) -> list[Flight]:
        woken = []
        for flight in due:
            if not flight.resting:
                flight.doubtful = True  # no answer came, and it may yet have been stored
            elif len(self._flights) - self._resting >= self._settings.window:
                continue
            else:
                flight.resting = False
                self._resting -= 1
            woken.append(flight)
        return woken

    async def _checkpoint_forever(self) -> None:
        while True:
            await asyncio.sleep(self._settings.checkpoint_s)
            await self._checkpoint()

    async def _checkpoint(self) -> None:
        self._account.journal.flush()
        await asyncio.to_thread(self._account.journal.sync)


def _check_headers(blocks: list[bytes]) -> None:
    """Raise UsageError for a block that is none, or ends early; all are searched in one piece."""
    odd = [one for one in blocks if one[:10] != b"NATS/1.0\r\n" or one[-2:] != b"\r\n"]
    if not odd and b"\r\n\r\n" in b"".join(blocks):
        odd = [one for one in blocks if b"\r\n\r\n" in one]
    if odd:
        raise UsageError(f"The headers of an event are malformed: {odd[0][:200]!r}")


def _given_up(flight: Flight, *, ended: bool = False) -> Outcome:
    """Refused if every try was refused, otherwise unknown."""
    unanswered = ended and not flight.resting
    return Outcome.UNKNOWN if flight.doubtful or unanswered else Outcome.REFUSED
