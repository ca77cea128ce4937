"""Asks the server about consumers at a steady interval: named ones, or all of some streams."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from twin.errors import InfrastructureError
from twin.jetstream.connection import Connection
from twin.jetstream.permits import complained
from twin.lag.age import Ages, Oldest
from twin.lag.history import History
from twin.lag.listing import Listed, Listing, Stream, plain_names, read_stream, streams
from twin.lag.sample import ALL, ConsumerSample, StreamSample, Watched
from twin.lag.status import StatusRules

__all__ = ["GivenUp", "LagSampler"]

GivenUp = Callable[[str, str], tuple[int, int]]
"""(stream, consumer) -> how many messages it exhausted and terminated so far."""
Count = Callable[[str, str], int]
STREAM_NAMES: Final = "STREAM.NAMES"
ASKED: Final = ("STREAM.INFO", "CONSUMER.LIST", "STREAM.MSG.GET")
MAX_CONSUMERS: Final = 10_000
FORGET_S: Final = 3600.0
_NOTHING: Final = Oldest(None, None)


class _Round(NamedTuple):
    samples: list[ConsumerSample]
    stream: StreamSample | None


class _Look(NamedTuple):
    wall_ns: int
    name: str
    stream: Stream


class _Lost(NamedTuple):
    """What the advisories told of a consumer so far; nothing where they cannot be heard."""

    exhausted: int
    terminated: int
    naks: int
    evicted: int
    told: bool


class LagSampler:
    """Samples consumers: one list call per stream and page, not one per consumer.

    `watched` are sampled whether or not they exist. Of the streams that match `patterns`
    (shell wildcards) all consumers are, new ones by themselves; a durable of theirs that
    disappears is missing for an hour and then forgotten, an ephemeral one is forgotten at
    once. At most `max_consumers` are found that way, `dropped` counts the rest.

    A poll that fails gives a sample with `error` and no counters, never zeros; one of a
    consumer `*` where not even the names are known, of a stream `*` where streams are not
    found. `heard` tells whether advisories can be heard; `complain` takes what the server says
    against this login. `latest` and
    `latest_streams` (None: its poll failed) are replaced as a whole after each round.
    """

    def __init__(
        self,
        connection: Connection,
        watched: Sequence[Watched],
        given_up: GivenUp,
        *,
        naks: Count = lambda stream, consumer: 0,
        evicted: Count = lambda stream, consumer: 0,
        heard: Callable[[], bool] = lambda: True,
        patterns: Sequence[str] = (),
        rules: StatusRules | None = None,
        max_consumers: int = MAX_CONSUMERS,
    ) -> None:
        self.connection = connection
        self.history = History(rules or StatusRules())
        self.latest: dict[tuple[str, str], ConsumerSample] = {}
        self.latest_streams: dict[str, StreamSample | None] = {}
        self.dropped = 0
        self.round_s = 0.0
        self._given_up = given_up
        self._naks = naks
        self._evicted = evicted
        self.heard = heard
        self._refused: list[str] = []
        self._patterns = tuple(patterns)
        self._max_consumers = max_consumers
        self._ages = Ages(connection)
        self._listings: dict[str, Listing] = {}
        self._named = plain_names(patterns)
        self._names = self._named
        self._fixed: dict[str, list[Watched]] = {}
        self._found: dict[str, dict[str, int]] = {}
        for one in watched:
            self._fixed.setdefault(one.stream, []).append(one)

    async def run(self, interval_s: float, take: Callable[[list[ConsumerSample]], None]) -> None:
        """Sample for ever, at multiples of `interval_s`; hand each round to `take`.

        A round that takes longer than that, as while the broker is away, fails as a whole.
        """
        due = time.monotonic()
        while True:
            take(await self.sample(interval_s))
            due = max(due + interval_s, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    @property
    def kept(self) -> int:
        """The number of streams of which something is kept from one look to the next."""
        return len(self._listings.keys() | self._found.keys() | self._ages.streams)

    def complain(self, text: str) -> None:
        """Take what the server says, to tell what is not permitted from what is not answered."""
        self._refused.append(text)

    async def sample(self, timeout_s: float) -> list[ConsumerSample]:
        """Look at every consumer once."""
        started = time.monotonic()
        self._refused.clear()
        lost = await self._find_streams(timeout_s)
        left_s = max(0.0, timeout_s - (time.monotonic() - started))
        names = dict.fromkeys([*self._fixed, *self._names, *self._found])
        self._keep(names)
        self.dropped = 0
        rounds = await asyncio.gather(*(self._stream(name, left_s, timeout_s) for name in names))
        found = [*lost, *(sample for one in rounds for sample in one.samples)]
        samples = [self.history.add(sample) for sample in found]
        self.latest_streams = {name: one.stream for name, one in zip(names, rounds, strict=True)}
        latest = {(sample.stream, sample.consumer): sample for sample in samples}
        for stream, consumer in self.latest.keys() - latest.keys():
            if consumer == ALL:
                self.history.forget(stream, consumer)
        self.latest = latest
        self.round_s = time.monotonic() - started
        return samples

    def _keep(self, names: Iterable[str]) -> None:
        """Hold on to what is known of these streams, and to nothing of others."""
        self._listings = {
            name: self._listings.get(name) or Listing(self.connection, name) for name in names
        }
        self._ages.keep(self._listings)

    async def _find_streams(self, timeout_s: float) -> list[ConsumerSample]:
        """Look for streams; those known already are kept where the server does not answer.

        It may take half of the round: the other half is for those that are known. Returns a
        sample of any consumer of any stream if it failed.
        """
        if not self._patterns:
            return []
        now = time.time_ns()
        try:
            async with asyncio.timeout(timeout_s / 2):
                self._names = await streams(self.connection, self._patterns)
        except (InfrastructureError, TimeoutError):
            self.connection.check()
            text = self._why(f"streams cannot be found within {timeout_s / 2:g} s", STREAM_NAMES)
            return [ConsumerSample(now, ALL, ALL, ALL, error=text)]
        return []

    def _why(self, text: str, *verbs: str) -> str:
        """Return the text, with what the server did not permit."""
        subjects = [f"{self.connection.options.api}.{verb}" for verb in verbs]
        denied = [one for one in subjects if complained(self._refused, "publish", one)]
        return f"{text}: not permitted to publish on {', '.join(denied)}" if denied else text

    async def _stream(self, name: str, left_s: float, timeout_s: float) -> _Round:
        now = time.time_ns()
        try:
            async with asyncio.timeout(left_s):
                return await self._look(name, now)
        except TimeoutError:
            asked = [f"{verb}.{name}" for verb in ASKED]
            text = self._why(f"no answer within {timeout_s:g} s", *asked)
        except InfrastructureError as error:
            text = str(error).partition("\n")[0]
        blank = self._blank(name, now) or [ConsumerSample(now, ALL, name, ALL)]
        return _Round([sample._replace(error=text) for sample in blank], None)

    def _blank(self, name: str, now: int) -> list[ConsumerSample]:
        return [ConsumerSample(now, role, name, one) for role, one in self._wanted(name)]

    def _wanted(self, name: str) -> list[tuple[str, str]]:
        """Return roles and names of a stream's consumers: the watched, then those found."""
        wanted = [(one.role, one.consumer) for one in self._fixed.get(name, ())]
        taken = {consumer for _, consumer in wanted}
        return wanted + [(one, one) for one in self._found.get(name, ()) if one not in taken]

    async def _look(self, name: str, now: int) -> _Round:
        stream = await read_stream(self.connection, name)
        if stream is None:
            self._remember(name, {}, now)
            text = f"there is no stream {name}"
            blank = self._blank(name, now)
            if not blank and name in self._named:
                blank = [ConsumerSample(now, ALL, name, ALL)]
            gone = [one._replace(error=text, missing=True) for one in blank]
            return _Round(gone, None)
        listed, silent = await self._listings[name].read()
        if name in self._names or name in self._found:
            self._remember(name, listed, now)
        self._ages.anchor(name, stream, now)
        wanted = self._wanted(name)
        there = [listed[one] for _, one in wanted if one in listed]
        behind = [one for one in there if one.num_pending or one.num_ack_pending]
        oldest = await self._ages.oldest(name, stream, behind, now)
        look, told = _Look(now, name, stream), self.heard()
        samples = []
        for role, who in wanted:
            found = listed.get(who)
            if found is None:
                samples.append(_absent(ConsumerSample(now, role, name, who), who in silent))
                continue
            lost = self._lost(name, who, told)
            samples.append(_complete(look, role, found, oldest.get(who, _NOTHING), lost))
        return _Round(samples, _stream_sample(name, stream, now))

    def _lost(self, name: str, who: str, told: bool) -> _Lost:
        exhausted, terminated = self._given_up(name, who)
        return _Lost(exhausted, terminated, self._naks(name, who), self._evicted(name, who), told)

    def _remember(self, name: str, listed: dict[str, Listed], now: int) -> None:
        """Keep the found consumers of a stream: seen last when, 0 for those to forget at once."""
        known = self._found.setdefault(name, {})
        room = self._max_consumers - sum(map(len, self._found.values()))
        for one in listed.values():
            if one.name not in known:
                if room <= 0:
                    self.dropped += 1
                    continue
                room -= 1
            known[one.name] = now if one.config.durable_name else 0
        for gone in [one for one in known if one not in listed]:
            if now - known[gone] > FORGET_S * 1e9:
                del known[gone]
                self.history.forget(name, gone)
                self._ages.forget(name, gone)
        if not known:
            del self._found[name]


def _absent(blank: ConsumerSample, silent: bool) -> ConsumerSample:
    if silent:
        return blank._replace(error="the consumer's leader does not answer")
    return blank._replace(error="the consumer does not exist", missing=True)


def _complete(look: _Look, role: str, found: Listed, oldest: Oldest, lost: _Lost) -> ConsumerSample:
    backlog = found.num_pending + found.num_ack_pending
    config, state = found.config, look.stream.state
    return ConsumerSample(
        wall_ns=look.wall_ns,
        role=role,
        stream=look.name,
        consumer=found.name,
        num_pending=found.num_pending,
        num_ack_pending=found.num_ack_pending,
        num_redelivered=found.num_redelivered,
        num_waiting=found.num_waiting,
        delivered_seq=found.delivered.stream_seq,
        ack_floor=found.ack_floor.stream_seq,
        first_seq=state.first_seq,
        last_seq=state.last_seq,
        backlog=backlog,
        oldest_age_s=oldest.age_s if backlog else 0.0,
        exhausted=lost.exhausted,
        terminated=lost.terminated,
        naks=lost.naks,
        evicted=lost.evicted,
        told=lost.told,
        paused=found.paused,
        push=bool(config.deliver_subject),
        filtered=bool(found.filters),
        ack_policy=config.ack_policy,
        delivered_count=found.delivered.consumer_seq,
        acked_count=found.ack_floor.consumer_seq,
        oldest_seq=oldest.seq,
        max_ack_pending=config.max_ack_pending,
        max_deliver=config.max_deliver,
        ack_wait_s=config.ack_wait / 1e9,
        description=config.description,
        created=found.created,
        cluster=found.cluster.name,
        leader=found.cluster.leader,
    )


def _stream_sample(name: str, stream: Stream, now: int) -> StreamSample:
    return StreamSample(
        now,
        name,
        stream.state.messages,
        stream.state.bytes,
        stream.state.first_seq,
        stream.state.last_seq,
        stream.state.consumer_count,
        stream.config.max_msgs,
        stream.config.max_bytes,
        stream.cluster.name,
        stream.cluster.leader,
    )
