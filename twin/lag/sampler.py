"""Asks the server about every watched consumer, at a steady interval."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from pydantic import AwareDatetime, BaseModel, ConfigDict

from twin.errors import InfrastructureError
from twin.jetstream.api import ApiRefused, ConsumerInfo, StreamState, call, consumer_infos
from twin.jetstream.api import stream_info as info_of
from twin.jetstream.connection import Connection
from twin.lag.sample import ConsumerSample, Watched

__all__ = ["GivenUp", "LagSampler"]

GivenUp = Callable[[str, str], tuple[int, int]]
"""(stream, consumer) -> how many messages it exhausted and terminated so far."""
NOT_FOUND = 404


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    seq: int
    time: AwareDatetime


class _StoredMessage(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    message: _Stored


class LagSampler:
    """Samples `watched` consumers: one list call per stream and page, not one per consumer.

    A poll that fails gives a sample with `error` and no counters, never zeros. `latest` is
    what the metrics export.
    """

    def __init__(
        self, connection: Connection, watched: Sequence[Watched], given_up: GivenUp
    ) -> None:
        self._connection = connection
        self._given_up = given_up
        self._by_stream: dict[str, list[Watched]] = {}
        for one in watched:
            self._by_stream.setdefault(one.stream, []).append(one)
        self.latest: dict[tuple[str, str], ConsumerSample] = {}

    async def run(self, interval_s: float, take: Callable[[list[ConsumerSample]], None]) -> None:
        """Sample for ever, at multiples of `interval_s`; hand each round to `take`.

        A round that takes longer than that, as while the broker is away, fails as a whole.
        """
        due = time.monotonic()
        while True:
            take(await self.sample(interval_s))
            due = max(due + interval_s, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    async def sample(self, timeout_s: float) -> list[ConsumerSample]:
        """Look at every watched consumer once."""
        rounds = [self._stream(name, some, timeout_s) for name, some in self._by_stream.items()]
        samples = [sample for one in await asyncio.gather(*rounds) for sample in one]
        self.latest = {(sample.stream, sample.consumer): sample for sample in samples}
        return samples

    async def _stream(
        self, stream: str, watched: list[Watched], timeout_s: float
    ) -> list[ConsumerSample]:
        now = time.time_ns()
        blank = [ConsumerSample(now, one.role, one.stream, one.consumer) for one in watched]
        try:
            async with asyncio.timeout(timeout_s):
                return await self._look(stream, watched, blank)
        except TimeoutError:
            text = f"no answer within {timeout_s:g} s"
        except InfrastructureError as error:
            text = str(error).partition("\n")[0]
        return [replace(sample, error=text) for sample in blank]

    async def _look(
        self, stream: str, watched: list[Watched], blank: list[ConsumerSample]
    ) -> list[ConsumerSample]:
        info = await info_of(self._connection, stream)
        if info is None:
            return [replace(sample, error=f"there is no stream {stream}") for sample in blank]
        found = {one.name: one async for one in consumer_infos(self._connection, stream)}
        return [
            await self._complete(one, sample, info.state, found.get(one.consumer))
            for one, sample in zip(watched, blank, strict=True)
        ]

    async def _complete(
        self, one: Watched, sample: ConsumerSample, state: StreamState, found: ConsumerInfo | None
    ) -> ConsumerSample:
        if found is None:
            return replace(sample, error="the consumer does not exist")
        backlog = found.num_pending + found.num_ack_pending
        exhausted, terminated = self._given_up(one.stream, one.consumer)
        return replace(
            sample,
            num_pending=found.num_pending,
            num_ack_pending=found.num_ack_pending,
            num_redelivered=found.num_redelivered,
            num_waiting=found.num_waiting,
            delivered_seq=found.delivered.stream_seq,
            ack_floor=found.ack_floor.stream_seq,
            first_seq=state.first_seq,
            last_seq=state.last_seq,
            backlog=backlog,
            oldest_age_s=await self._oldest_age_s(one, found) if backlog else 0.0,
            exhausted=exhausted,
            terminated=terminated,
        )

    async def _oldest_age_s(self, one: Watched, found: ConsumerInfo) -> float | None:
        """Return the age of the first message beyond the ack floor, None when it is gone."""
        after = found.ack_floor.stream_seq + 1
        subjects = one.filter_subjects or (">",)
        answers = await asyncio.gather(*(self._next(one.stream, after, s) for s in subjects))
        stored = [answer for answer in answers if answer is not None]
        if not stored:
            return None
        oldest = min(stored, key=lambda message: message.seq)
        return max(0.0, time.time() - oldest.time.timestamp())

    async def _next(self, stream: str, seq: int, subject: str) -> _Stored | None:
        body: dict[str, object] = {"seq": seq, "next_by_subj": subject}
        try:
            answer = await call(self._connection, f"STREAM.MSG.GET.{stream}", body)
        except ApiRefused as refused:
            if refused.code == NOT_FOUND:
                return None
            raise
        return _StoredMessage.model_validate_json(answer).message
