"""The small notations of a scenario file: multipliers, distributions; durations are the spec's."""

import math
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

from twin.spec.durations import NS_PER_S, Duration, format_duration, parse_duration

__all__ = [
    "NS_PER_S",
    "Delay",
    "Duration",
    "Model",
    "Span",
    "StartValue",
    "format_duration",
    "parse_duration",
    "parse_multiplier",
]

SHORTEST_DELAY_NS = 1_000_000
"""What is later by less than this is not to be told from what is not late at all."""
SHORTEST_SPAN_NS = 10_000_000
"""A fault that is over sooner may meet nothing to act on."""


def perceptible(ns: int) -> int:
    """Refuse a delay that nothing would show; 0 is none."""
    return _at_least(ns, SHORTEST_DELAY_NS) if ns else ns


def lasting(ns: int) -> int:
    """Refuse a fault that is over at once."""
    return _at_least(ns, SHORTEST_SPAN_NS)


def _at_least(ns: int, least: int) -> int:
    if ns < least:
        raise ValueError(
            f"{format_duration(ns)} would have no effect: write {format_duration(least)} or more"
        )
    return ns


Delay = Annotated[Duration, AfterValidator(perceptible)]
Span = Annotated[Duration, AfterValidator(lasting)]


class Model(BaseModel):
    """A part of a scenario: immutable, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def parse_multiplier(text: object) -> float:
    """Return 5.0 for `5x` or 5."""
    number = text.removesuffix("x") if isinstance(text, str) else text
    try:
        value = float(number)  # type: ignore[arg-type]  # TypeError is the answer for a list
    except (TypeError, ValueError):
        value = math.nan
    if isinstance(text, bool) or not 0.01 <= value <= 1000:
        raise ValueError(f"{text!r} is no multiplier: write 0.01x to 1000x, as in 5x")
    return value


class StartValue(Model):
    """How a start value is spread over the bots of a group; exactly one of the three."""

    uniform: tuple[float, float] | None = None
    normal: tuple[float, float] | None = None
    choice: tuple[float, ...] | None = None

    @model_validator(mode="after")
    def exactly_one(self) -> "StartValue":
        """Refuse none and several, and an empty range."""
        if len(self.model_fields_set) != 1:
            raise ValueError("give one of uniform, normal, choice")
        if self.uniform is not None and self.uniform[0] > self.uniform[1]:
            raise ValueError(f"uniform needs [low, high], not {list(self.uniform)}")
        if self.normal is not None and self.normal[1] < 0:
            raise ValueError(f"normal needs [mean, standard deviation >= 0], not {self.normal}")
        if self.choice is not None and not self.choice:
            raise ValueError("choice needs at least one value")
        return self
