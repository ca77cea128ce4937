"""The page of metrics: every series that the services export."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

from twin.jetstream.connection import Connection
from twin.jetstream.options import BrokerOptions
from twin.lag.metrics import CONSUMER, LagCollector
from twin.lag.sampler import LagSampler
from twin.reference.markdown import code, table
from twin.registrar.metrics import RegistrarMetrics
from twin.scenario.evidence.publish_metrics import PublishCollector

__all__ = ["metrics_page"]

HEAD = """# Metrics

What `/metrics` of the services says to Prometheus. Names follow its conventions: counters end
with `_total`, a histogram has `_bucket`, `_sum` and `_count`. No series has a bot as a label.
Alerts and a dashboard over them are in `deploy/`.
"""
SEEN_ON_NATS = frozenset(CONSUMER) - {"stream_name", "consumer_name"}
"""Labels that are there for dashboards of prometheus-nats-exporter; the table leaves them out."""


class Collecting(Protocol):
    """What gives metric families."""

    def collect(self) -> Iterable[Metric]:
        """Yield them."""


def metrics_page() -> str:
    """Return the page: the registrar's series, then the lag monitor's."""
    connection = Connection(BrokerOptions(), "reference", "auto")
    lag = LagCollector(LagSampler(connection, [], lambda stream, consumer: (0, 0)))
    registrar = RegistrarMetrics("")
    return (
        f"{HEAD}\n## twin registrar serve\n\n{_table(_rows(registrar.collectors()))}"
        f"\n## twin lag serve, and twin run while it lasts\n\n{_table(_rows([lag]))}\n"
        f"\n## twin run while it lasts\n\n{_table(_rows([PublishCollector()]))}\n"
        "Series called `jetstream_*` have the names and labels of prometheus-nats-exporter, those\n"
        "of servers, leaders and accounts included, which are not listed here.\n"
    )


def _table(rows: Iterable[tuple[str, str, str, str]]) -> str:
    return table(["series", "type", "labels", "means"], rows)


def _rows(collectors: Iterable[Collecting]) -> Iterator[tuple[str, str, str, str]]:
    for collector in collectors:
        for family in collector.collect():
            named = collector if isinstance(collector, MetricWrapperBase) else family
            labels = [name for name in getattr(named, "_labelnames", ()) if _told(name)]
            total = "_total" if family.type == "counter" else ""
            shown = ", ".join(map(code, labels))
            yield code(family.name + total), family.type, shown, family.documentation


def _told(label: str) -> bool:
    return label not in SEEN_ON_NATS
