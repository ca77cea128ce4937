"""What the faults of a run may act on: only what the run itself has started or made."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from twin.chaos.messages import Injector
from twin.chaos.stream import BreakableStream
from twin.events.event import SourceTable
from twin.events.subjects import SubjectSpace, covers
from twin.jetstream.connection import Connection, connect
from twin.jetstream.publisher import PublishCounts, Publisher
from twin.scenario.evidence.folder import RunFolder
from twin.scenario.faults.fault_runner import INJECTOR, Victim, network_of
from twin.scenario.faults.felt import Deliveries, Felt, Publishes
from twin.scenario.language.message_actions import MessageFault
from twin.scenario.plan import Plan
from twin.scenario.processes.access import Access

__all__ = ["breakable_streams", "injecting", "needed", "networks"]


def networks(access: Access) -> dict[str, Victim]:
    """Return the ways of clients that a fault of the scenario names."""
    return {network_of(name): proxy for name, proxy in access.proxies.items()}


def breakable_streams(
    plan: Plan, connection: Connection, publisher: Publisher, sources: SourceTable
) -> dict[str, Victim]:
    """Return the run's own streams by their logical names; each tells what it has refused."""
    found: dict[str, Victim] = {}
    for name in () if plan.shared else plan.recorded:
        [subjects] = [one.subjects for one in plan.topology.streams if one.name == name]
        published = map(plan.space.wire, plan.predicted.by_subject)
        ours = any(_takes(subjects, subject) for subject in published)
        told = partial(_refusals, publisher, sources, plan.space, subjects) if ours else None
        found[name.removeprefix(plan.space.stream(""))] = BreakableStream(connection, name, told)
    return found


def needed(
    plan: Plan, connection: Connection, counts: Callable[[], PublishCounts]
) -> dict[str, Felt]:
    """Return what waits for processes of the run while they stand; of services nobody knows."""
    found: dict[str, Felt] = {}
    if plan.predicted.total:
        found["broker"] = Publishes(counts)
    if durables := [one for one in plan.topology.consumers if one.role == "registrar"]:
        found["registrar"] = Deliveries(connection, durables)
    return found


def _refusals(
    publisher: Publisher, sources: SourceTable, space: SubjectSpace, subjects: Sequence[str]
) -> int:
    """Return how many publishes a stream of these subjects has refused as it was full."""
    return sum(
        count
        for source, count in publisher.overfull.items()
        if _takes(subjects, space.wire(sources[source].subject))
    )


def _takes(subjects: Sequence[str], subject: str) -> bool:
    return any(covers(one, subject) for one in subjects)


@asynccontextmanager
async def injecting(
    plan: Plan, access: Access, reading: Connection, folder: RunFolder, sources: SourceTable
) -> AsyncIterator[dict[str, Victim]]:
    """Meanwhile have a connection for messages that faults inject, if any do."""
    if not any(isinstance(event.do, MessageFault) for event in plan.scenario.events):
        yield {}
        return
    async with await connect(access.options("chaos"), name="twin-chaos") as connection:
        injector = Injector(connection, reading, plan.space, sources, plan.run_id)
        yield {INJECTOR: injector}
    injector.save(folder.injected)
