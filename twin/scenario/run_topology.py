"""The streams and consumers of one run, as the server sees them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from twin.configs.topology import with_custom
from twin.errors import UsageError
from twin.events.channels import COMMANDS_STREAM
from twin.events.streams import build_topology
from twin.events.subjects import SubjectSpace
from twin.events.topology import ConsumerDecl, StreamDecl, Topology
from twin.scenario.language.model import Scenario
from twin.scenario.language.outside import Role
from twin.scenario.language.values import NS_PER_S
from twin.simulation.fleet import FleetGroup
from twin.spec.payload.model import overlap

__all__ = ["StreamSettings", "run_topology"]


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """What all streams of a run have in common."""

    max_bytes: int
    duplicate_window_s: float
    memory_storage: bool = False
    persist_async: bool = False


def run_topology(
    scenario: Scenario, groups: Sequence[FleetGroup], space: SubjectSpace, settings: StreamSettings
) -> tuple[Topology, tuple[str, ...]]:
    """Return the topology, and which of its streams somebody has to read: not those of commands.

    UsageError where groups contradict each other, or a consumer reads what is no stream.
    """
    base = build_topology(
        space, max_bytes=settings.max_bytes, duplicate_window_s=settings.duplicate_window_s
    )
    wire = _platform_and_own(groups, base).on_wire(space)
    streams = tuple(
        replace(one, memory_storage=settings.memory_storage, persist_async=settings.persist_async)
        for one in wire.streams
    )
    read = {consumer.stream for consumer in wire.consumers}
    consumers = wire.consumers + _consumers(scenario, wire, space)
    if Role.REGISTRAR in scenario.external:
        consumers = tuple(one for one in consumers if one.role != "registrar")
    recorded = tuple(one.name for one in streams if one.name in read)
    return Topology(streams, consumers), recorded


def _platform_and_own(groups: Sequence[FleetGroup], base: Topology) -> Topology:
    """Return the platform's streams and those of custom channels, with their consumers.

    Nobody has to read commands and answers, which are no events of the run. Groups that use
    one stream share it. UsageError where groups contradict each other.
    """
    streams: dict[str, StreamDecl] = {}
    consumers: dict[tuple[str, str], ConsumerDecl] = {}
    for group in groups:
        own = with_custom(base, group.spec)
        for stream in own.streams:
            known = streams.setdefault(stream.name, stream)
            streams[stream.name] = replace(known, subjects=_union(known.subjects, stream.subjects))
        for one in own.consumers:
            reader = consumers.setdefault((one.role, one.stream), one)
            filters = _union(reader.filter_subjects, one.filter_subjects)
            consumers[one.role, one.stream] = replace(reader, filter_subjects=filters)
    _check_streams(base, streams.values())
    read = tuple(one for one in base.consumers if one.stream != COMMANDS_STREAM)
    return Topology(base.streams + tuple(streams.values()), read + tuple(consumers.values()))


def _consumers(
    scenario: Scenario, topology: Topology, space: SubjectSpace
) -> tuple[ConsumerDecl, ...]:
    """Return the scenario's own consumers, as the server sees them."""
    known = {stream.name for stream in topology.streams}
    found = []
    for name, one in scenario.consumers.items():
        if space.stream(one.stream) not in known:
            names = ", ".join(sorted(stream.removeprefix(space.stream("")) for stream in known))
            raise UsageError(f"consumer {name}: no stream is called {one.stream!r}; {names} are")
        found.append(
            ConsumerDecl(
                role=name,
                stream=space.stream(one.stream),
                name=name,
                filter_subjects=tuple(space.wire(subject) for subject in one.subjects),
                ack_wait_s=one.ack_wait / NS_PER_S,
                max_deliver=one.max_deliver,
                max_ack_pending=one.max_ack_pending,
            )
        )
    return tuple(found)


def _check_streams(base: Topology, own: Collection[StreamDecl]) -> None:
    """Refuse what a server would refuse, in words of the specs."""
    platform = {stream.name for stream in base.streams}
    for stream in own:
        if stream.name in platform:
            raise UsageError(f"a channel's stream cannot be {stream.name}: that is the platform's")
    subjects = [(subject, stream.name) for stream in own for subject in stream.subjects]
    for (one, here), (other, there) in combinations(subjects, 2):
        if overlap(one, other):
            raise UsageError(f"{one!r} in {here} and {other!r} in {there} overlap: change one")


def _union(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one + other))
