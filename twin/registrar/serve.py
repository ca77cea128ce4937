"""The registrar as a process: connect, serve HTTP, record, end on a signal."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import orjson

from twin.errors import BrokerUnreachable, InfrastructureError
from twin.jetstream.connection import BrokerOptions, Connection, connect
from twin.registrar.bulk import make_room
from twin.registrar.http import Address, HttpServer, make_app
from twin.registrar.metrics import RegistrarMetrics
from twin.registrar.service import Registrar, RegistrarOptions, first_of_group
from twin.registrar.thread import StoreThread
from twin.verdict.files import write_atomic

__all__ = ["ServeOptions", "serve"]

T = TypeVar("T")
Asked: TypeAlias = "asyncio.Future[signal.Signals]"
GARBAGE: Final = (200_000, 20, 20)
"""Records by the ten thousand live for a moment and are no cycles: collect seldom."""

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Where the broker is, where to listen, and the file that says when it consumes."""

    broker: BrokerOptions
    registrar: RegistrarOptions
    http: Address
    announce: Path | None = None


async def serve(options: ServeOptions) -> signal.Signals:
    """Record until SIGTERM or SIGINT, which is returned once everything taken is recorded.

    Waits for ever for a broker that is not there, and says so once. StoreError when the store
    fails. The process is its own: it must have no database open yet.
    """
    what = options.registrar
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    make_room()
    metrics = RegistrarMetrics(what.version)
    state = _State()
    with _signals() as asked:
        async with (
            StoreThread(what.store, what.rules, what.version, what.limits, what.key) as store,
            HttpServer(make_app(state.waits_for, metrics, what.version), options.http) as http,
        ):
            connection = await _unless(asked, _connected(options.broker))
            if connection is not None:
                async with connection:
                    state.service = Registrar(connection, store, what, metrics)
                    with first_of_group():
                        await _run(state.service, asked, options.announce, http.url)
            return await asked


async def _connected(broker: BrokerOptions) -> Connection:
    """Return the connection once there is one; the first failure is told on standard error."""
    name = "twin-registrar"
    try:
        return await connect(broker, name=name)
    except BrokerUnreachable as error:
        sys.stderr.write(f"twin: {error}; tried again for ever, nothing is recorded before\n")
        sys.stderr.flush()
    return await connect(broker, name=name, forever=True)


@dataclass(slots=True)
class _State:
    """What the HTTP side knows of the service, which comes after it."""

    service: Registrar | None = None

    def waits_for(self) -> str:
        return "the broker" if self.service is None else self.service.waits_for


async def _run(service: Registrar, asked: Asked, announce: Path | None, url: str) -> None:
    asked.add_done_callback(lambda _: service.stop())
    async with asyncio.TaskGroup() as group:
        announcing = group.create_task(_announce(announce, service, url))
        await service.run()
        announcing.cancel()


async def _announce(path: Path | None, service: Registrar, url: str) -> None:
    """Tell whoever waits for the file where we are, once the service consumes."""
    await service.consuming.wait()
    if path is not None:
        try:
            write_atomic(path, orjson.dumps({"pid": os.getpid(), "http": url}))
        except OSError as error:
            raise InfrastructureError(f"{path} cannot be written: {error}") from error


async def _unless(asked: Asked, work: Coroutine[None, None, T]) -> T | None:
    """Return what `work` gives, None if a signal comes first."""
    task = asyncio.ensure_future(work)
    waiting: set[asyncio.Future[Any]] = {asked, task}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
        return None
    return task.result()


@contextmanager
def _signals() -> Iterator[Asked]:
    """Meanwhile take SIGTERM and SIGINT as requests to end; the first one counts."""
    loop = asyncio.get_running_loop()
    asked: Asked = loop.create_future()

    def ask(number: signal.Signals) -> None:
        if not asked.done():
            asked.set_result(number)

    for number in SIGNALS:
        loop.add_signal_handler(number, ask, number)
    try:
        yield asked
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
