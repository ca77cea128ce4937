"""What a run must meet: thresholds, guarantees, expectations, and the limits of validity."""

import builtins
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

__all__ = [
    "AuditMatch",
    "CodeRange",
    "Criteria",
    "Expectation",
    "Guarantees",
    "LagMatch",
    "Limits",
]

CodeRange = Annotated[str, StringConstraints(pattern=r"^[1-9]xx$")]
LagStatus = Literal[
    "WARN", "STALLED", "REWIND", "PAUSED", "MISSING", "SATURATED", "OVERRUN", "EXHAUSTED", "UNKNOWN"
]
Most = Annotated[int | None, Field(ge=0, description="The largest number that passes.")]


class Model(BaseModel):
    """A part of the criteria: immutable, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Guarantees(Model):
    """The most events that may fall into each class of docs/verdicts.md; None judges nothing.

    Without a guarantee on `exhausted` or `terminated`, an unrecorded event that a consumer
    gave up counts as lost.
    """

    lost: Most = None
    duplicates: Most = None
    reordered: Most = None
    unexpected: Most = None
    corrupt: Most = None
    gaps: Most = None
    exhausted: Most = None
    terminated: Most = None


class Bounds(Model):
    """How many: either exactly `count`, or at least `min` and at most `max`."""

    count: int | None = Field(default=None, ge=0)
    min: int | None = Field(default=None, ge=0)
    max: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def exact_or_range(self) -> Self:
        """Refuse a count beside a range, nothing at all, and an empty range."""
        if self.count is not None and (self.min is not None or self.max is not None):
            raise ValueError("give either count, or min and max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is more than max {self.max}")
        return self

    @property
    def empty(self) -> bool:
        """Whether nothing is bounded."""
        return self.count is None and self.min is None and self.max is None

    def admits(self, measured: int) -> bool:
        """Tell whether `measured` is within the bounds."""
        low = self.count if self.count is not None else self.min
        high = self.count if self.count is not None else self.max
        return (low is None or measured >= low) and (high is None or measured <= high)

    def __str__(self) -> str:
        if self.count is not None:
            return f"exactly {self.count}"
        low = f"at least {self.min}" if self.min is not None else ""
        high = f"at most {self.max}" if self.max is not None else ""
        return " and ".join(part for part in (low, high) if part) or "any number"


class PerBot(Bounds):
    """How many of every bot of the run; a plain number means exactly so many."""

    @model_validator(mode="after")
    def bounded(self) -> Self:
        """Refuse bounds that bound nothing."""
        if self.empty:
            raise ValueError("give a number, or count, or min and max")
        return self


def number_is_exact(value: object) -> object:
    """Read `per_bot: 1` as `per_bot: {count: 1}`."""
    return {"count": value} if isinstance(value, int) and not isinstance(value, bool) else value


EachBot = Annotated[PerBot, BeforeValidator(number_is_exact, json_schema_input_type=PerBot | int)]


class AuditMatch(Bounds):
    """Audit records of one code or one range of codes, and how many there must be."""

    code: int | None = Field(default=None, ge=100, le=999, description="One code, as 602.")
    range: CodeRange | None = Field(default=None, description="A range of codes, as 6xx.")
    severity: Literal["DEBUG", "INFO", "WARN", "ERROR", "CRITICAL"] | None = Field(
        default=None, description="Only records of this severity."
    )
    per_bot: EachBot | None = Field(default=None, description="How many of every bot.")

    @model_validator(mode="after")
    def one_subject(self) -> Self:
        """Refuse a code beside a range, neither, and a demand for any number."""
        if (self.code is None) == (self.range is None):
            raise ValueError("give either code or range")
        if self.empty and self.per_bot is None:
            raise ValueError("say how many: count, min, max or per_bot")
        return self

    @property
    def name(self) -> str:
        """What the expectation is about, as reports print it."""
        what = f"code {self.code}" if self.code is not None else f"range {self.range}"
        return f"audit {what}" + (f" {self.severity}" if self.severity else "")

    @property
    def codes(self) -> builtins.range:
        """The codes that the expectation is about."""
        if self.code is not None:
            return builtins.range(self.code, self.code + 1)
        low = int((self.range or "0")[0]) * 100
        return builtins.range(low, low + 100)


class LagMatch(Model):
    """What the lag monitor must say of a consumer while faults act on it, and nothing else.

    Counted in samples, one a second: the status is shown within `within` samples after the
    first fault on the consumer, or on its stream, has fired, and OK again within `clears`
    after the last is over. Before and after the consumer is OK all the time.
    """

    consumer: str = Field(description="Its name under `consumers` or `watch`, or registrar.")
    status: LagStatus = Field(description="As in docs/lag.md.")
    within: int = Field(default=3, ge=1, description="Samples until it must be shown.")
    clears: int = Field(default=8, ge=1, description="Samples until it must be OK again.")

    @property
    def name(self) -> str:
        """What the expectation is about, as reports print it."""
        return f"lag of {self.consumer} {self.status}"


class Expectation(Model):
    """One entry of a scenario's `expect`: on the audit log, or on a consumer's lag."""

    audit: AuditMatch | None = None
    lag: LagMatch | None = None

    @model_validator(mode="after")
    def one_kind(self) -> Self:
        """Refuse both, and neither."""
        if (self.audit is None) == (self.lag is None):
            raise ValueError("an expectation is either on audit or on lag")
        return self


class Limits(Model):
    """Beyond these a run proves nothing and is INVALID."""

    max_slip_p99_ms: float = Field(default=250.0, gt=0, description="Schedule slip p99 of a phase.")
    min_events_fraction: float = Field(
        default=0.9, ge=0, le=1, description="Part of the predicted events that must be generated."
    )
    min_known_fraction: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Part of the generated events whose outcome must be known.",
    )


class Criteria(Model):
    """Everything that a recorded run is judged by; thresholds are texts in k6's grammar."""

    thresholds: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    guarantees: Guarantees = Guarantees()
    expect: tuple[Expectation, ...] = ()
    limits: Limits = Limits()
