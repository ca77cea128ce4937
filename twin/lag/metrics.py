"""The latest samples as Prometheus metrics, under the names that NATS dashboards know.

`jetstream_*` has the names and labels of prometheus-nats-exporter; `twin_*` is our own.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from twin.lag.sample import ALL, ConsumerSample, Status, StreamSample
from twin.lag.sampler import LagSampler

__all__ = ["LagCollector"]

SERVER: Final = ("server_id", "server_name", "cluster", "domain", "meta_leader", "is_meta_leader")
STREAM: Final = (
    *SERVER,
    "account",
    "account_id",
    "stream_name",
    "stream_leader",
    "is_stream_leader",
)
CONSUMER: Final = (
    *STREAM,
    "consumer_name",
    "consumer_leader",
    "is_consumer_leader",
    "consumer_desc",
    "consumer_created",
)
OWN: Final = ("stream_name", "consumer_name", "role")

NATS_STREAM: Final = {
    "total_messages": ("messages", "Stored messages."),
    "total_bytes": ("bytes", "Stored bytes."),
    "first_seq": ("first_seq", "Sequence of the first stored message."),
    "last_seq": ("last_seq", "Sequence of the last stored message."),
}
NATS_CONSUMER: Final = {
    "delivered_consumer_seq": ("delivered_count", "Deliveries so far, redeliveries included."),
    "delivered_stream_seq": ("delivered_seq", "Last delivered sequence."),
    "num_ack_pending": ("num_ack_pending", "Delivered, not acknowledged."),
    "num_redelivered": ("num_redelivered", "Unacknowledged and delivered more than once."),
    "num_waiting": ("num_waiting", "Pull requests that wait for messages."),
    "num_pending": ("num_pending", "Stored messages not yet delivered."),
    "ack_floor_stream_seq": ("ack_floor", "All up to this sequence is acknowledged."),
    "ack_floor_consumer_seq": ("acked_count", "All up to this delivery is acknowledged."),
}
OWN_GAUGES: Final = {
    "backlog": ("backlog", "Pending plus ack pending."),
    "oldest_age_seconds": ("oldest_age_s", "Age of the oldest unprocessed message: the time lag."),
    "drain_eta_seconds": ("drain_eta_s", "Until the backlog is gone; +Inf when it does not fall."),
    "redelivery_rate": ("redelivery_rate", "Redeliveries per second, at least."),
    "max_ack_pending": ("max_ack_pending", "Limit of ack pending, -1 for none."),
}
OWN_COUNTERS: Final = {
    "exhausted": ("exhausted", "Messages given up after max_deliver."),
    "terminated": ("terminated", "Messages terminated by the consumer."),
    "naks": ("naks", "Messages refused by the consumer."),
    "evicted": ("evicted", "Messages that left the stream while the consumer held them."),
}


class LagCollector(Collector):
    """Exports what the sampler found last, as of the moment of the scrape.

    A consumer whose last poll failed, or is older than the rules allow, has `up` 0, its
    status and no other series: stale numbers are not repeated, a failure is never shown as 0.
    """

    def __init__(self, sampler: LagSampler, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._sampler = sampler
        self._clock_ns = clock_ns

    def collect(self) -> Iterable[Metric]:
        """Yield all families; the sampler may go on meanwhile."""
        consumers = list(self._sampler.latest.values())
        streams = dict(self._sampler.latest_streams)
        fresh = [one for one in consumers if one.error is None and not self._stale(one)]
        yield from self._of_monitor()
        yield from self._of_streams(streams)
        yield _family("twin_consumer_up", "1 when the last poll succeeded and is fresh.", OWN)(
            (_own(one), float(one.error is None and not self._stale(one))) for one in consumers
        )
        yield self._statuses(consumers)
        for name, (attribute, text) in NATS_CONSUMER.items():
            family = _family(f"jetstream_consumer_{name}", text, CONSUMER)
            yield family((self._consumer_labels(one), getattr(one, attribute)) for one in fresh)
        for name, (attribute, text) in OWN_GAUGES.items():
            family = _family(f"twin_consumer_{name}", text, OWN)
            yield family((_own(one), getattr(one, attribute)) for one in fresh)
        told = [one for one in fresh if one.told]
        for name, (attribute, text) in OWN_COUNTERS.items():
            family = _family(f"twin_consumer_{name}", text, OWN, counter=True)
            yield family((_own(one), getattr(one, attribute)) for one in told)

    def _stale(self, one: ConsumerSample | StreamSample) -> bool:
        return self._clock_ns() - one.wall_ns > self._sampler.history.rules.stale_s * 1e9

    def _statuses(self, consumers: list[ConsumerSample]) -> Metric:
        """Return the status as one-hot: of all statuses of a consumer, one is 1."""
        text = "1 for the status that the consumer has, 0 for the others."
        rows = (
            ([*_own(one), status.value], float(status is current))
            for one in consumers
            for current in [Status.UNKNOWN if self._stale(one) else one.status]
            for status in Status
        )
        return _family("twin_consumer_status", text, (*OWN, "status"))(rows)

    def _of_monitor(self) -> Iterator[Metric]:
        sampler = self._sampler
        known = sum(one.consumer != ALL for one in list(sampler.latest.values()))
        for name, text, value in (
            ("twin_lag_connected", "1 while the broker is reached.", sampler.connection.up),
            ("twin_lag_advisories_up", "1 when advisories can be heard.", sampler.heard()),
            ("twin_lag_round_seconds", "Time that the last round took.", sampler.round_s),
            ("twin_lag_consumers", "Consumers that are sampled.", known),
            ("twin_lag_dropped_consumers", "Consumers beyond the limit.", sampler.dropped),
        ):
            yield GaugeMetricFamily(name, text, value=float(value))

    def _of_streams(self, streams: dict[str, StreamSample | None]) -> Iterator[Metric]:
        fresh = [one for one in streams.values() if one is not None and not self._stale(one)]
        names = {one.stream for one in fresh}
        yield _family("twin_stream_up", "1 when the last poll succeeded.", ("stream_name",))(
            ([name], float(name in names)) for name in streams
        )
        text = "Share of the nearest limit in use, 0 to 1; absent without limits."
        yield _family("twin_stream_fill_ratio", text, ("stream_name",))(
            ([one.stream], one.fill) for one in fresh
        )
        for name, (attribute, text) in NATS_STREAM.items():
            family = _family(f"jetstream_stream_{name}", text, STREAM)
            yield family((self._stream_labels(one), getattr(one, attribute)) for one in fresh)

    def _stream_labels(self, one: StreamSample | ConsumerSample) -> list[str]:
        options = self._sampler.connection.options
        server = [options.shown, one.leader, one.cluster, options.domain, "", "true"]
        return [*server, "", "", one.stream, one.leader, "true"]

    def _consumer_labels(self, one: ConsumerSample) -> list[str]:
        return [
            *self._stream_labels(one),
            one.consumer,
            one.leader,
            "true",
            one.description,
            one.created,
        ]


Row = tuple[list[str], float | None]


def _family(
    name: str, text: str, labels: tuple[str, ...], *, counter: bool = False
) -> Callable[[Iterable[Row]], Metric]:
    """Return what makes a family of rows; a row without value is left out."""
    family: CounterMetricFamily | GaugeMetricFamily = (
        CounterMetricFamily(name, text, labels=labels)
        if counter
        else GaugeMetricFamily(name, text, labels=labels)
    )

    def fill(rows: Iterable[Row]) -> Metric:
        for values, value in rows:
            if value is not None:
                family.add_metric(values, float(value))
        return family

    return fill


def _own(one: ConsumerSample) -> list[str]:
    return [one.stream, one.consumer, one.role]
