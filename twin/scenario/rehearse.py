"""Finds what a scenario's parts cannot see alone, by a world with one bot of each group.

Nothing is started and no time passes: the world only says which conditions, start values
and malfunctions its bots could have.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from twin.errors import Problem, UsageError
from twin.events.channels import COMMANDS_STREAM
from twin.events.event import SourceTable
from twin.events.streams import SUBJECTS
from twin.events.subjects import SubjectSpace
from twin.scenario.actions import HardwareFault
from twin.scenario.bus_actions import StreamFault
from twin.scenario.model import Pace, Scenario
from twin.scenario.run_state import state_names
from twin.scenario.shapes import multiple
from twin.simulation.fleet import FleetGroup
from twin.simulation.inputs import Start
from twin.simulation.predict import natural_rate
from twin.simulation.world import World
from twin.spec.findings import did_you_mean
from twin.spec.yaml import Document
from twin.verdict.conditions import parse_condition
from twin.verdict.thresholds import parse_selector, parse_threshold

__all__ = ["rehearse"]


def rehearse(
    document: Document, scenario: Scenario, groups: Sequence[FleetGroup]
) -> Iterator[Problem]:
    """Yield every Problem with its position."""
    yield from _thresholds(document, scenario)
    if scenario.pace is Pace.FAST and (why := scenario.needs_wall_time()):
        yield document.problem(("pace",), f"cannot run at pace fast: {why}")
    yield from _rates(document, scenario, groups)
    yield from _bus(document, scenario, groups)
    try:
        world = _world(groups)
    except UsageError as error:
        yield document.problem(("fleet",), str(error), key=True)
        return
    yield from _conditions(document, scenario, groups, world)
    yield from _malfunctions(document, scenario, groups, world)


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


def _thresholds(document: Document, scenario: Scenario) -> Iterator[Problem]:
    phases = [phase.name for phase in scenario.phases]
    for selector, expressions in scenario.thresholds.items():
        path = ("thresholds", selector)
        phase = parse_selector(selector).tag("phase")
        if phase is not None and phase not in phases:
            text = f"there is no phase {phase!r}{did_you_mean(phase, phases)}"
            yield document.problem(path, text, key=True)
        for index, expression in enumerate(expressions):
            try:
                parse_threshold(selector, expression)
            except ValueError as error:
                yield document.problem((*path, index), str(error))


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


def _readable(groups: Sequence[FleetGroup]) -> list[str]:
    """Return the streams that hold events of the run."""
    own = (one.stream for group in groups for one in group.spec.event_bus.custom)
    return [name for name in dict.fromkeys([*SUBJECTS, *own]) if name != COMMANDS_STREAM]


def _roles(scenario: Scenario) -> list[str]:
    """Return the consumers that are watched."""
    return [*scenario.consumers, *scenario.watch, "registrar"]


def _bus(document: Document, scenario: Scenario, groups: Sequence[FleetGroup]) -> Iterator[Problem]:
    """Look at the streams and consumers that are named."""
    readable = _readable(groups)
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
    roles = _roles(scenario)
    for index, one in enumerate(scenario.expect):
        if one.lag is not None and one.lag.consumer not in roles:
            name = one.lag.consumer
            text = f"there is no consumer {name!r}{did_you_mean(name, roles)}"
            yield document.problem(("expect", index, "lag", "consumer"), text)
    for name in scenario.guarantees.consumers:
        if name not in roles:
            text = f"there is no consumer {name!r}{did_you_mean(name, roles)}"
            yield document.problem(("guarantees", "consumers", name), text, key=True)


def _conditions(
    document: Document, scenario: Scenario, groups: Sequence[FleetGroup], world: World
) -> Iterator[Problem]:
    known = [*world.snapshot(), *state_names(_roles(scenario), _readable(groups))]
    texts: list[tuple[tuple[str | int, ...], str]] = [
        (("steady_state", index), text) for index, text in enumerate(scenario.steady_state)
    ]
    for index, event in enumerate(scenario.events):
        if event.when is not None:
            texts.append((("events", index, "when"), event.when))
    for path, condition in texts:
        metric = parse_condition(condition).metric
        if metric not in known:
            text = f"there is no {metric!r} to watch{did_you_mean(metric, known)}"
            yield document.problem(path, text)


def _malfunctions(
    document: Document, scenario: Scenario, groups: Sequence[FleetGroup], world: World
) -> Iterator[Problem]:
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
        elif unknown := sorted(set(target.bots) - bots):
            yield document.problem((*path, "on", "bots"), f"there is no bot {unknown[0]!r}")
        else:
            try:
                world.apply(Start(str(index), event.do, target))
            except UsageError as error:
                yield document.problem(path, str(error))
