"""A scenario at another load: its measured phases faster, or its groups larger."""

from dataclasses import replace
from enum import StrEnum

from twin.errors import UsageError
from twin.scenario.language.load import LoadedScenario
from twin.scenario.language.model import MAX_BOTS, Phase
from twin.scenario.language.shapes import Load, PerSecond
from twin.scenario.plan import rate_steps

__all__ = ["Vary", "fit_count", "scaled"]


class Vary(StrEnum):
    """What is multiplied: the sampling rate of all measured phases, or the number of bots."""

    RATE = "rate"
    COUNT = "count"


def scaled(loaded: LoadedScenario, vary: Vary, load: float) -> LoadedScenario:
    """Return the scenario at `load` times its own; UsageError beyond what is possible."""
    scenario = loaded.scenario
    if vary is Vary.RATE:
        phases = tuple(_faster(one, load) if one.measure else one for one in scenario.phases)
        found = replace(loaded, scenario=scenario.model_copy(update={"phases": phases}))
        rate_steps(found.scenario, found.groups)
        return found
    fleet = {
        name: group.model_copy(update={"count": max(1, round(group.count * load))})
        for name, group in scenario.fleet.items()
    }
    if sum(group.count for group in fleet.values()) > MAX_BOTS:
        raise UsageError(f"{load:g} times the fleet are more than {MAX_BOTS} bots")
    groups = tuple(replace(group, count=fleet[group.name].count) for group in loaded.groups)
    return replace(loaded, scenario=scenario.model_copy(update={"fleet": fleet}), groups=groups)


def fit_count(loaded: LoadedScenario, load: float) -> float:
    """Return the nearest load that makes a whole number of bots, and no more than there may be."""
    counts = [group.count for group in loaded.scenario.fleet.values()]
    bots = sum(counts)
    wanted = min(MAX_BOTS, max(1, round(bots * load)))
    while sum(max(1, round(count * wanted / bots)) for count in counts) > MAX_BOTS:
        wanted -= 1
    return wanted / bots


def _faster(phase: Phase, load: float) -> Phase:
    shape = phase.load
    stages = tuple(
        one.model_copy(update={"target": _times(one.target, load)}) for one in shape.stages
    )
    burst = shape.burst
    if burst is not None:
        burst = burst.model_copy(update={"rate": _times(burst.rate, load)})
    made = Load(rate=_times(shape.rate, load)).model_copy(update={"stages": stages, "burst": burst})
    return phase.model_copy(update={"load": made})


def _times(rate: float, load: float) -> float:
    return PerSecond(rate * load) if isinstance(rate, PerSecond) else rate * load
