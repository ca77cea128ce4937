"""What watches a run while it lasts: lag samples, advisories, a page of metrics."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson

from twin.events.topology import ConsumerDecl
from twin.jetstream.advisories import Advisories
from twin.jetstream.connection import Connection
from twin.lag.monitor import serve_page
from twin.lag.sample import ConsumerSample, Watched
from twin.lag.sampler import LagSampler
from twin.lag.status import StatusRules
from twin.scenario.evidence.publish_metrics import PublishCollector

__all__ = ["LagMonitor", "Reads", "faithfully", "metrics_page"]

INTERVAL_S = 1.0


Reads = Callable[[ConsumerSample], ConsumerSample]


def faithfully(sample: ConsumerSample) -> ConsumerSample:
    """Read a sample as it is."""
    return sample


class LagMonitor:
    """Samples the consumers of a run once a second into `lag.jsonl` and keeps the latest.

    `reads` is what is written down of a sample; a self-test lets it be wrong.
    """

    def __init__(
        self,
        connection: Connection,
        consumers: Sequence[ConsumerDecl],
        advisories: Advisories,
        path: Path,
        reads: Reads = faithfully,
    ) -> None:
        watched = [Watched(c.role, c.stream, c.name, c.filter_subjects) for c in consumers]
        self.sampler = LagSampler(
            connection,
            watched,
            advisories.given_up,
            naks=advisories.naks,
            evicted=advisories.evicted,
            heard=lambda: advisories.complete,
            rules=StatusRules.every(INTERVAL_S),
        )
        self._file = path.open("ab")
        self._reads = reads

    async def run(self) -> None:
        """Sample until cancelled."""
        try:
            await self.sampler.run(INTERVAL_S, self._write)
        finally:
            self._file.close()

    def backlog(self, role: str) -> int | None:
        """Return the backlog over all streams of a role, None while it is unknown."""
        known = [s.backlog for s in self.sampler.latest.values() if s.role == role]
        return None if not known or None in known else sum(b for b in known if b is not None)

    def _write(self, samples: list[ConsumerSample]) -> None:
        rows = [self._reads(one).as_row() for one in samples]
        self._file.write(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        self._file.flush()


@contextmanager
def metrics_page(monitor: LagMonitor, published: PublishCollector, url: Path) -> Iterator[None]:
    """Serve `/metrics` on a port of the operating system's choice; its URL is in file `url`."""
    with serve_page(monitor.sampler, "127.0.0.1", 0, published) as address:
        url.write_text(f"{address}\n")
        yield
