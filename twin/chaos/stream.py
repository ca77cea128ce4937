"""A stream of the run, as something that a fault can fill, shrink or empty."""

import time
from collections.abc import Callable
from typing import NamedTuple

from twin.chaos.eviction import evicted_by
from twin.errors import InfrastructureError
from twin.jetstream.api import (
    ConsumerConfig,
    StreamConfig,
    StreamState,
    call,
    consumer_infos,
    stream_info,
)
from twin.jetstream.connection import Connection

__all__ = ["BreakableStream", "Deleted", "Limited"]


class Deleted(NamedTuple):
    """A stream that was: how many messages it had, and how to make it and its durables again."""

    messages: int
    config: StreamConfig
    consumers: tuple[ConsumerConfig, ...]


class Limited(NamedTuple):
    """How a stream was, and what it held, before it might hold no more than `most` messages."""

    config: StreamConfig
    state: StreamState
    most: int


class BreakableStream:
    """`name` is the stream's on the server. `running` is always true: a stream is no process.

    `refusals` tells how many publishes of the run it refused so far as it was full, if the run
    publishes there.
    """

    running = True

    def __init__(
        self, connection: Connection, name: str, refusals: Callable[[], int] | None = None
    ) -> None:
        self.name = name
        self.refusals = refusals
        self._connection = connection

    async def limit(self, messages: int | None, *, evict: bool) -> Limited:
        """Allow so many messages (None: as many as there are now); return what was before.

        Beyond them the oldest are evicted, or new ones refused with error 10077.
        """
        info = await stream_info(self._connection, self.name)
        if info is None:
            raise InfrastructureError(f"there is no stream {self.name}")
        most = max(1, info.state.messages) if messages is None else messages
        changed = {"max_msgs": most, "discard": "old" if evict else "new"}
        await self._update(info.config.model_copy(update=changed))
        return Limited(info.config, info.state, most)

    async def restore(self, before: Limited) -> int:
        """Undo `limit`; return how many messages it has evicted."""
        await self._update(before.config)
        info = await stream_info(self._connection, self.name)
        if info is None:
            return 0
        return evicted_by(before.most, before.config, before.state, info.state, time.time_ns())

    async def purge(self) -> int:
        """Delete all messages; return how many there were."""
        info = await stream_info(self._connection, self.name)
        await call(self._connection, f"STREAM.PURGE.{self.name}")
        return info.state.messages if info else 0

    async def delete(self) -> Deleted:
        """Delete it with all that it holds; return what is needed to make it again."""
        info = await stream_info(self._connection, self.name)
        if info is None:
            raise InfrastructureError(f"there is no stream {self.name}")
        consumers = [one.config async for one in consumer_infos(self._connection, self.name)]
        await call(self._connection, f"STREAM.DELETE.{self.name}")
        durable = tuple(one for one in consumers if one.durable_name)
        return Deleted(info.state.messages, info.config, durable)

    async def make_again(self, deleted: Deleted) -> None:
        """Make the stream and its durables, which begin anew."""
        await call(self._connection, f"STREAM.CREATE.{self.name}", deleted.config.model_dump())
        for one in deleted.consumers:
            config = {key: value for key, value in one.model_dump().items() if value}
            verb = f"CONSUMER.CREATE.{self.name}.{one.durable_name}"
            await call(self._connection, verb, {"stream_name": self.name, "config": config})

    async def _update(self, config: StreamConfig) -> None:
        await call(self._connection, f"STREAM.UPDATE.{self.name}", config.model_dump())
