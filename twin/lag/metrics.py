"""The latest samples as Prometheus metrics, under the names that NATS dashboards know."""

from collections.abc import Callable, Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from twin.lag.sample import ConsumerSample

__all__ = ["LagCollector"]

LABELS = ["stream_name", "consumer_name", "role"]
GAUGES = {
    "jetstream_consumer_num_pending": ("num_pending", "Stored messages not yet delivered."),
    "jetstream_consumer_num_ack_pending": ("num_ack_pending", "Delivered, not acknowledged."),
    "jetstream_consumer_num_redelivered": ("num_redelivered", "Delivered more than once."),
    "jetstream_consumer_num_waiting": ("num_waiting", "Pull requests that wait for messages."),
    "jetstream_consumer_delivered_stream_seq": ("delivered_seq", "Last delivered sequence."),
    "jetstream_consumer_ack_floor_stream_seq": ("ack_floor", "All up to here is acknowledged."),
    "twin_consumer_backlog": ("backlog", "Pending plus ack pending."),
    "twin_consumer_oldest_age_seconds": ("oldest_age_s", "Age of the oldest unprocessed message."),
    "twin_consumer_exhausted": ("exhausted", "Messages given up after max_deliver."),
    "twin_consumer_terminated": ("terminated", "Messages terminated by the consumer."),
}


class LagCollector(Collector):
    """Exports what `latest` returns at the moment of the scrape.

    A consumer whose last poll failed has `twin_consumer_up` 0 and no other series: stale
    numbers are not repeated, and a failure is never shown as 0.
    """

    def __init__(self, latest: Callable[[], Iterable[ConsumerSample]]) -> None:
        self._latest = latest

    def collect(self) -> Iterable[Metric]:
        """Yield one family per counter."""
        samples = list(self._latest())
        up = GaugeMetricFamily("twin_consumer_up", "1 when the last poll succeeded.", labels=LABELS)
        for sample in samples:
            up.add_metric(_labels(sample), float(sample.error is None))
        yield up
        for name, (attribute, text) in GAUGES.items():
            family = GaugeMetricFamily(name, text, labels=LABELS)
            for sample in samples:
                value = getattr(sample, attribute)
                if sample.error is None and value is not None:
                    family.add_metric(_labels(sample), float(value))
            yield family


def _labels(sample: ConsumerSample) -> list[str]:
    return [sample.stream, sample.consumer, sample.role]
