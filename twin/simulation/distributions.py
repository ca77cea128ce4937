"""How a start value is spread over the bots of a group."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

__all__ = ["Choice", "Constant", "Distribution", "Normal", "Uniform"]


class Distribution(Protocol):
    """A value per bot, drawn from that bot's own generator."""

    @property
    def support(self) -> tuple[float, float]:
        """Lowest and highest value that can be drawn; a clipped tail does not count."""

    def draw(self, stream: np.random.Generator, low: float, high: float) -> float:
        """Draw one value, within [low, high] where the distribution has tails to clip."""


@dataclass(frozen=True, slots=True)
class Constant:
    """The same value for every bot."""

    value: float

    @property
    def support(self) -> tuple[float, float]:
        """Return the value twice."""
        return self.value, self.value

    def draw(self, stream: np.random.Generator, low: float, high: float) -> float:
        """Return the value."""
        return self.value


@dataclass(frozen=True, slots=True)
class Uniform:
    """Every value of [low, high) alike."""

    low: float
    high: float

    @property
    def support(self) -> tuple[float, float]:
        """Return the interval."""
        return self.low, self.high

    def draw(self, stream: np.random.Generator, low: float, high: float) -> float:
        """Draw one value."""
        return float(stream.uniform(self.low, self.high))


@dataclass(frozen=True, slots=True)
class Normal:
    """A bell curve whose tails are clipped at [low, high] and at the range of the quantity."""

    mean: float
    sd: float
    low: float = -math.inf
    high: float = math.inf

    @property
    def support(self) -> tuple[float, float]:
        """Return the mean twice: the rest is clipped."""
        return self.mean, self.mean

    def draw(self, stream: np.random.Generator, low: float, high: float) -> float:
        """Draw one value and clip it."""
        value = float(stream.normal(self.mean, self.sd))
        return min(max(value, self.low, low), self.high, high)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the given values, all alike."""

    values: tuple[float, ...]

    @property
    def support(self) -> tuple[float, float]:
        """Return the least and the greatest."""
        return min(self.values), max(self.values)

    def draw(self, stream: np.random.Generator, low: float, high: float) -> float:
        """Draw one value."""
        return self.values[int(stream.integers(len(self.values)))]
