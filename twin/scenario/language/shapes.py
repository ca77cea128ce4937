"""Load shapes: how the fleet's sampling rate changes within a phase.

The model is open: a shape says what the bots mean to publish, whatever the broker does. A
rate is a multiple of the natural rate of every channel, or events per second of the whole
fleet. Ramps are made of steps of one simulated second, each at the mean of its second.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, PlainSerializer, PlainValidator, model_validator

from twin.scenario.language.values import (
    NS_PER_S,
    Duration,
    Model,
    format_duration,
    parse_multiplier,
)

__all__ = ["Burst", "Load", "PerSecond", "Rate", "RateStep", "Stage", "multiple"]

LOWEST, HIGHEST = 0.01, 1000.0
PER_SECOND = re.compile(r"(\d+(?:\.\d+)?)(k?)/s")


class PerSecond(float):
    """Events per second of the whole fleet, where a plain float is a multiple."""

    __slots__ = ()


def parse_rate(text: object) -> float:
    """Return 5.0 for `5x`, PerSecond(500) for `500/s`."""
    match = PER_SECOND.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        try:
            return parse_multiplier(text)
        except ValueError:
            raise ValueError(
                f"{text!r} is no rate: write 0.01x to 1000x of the natural rate, as in 5x, or "
                "events per second of the fleet, as in 500/s or 10k/s"
            ) from None
    value = float(match[1]) * (1000 if match[2] else 1)
    if not 0 < value < 1e7:
        raise ValueError(f"{text!r}: more than 0 and less than 10000k events per second")
    return PerSecond(value)


def format_rate(rate: float) -> str:
    """Return a notation that `parse_rate` reads back."""
    return f"{float(rate):g}/s" if isinstance(rate, PerSecond) else f"{rate:g}x"


Rate = Annotated[
    float,
    PlainValidator(parse_rate, json_schema_input_type=str | float),
    PlainSerializer(format_rate, return_type=str, when_used="json"),
    Field(description="A multiple of the natural rate (5x), or events per second (500/s)."),
]


@dataclass(frozen=True, slots=True)
class RateStep:
    """A span of simulated time at one multiple of the natural rate."""

    start_ns: int
    duration_ns: int
    rate: float


class Stage(Model):
    """A ramp, as in k6: within `duration` the rate goes evenly from where it is to `target`."""

    duration: Duration = Field(gt=0)
    target: Rate


class Burst(Model):
    """Every so often, for a while, another rate; the first comes after one `every`."""

    rate: Rate
    every: Duration = Field(gt=0)
    for_: Duration = Field(alias="for", gt=0)

    @model_validator(mode="after")
    def fits(self) -> "Burst":
        """Refuse bursts without a pause between them."""
        if self.for_ >= self.every:
            raise ValueError("`for` has to be shorter than `every`")
        return self


class Load(Model):
    """How much the fleet publishes in a phase: at a rate, with ramps from it or bursts over it."""

    rate: Rate = 1.0
    stages: tuple[Stage, ...] = ()
    burst: Burst | None = None

    @model_validator(mode="after")
    def one_shape(self) -> "Load":
        """Refuse two shapes at once, and parts of seconds: rates change with the bots' ticks."""
        if self.stages and self.burst:
            raise ValueError("give either stages or burst")
        spans = [stage.duration for stage in self.stages]
        spans += [self.burst.every, self.burst.for_] if self.burst else []
        for span in spans:
            if span % NS_PER_S:
                text = format_duration(span)
                raise ValueError(f"{text}: stages and bursts last whole simulated seconds")
        return self

    @property
    def stages_ns(self) -> int:
        """How long all stages last together."""
        return sum(stage.duration for stage in self.stages)

    @property
    def rates(self) -> tuple[float, ...]:
        """Every rate that is named."""
        burst = (self.burst.rate,) if self.burst else ()
        return (self.rate, *(stage.target for stage in self.stages), *burst)

    def steps(self, start_ns: int, duration_ns: int, natural: float) -> Iterator[RateStep]:
        """Yield the steps of a phase; `natural` is the fleet's events per second at 1x."""
        at = 0
        for wanted, rate in self._spans(duration_ns, natural):
            span = min(wanted, duration_ns - at)
            if span > 0:
                yield RateStep(start_ns + at, span, rate)
            at += span

    def _spans(self, duration_ns: int, natural: float) -> Iterator[tuple[int, float]]:
        rate = multiple(self.rate, natural)
        if self.burst is not None:
            high, pause = multiple(self.burst.rate, natural), self.burst.every
            yield pause, rate
            for _ in range(duration_ns // pause):
                yield self.burst.for_, high
                yield pause - self.burst.for_, rate
        for stage in self.stages:
            target, seconds = multiple(stage.target, natural), stage.duration // NS_PER_S
            for second in range(seconds):
                yield NS_PER_S, rate + (target - rate) * (second + 0.5) / seconds
            rate = target
        yield duration_ns, rate


def multiple(rate: float, natural: float) -> float:
    """Return a rate as a multiple of the natural one; ValueError where that is out of range."""
    if not isinstance(rate, PerSecond):
        return rate
    value = float(rate) / natural if natural else math.inf
    if not LOWEST <= value <= HIGHEST:
        raise ValueError(
            f"{format_rate(rate)} is {value:.3g} times the {natural:g} events per second of this "
            f"fleet: {LOWEST:g}x to {HIGHEST:g}x is possible"
        )
    return value
