"""The lag monitor as a thing to open: a connection, the advisories, a sampler, a page."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from prometheus_client import CollectorRegistry, start_http_server

from twin.errors import InfrastructureError
from twin.events.topology import ConsumerDecl
from twin.jetstream.advisories import Advisories
from twin.jetstream.connection import BrokerOptions, connect
from twin.lag.metrics import LagCollector
from twin.lag.sampler import LagSampler
from twin.lag.status import StatusRules

__all__ = ["open_sampler", "serve_page"]


@asynccontextmanager
async def open_sampler(
    broker: BrokerOptions, patterns: Sequence[str], interval_s: float, *, forever: bool = False
) -> AsyncIterator[LagSampler]:
    """Connect and give a sampler of all consumers on the streams that match `patterns`.

    Raises BrokerUnreachable, unless `forever` says to wait for the broker.
    """
    anyone = ConsumerDecl("", "*", "*")
    async with (
        await connect(broker, name="twin-lag", forever=forever) as connection,
        Advisories(connection, [anyone]) as advisories,
    ):
        yield LagSampler(
            connection,
            [],
            advisories.given_up,
            naks=advisories.naks,
            patterns=patterns,
            rules=StatusRules.every(interval_s),
        )


@contextmanager
def serve_page(sampler: LagSampler, host: str, port: int) -> Iterator[str]:
    """Serve what the sampler found last at `/metrics`; gives the URL. Port 0 takes a free one.

    Raises InfrastructureError when the address cannot be had.
    """
    registry = CollectorRegistry()
    registry.register(LagCollector(sampler))
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise InfrastructureError(f"{host}:{port} cannot be served: {error.strerror}") from error
    try:
        yield f"http://{host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
