"""The store on a thread of its own, for a service that must not block."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self, TypeVar

from twin.registrar.limits import Limits
from twin.registrar.record import Note, Row
from twin.registrar.rules import Rules
from twin.registrar.statements import Signed
from twin.registrar.store import Store, Written

__all__ = ["StoreThread"]

T = TypeVar("T")


class StoreThread:
    """A Store whose every call runs on one dedicated thread; use as a context manager."""

    def __init__(
        self,
        folder: Path,
        rules: Rules,
        version: str,
        limits: Limits | None = None,
        key: Path | None = None,
    ) -> None:
        self._open = lambda: Store(folder, rules, version, limits, key)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="registrar-store")
        self._store: Store | None = None

    async def write(
        self,
        rows: Sequence[Row],
        notes: Sequence[Note] = (),
        *,
        seal: bool = False,
        covered: Mapping[str, int] = MappingProxyType({}),
        syncing: Callable[[], object] = bool,
    ) -> Written:
        """Return when the batch is durable; see `Store.write`. `syncing` is called here."""
        tell = partial(asyncio.get_running_loop().call_soon_threadsafe, syncing)
        return await self._call(
            lambda store: store.write(rows, notes, seal=seal, covered=covered, syncing=tell)
        )

    async def account(self, stream: str) -> tuple[int, list[int]]:
        """See `Store.account`."""
        return await self._call(lambda store: store.account(stream))

    async def last_commit_ns(self) -> int:
        """See `Store.last_commit_ns`."""
        return await self._call(lambda store: store.last_commit_ns)

    async def observe_stream(
        self, stream: str, last_seq: int, recorded: int, now_ns: int
    ) -> Written:
        """See `Store.observe_stream`."""
        return await self._call(
            lambda store: store.observe_stream(stream, last_seq, recorded, now_ns)
        )

    async def sign_due(self) -> Signed | None:
        """See `Store.sign_due`."""
        return await self._call(lambda store: store.sign_due())

    async def tidy(self) -> int:
        """See `Store.tidy`; return the size in bytes."""
        return await self._call(_tidied)

    async def state(self) -> tuple[dict[str, int], int]:
        """Return the last recorded sequences and the size in bytes."""
        return await self._call(lambda store: (store.last_sequences, store.size_bytes))

    async def _call(self, work: Callable[[Store], T]) -> T:
        store = self._store
        if store is None:
            raise RuntimeError("the store is not open")
        return await self._run(lambda: work(store))

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def __aenter__(self) -> Self:
        try:
            self._store = await self._run(self._open)
        except BaseException:
            self._thread.shutdown()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._store is not None:
            await self._run(self._store.close)
        self._thread.shutdown()


def _tidied(store: Store) -> int:
    store.tidy()
    return store.size_bytes
