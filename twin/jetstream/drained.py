"""Whether a consumer is done: nothing pending, and the ack floor where it has to be."""

from dataclasses import dataclass

from twin.errors import InfrastructureError
from twin.events.topology import ConsumerDecl
from twin.jetstream.api import consumer_info, last_sequence
from twin.jetstream.connection import Connection

__all__ = ["Drained", "drained"]


@dataclass(frozen=True, slots=True)
class Drained:
    """A consumer's state against the last message that it has to process.

    `last_matching_seq` is 0 when the stream holds no message for it. `more_follow` says that
    the stream holds messages for it beyond those that we ask about.
    """

    num_pending: int
    num_ack_pending: int
    ack_floor: int
    last_matching_seq: int
    more_follow: bool = False

    @property
    def drained(self) -> bool:
        """Pending 0, ack pending 0, and the ack floor has reached the last matching message.

        Both counters are 0 also for messages that were given up, hence the floor. Where more
        messages follow, the counters are about those, and the floor alone tells.
        """
        idle = self.more_follow or not (self.num_pending or self.num_ack_pending)
        return idle and self.ack_floor >= self.last_matching_seq


async def drained(
    connection: Connection, consumer: ConsumerDecl, last_seq: int | None = None
) -> Drained:
    """Return how far `consumer` is with what its stream holds up to `last_seq` (None: now).

    Raises InfrastructureError when the consumer is missing or the server does not answer: a
    failed poll is never "drained".
    """
    filters = consumer.filter_subjects or (">",)
    last = max([await last_sequence(connection, consumer.stream, subject) for subject in filters])
    info = await consumer_info(connection, consumer.stream, consumer.name)
    if info is None:
        raise InfrastructureError(f"There is no consumer {consumer.stream}/{consumer.name}.")
    more_follow = last_seq is not None and last > last_seq
    return Drained(
        info.num_pending,
        info.num_ack_pending,
        info.ack_floor.stream_seq,
        last_seq if last_seq is not None and more_follow else last,
        more_follow,
    )
