"""Faults of what lies between bots and registrar: streams, and consumers of the scenario."""

from typing import Literal, TypeAlias

from pydantic import Field

from twin.scenario.language.values import Duration, Model, Span

__all__ = [
    "BusFault",
    "ConsumerCrash",
    "ConsumerDelete",
    "ConsumerFault",
    "ConsumerNak",
    "ConsumerPause",
    "ConsumerSlow",
    "ConsumerStall",
    "ConsumerTerm",
    "StreamDelete",
    "StreamEvict",
    "StreamFault",
    "StreamFull",
    "StreamPurge",
]


class ConsumerFault(Model):
    """Something that a consumer of the scenario does, or that is done to its durable."""

    fault: str
    consumer: str = Field(description="Its name under `consumers`.")
    for_: Span = Field(alias="for", description="Wall time until it is as before.")


class ConsumerSlow(ConsumerFault):
    """The consumer processes fewer messages a second."""

    fault: Literal["consumer.slow"]
    rate: float = Field(gt=0, le=10_000, description="Messages a second.")


class ConsumerStall(ConsumerFault):
    """The consumer takes messages and acknowledges none."""

    fault: Literal["consumer.stall"]


class ConsumerCrash(ConsumerFault):
    """The consumer is gone with what it held, and comes back."""

    fault: Literal["consumer.crash"]


class ConsumerNak(ConsumerFault):
    """The consumer refuses every message: each is delivered again and again."""

    fault: Literal["consumer.nak"]


class ConsumerTerm(ConsumerFault):
    """The consumer terminates every message: none is delivered again."""

    fault: Literal["consumer.term"]


class ConsumerPause(ConsumerFault):
    """The server pauses the durable."""

    fault: Literal["consumer.pause"]


class ConsumerDelete(ConsumerFault):
    """The durable is deleted on the server, and made again where it had been."""

    fault: Literal["consumer.delete"]


class StreamFault(Model):
    """Something that is done to a stream of the run."""

    fault: str
    stream: str = Field(description="Its name, as QIKI_EVENTS_V1.")


class StreamFull(StreamFault):
    """The stream takes no more messages: publishes are refused with error 10077."""

    fault: Literal["stream.full"]
    for_: Span = Field(alias="for", description="Wall time until it takes more.")


class StreamEvict(StreamFault):
    """The stream keeps few messages: the oldest are evicted, read or not."""

    fault: Literal["stream.evict"]
    max_msgs: int = Field(gt=0, description="How many messages it keeps.")
    for_: Span = Field(alias="for", description="Wall time until it keeps all again.")


class StreamPurge(StreamFault):
    """All messages of the stream are deleted, once."""

    fault: Literal["stream.purge"]


class StreamDelete(StreamFault):
    """The stream is deleted with all its messages, and made again without them."""

    fault: Literal["stream.delete"]
    restore_after: Duration | None = Field(
        None, description="Wall time until it is made again; without it it stays away."
    )


BusFault: TypeAlias = (
    ConsumerSlow
    | ConsumerStall
    | ConsumerCrash
    | ConsumerNak
    | ConsumerTerm
    | ConsumerPause
    | ConsumerDelete
    | StreamFull
    | StreamEvict
    | StreamPurge
    | StreamDelete
)
