"""Streams and consumers as data, declared once and made true by `twin.jetstream.reconcile`."""

from dataclasses import dataclass, replace

from twin.events.subjects import SubjectSpace

__all__ = ["ConsumerDecl", "StreamDecl", "Topology"]


@dataclass(frozen=True, slots=True)
class StreamDecl:
    """A stream as it should be. Subjects are logical until `Topology.on_wire`.

    Limits: `max_bytes` in bytes (-1 is unlimited), `max_age_s` and `duplicate_window_s` in
    seconds. `discard_new` refuses a publish when full, otherwise the oldest are evicted.
    `persist_async` acknowledges before a message is written (ADR-58, server 2.12).
    """

    name: str
    subjects: tuple[str, ...]
    max_bytes: int = 10 * 1024 * 1024
    max_age_s: float = 3600.0
    duplicate_window_s: float = 120.0
    discard_new: bool = False
    no_ack: bool = False
    memory_storage: bool = False
    persist_async: bool = False


@dataclass(frozen=True, slots=True)
class ConsumerDecl:
    """A durable pull consumer with explicit acknowledgement, as it should be.

    `role` is how the run's results name it (`registrar`); `name` is the durable on the
    server. `start_seq` 0 delivers all, otherwise delivery begins with that sequence.
    """

    role: str
    stream: str
    name: str
    filter_subjects: tuple[str, ...] = ()
    ack_wait_s: float = 45.0
    max_deliver: int = 7
    max_ack_pending: int = 512
    start_seq: int = 0
    inactive_threshold_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Topology:
    """All streams and consumers of a run."""

    streams: tuple[StreamDecl, ...]
    consumers: tuple[ConsumerDecl, ...]

    def on_wire(self, space: SubjectSpace) -> "Topology":
        """Return the same topology under the names and subjects of `space`'s prefix."""
        return Topology(
            tuple(
                replace(
                    stream,
                    name=space.stream(stream.name),
                    subjects=tuple(space.wire(subject) for subject in stream.subjects),
                )
                for stream in self.streams
            ),
            tuple(
                replace(
                    consumer,
                    stream=space.stream(consumer.stream),
                    filter_subjects=tuple(space.wire(s) for s in consumer.filter_subjects),
                )
                for consumer in self.consumers
            ),
        )
