"""What a run must meet: thresholds, guarantees, expectations, and the limits of validity."""

import builtins
import re
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from twin.spec.durations import NS_PER_S, Duration

__all__ = [
    "AuditMatch",
    "Bounds",
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
Subject = Annotated[str, StringConstraints(pattern=r"^[^.\s]+(\.[^.\s]+)*$")]
Most = Annotated[int | None, Field(ge=0, description="The largest number that passes.")]


class Model(BaseModel):
    """A part of the criteria: immutable, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ConsumerGuarantees(Model):
    """The most messages that one consumer may have given up; None judges nothing."""

    exhausted: Most = None
    terminated: Most = None


class Guarantees(Model):
    """The most events that may fall into each class of docs/verdicts.md; None judges nothing.

    Without a guarantee on `exhausted` or `terminated`, an unrecorded event that a consumer
    gave up counts as lost. `consumers` bounds single ones by their role.
    """

    lost: Most = None
    duplicates: Most = None
    reordered: Most = None
    unexpected: Most = None
    corrupt: Most = None
    gaps: Most = None
    exhausted: Most = None
    terminated: Most = None
    consumers: dict[str, ConsumerGuarantees] = Field(
        default_factory=dict, description="Of single consumers, by the name of their role."
    )

    @property
    def judges(self) -> bool:
        """Whether anything is bounded at all."""
        bounds = (self, *self.consumers.values())
        return any(most is not None for one in bounds for name, most in one if name != "consumers")


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


def at_places(value: str) -> str:
    """Refuse what is no place in a message."""
    if not PLACE.fullmatch(value):
        raise ValueError(
            f"{value!r} is no place in a message: write payload.a.b, header.ce-id or subject.0"
        )
    return value


PLACE = re.compile(r"payload(\.[\w-]+)+|header\.[\w-]+|subject\.\d+")
Place = Annotated[str, AfterValidator(at_places)]
Scalar = str | int | float | bool | None


class Expectation(Bounds):
    """One entry of a scenario's `expect`: on audit records, a consumer's lag, or messages.

    Messages `on` a subject are counted (`count`, `min`, `max`); or `per` message on another
    subject there are so many (1 if not given) with the same values at the places of `match`,
    `within` a time; or each comes `after` one of another subject with the same values, which
    was there `within` a time before.
    """

    audit: AuditMatch | None = None
    lag: LagMatch | None = None
    on: Subject | None = Field(default=None, description="A subject, * and > allowed.")
    where: dict[Place, Scalar] = Field(
        default_factory=dict,
        description="Only messages `on` with these values, as payload.kind: x.",
    )
    per: Subject | None = Field(default=None, description="The subject of causes.")
    after: Subject | None = Field(default=None, description="What comes before, on this subject.")
    given: dict[Place, Scalar] = Field(
        default_factory=dict, description="Only messages `per` or `after` with these."
    )
    match: dict[Place, Place] = Field(
        default_factory=dict, description="Place in the message `on`: place in the other one."
    )
    within: Duration | None = Field(default=None, gt=0, le=60 * NS_PER_S)

    @model_validator(mode="after")
    def one_kind(self) -> Self:
        """Refuse several kinds, none, and parts of one kind in another."""
        if sum(kind is not None for kind in (self.audit, self.lag, self.on)) != 1:
            raise ValueError("an expectation is either on audit, on lag, or `on` a subject")
        parts = (self.where, self.per, self.after, self.given, self.match, self.within)
        if self.on is None and (any(parts) or not self.empty):
            raise ValueError("count, where, per, after, given, match and within belong to `on`")
        if self.on is not None:
            self._check_bus()
        return self

    def _check_bus(self) -> None:
        if self.per is not None and self.after is not None:
            raise ValueError("give either `per` or `after`")
        other = self.per if self.per is not None else self.after
        if other is None and (self.match or self.given or self.within is not None):
            raise ValueError("match, given and within need `per` or `after`")
        if other is not None and not self.match:
            raise ValueError("say by `match` which messages belong together")
        if other is None and self.empty:
            raise ValueError("say how many: count, min or max")
        if self.after is not None and not self.empty:
            raise ValueError("`after` is about order alone: count, min and max belong to `per`")
        if self.per is not None and self.within is None:
            raise ValueError("say `within` what time of its cause a message comes")

    @property
    def name(self) -> str:
        """What an expectation on messages is about, as reports print it."""
        what = f"on {self.on}{_braces(self.where)}"
        if self.per is not None:
            return f"{what} per {self.per}{_braces(self.given)}"
        return f"{what} after {self.after}{_braces(self.given)}" if self.after is not None else what


def _braces(where: dict[str, Scalar]) -> str:
    return f"{{{','.join(f'{place}={value}' for place, value in where.items())}}}" if where else ""


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
    """Everything that a recorded run is judged by; thresholds are texts in k6's grammar.

    `steady_state` are conditions, as texts, that hold before the first fault and at the end.
    """

    thresholds: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    guarantees: Guarantees = Guarantees()
    expect: tuple[Expectation, ...] = ()
    steady_state: tuple[str, ...] = ()
    limits: Limits = Limits()
