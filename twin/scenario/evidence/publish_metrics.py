"""The publisher's account as Prometheus metrics, while a run lasts."""

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from twin.jetstream.publisher import PublishCounts

__all__ = ["PublishCollector"]

OUTCOMES: Final = ("acknowledged", "refused", "unknown")
COUNTERS: Final = {
    "offered": "Events handed to the publisher.",
    "resent": "Tries that were repeated.",
    "duplicates": "First tries that the server called duplicates.",
    "overflowed": "Events refused because the backlog was full.",
    "late": "Answers to events that had their outcome.",
    "strange": "Answers that are none of JetStream's.",
    "disconnects": "Losses of the connection.",
}
GAUGES: Final = {
    "in_flight": "Events on the wire without an outcome.",
    "waiting": "Events that wait for their turn.",
}


class PublishCollector(Collector):
    """Exports the counts that `read` gives; zeros before there is a publisher."""

    def __init__(self) -> None:
        self.read: Callable[[], PublishCounts] | None = None

    def collect(self) -> Iterable[Metric]:
        """Yield all families."""
        counts = self.read() if self.read else PublishCounts()
        outcomes = CounterMetricFamily(
            "twin_publish_events", "Events by outcome.", labels=["outcome"]
        )
        for outcome in OUTCOMES:
            outcomes.add_metric([outcome], getattr(counts, outcome))
        yield outcomes
        for name, text in COUNTERS.items():
            yield CounterMetricFamily(f"twin_publish_{name}", text, value=getattr(counts, name))
        for name, text in GAUGES.items():
            yield GaugeMetricFamily(f"twin_publish_{name}", text, value=getattr(counts, name))
