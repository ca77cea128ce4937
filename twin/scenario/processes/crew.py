"""What a run has beside the fleet and its own registrar: services, consumers, observers."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from twin.errors import InfrastructureError, ProcessFailed, StoreError
from twin.events.event import SourceTable
from twin.events.topology import ConsumerDecl
from twin.jetstream.api import consumer_info, stream_state
from twin.jetstream.connection import Connection
from twin.scenario.evidence.folder import RunFolder
from twin.scenario.evidence.matching import EventIndex, record_observed
from twin.scenario.evidence.rows import Row, read_rows
from twin.scenario.language.outside import Observer, Watch
from twin.scenario.language.values import NS_PER_S
from twin.scenario.plan import Plan
from twin.scenario.processes.access import Access
from twin.scenario.processes.service import ServiceProcess
from twin.verdict.manifest import ObserverFacts, ServiceFacts

__all__ = ["Crew"]

POLL_S = 0.1


@dataclass(slots=True)
class Crew:
    """Starts services, finds watched consumers, and reads at the end what was recorded.

    `cwd` is where services run, `access` how they reach the broker.
    """

    plan: Plan
    folder: RunFolder
    connection: Connection
    cwd: Path
    access: Access
    processes: dict[str, ServiceProcess] = field(default_factory=dict)
    indexes: dict[str, EventIndex] = field(default_factory=dict)
    earlier: dict[str, int] = field(default_factory=dict)
    """Rows that lay at an observer's place before the run: they are not of it."""

    async def start(self, stack: AsyncExitStack) -> tuple[ConsumerDecl, ...]:
        """Start all services, in order; return the consumers to be watched, once they exist."""
        for name, observer in self.plan.scenario.observers.items():
            with suppress(StoreError, InfrastructureError, OSError):  # nothing there yet
                self.earlier[name] = await self._count(observer)
        for name, service in self.plan.scenario.services.items():
            place = self.folder.services / name
            place.mkdir(parents=True)
            process = ServiceProcess(
                name,
                service,
                env=self._env(name, place),
                log=place / "service.log",
                cwd=self.cwd,
                exists=self._exists,
            )
            self.processes[name] = process
            stack.push_async_callback(process.end)
            await process.start()
        space = self.plan.space
        for name, observer in self.plan.scenario.observers.items():
            patterns = tuple(space.pattern(subject) for subject in observer.subjects)
            self.indexes[name] = EventIndex(observer, patterns)
        watches = self.plan.scenario.watch.items()
        return tuple([await self._consumer(role, watch) for role, watch in watches])

    async def settle(self) -> dict[str, str]:
        """Return once no observer gets new rows; say of which ones that could not be awaited."""
        patience_ns = self.plan.scenario.drain_timeout
        names = self.plan.scenario.observers
        found = await asyncio.gather(*(self._still(name, patience_ns) for name in names))
        return {name: why for name, why in zip(names, found, strict=True) if why}

    async def stop(self) -> tuple[ServiceFacts, ...]:
        """End all services, the last one first."""
        ended = [await one.stop() for one in reversed(self.processes.values())]
        return tuple(reversed(ended))

    async def collect(
        self, sources: SourceTable, unsettled: Mapping[str, str], *, alive: bool
    ) -> tuple[ObserverFacts, ...]:
        """Write what observers recorded: those that need living services, or all others."""
        found = []
        for name, observer in self.plan.scenario.observers.items():
            if (observer.http is not None) != alive:
                continue
            try:
                rows = await self._rows(name, observer)
                facts = await record_observed(
                    name,
                    rows,
                    self.indexes[name],
                    sources=sources,
                    run_id=self.plan.run_id,
                    space=self.plan.space,
                    streams=self.plan.recorded,
                    out=self.folder.observed,
                )
            except (StoreError, OSError) as error:
                facts = ObserverFacts(
                    name=name,
                    kind=observer.kind,
                    rows_total=0,
                    per_subject={},
                    finished=False,
                    detail=str(error),
                )
            if name in unsettled:
                facts = facts.model_copy(update={"finished": False, "detail": unsettled[name]})
            found.append(facts)
        return tuple(found)

    def _env(self, name: str, place: Path) -> dict[str, str]:
        return {
            **self.access.env(name),
            "PYTHONUNBUFFERED": "1",
            "TWIN_RUN_ID": self.plan.run_id,
            "TWIN_RUN_DIR": str(self.folder.path.resolve()),
            "TWIN_SERVICE_DIR": str(place.resolve()),
            "TWIN_PREFIX": self.plan.space.prefix,
            "TWIN_LAYOUT": self.plan.space.layout.value,
        }

    async def _rows(self, name: str, observer: Observer) -> AsyncIterator[Row]:
        """Return the rows of this run: without the earlier ones, unless it was begun anew."""
        earlier = self.earlier.get(name, 0)
        if earlier and await self._count(observer) < earlier:
            earlier = 0
        return _after(earlier, self._all(observer))

    def _all(self, observer: Observer) -> AsyncIterator[Row]:
        return read_rows(observer, self._place(observer), self.connection, self._stream)

    async def _count(self, observer: Observer) -> int:
        return sum([1 async for _ in self._all(observer)])

    def _place(self, observer: Observer) -> Path:
        return self.folder.services / observer.service if observer.service else self.cwd

    def _stream(self, name: str) -> str:
        """Return a stream's name on the server: the run's own have its prefix."""
        wire = self.plan.space.stream(name)
        return wire if wire in {one.name for one in self.plan.topology.streams} else name

    async def _exists(self, consumer: str) -> bool:
        stream, _, durable = consumer.partition("/")
        return await consumer_info(self.connection, self._stream(stream), durable) is not None

    async def _consumer(self, role: str, watch: Watch) -> ConsumerDecl:
        stream, end = self._stream(watch.stream), time.monotonic_ns() + watch.within
        while (info := await consumer_info(self.connection, stream, watch.durable)) is None:
            if time.monotonic_ns() > end:
                limit = f"{watch.within / NS_PER_S:g} s"
                raise ProcessFailed(
                    f"The watched consumer {stream}/{watch.durable} was not there within {limit}."
                )
            await asyncio.sleep(POLL_S)
        return ConsumerDecl(role, stream, watch.durable, info.config.filters)

    async def _still(self, name: str, patience_ns: int) -> str:
        """Wait until an observer's place stays as it is; say why that is not known."""
        observer = self.plan.scenario.observers[name]
        began = moved = time.monotonic_ns()
        last: object = None
        while time.monotonic_ns() - moved < observer.settle:
            try:
                mark = await self._mark(observer)
            except (InfrastructureError, OSError) as error:
                return str(error)
            now = time.monotonic_ns()
            if mark != last:
                moved, last = now, mark
            if now - began > max(patience_ns, 2 * observer.settle):
                return f"it still got new rows after {(now - began) / NS_PER_S:.0f} s"
            await asyncio.sleep(POLL_S)
        return ""

    async def _mark(self, observer: Observer) -> object:
        """Return something that changes when a row is added."""
        place = self._place(observer)
        if observer.stream is not None:
            return (await stream_state(self.connection, self._stream(observer.stream))).last_seq
        if observer.jsonl is not None:
            return _sizes(place / observer.jsonl)
        if observer.sql is not None:
            return _sizes(place / observer.sql.database, place / f"{observer.sql.database}-wal")
        return await self._count(observer)


async def _after(earlier: int, rows: AsyncIterator[Row]) -> AsyncIterator[Row]:
    """Yield what comes behind so many rows."""
    number = 0
    async for row in rows:
        number += 1
        if number > earlier:
            yield row


def _sizes(*paths: Path) -> list[tuple[int, int]]:
    found = [path.stat() for path in paths if path.exists()]
    return [(one.st_size, one.st_mtime_ns) for one in found]
