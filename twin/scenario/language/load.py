"""From a scenario file to everything that a run needs: the model and its fleets' specs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from twin.errors import InputError, Problem, TwinError
from twin.scenario.language.include import with_included
from twin.scenario.language.model import Fleet, Scenario
from twin.scenario.language.parameters import Scalar, put_in
from twin.scenario.language.project import project_root
from twin.scenario.language.rehearse import rehearse
from twin.scenario.language.salvage import read_scenario
from twin.scenario.language.values import StartValue
from twin.simulation.distributions import Choice, Constant, Distribution, Normal, Uniform
from twin.simulation.fleet import FleetGroup
from twin.spec.bot import BotSpec
from twin.spec.builtin import PREFIX, resolve
from twin.spec.dump import to_yaml
from twin.spec.load import load_document, load_spec
from twin.spec.overrides import with_overrides
from twin.spec.parse import parse
from twin.spec.yaml import Document

__all__ = ["LoadedScenario", "dump_scenario", "load_recorded", "load_scenario"]


@dataclass(frozen=True, slots=True)
class LoadedScenario:
    """A scenario with its specs read, overridden and checked."""

    file: Path
    scenario: Scenario
    groups: tuple[FleetGroup, ...]


def load_scenario(reference: str, given: Mapping[str, Scalar] | None = None) -> LoadedScenario:
    """Read a scenario file or `builtin:NAME`; raises InputError with every Problem found."""
    file = resolve("scenarios", reference)
    document = load_document(reference, "scenarios")
    if not reference.startswith(PREFIX):
        document = with_included(document, file.parent, project_root(file))
    read = read_scenario(put_in(document, given or {}))
    problems = list(read.problems)
    if read.scenario is None:
        raise InputError(problems)
    groups = [
        group
        for name, fleet in read.scenario.fleet.items()
        if (group := _group(read.document, file, name, fleet, problems)) is not None
    ]
    spoilt = read.spoilt
    if len(groups) < len(read.scenario.fleet):
        spoilt |= {"fleet"}
    problems += rehearse(read.document, read.scenario, groups, spoilt)
    if problems:
        raise InputError(problems)
    return LoadedScenario(file, read.scenario, tuple(groups))


def load_recorded(run_dir: Path) -> LoadedScenario:
    """Read what a run folder says was run, overridden specs included; raises InputError."""
    file = run_dir / "scenario.yaml"
    scenario = parse(Scenario, load_document(str(file)))
    groups = [
        FleetGroup(
            name,
            load_spec(run_dir / "specs" / f"{name}.yaml"),
            fleet.count,
            {path: _distribution(value) for path, value in fleet.start.items()},
        )
        for name, fleet in scenario.fleet.items()
    ]
    return LoadedScenario(file, scenario, tuple(groups))


def dump_scenario(scenario: Scenario) -> str:
    """Return a scenario as YAML that means the same."""
    plain = scenario.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return to_yaml(plain)


def _group(
    document: Document, file: Path, name: str, fleet: Fleet, problems: list[Problem]
) -> FleetGroup | None:
    try:
        spec = with_overrides(_spec(file, fleet.spec), fleet.set, document, ("fleet", name, "set"))
    except InputError as error:
        problems += error.problems
    except TwinError as error:
        problems.append(document.problem(("fleet", name), str(error), key=True))
    else:
        start = {path: _distribution(value) for path, value in fleet.start.items()}
        return FleetGroup(name, spec, fleet.count, start)
    return None


def _spec(scenario_file: Path, reference: str) -> BotSpec:
    if reference.startswith(PREFIX):
        return load_spec(reference)
    root = project_root(scenario_file)
    path = (scenario_file.parent / reference).resolve()
    if not path.is_relative_to(root):
        raise TwinError(f"spec {reference!r} lies outside the project folder {root}")
    return load_spec(path)


def _distribution(value: float | StartValue) -> Distribution:
    if not isinstance(value, StartValue):
        return Constant(value)
    if value.uniform is not None:
        return Uniform(*value.uniform)
    if value.normal is not None:
        return Normal(*value.normal)
    return Choice(value.choice or ())
