"""Terms of a scenario that are settled before the run: it would be green whatever happened."""

from collections.abc import Iterator

from twin.errors import Problem
from twin.scenario.language.model import Scenario
from twin.scenario.language.run_state import highest
from twin.spec.yaml import Document, KeyPath
from twin.verdict.conditions import parse_condition
from twin.verdict.criteria import Bounds, Criteria
from twin.verdict.foregone import admits_everything, foregone, foregone_threshold
from twin.verdict.thresholds import parse_threshold

__all__ = ["check_foregone", "foregone_condition"]


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


def foregone_condition(text: str) -> str:
    """Say what becomes of a condition on the state of a run, "" if that depends on the run.

    What `run_state` gives is never negative; of the fleet any value is thinkable.
    """
    condition = parse_condition(text)
    if condition.metric.startswith("fleet."):
        return ""
    return foregone(condition.compare, condition.bound, highest(condition.metric))
