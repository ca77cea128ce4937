"""Finds what a scenario's parts cannot see alone, by a world with one bot of each group.

Nothing is started and no time passes: the world only says which conditions, start values
and malfunctions its bots could have.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from twin.errors import Problem, UsageError
from twin.events.event import SourceTable
from twin.events.subjects import SubjectSpace
from twin.scenario.language.actions import HardwareFault
from twin.scenario.language.bus_actions import StreamFault
from twin.scenario.language.foregone import check_foregone, foregone_condition
from twin.scenario.language.model import Pace, Scenario
from twin.scenario.language.net_actions import BOTS, NetFault
from twin.scenario.language.outside import Role
from twin.scenario.language.references import check_references, readable_streams, watched_roles
from twin.scenario.language.run_state import state_names
from twin.scenario.language.shapes import multiple
from twin.scenario.language.values import format_duration
from twin.simulation.fleet import FleetGroup
from twin.simulation.inputs import Start
from twin.simulation.predict import natural_rate
from twin.simulation.world import World
from twin.spec.findings import did_you_mean
from twin.spec.yaml import Document
from twin.verdict.conditions import parse_condition

__all__ = ["rehearse"]


def rehearse(
    document: Document,
    scenario: Scenario,
    groups: Sequence[FleetGroup],
    spoilt: frozenset[str] = frozenset(),
) -> Iterator[Problem]:
    """Yield every Problem with its position; of `spoilt` sections something is missing."""
    yield from check_references(document, scenario, groups, spoilt)
    yield from check_foregone(document, scenario)
    if scenario.pace is Pace.FAST and (why := scenario.needs_wall_time()):
        yield document.problem(("pace",), f"cannot run at pace fast: {why}")
    yield from _times(document, scenario)
    if len(groups) < len(scenario.fleet):
        return
    if "fleet" not in spoilt:
        yield from _rates(document, scenario, groups)
    yield from _bus(document, scenario, groups)
    try:
        world = _world(groups)
    except UsageError as error:
        yield document.problem(("fleet",), str(error), key=True)
        return
    counted = "fleet" not in spoilt
    yield from _conditions(document, scenario, groups, world, counted=counted)
    yield from _malfunctions(document, scenario, groups, world, counted=counted)


def _world(groups: Sequence[FleetGroup]) -> World:
    return World(
        [replace(group, count=1) for group in groups],
        seed=0,
        epoch_ns=0,
        run_id="rehearsal",
        space=SubjectSpace(),
        sources=SourceTable(),
        sink=lambda events: None,
    )


def _times(document: Document, scenario: Scenario) -> Iterator[Problem]:
    """Look for what could never happen in the time that there is."""
    for index, phase in enumerate(scenario.phases):
        burst = phase.load.burst
        if burst is not None and burst.every >= phase.duration:
            text = (
                f"the first burst comes after {format_duration(burst.every)}, "
                f"the phase lasts {format_duration(phase.duration)}"
            )
            yield document.problem(("phases", index, "load", "burst", "every"), text)
    for index, event in enumerate(scenario.events):
        if event.hold >= scenario.duration_ns:
            text = (
                f"no condition can hold for {format_duration(event.hold)}: the scenario lasts "
                f"{format_duration(scenario.duration_ns)}"
            )
            yield document.problem(("events", index, "hold"), text)


def _rates(
    document: Document, scenario: Scenario, groups: Sequence[FleetGroup]
) -> Iterator[Problem]:
    natural = natural_rate(groups)
    for index, phase in enumerate(scenario.phases):
        for rate in phase.load.rates:
            try:
                multiple(rate, natural)
            except ValueError as error:
                yield document.problem(("phases", index, "load"), str(error))


def _bus(document: Document, scenario: Scenario, groups: Sequence[FleetGroup]) -> Iterator[Problem]:
    """Look at the streams and consumers that are named."""
    readable = readable_streams(groups)
    named: list[tuple[tuple[str | int, ...], str]] = [
        (("consumers", name, "stream"), one.stream) for name, one in scenario.consumers.items()
    ]
    for index, event in enumerate(scenario.events):
        if isinstance(event.do, StreamFault):
            named.append((("events", index, "do", "stream"), event.do.stream))
    for path, stream in named:
        if stream not in readable:
            text = f"there is no stream {stream!r}{did_you_mean(stream, readable)}"
            yield document.problem(path, text)
    yield from _clients(document, scenario)
    roles = watched_roles(scenario)
    for index, one in enumerate(scenario.expect):
        if one.lag is not None and one.lag.consumer not in roles:
            name = one.lag.consumer
            text = f"there is no consumer {name!r}{did_you_mean(name, roles)}"
            yield document.problem(("expect", index, "lag", "consumer"), text)
    for name in scenario.guarantees.consumers:
        if name not in roles:
            text = f"there is no consumer {name!r}{did_you_mean(name, roles)}"
            yield document.problem(("guarantees", "consumers", name), text, key=True)


def _clients(document: Document, scenario: Scenario) -> Iterator[Problem]:
    """Look at the clients that faults of the network name."""
    clients = [BOTS, *scenario.services, *scenario.consumers]
    if Role.REGISTRAR not in scenario.external:
        clients.append("registrar")
    for index, event in enumerate(scenario.events):
        path = ("events", index, "do", "client")
        if not isinstance(event.do, NetFault):
            continue
        name = event.do.client
        if name not in clients:
            known = ", ".join(clients)
            text = f"there is no client {name!r}{did_you_mean(name, clients)}; there are {known}"
            yield document.problem(path, text)
        elif clients.count(name) > 1:
            yield document.problem(path, f"{name!r} is the fleet and a name of yours: change it")


def _conditions(
    document: Document,
    scenario: Scenario,
    groups: Sequence[FleetGroup],
    world: World,
    *,
    counted: bool,
) -> Iterator[Problem]:
    """Look at what is watched; `counted` says that the groups have all their bots."""
    known = [*world.snapshot(), *state_names(watched_roles(scenario), readable_streams(groups))]
    texts: list[tuple[tuple[str | int, ...], str]] = [
        (("steady_state", index), text) for index, text in enumerate(scenario.steady_state)
    ]
    for index, event in enumerate(scenario.events):
        if event.when is not None:
            texts.append((("events", index, "when"), event.when))
    bots = {group.name: group.count for group in groups} if counted else {}
    for path, condition in texts:
        metric = parse_condition(condition).metric
        if metric not in known:
            text = f"there is no {metric!r} to watch{did_you_mean(metric, known)}"
            yield document.problem(path, text)
        elif outcome := foregone_condition(condition, bots):
            yield document.problem(path, f"{condition} {outcome}")


def _malfunctions(
    document: Document,
    scenario: Scenario,
    groups: Sequence[FleetGroup],
    world: World,
    *,
    counted: bool,
) -> Iterator[Problem]:
    """Look at whom malfunctions hit; `counted` says that the groups have all their bots."""
    names = [group.name for group in groups]
    bots = {bot for group in groups for bot in group.bots}
    for index, event in enumerate(scenario.events):
        path = ("events", index, "do")
        if not isinstance(event.do, HardwareFault):
            continue
        target = event.do.on
        if target.group is not None and target.group not in names:
            text = f"there is no group {target.group!r}{did_you_mean(target.group, names)}"
            yield document.problem((*path, "on", "group"), text)
        elif (unknown := sorted(set(target.bots) - bots)) and counted:
            yield document.problem((*path, "on", "bots"), f"there is no bot {unknown[0]!r}")
        else:
            try:
                world.apply(Start(str(index), event.do, target))
            except UsageError as error:
                yield document.problem(path, str(error))
