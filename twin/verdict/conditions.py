"""Conditions on the state of a run: `metric < number`, as scenarios write them."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Condition", "parse_condition"]

COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
CONDITION = re.compile(
    r"\s*([A-Za-z_][\w.-]*)\s*(<=|>=|==|!=|<|>)\s*([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*"
)


@dataclass(frozen=True, slots=True)
class Condition:
    """`metric operator number`, over a snapshot."""

    metric: str
    compare: str
    bound: float

    def holds(self, snapshot: Mapping[str, float]) -> bool:
        """Evaluate; a metric that has no value yet does not hold."""
        value = snapshot.get(self.metric)
        return value is not None and COMPARE[self.compare](value, self.bound)


def parse_condition(text: object) -> Condition:
    """Read a condition, as in `fleet.haulers.power.soc_pct.p10 < 20`; ValueError with a remedy."""
    match = CONDITION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(
            f"{text!r} is no condition: write `metric < number` with one of {' '.join(COMPARE)}"
        )
    return Condition(match[1], match[2], float(match[3]))
