"""What the registrar says of itself to Prometheus; a registry of its own per instance."""

from collections import Counter as Tally
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.metrics import MetricWrapperBase

from twin.registrar.codes import Severity
from twin.registrar.record import Row
from twin.registrar.store import Written

__all__ = ["CONTENT_TYPE", "RegistrarMetrics"]

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
GRADE: Final = itemgetter(Row._fields.index("severity"), Row._fields.index("code"))
DUPLICATE, POISON, CONFLICT, ROLLBACK = 440, 920, 921, 922


class RegistrarMetrics:
    """Counters and gauges of one registrar."""

    def __init__(self, version: str) -> None:
        registry = self._registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"registrar_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"registrar_{name}", text, labels, registry=registry)

        self.events = counter("events", "Events recorded.", "severity", "code")
        self.redelivered = counter("redelivered", "Messages delivered again after their commit.")
        self.duplicates = counter("duplicates", "Second copies of an event in a stream.")
        self.quarantined = counter("quarantined", "Messages that are no event.")
        self.conflicts = counter("conflicts", "Event ids that came with two payloads.")
        self.rollbacks = counter("rollbacks", "Times that a stream lost recorded messages.")
        self.unknown = counter("unknown_sequences", "Acknowledged by somebody, recorded nowhere.")
        self.fan_out = counter("fan_out", "Audit records published, by outcome.", "outcome")
        self.anchors = counter("anchors", "Checkpoints published, by outcome.", "outcome")
        self.commit = Histogram(
            "registrar_commit_seconds",
            "Time to make a batch durable.",
            buckets=BUCKETS,
            registry=registry,
        )
        self.last_sequence = gauge("last_sequence", "Last recorded stream sequence.", "stream")
        self.queue = gauge("queue_messages", "Messages taken and not yet durable.")
        self.store_bytes = gauge("store_bytes", "Size of the store on disk.")
        self.connected = gauge("connected", "1 while the broker is reached.")
        self.missing = gauge("missing_consumers", "Consumers that the broker does not know.")
        self.anchored_batch = gauge("anchored_batch", "Last batch under a published checkpoint.")
        self.build = gauge("build_info", "1, with the version as a label.", "version")
        self.build.labels(version).set(1)

    def count(self, written: Written) -> None:
        """Account for a batch that is durable."""
        tally: Tally[tuple[int, int]] = Tally(map(GRADE, written.rows))
        for (severity, code), number in tally.items():
            self.events.labels(Severity(severity).name, str(code)).inc(number)
        notes = Tally(note.code for note in written.notes)
        self.redelivered.inc(written.redelivered)
        for code, counter in (
            (DUPLICATE, self.duplicates),
            (POISON, self.quarantined),
            (CONFLICT, self.conflicts),
            (ROLLBACK, self.rollbacks),
        ):
            counter.inc(notes[code])
        self.set_sequences(written.last_sequences)

    def set_sequences(self, sequences: Mapping[str, int]) -> None:
        """Publish the last recorded sequence of each stream."""
        for stream, sequence in sequences.items():
            self.last_sequence.labels(stream).set(sequence)

    def collectors(self) -> Iterator[MetricWrapperBase]:
        """Yield every metric, labelled ones with the names of their labels."""
        yield from (one for one in vars(self).values() if isinstance(one, MetricWrapperBase))

    def text(self) -> bytes:
        """Return the exposition of all metrics."""
        return generate_latest(self._registry)
