"""A TCP proxy between one client and the broker, which toxics make slow, narrow or unreliable.

The bytes are passed on as they are, so that TLS goes through. A proxy without toxics adds
next to nothing; only clients that a scenario's faults name get one.
"""

import asyncio
import random
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Final, Literal, NamedTuple, Self

from twin.chaos.toxics import Chunk, Effect, Toxic
from twin.errors import InfrastructureError

__all__ = ["READ", "Dose", "Proxy", "Stream"]

HOST: Final = "127.0.0.1"
READ: Final = 64 * 1024
"""Bytes that are taken from a socket at once, at most."""
BUFFER: Final = 8 * 1024 * 1024
"""Bytes that wait in one direction of one connection; beyond them the sender has to wait."""
CONNECT_S: Final = 5.0
LINGER_OFF: Final = struct.pack("ii", 1, 0)

Stream = Literal["upstream", "downstream"]
"""From the client to the broker, or from the broker to the client."""


class Dose(NamedTuple):
    """A fault as the proxy sees it: what makes a toxic for a lane, and for which ones.

    `toxicity` is the probability that a connection is hit at all.
    """

    make: Callable[[Effect, random.Random], Toxic]
    stream: Stream
    toxicity: float
    effect: Effect
    random: random.Random


class Proxy:
    """Listens on a port of its own at 127.0.0.1, and connects whoever comes to `target`.

    `running` is always true: while the proxy is down it only refuses. Leaving the context
    ends all connections.
    """

    running = True

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._claim: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._doses: list[Dose] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Where it listens; the port is kept while it is down."""
        if self._claim is None:
            raise InfrastructureError("The proxy has not been started.")
        return int(self._claim.getsockname()[1])

    async def __aenter__(self) -> Self:
        try:
            self._claim = _claimed()
        except OSError as error:
            raise InfrastructureError(f"A proxy gets no port: {error}") from error
        await self._listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self._refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._claim is not None:
            self._claim.close()

    @contextmanager
    def dosed(self, dose: Dose) -> Iterator[Effect]:
        """Meanwhile let the toxic act on connections that there are, and on those that come."""
        self._doses.append(dose)
        for connection in self._connections:
            connection.add(dose)
        try:
            yield dose.effect
        finally:
            dose.effect.end()
            self._doses.remove(dose)
            for connection in self._connections:
                connection.remove(dose)

    async def down(self, effect: Effect) -> None:
        """End all connections and refuse new ones until `up`."""
        for _ in range(len(self._connections)):
            effect.hit_connection()
        await self._refuse()

    async def up(self) -> None:
        """Accept connections again."""
        await self._listen()

    async def _listen(self) -> None:
        try:
            self._server = await asyncio.start_server(
                self._accept, HOST, self.port, reuse_port=True, limit=READ
            )
        except OSError as error:
            raise InfrastructureError(f"A proxy cannot listen: {error}") from error

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            connection.reset()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(_Side(reader, writer)), name="proxied")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, client: "_Side") -> None:
        try:
            async with asyncio.timeout(CONNECT_S):
                broker = _Side(*await asyncio.open_connection(*self._target, limit=READ))
        except (OSError, TimeoutError):
            client.reset()
            return
        if self._server is None:  # it went down while we were connecting
            client.reset()
            broker.reset()
            return
        connection = _Connection(client, broker)
        self._connections.add(connection)
        try:
            for dose in self._doses:
                connection.add(dose)
            await connection.run()
        finally:
            self._connections.discard(connection)
            connection.reset()


class _Side(NamedTuple):
    """One of the two sockets of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        if self.writer.transport.is_closing():
            return
        raw = self.writer.get_extra_info("socket")
        with suppress(OSError):  # it is closed already
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_OFF)
        self.writer.transport.abort()


class _Connection:
    """Two lanes between a client and the broker, which end together."""

    def __init__(self, client: _Side, broker: _Side) -> None:
        self._sides = (client, broker)
        self._lanes: dict[Stream, _Lane] = {
            "upstream": _Lane(client, broker, self),
            "downstream": _Lane(broker, client, self),
        }
        self._attached: dict[int, asyncio.Task[None]] = {}

    def add(self, dose: Dose) -> None:
        """Let a toxic act, if chance will have it."""
        if dose.random.random() >= dose.toxicity:
            return
        lane = self._lanes[dose.stream]
        toxic = dose.make(dose.effect, dose.random)
        lane.toxics.append(toxic)
        self._attached[id(dose.effect)] = asyncio.create_task(toxic.attach(lane))

    def remove(self, dose: Dose) -> None:
        """Take its toxic away; what it does at its end it does now."""
        lane = self._lanes[dose.stream]
        for toxic in lane.toxics:
            if toxic.effect is dose.effect:
                lane.toxics.remove(toxic)
                toxic.detach(lane)
                return

    async def run(self) -> None:
        """Pass bytes on until either side has ended."""
        work = [asyncio.create_task(lane.run()) for lane in self._lanes.values()]
        try:
            await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*work, *self._attached.values()):
                task.cancel()
            await asyncio.gather(*work, *self._attached.values(), return_exceptions=True)
            for side in self._sides:
                side.close()

    def close(self) -> None:
        """End it in good order: what is on its way to a side may still arrive."""
        for side in self._sides:
            side.close()

    def reset(self) -> None:
        """End it with a reset, on both sides."""
        for side in self._sides:
            side.reset()


class _Lane:
    """One direction: a reader that fills a bounded queue, and a writer that empties it.

    They are apart so that a delay does not keep bytes from arriving, which would make a slow
    line a narrow one.
    """

    def __init__(self, source: _Side, sink: _Side, connection: _Connection) -> None:
        self.toxics: list[Toxic] = []
        self._source, self._sink, self._connection = source, sink, connection
        self._waiting: deque[Chunk] = deque()
        self._size = 0
        self._changed = asyncio.Event()
        self._ended = False

    def close(self) -> None:
        """End the whole connection in good order."""
        self._connection.close()

    def reset(self) -> None:
        """End the whole connection with a reset."""
        self._connection.reset()

    async def run(self) -> None:
        """Pass bytes on until the source has ended and everything has arrived."""
        reading = asyncio.create_task(self._read())
        try:
            await self._write()
            for toxic in self.toxics:
                await toxic.close()
        except OSError:
            return
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while data := await self._source.reader.read(READ):
                self._waiting.append(Chunk(data, loop.time()))
                self._size += len(data)
                self._changed.set()
                while self._size > BUFFER:
                    self._changed.clear()
                    await self._changed.wait()
        except OSError:
            return
        finally:
            self._ended = True
            self._changed.set()

    async def _write(self) -> None:
        while True:
            while self._waiting:
                chunk = self._waiting.popleft()
                await self._through(tuple(self.toxics), chunk)
                self._size -= len(chunk.data)
                self._changed.set()
            if self._ended:
                return
            self._changed.clear()
            await self._changed.wait()

    async def _through(self, toxics: tuple[Toxic, ...], chunk: Chunk) -> None:
        """Let one toxic after the other have the bytes, and the other side what is left."""
        if not toxics:
            self._sink.writer.write(chunk.data)
            await self._sink.writer.drain()
            return

        async def onward(rest: Chunk) -> None:
            await self._through(toxics[1:], rest)

        await toxics[0].carry(chunk, self, onward)


def _claimed() -> socket.socket:
    """Return a socket that keeps a port of ours without listening on it."""
    claim = socket.socket()
    try:
        claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        claim.bind((HOST, 0))
    except OSError:
        claim.close()
        raise
    return claim
