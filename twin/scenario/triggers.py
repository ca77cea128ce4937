"""When an event of a scenario fires: at a moment, or when a condition becomes true."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator

__all__ = ["Condition", "ConditionText", "EdgeTrigger", "parse_condition"]

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
    """`metric operator number`, over the world's snapshot."""

    metric: str
    compare: str
    bound: float

    def holds(self, snapshot: Mapping[str, float]) -> bool:
        """Evaluate; a metric that has no value yet does not hold."""
        value = snapshot.get(self.metric)
        return value is not None and COMPARE[self.compare](value, self.bound)


def parse_condition(text: object) -> str:
    """Return `text` when it is a condition, as in `fleet.haulers.power.soc_pct.p10 < 20`."""
    if not isinstance(text, str) or not CONDITION.fullmatch(text):
        raise ValueError(
            f"{text!r} is no condition: write `metric < number` with one of {' '.join(COMPARE)}"
        )
    return text


ConditionText = Annotated[str, BeforeValidator(parse_condition)]


class EdgeTrigger:
    """Fires once, at the first instant at which its condition holds."""

    def __init__(self, text: str) -> None:
        match = CONDITION.fullmatch(text)
        if match is None:
            raise ValueError(text)
        self.text = text
        self.condition = Condition(match[1], match[2], float(match[3]))
        self.fired = False

    def fires(self, snapshot: Mapping[str, float]) -> bool:
        """Tell whether the event is due now; true at most once."""
        if self.fired or not self.condition.holds(snapshot):
            return False
        self.fired = True
        return True
