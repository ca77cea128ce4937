"""The consumers that a run watches, and what looks at them: samples, advisories, sampled acks."""

from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from twin.events.topology import ConsumerDecl
from twin.jetstream.advisories import Advisories
from twin.jetstream.connection import Connection
from twin.jetstream.sampling import AckSampling
from twin.scenario.evidence.drain import deliveries, drain
from twin.scenario.evidence.folder import RunFolder
from twin.scenario.evidence.monitors import LagMonitor, Reads, metrics_page
from twin.scenario.evidence.publish_metrics import PublishCollector
from twin.verdict.manifest import WatchedConsumer

__all__ = ["Watched"]


@dataclass(frozen=True, slots=True)
class Watched:
    """Consumers with how often they had delivered when the run began; `monitor` is to be run."""

    connection: Connection
    consumers: Sequence[ConsumerDecl]
    delivered: Sequence[int]
    advisories: Advisories
    monitor: LagMonitor

    @classmethod
    async def start(
        cls,
        connection: Connection,
        consumers: Sequence[ConsumerDecl],
        folder: RunFolder,
        stack: AsyncExitStack,
        *,
        sampled: Collection[str],
        ours: bool,
        reads: Reads,
        published: PublishCollector,
    ) -> "Watched":
        """Begin to watch, for as long as `stack` is open.

        Acknowledgements of the `sampled` roles are timed; `ours` is the server if it is the
        run's own.
        """
        delivered = await deliveries(connection, consumers)
        chosen = [(n, one) for n, one in enumerate(consumers) if one.role in sampled]
        await stack.enter_async_context(AckSampling(connection, chosen, folder.acks, ours=ours))
        advisories = Advisories(connection, consumers, folder.advisories)
        await stack.enter_async_context(advisories)
        monitor = LagMonitor(connection, consumers, advisories, folder.lag, reads)
        stack.enter_context(metrics_page(monitor, published, folder.metrics_url))
        return cls(connection, consumers, delivered, advisories, monitor)

    async def drain(self, patience_ns: int) -> tuple[WatchedConsumer, ...]:
        """Wait until they have processed everything, or none moves for `patience_ns`."""
        return await drain(
            self.connection, self.consumers, self.advisories, patience_ns, self.delivered
        )
