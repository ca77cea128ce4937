"""How each client of a run reaches the broker: straight, or through a proxy of its own."""

from contextlib import AsyncExitStack
from dataclasses import replace
from urllib.parse import urlsplit

from twin.chaos.network import Proxy
from twin.errors import UsageError
from twin.jetstream.connection import BrokerOptions, Connection, connect
from twin.scenario.language.model import Scenario
from twin.scenario.language.net_actions import NetFault

__all__ = ["Access"]

DEFAULT_PORT = 4222


class Access:
    """The ways to one broker. A proxy is made only for clients that a fault of `scenario` names."""

    def __init__(self, scenario: Scenario, broker: BrokerOptions) -> None:
        actions = [event.do for event in scenario.events]
        self._names = {one.client for one in actions if isinstance(one, NetFault)}
        self._broker = broker
        self.proxies: dict[str, Proxy] = {}

    async def start(self, stack: AsyncExitStack, connection: Connection) -> None:
        """Start the proxies; UsageError when clients could go past them."""
        if not self._names:
            return
        if len(self._broker.servers) > 1:
            raise UsageError("net.* faults need one server, not several")
        if others := connection.advertised:
            raise UsageError(
                f"net.* faults: the server advertises {', '.join(others)}, where clients would "
                "go past the proxy; set no_advertise in its configuration"
            )
        url = urlsplit(self._broker.servers[0])
        for name in sorted(self._names):
            proxy = Proxy(url.hostname or "127.0.0.1", url.port or DEFAULT_PORT)
            self.proxies[name] = await stack.enter_async_context(proxy)

    async def connection(
        self, client: str, stack: AsyncExitStack, straight: Connection
    ) -> Connection:
        """Return the connection of a client: `straight`, or one of its own by its proxy."""
        if client not in self.proxies:
            return straight
        options = self.options(client)
        return await stack.enter_async_context(await connect(options, name=f"twin-{client}"))

    def options(self, client: str) -> BrokerOptions:
        """Return how a client connects."""
        proxy = self.proxies.get(client)
        if proxy is None:
            return self._broker
        url = urlsplit(self._broker.servers[0])
        return replace(
            self._broker,
            url=f"{url.scheme}://127.0.0.1:{proxy.port}",
            tls_hostname=self._broker.tls_hostname or url.hostname or "",
        )

    def env(self, client: str = "") -> dict[str, str]:
        """Return how a client's process connects, as its environment."""
        return self.options(client).environment()
