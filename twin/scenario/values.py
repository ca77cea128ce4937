"""The small notations of a scenario file: durations, multipliers, distributions."""

import math
import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

__all__ = [
    "NS_PER_S",
    "Duration",
    "Model",
    "StartValue",
    "format_duration",
    "parse_duration",
    "parse_multiplier",
]

NS_PER_S = 1_000_000_000
UNITS = {"us": 1_000, "ms": 1_000_000, "s": NS_PER_S, "m": 60 * NS_PER_S, "h": 3600 * NS_PER_S}
PART = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h)")
LONGEST_NS = 7 * 24 * UNITS["h"]


class Model(BaseModel):
    """A part of a scenario: immutable, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def parse_duration(text: object) -> int:
    """Return nanoseconds for `1m30s`, `400ms`, `2.5s`; at most seven days."""
    if isinstance(text, int) and not isinstance(text, bool) and text == 0:
        return 0
    if not isinstance(text, str) or not text or PART.sub("", text):
        raise ValueError(
            f"{text!r} is no duration: write a number with us, ms, s, m or h, as in 400ms or 1m30s"
        )
    total = round(sum(float(number) * UNITS[unit] for number, unit in PART.findall(text)))
    if total > LONGEST_NS:
        raise ValueError(f"{text!r} is longer than seven days")
    return total


def format_duration(ns: int) -> str:
    """Return a notation that `parse_duration` reads back as `ns`."""
    for unit in ("h", "m", "s", "ms", "us"):
        if ns % UNITS[unit] == 0:
            return f"{ns // UNITS[unit]}{unit}"
    return f"{ns / 1000}us"


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


Duration = Annotated[
    int,
    BeforeValidator(parse_duration, json_schema_input_type=str),
    PlainSerializer(format_duration, when_used="json"),
    Field(description="A duration such as 400ms, 10s or 1m30s."),
]


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
