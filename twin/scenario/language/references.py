"""Names in a scenario that nothing bears: a threshold or expectation on them would prove nothing.

A threshold on a consumer that is not watched has no samples, an observer of a subject on which
nothing is published has nothing to lose, and `count: 0` of a misspelt subject always holds.
"""

from collections.abc import Iterator, Sequence

from twin.errors import Problem
from twin.events.channels import CHANNELS, COMMANDS_STREAM
from twin.events.streams import SUBJECTS
from twin.events.subjects import FLEET_ROOT, PLATFORM_ROOT, SubjectSpace, covers, meet
from twin.registrar.codes import CODES
from twin.scenario.language.model import Scenario
from twin.scenario.language.outside import Role
from twin.simulation.fleet import FleetGroup
from twin.spec.findings import did_you_mean
from twin.spec.yaml import Document, KeyPath
from twin.verdict.thresholds import Selector, parse_selector, parse_threshold

__all__ = ["check_references", "readable_streams", "watched_roles"]


def check_references(
    document: Document, scenario: Scenario, groups: Sequence[FleetGroup], spoilt: frozenset[str]
) -> Iterator[Problem]:
    """Yield every Problem with its position; `spoilt` sections are not complete."""
    yield from _thresholds(document, scenario, groups, spoilt)
    yield from _codes(document, scenario)
    if "fleet" not in spoilt:
        yield from _subjects(document, scenario, groups)


def readable_streams(groups: Sequence[FleetGroup]) -> list[str]:
    """Return the streams that hold events of the run."""
    own = (one.stream for group in groups for one in group.spec.event_bus.custom)
    return [name for name in dict.fromkeys([*SUBJECTS, *own]) if name != COMMANDS_STREAM]


def watched_roles(scenario: Scenario) -> list[str]:
    """Return the consumers that are watched."""
    own = [] if Role.REGISTRAR in scenario.external else ["registrar"]
    return [*scenario.consumers, *scenario.watch, *own]


def _thresholds(
    document: Document, scenario: Scenario, groups: Sequence[FleetGroup], spoilt: frozenset[str]
) -> Iterator[Problem]:
    for text, expressions in scenario.thresholds.items():
        path, selector = ("thresholds", text), parse_selector(text)
        for message in _tags(scenario, selector, groups, spoilt):
            yield document.problem(path, message, key=True)
        if selector.tag("phase") is None and not any(one.measure for one in scenario.phases):
            message = "it covers the measured phases, and no phase has `measure: true`"
            yield document.problem(path, message, key=True)
        for index, expression in enumerate(expressions):
            try:
                threshold = parse_threshold(text, expression)
            except ValueError as error:
                yield document.problem((*path, index), str(error))
            else:
                faults = scenario.events or "events" in spoilt
                if threshold.expression.statistic == "recovery" and not faults:
                    message = f"{expression}: no event breaks anything to recover from"
                    yield document.problem((*path, index), message)


def _tags(
    scenario: Scenario, selector: Selector, groups: Sequence[FleetGroup], spoilt: frozenset[str]
) -> Iterator[str]:
    """Yield what is wrong with the tags of a threshold."""
    streams = [*readable_streams(groups), *(one.stream for one in scenario.watch.values())]
    own = [] if Role.REGISTRAR in scenario.external else ["registrar"]
    roles = watched_roles(scenario)
    if selector.metric.name == "consumer_ack_latency":
        roles = [name for name, one in scenario.watch.items() if one.ack_latency]
        if not roles:
            yield "no consumer under `watch` has `ack_latency: true`"
            return
    known = {
        "phase": [phase.name for phase in scenario.phases],
        "consumer": roles,
        "stream": list(dict.fromkeys(streams)),
        "observer": [*scenario.observers, *own],
    }
    for tag, wanted in selector.tags:
        names = known.get(tag, [])
        if tag == "stream" and "fleet" in spoilt:
            continue
        if tag == "subject":
            names = _published(groups)
            space = SubjectSpace(scenario.layout)
            if "fleet" in spoilt or any(
                covers(one, wanted) or covers(space.pattern(one), wanted) for one in names
            ):
                continue
        if wanted not in names:
            yield f"there is no {tag} {wanted!r}{did_you_mean(wanted, names)}"


def _published(groups: Sequence[FleetGroup]) -> list[str]:
    """Return the platform's subjects of events, and those of the groups' own channels."""
    custom = [one.pattern for group in groups for one in group.spec.event_bus.custom]
    platform = [one.subject for one in CHANNELS.values() if one.stream != COMMANDS_STREAM]
    return [*platform, *dict.fromkeys(custom)]


def _codes(document: Document, scenario: Scenario) -> Iterator[Problem]:
    known = [str(number) for number in CODES]
    for index, one in enumerate(scenario.expect):
        code = one.audit.code if one.audit is not None else None
        if code is not None and code not in CODES:
            text = f"there is no code {code}{did_you_mean(str(code), known)}"
            yield document.problem(("expect", index, "audit", "code"), text)


def _subjects(
    document: Document, scenario: Scenario, groups: Sequence[FleetGroup]
) -> Iterator[Problem]:
    """Look at the subjects of observers, consumers and expectations on messages."""
    events, space = _published(groups), SubjectSpace(scenario.layout)
    on_bus = [*events, *(SUBJECTS[COMMANDS_STREAM])]
    named: list[tuple[KeyPath, str, list[str]]] = []
    for name, observer in scenario.observers.items():
        for place, subject in enumerate(observer.subjects):
            named.append((("observers", name, "subjects", place), subject, events))
    for name, consumer in scenario.consumers.items():
        for place, subject in enumerate(consumer.subjects):
            logical = [space.pattern(one) if _of_platform(one) else one for one in on_bus]
            named.append((("consumers", name, "subjects", place), subject, logical))
    for index, wanted in enumerate(scenario.expect):
        for key, where in (("on", wanted.on), ("per", wanted.per), ("after", wanted.after)):
            if where is not None and _of_platform(where) and not scenario.services:
                named.append((("expect", index, key), where, on_bus))
    for path, subject, known in named:
        if not any(meet(subject, other) for other in known):
            text = f"nobody publishes on {subject!r}{did_you_mean(subject, known)}"
            yield document.problem(path, text)


def _of_platform(subject: str) -> bool:
    return subject.startswith(PLATFORM_ROOT) and not subject.startswith(FLEET_ROOT)
