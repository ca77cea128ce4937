"""Acknowledgement latency by JetStream's own sampling, of consumers whose owner agrees to it."""

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from twin.errors import InfrastructureError
from twin.events.topology import ConsumerDecl
from twin.jetstream.api import ConsumerConfig, call, consumer_info
from twin.jetstream.connection import Connection, Subscription
from twin.jetstream.wire import Delivery
from twin.verdict.journal import ACK, TableWriter

__all__ = ["AckSampling"]

EVERY = "100%"
FIELD = "sample_freq"
_PREFIX = "$JS.EVENT.METRIC.CONSUMER.ACK"


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    stream_seq: int
    ack_time: int
    deliveries: int = 1


class AckSampling:
    """While its context is open, the server samples every acknowledgement of some consumers.

    `consumers` are those whose setting may be changed, by their number in the table `path` of
    ACK records. Leaving the context sets each back as it was; InfrastructureError when that
    cannot be done, unless `ours`: then the server goes with the run. A sample is a core
    message: what is acknowledged while this connection is down is not seen. `count` samples
    came so far.
    """

    def __init__(
        self,
        connection: Connection,
        consumers: Sequence[tuple[int, ConsumerDecl]],
        path: Path,
        *,
        ours: bool,
    ) -> None:
        self._connection = connection
        self._consumers = {f"{one.stream}.{one.name}": (n, one) for n, one in consumers}
        self._path = path
        self._ours = ours
        self._before: dict[str, str | None] = {}
        self._subscriptions: list[Subscription] = []
        self._writer: TableWriter | None = None
        self.count = 0

    async def __aenter__(self) -> Self:
        if self._consumers:
            self._writer = TableWriter(self._path, ACK)
        try:
            for key, (_, one) in self._consumers.items():
                subject = f"{_PREFIX}.{key}"
                self._subscriptions.append(await self._connection.subscribe(subject, self._receive))
                await self._set(key, one, EVERY)
            await self._connection.flush()
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        failed = await self._leave()
        if failed and error is None and not self._ours:
            raise InfrastructureError(failed)

    async def _leave(self) -> str:
        """Set everything back; return what could not be done."""
        failed = ""
        for key, before in self._before.items():
            try:
                await self._set(key, self._consumers[key][1], before)
            except InfrastructureError as error:
                failed = f"The sampling of {key} could not be set back to {before}: {error}"
        self._before = {}
        for subscription in self._subscriptions:
            await self._connection.unsubscribe(subscription)
        if self._writer is not None:
            self._writer.close()
        return failed

    async def _set(self, key: str, one: ConsumerDecl, wanted: str | None) -> None:
        """Change this one setting, and remember what it was; a consumer that is gone is fine."""
        info = await consumer_info(self._connection, one.stream, one.name)
        if info is None:
            return
        config = info.config.model_dump()
        before = config.pop(FIELD, None) or None
        if before == wanted:
            return
        self._before.setdefault(key, before)
        more = {} if wanted is None else {FIELD: wanted}
        body = ConsumerConfig.model_validate(config | more).model_dump()
        await call(
            self._connection,
            f"CONSUMER.CREATE.{one.stream}.{one.name}",
            {"stream_name": one.stream, "config": body, "action": "update"},
        )

    def _receive(self, batch: list[Delivery]) -> None:
        now = time.time_ns()
        for subject, _, _, payload in batch:
            known = self._consumers.get(subject.decode().removeprefix(f"{_PREFIX}."))
            if known is None or self._writer is None:
                continue
            try:
                body = _Body.model_validate_json(payload)
            except ValidationError:
                continue
            times = min(body.deliveries, 0xFFFF)
            self._writer.append(known[0], times, 0, body.stream_seq, max(0, body.ack_time), now)
            self.count += 1
