"""Asks the server about every watched consumer, at a steady interval."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from twin.errors import BrokerUnreachable
from twin.jetstream.connection import Connection
from twin.lag.sample import ConsumerSample, Watched

__all__ = ["GivenUp", "LagSampler"]

NS_PER_S = 1_000_000_000
GivenUp = Callable[[str, str], tuple[int, int]]
"""(stream, consumer) -> how many messages its consumer exhausted and terminated so far."""


class _Answer(BaseModel):
    """A part of a JetStream API answer, as far as it concerns us."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Position(_Answer):
    stream_seq: int = 0


class _Consumer(_Answer):
    name: str
    num_pending: int
    num_ack_pending: int
    num_redelivered: int
    num_waiting: int
    delivered: _Position
    ack_floor: _Position


class _Page(_Answer):
    total: int = 0
    consumers: tuple[_Consumer, ...] = ()
    error: dict[str, int | str] | None = None


class _State(_Answer):
    first_seq: int
    last_seq: int


class _Stream(_Answer):
    state: _State | None = None
    error: dict[str, int | str] | None = None


class _Stored(_Answer):
    seq: int
    time: AwareDatetime


class _Message(_Answer):
    message: _Stored | None = None


class LagSampler:
    """Samples `watched` consumers: one list call per stream and page, not one per consumer.

    A poll that fails gives a sample with `error` and no counters, never zeros. `latest` is
    what the metrics export.
    """

    def __init__(
        self,
        connection: Connection,
        watched: Sequence[Watched],
        given_up: GivenUp,
        *,
        timeout_s: float = 1.0,
    ) -> None:
        self._connection = connection
        self._api = connection.options.api
        self._given_up = given_up
        self._timeout_s = timeout_s
        self._by_stream: Mapping[str, list[Watched]] = defaultdict(list)
        for one in watched:
            self._by_stream[one.stream].append(one)
        self.latest: dict[tuple[str, str], ConsumerSample] = {}

    async def run(self, interval_s: float, take: Callable[[list[ConsumerSample]], None]) -> None:
        """Sample for ever, at multiples of `interval_s`; hand each round to `take`."""
        due = time.monotonic()
        while True:
            take(await self.sample())
            due = max(due + interval_s, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    async def sample(self) -> list[ConsumerSample]:
        """Look at every watched consumer once."""
        rounds = [self._sample_stream(name, some) for name, some in self._by_stream.items()]
        samples = [sample for one in await asyncio.gather(*rounds) for sample in one]
        self.latest = {(sample.stream, sample.consumer): sample for sample in samples}
        return samples

    async def _sample_stream(self, stream: str, watched: list[Watched]) -> list[ConsumerSample]:
        now = time.time_ns()
        blank = [ConsumerSample(now, one.role, one.stream, one.consumer) for one in watched]
        try:
            state = await self._state(stream)
            found = await self._consumers(stream)
            return [
                await self._complete(one, sample, state, found.get(one.consumer))
                for one, sample in zip(watched, blank, strict=True)
            ]
        except (BrokerUnreachable, ValidationError, LookupError) as error:
            text = str(error).partition("\n")[0]
            return [replace(sample, error=text) for sample in blank]

    async def _complete(
        self, one: Watched, sample: ConsumerSample, state: _State, found: _Consumer | None
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

    async def _oldest_age_s(self, one: Watched, found: _Consumer) -> float | None:
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
        request = b'{"seq":%d,"next_by_subj":"%s"}' % (seq, subject.encode())
        answer = await self._request(f"STREAM.MSG.GET.{stream}", request)
        return _Message.model_validate_json(answer).message

    async def _state(self, stream: str) -> _State:
        answer = _Stream.model_validate_json(await self._request(f"STREAM.INFO.{stream}", b""))
        if answer.state is None:
            raise LookupError(f"stream {stream}: {(answer.error or {}).get('description')}")
        return answer.state

    async def _consumers(self, stream: str) -> dict[str, _Consumer]:
        found: dict[str, _Consumer] = {}
        while True:
            request = b'{"offset":%d}' % len(found)
            answer = await self._request(f"CONSUMER.LIST.{stream}", request)
            page = _Page.model_validate_json(answer)
            if page.error is not None:
                raise LookupError(f"stream {stream}: {page.error.get('description')}")
            found |= {consumer.name: consumer for consumer in page.consumers}
            if not page.consumers or len(found) >= page.total:
                return found

    async def _request(self, subject: str, payload: bytes) -> bytes:
        delivery = await self._connection.request(
            f"{self._api}.{subject}", payload, timeout_s=self._timeout_s
        )
        return delivery[3]
