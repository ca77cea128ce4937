"""Terms of a scenario that are settled before the run: it would be green whatever happened."""

import math
from collections.abc import Iterator, Mapping

from twin.errors import Problem
from twin.scenario.language.model import Scenario
from twin.scenario.language.run_state import highest
from twin.simulation.world import SNAPSHOT
from twin.spec.yaml import Document, KeyPath
from twin.verdict.conditions import parse_condition
from twin.verdict.criteria import Bounds, Criteria
from twin.verdict.foregone import admits_everything, foregone, foregone_threshold
from twin.verdict.thresholds import parse_threshold

__all__ = ["check_foregone", "check_steady_state", "foregone_condition"]


def check_foregone(document: Document, terms: Scenario | Criteria) -> Iterator[Problem]:
    """Yield a Problem for each threshold and each number of an expectation that is settled."""
    for text, expressions in terms.thresholds.items():
        for index, expression in enumerate(expressions):
            try:
                outcome = foregone_threshold(parse_threshold(text, expression))
            except ValueError:  # told as what it is elsewhere
                continue
            if outcome:
                path = ("thresholds", text, index)
                yield document.problem(path, f"{expression} of {text} {outcome}")
    for place, bounds in _bounds(terms):
        if admits_everything(bounds):
            yield document.problem((*place, "min"), "at least 0 always holds: give 1 or more")


def _bounds(terms: Scenario | Criteria) -> Iterator[tuple[KeyPath, Bounds]]:
    for index, one in enumerate(terms.expect):
        yield ("expect", index), one
        if one.audit is not None:
            yield ("expect", index, "audit"), one.audit
            if one.audit.per_bot is not None:
                yield ("expect", index, "audit", "per_bot"), one.audit.per_bot


def check_steady_state(
    document: Document, terms: Criteria, bots: Mapping[str, int]
) -> Iterator[Problem]:
    """Yield a Problem for each condition that is none, or is settled; `bots` are in each group."""
    for index, text in enumerate(terms.steady_state):
        try:
            outcome = foregone_condition(text, bots)
        except ValueError as error:
            yield document.problem(("steady_state", index), str(error))
            continue
        if outcome:
            yield document.problem(("steady_state", index), f"{text} {outcome}")


def foregone_condition(text: str, bots: Mapping[str, int]) -> str:
    """Say what becomes of a condition on the state of a run, "" if that depends on the run.

    Groups that `bots` does not count may have any number of them.
    """
    condition = parse_condition(text)
    low, high = _range(condition.metric, bots)
    return foregone(condition.compare, condition.bound, high, low)


def _range(metric: str, bots: Mapping[str, int]) -> tuple[float, float]:
    """Return the lowest and the highest value that a metric can have."""
    root, _, rest = metric.partition(".")
    if root != "fleet":
        return 0.0, highest(metric)
    group, _, what = rest.partition(".")
    if what.startswith("modes."):
        return 0.0, float(bots.get(group, math.inf))
    return SNAPSHOT.get(what.rpartition(".")[0], (-math.inf, math.inf))
