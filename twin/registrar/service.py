"""The registrar: from durable consumers into the store, acknowledged only when durable.

One reader per consumer takes batches and decodes them; one writer merges what waits into a
commit on the store's own thread, then acknowledges. When as much is on its way as may be held,
readers stop taking, and JetStream keeps the rest. What is held longer than a third of its ack
wait is signalled to be in progress.
"""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from twin import __version__
from twin.errors import BrokerUnreachable
from twin.events.subjects import SubjectSpace
from twin.jetstream.api import ApiRefused, consumer_info, stream_info
from twin.jetstream.connection import Connection, NotPermitted
from twin.jetstream.consumer import PullConsumer
from twin.registrar.anchor import Anchor
from twin.registrar.clock import JUMP_NS, Clock
from twin.registrar.codes import CODES
from twin.registrar.consumers import Durable, Prepare
from twin.registrar.fanout import FanOut
from twin.registrar.gaps import GapWatch
from twin.registrar.held import Held, Taken
from twin.registrar.intake import MAX_PAYLOAD, Intake
from twin.registrar.intervals import Span
from twin.registrar.limits import Limits
from twin.registrar.metrics import RegistrarMetrics
from twin.registrar.record import Note
from twin.registrar.rules import Classifier, Rules
from twin.registrar.sift import rolled_back_to
from twin.registrar.store import Written
from twin.registrar.thread import StoreThread

__all__ = ["Registrar", "RegistrarOptions", "first_of_group"]

WAIT_S: Final = 0.2
BURST: Final = 500
RETRY_S: Final = 0.25
LAST_WORDS_S: Final = 1.0
GAPS_S: Final = 1.0
PAUSE_S: Final = 0.05
ROLLBACK: Final = 922
DEFAULT_ACK_WAIT_S: Final = 5.0
UNAVAILABLE: Final = 503
CONNECTED, DISCONNECTED, STARTED, STOPPED, CLOCK_JUMPED = 410, 411, 730, 731, 734


@dataclass(frozen=True, slots=True)
class RegistrarOptions:
    """What a registrar is to do.

    `durables` is what it reads and `prepare` what makes them exist. `batch` is how many
    messages a consumer is asked for at a time; `fan_out` publishes audit records, `anchor`
    checkpoints. `key` is the file of the signing key, by default in the store.
    """

    store: Path
    durables: tuple[Durable, ...]
    prepare: Prepare
    space: SubjectSpace = field(default_factory=SubjectSpace)
    rules: Rules = field(default_factory=Rules.load)
    batch: int = 2_000
    max_payload: int = MAX_PAYLOAD
    fan_out: bool = True
    anchor: bool = True
    limits: Limits = field(default_factory=Limits)
    key: Path | None = None
    version: str = __version__


class Registrar:
    """The service, to be embedded or run by `twin registrar serve`.

    `store` is open and stays open. `run` returns after `stop`, when everything taken is
    recorded and acknowledged. It raises StoreError when the store fails: nothing is
    acknowledged from then on.
    """

    def __init__(
        self,
        connection: Connection,
        store: StoreThread,
        options: RegistrarOptions,
        metrics: RegistrarMetrics,
    ) -> None:
        self._connection = connection
        self._store = store
        self._options = options
        self._metrics = metrics
        self._intake = Intake(Classifier(options.rules), options.space, options.max_payload)
        self._fan_out = FanOut(connection, options.space, metrics)
        self._gaps = GapWatch(connection, options.durables)
        self._explaining = asyncio.Lock()
        self._clock = Clock()
        self._down: Span = (0, 0)
        self._anchor = Anchor(connection, options.space, metrics)
        self._held = Held(metrics.queue)
        self._own_notes: list[Note] = []
        self._stopping = asyncio.Event()
        self._rose = asyncio.Event()
        self._consumers: list[PullConsumer] = []
        self._ack_wait_s = dict.fromkeys(options.durables, DEFAULT_ACK_WAIT_S)
        self.consuming = asyncio.Event()

    @property
    def waits_for(self) -> str:
        """What it lacks to consume, "" when it does: connected, and every consumer is there."""
        if not self._connection.up:
            return "the broker"
        if not self.consuming.is_set():
            return "its streams and consumers"
        durables = zip(self._options.durables, self._consumers, strict=True)
        lacking = [f"{one.name} on {one.stream}" for one, consumer in durables if consumer.missing]
        return f"consumers that are not there: {', '.join(lacking)}" if lacking else ""

    def stop(self) -> None:
        """Ask `run` to take no more, to finish what it has, and to return."""
        self._stopping.set()

    async def run(self) -> None:
        """Record until stopped."""
        last_ns = await self._store.last_commit_ns()
        self._down = (last_ns, time.time_ns()) if last_ns else (0, 0)
        await self._note_now(STARTED, pid=os.getpid(), rules=self._options.rules.hash)
        if (ahead := last_ns - time.time_ns()) > JUMP_NS:
            await self._note_now(CLOCK_JUMPED, by_ms=-(ahead // 1_000_000), since="the last commit")
        with first_of_group():
            async with asyncio.TaskGroup() as group:
                await self._work(group)
        await self._note_now(STOPPED, pid=os.getpid())
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self._anchor.flush()

    async def _work(self, group: asyncio.TaskGroup) -> None:
        with self._connection.listening(state=self._on_state):
            self._on_state(self._connection.up)
            preparing = group.create_task(self._prepare())
            stopping = group.create_task(self._stopping.wait())
            await asyncio.wait({preparing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if preparing.done():
                await self._go_on()
                await self._consume(group, stopping)
            preparing.cancel()

    async def _go_on(self) -> None:
        """Account for the streams from where the store was left."""
        last, _ = await self._store.state()
        for stream in {durable.stream for durable in self._options.durables}:
            floor, recorded = await self._store.account(stream)
            self._gaps.begin(stream, floor, recorded, last.get(stream, 0), self._down)

    async def _consume(self, group: asyncio.TaskGroup, stopping: asyncio.Task[bool]) -> None:
        async with AsyncExitStack() as stack:
            helpers = [
                group.create_task(helper())
                for helper in (
                    self._keep_alive,
                    self._recover,
                    self._keep_house,
                    self._fan_out.run,
                    self._anchor.run,
                )
            ]
            writer = group.create_task(self._write())
            tasks: list[asyncio.Task[bool] | asyncio.Task[None]] = [stopping]
            for durable in self._options.durables:
                consumer = PullConsumer(self._connection, *durable, batch=self._options.batch)
                self._consumers.append(await stack.enter_async_context(consumer))
                keep_alive_s = self._ack_wait_s[durable] / 3
                tasks.append(group.create_task(self._read(consumer, durable.stream, keep_alive_s)))
            self.consuming.set()
            await asyncio.wait(tasks)
            self._held.put(None)
            await writer
            await self._last_words()
            await self._settle_gaps()
            for helper in helpers:
                helper.cancel()

    async def _prepare(self) -> None:
        """Let the consumers be made, and look at their streams; again until the broker answers.

        Waiting does not help whom the broker refuses: ApiRefused, NotPermitted.
        """
        while True:
            try:
                await self._options.prepare(self._connection)
                for durable in self._options.durables:
                    info = await consumer_info(self._connection, *durable)
                    if info is not None and info.config.ack_wait:
                        self._ack_wait_s[durable] = info.config.ack_wait / 1e9
                for stream in {durable.stream for durable in self._options.durables}:
                    await self._check_stream(stream)
            except NotPermitted:
                raise
            except BrokerUnreachable:
                await asyncio.sleep(RETRY_S)
            except ApiRefused as refused:
                if refused.code != UNAVAILABLE:
                    raise
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _check_stream(self, stream: str) -> None:
        sequences, _ = await self._store.state()
        self._metrics.set_sequences(sequences)
        info = await stream_info(self._connection, stream)
        if info is not None and stream in sequences:
            last, now_ns = info.state.last_seq, time.time_ns()
            written = await self._store.observe_stream(stream, last, sequences[stream], now_ns)
            self._account(written)

    async def _recover(self) -> None:
        while True:
            await self._rose.wait()
            self._rose.clear()
            await self._prepare()

    async def _read(self, consumer: PullConsumer, stream: str, keep_alive_s: float) -> None:
        while not self._stopping.is_set():
            await self._held.room()
            messages = await consumer.next_batch(WAIT_S)
            if messages:
                taken = Taken(consumer, stream, messages, keep_alive_s)
                self._held.add(taken)
                await self._decode(taken)
                self._held.put(taken)

    async def _decode(self, taken: Taken) -> None:
        """Work out what is to be recorded; others have their turn in between."""
        received_ns = time.time_ns()
        for start in range(0, len(taken.messages), BURST):
            messages = taken.messages[start : start + BURST]
            taken.records.append(self._intake.take_all(messages, received_ns))
            await asyncio.sleep(0)

    async def _write(self) -> None:
        while group := await self._held.group():
            await self._commit(group)

    async def _commit(self, group: Sequence[Taken]) -> None:
        """Record what was taken, and only then acknowledge it."""
        records = [one for taken in group for one in taken.records]
        rows = [row for one in records for row in one.rows]
        notes = [note for one in records for note in one.notes] + self._own_notes
        self._own_notes = []
        started = time.perf_counter()
        written = await self._store.write(
            rows, notes, covered=self._gaps.floors, syncing=lambda: self._held.syncing(group)
        )
        self._metrics.commit.observe(time.perf_counter() - started)
        self._account(written)
        for taken in group:
            if taken.consumer is not None:
                taken.consumer.ack(taken.messages)
                unrecorded = [number for one in taken.records for number in one.unrecorded]
                self._gaps.delivered(taken.stream, taken.messages, unrecorded)
        self._held.release(group)
        if self._options.fan_out:
            self._publish(written, set().union(*(one.publish for one in records)))
        self._metrics.store_bytes.set(await self._store.tidy())

    def _account(self, written: Written) -> None:
        self._metrics.count(written)
        for note in written.notes:
            if note.code == ROLLBACK:
                self._gaps.reset(note.stream, rolled_back_to(note))
        if self._options.anchor:
            self._anchor.put(written.checkpoint)

    def _publish(self, written: Written, wanted: set[tuple[str, str]]) -> None:
        if wanted:
            self._fan_out.put(row for row in written.rows if (row.id, row.source) in wanted)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(WAIT_S)
            self._held.signal()
            missing = sum(consumer.missing for consumer in self._consumers)
            self._metrics.missing.set(missing)

    async def _keep_house(self) -> None:
        """Do each second what waits for no message: gaps, signature, retention, the clock."""
        while True:
            await asyncio.sleep(GAPS_S)
            await self._explain_gaps()
            self._account(Written(checkpoint=await self._store.sign_due()))
            self._metrics.store_bytes.set(await self._store.tidy())
            if jump := self._clock.jump_ns():
                await self._note_now(CLOCK_JUMPED, by_ms=jump // 1_000_000)

    async def _explain_gaps(self) -> None:
        async with self._explaining:
            notes = await self._gaps.explain(time.time_ns())
            self._metrics.unknown.inc(self._gaps.unknown)
            if notes:
                self._account(await self._store.write((), notes, covered=self._gaps.floors))

    async def _settle_gaps(self) -> None:
        """Explain what can be explained before leaving."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                while self._gaps.open and self._connection.up:
                    await self._explain_gaps()
                    await asyncio.sleep(PAUSE_S)

    async def _last_words(self) -> None:
        """Send what is left to send; an acknowledgement that is lost only means a redelivery."""
        with suppress(TimeoutError, BrokerUnreachable):
            async with asyncio.timeout(LAST_WORDS_S):
                await self._fan_out.drained()
        with suppress(BrokerUnreachable):
            await self._connection.flush(LAST_WORDS_S)

    def _on_state(self, up: bool) -> None:
        self._metrics.connected.set(up)
        self._own_notes.append(_note(CONNECTED if up else DISCONNECTED))
        if up:
            self._rose.set()
        self._held.put(Taken(None, "", [], 0.0))

    async def _note_now(self, code: int, **detail: str | int) -> None:
        notes, floors = (_note(code, **detail),), self._gaps.floors
        self._account(await self._store.write((), notes, seal=True, covered=floors))


def _note(code: int, **detail: str | int) -> Note:
    now_ns = time.time_ns()
    text = orjson.dumps(detail).decode()
    return Note(f"own/{code}/{now_ns}", now_ns, code, int(CODES[code].severity), detail=text)


@contextmanager
def first_of_group() -> Iterator[None]:
    """Raise the first single error of an exception group instead of the group."""
    try:
        yield
    except ExceptionGroup as group:
        error: Exception = group
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        raise error from group
