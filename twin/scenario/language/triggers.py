"""When an event of a scenario fires: each time that a condition becomes true, and stays so."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator

from twin.verdict.conditions import parse_condition

__all__ = ["ConditionText", "EdgeTrigger"]


def checked_condition(text: object) -> object:
    """Refuse what is no condition."""
    parse_condition(text)
    return text


ConditionText = Annotated[str, BeforeValidator(checked_condition)]


class EdgeTrigger:
    """Fires when its condition becomes true, or has then held for `hold_ns`, `times` at most.

    After it has fired the condition must have been false once before it can fire again.
    """

    def __init__(self, text: str, hold_ns: int = 0, times: int = 1) -> None:
        self.text = text
        self.condition = parse_condition(text)
        self._hold_ns = hold_ns
        self._left = times
        self._since_ns: int | None = None
        self._armed = True

    def fires(self, snapshot: Mapping[str, float], sim_ns: int = 0) -> bool:
        """Tell whether the event is due now; to be asked in the order of time."""
        if not self.condition.holds(snapshot):
            self._since_ns, self._armed = None, True
            return False
        if self._since_ns is None:
            self._since_ns = sim_ns
        if not self._armed or not self._left or sim_ns - self._since_ns < self._hold_ns:
            return False
        self._armed = False
        self._left -= 1
        return True
