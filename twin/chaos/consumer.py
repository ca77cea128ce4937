"""A consumer of the run's own, which works as it should until a fault says otherwise."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from twin.chaos.toxics import PERCEPTIBLE_S
from twin.errors import InfrastructureError
from twin.events.topology import ConsumerDecl, Topology
from twin.jetstream.api import call, consumer_info
from twin.jetstream.connection import Connection
from twin.jetstream.consumer import PullConsumer
from twin.jetstream.message import Message
from twin.jetstream.reconcile import reconcile

__all__ = ["Manner", "SimulatedConsumer"]

BATCH = 10
LOOK_S = 0.1
AGAIN_S = 0.1


class Manner(StrEnum):
    """What the consumer does with messages."""

    WORK = "work"
    HOLD = "hold"
    REFUSE = "refuse"
    TERMINATE = "terminate"
    GONE = "gone"


class SimulatedConsumer:
    """Reads a durable and acknowledges at most `rate` messages a second (None: at once).

    It takes ten messages at a time and holds at most twenty, so with a rate below
    20 / ack_wait messages come again. Set `manner` and `rate` to make it misbehave: `mistreated`
    counts messages that it has held, refused or terminated, `late` those that waited for its
    rate.
    """

    def __init__(
        self, connection: Connection, declared: ConsumerDecl, rate: float | None = None
    ) -> None:
        self.declared = declared
        self.mistreated = 0
        self.late = 0
        self._connection = connection
        self._rate = rate
        self._hurried = asyncio.Event()
        self._manner = Manner.WORK
        self._changed = asyncio.Event()
        self._held: list[Message] = []

    @property
    def running(self) -> bool:
        """Whether it reads."""
        return self._manner is not Manner.GONE

    @property
    def rate(self) -> float | None:
        """How many messages a second it acknowledges at most, now."""
        return self._rate

    @rate.setter
    def rate(self, rate: float | None) -> None:
        self._rate = rate
        self._hurried.set()

    @property
    def manner(self) -> Manner:
        """What it does with messages now."""
        return self._manner

    @manner.setter
    def manner(self, manner: Manner) -> None:
        self._manner = manner
        self._changed.set()

    async def run(self) -> None:
        """Consume until cancelled."""
        while True:
            self._changed.clear()
            if self._manner is Manner.GONE:
                await self._changed.wait()
                continue
            async with PullConsumer(
                self._connection, self.declared.stream, self.declared.name, batch=BATCH
            ) as consumer:
                await self._consume(consumer)
            self._held.clear()

    async def _consume(self, consumer: PullConsumer) -> None:
        while self._manner is not Manner.GONE:
            for number, message in enumerate(await consumer.next_batch(LOOK_S), 1):
                await self._settle(consumer, message, number)
            if self._held and self._manner is Manner.WORK:
                consumer.ack(self._held)
                self._held.clear()

    async def _settle(self, consumer: PullConsumer, message: Message, number: int) -> None:
        if (rate := self.rate) is not None:  # a fault may change it meanwhile
            self.late += number / rate >= PERCEPTIBLE_S
            await self._take_time(1 / rate)
        self.mistreated += self._manner is not Manner.WORK
        match self._manner:
            case Manner.HOLD:
                self._held.append(message)
            case Manner.REFUSE:
                consumer.nak([message], AGAIN_S)
            case Manner.TERMINATE:
                consumer.term([message])
            case Manner.WORK:
                consumer.ack([message])

    async def _take_time(self, seconds: float) -> None:
        """Wait so long, or until the rate changes."""
        self._hurried.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurried.wait()

    async def waiting(self) -> int:
        """Return how many messages of its durable are delivered or pending, and not settled."""
        info = await consumer_info(self._connection, self.declared.stream, self.declared.name)
        return info.num_pending + info.num_ack_pending if info else 0

    async def pause(self, for_s: float) -> None:
        """Let the server pause the durable; raises InfrastructureError when it did not."""
        until = datetime.now(UTC) + timedelta(seconds=for_s + 3600)
        await self._pause_until(until.strftime("%Y-%m-%dT%H:%M:%SZ"))
        info = await consumer_info(self._connection, self.declared.stream, self.declared.name)
        if info is None or not info.paused:
            raise InfrastructureError("the server did not pause it")

    async def resume(self) -> None:
        """Let the server deliver again."""
        await self._pause_until("0001-01-01T00:00:00Z")

    async def _pause_until(self, moment: str) -> None:
        verb = f"CONSUMER.PAUSE.{self.declared.stream}.{self.declared.name}"
        await call(self._connection, verb, {"pause_until": moment})

    async def delete(self) -> int:
        """Delete the durable on the server; return the stream sequence of its ack floor."""
        stream, name = self.declared.stream, self.declared.name
        info = await consumer_info(self._connection, stream, name)
        await call(self._connection, f"CONSUMER.DELETE.{stream}.{name}")
        return info.ack_floor.stream_seq if info else 0

    async def restore(self, floor: int) -> None:
        """Make the durable again, to go on after `floor`."""
        declared = replace(self.declared, start_seq=floor + 1)
        await reconcile(self._connection, Topology((), (declared,)))
