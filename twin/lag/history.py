"""The last samples of many consumers, judged as they come: what rests is not judged anew."""

from collections import deque
from collections.abc import Callable
from operator import itemgetter
from typing import Final

from twin.lag.counters import Counters, know
from twin.lag.rates import drain_eta_s, redelivery_rate
from twin.lag.sample import ConsumerSample, Judgement, Status
from twin.lag.status import SLACK, StatusRules, judge

__all__ = ["History"]

JUDGED: Final[Callable[[ConsumerSample], tuple[object, ...]]] = itemgetter(
    *map(
        ConsumerSample._fields.index,
        (
            "error",
            "missing",
            "num_pending",
            "num_ack_pending",
            "backlog",
            "num_redelivered",
            "num_waiting",
            "delivered_seq",
            "ack_floor",
            "first_seq",
            "exhausted",
            "terminated",
            "evicted",
            "paused",
            "push",
            "filtered",
            "ack_policy",
            "delivered_count",
            "oldest_seq",
            "max_ack_pending",
            "created",
        ),
    )
)
"""What a status, a drain ETA and a redelivery rate are made of, but for times."""


class _Track:
    """What is remembered of one consumer: its samples, and of the good ones the counters.

    `calm_ns` is since when all that is judged has stayed the same, without a gap in between.
    `calm` is what was said of it when nothing else was remembered any more: until something
    changes, judging it again would say the same.
    """

    __slots__ = ("calm", "calm_ns", "judged", "known", "samples")

    def __init__(self) -> None:
        self.samples: deque[ConsumerSample] = deque()
        self.known: list[Counters] = []
        self.judged: tuple[object, ...] = ()
        self.calm_ns = 0
        self.calm: Judgement | None = None


class History:
    """The last samples of many consumers, and the status that each new one brings."""

    def __init__(self, rules: StatusRules) -> None:
        self.rules = rules
        self._tracks: dict[tuple[str, str], _Track] = {}
        self._keep_ns = int(max(rules.memory_s, rules.window_s) * (1 + SLACK) * 1e9)
        self._gap_ns = int(rules.window_s * 1e9)

    def add(self, sample: ConsumerSample) -> ConsumerSample:
        """Remember a sample; return it with its status, reason, drain ETA and redelivery rate.

        Of polls that fail in a row only the last is kept, and one sample from before the
        memory: what happened while nothing was seen is judged against it. A clock that was
        put back starts afresh.
        """
        key = (sample.stream, sample.consumer)
        track = self._tracks.get(key)
        if track is None or track.samples[-1].wall_ns > sample.wall_ns:
            track = self._tracks[key] = _Track()
        self._remember(track, sample)
        since_ns = track.samples[0].wall_ns
        if not track.calm_ns <= since_ns < sample.wall_ns - self._keep_ns:
            track.calm = None
            found = self._judge(track)
        elif track.calm is None:
            found = track.calm = self._judge(track)
        else:
            found = track.calm
        return sample.judged(found)

    def _remember(self, track: _Track, sample: ConsumerSample) -> None:
        seen, known = track.samples, track.known
        judged = JUDGED(sample)
        last_ns = seen[-1].wall_ns if seen else 0
        if judged != track.judged or sample.wall_ns - last_ns > self._gap_ns:
            track.judged = judged
            track.calm_ns = sample.wall_ns
        if seen and seen[-1].error is not None and seen[-1].missing == sample.missing:
            seen.pop()
        seen.append(sample)
        while len(seen) > 1 and seen[1].wall_ns < sample.wall_ns - self._keep_ns:
            seen.popleft()
        know(known, sample)
        while known and known[0].wall_ns < seen[0].wall_ns:
            del known[0]

    def _judge(self, track: _Track) -> Judgement:
        newest = track.samples[-1]
        if newest.missing or newest.error is not None:
            status = Status.MISSING if newest.missing else Status.UNKNOWN
            return Judgement(status, newest.error or "", None, None)
        status, reason = judge(track.known, self.rules)
        seen = track.samples
        return Judgement(status, reason, drain_eta_s(seen), redelivery_rate(seen))

    def of(self, stream: str, consumer: str) -> tuple[ConsumerSample, ...]:
        """Return the remembered samples of a consumer, oldest first."""
        track = self._tracks.get((stream, consumer))
        return tuple(track.samples) if track else ()

    def forget(self, stream: str, consumer: str) -> None:
        """Drop a consumer that is gone for good."""
        self._tracks.pop((stream, consumer), None)
