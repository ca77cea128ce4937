"""A scenario file as frozen models: what a user may write, and what it means."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from twin.events.subjects import Layout
from twin.scenario.language.actions import Action, HardwareFault, lasts_in_wall_time
from twin.scenario.language.bus_actions import ConsumerFault, ConsumerSlow
from twin.scenario.language.outside import Observer, Role, Service, Watch
from twin.scenario.language.rollback import Rollback
from twin.scenario.language.shapes import Load
from twin.scenario.language.triggers import ConditionText
from twin.scenario.language.values import NS_PER_S, Duration, Model, StartValue, format_duration
from twin.simulation.policy import Policy
from twin.spec.findings import Findings, did_you_mean
from twin.spec.yaml import KeyPath
from twin.verdict.manifest import Expectation, Guarantees, Limits
from twin.verdict.thresholds import WALL_METRICS, parse_expression, parse_selector

__all__ = ["MAX_BOTS", "Fleet", "Pace", "Phase", "Scenario", "ScheduledEvent"]

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$")]
PATH = r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+$"
DottedPath = Annotated[str, StringConstraints(pattern=PATH)]
MAX_BOTS = 100_000
MAX_REPEATS = 1000
MAX_DURATION_NS = 24 * 3600 * 1_000_000_000


def checked_selector(text: str) -> str:
    """Refuse what is no `metric{tag:value}`."""
    parse_selector(text)
    return text


def checked_expression(text: str) -> str:
    """Refuse what is no threshold expression."""
    parse_expression(text)
    return text


def with_defaults(value: object) -> object:
    """Overlay what the user guarantees on NOTHING_AMISS: to judge less must be said (null)."""
    if isinstance(value, dict):
        return {**NOTHING_AMISS, **value}
    return value


NOTHING_AMISS = dict.fromkeys(("lost", "duplicates", "reordered", "unexpected", "corrupt"), 0)
Selector = Annotated[str, AfterValidator(checked_selector)]
Expression = Annotated[str, AfterValidator(checked_expression)]


class Pace(StrEnum):
    """How simulated time follows the wall clock."""

    REALTIME = "realtime"
    X10 = "x10"
    FAST = "fast"

    @property
    def speed(self) -> float | None:
        """Simulated seconds per wall second; None is as fast as acknowledgements allow."""
        return {Pace.REALTIME: 1.0, Pace.X10: 10.0, Pace.FAST: None}[self]


class PressurePolicy(Model):
    """What bots do when the broker acknowledges late; see docs/lag.md."""

    above: Duration = Field(500_000_000, gt=0, description="Latency above which is pressure.")
    below: Duration = Field(100_000_000, gt=0, description="Latency below which is none.")
    window: int = Field(default=32, ge=1, le=10_000, description="Most events in flight per bot.")
    sample_down: int = Field(
        default=1, ge=1, le=1000, description="Bulk channels: every n-th sample under pressure."
    )
    hold: int = Field(default=3, ge=1, description="Seconds without pressure until it is over.")

    @model_validator(mode="after")
    def hysteresis(self) -> "PressurePolicy":
        """Refuse a policy that would flap."""
        if self.below >= self.above:
            raise ValueError("`below` has to be less than `above`")
        return self

    def as_policy(self) -> Policy:
        """Return what the simulation works with."""
        return Policy(
            self.above / NS_PER_S, self.below / NS_PER_S, self.window, self.sample_down, self.hold
        )


class Fleet(Model):
    """A named group of bots with one spec."""

    count: int = Field(ge=1, le=MAX_BOTS, description="How many bots.")
    spec: str = Field(default="builtin:BotSpec", description="A BotSpec file, or builtin:NAME.")
    start: dict[DottedPath, float | StartValue] = Field(
        default_factory=dict, description="Start values by plane attribute, as power.soc_pct."
    )
    set: dict[DottedPath, float | int | bool | str] = Field(
        default_factory=dict,
        description="Params of the spec that this group has otherwise, as power.capacity_wh.",
    )
    policy: PressurePolicy | None = Field(
        default=None, description="What the bots do under pressure; nothing if not given."
    )


class Phase(Model):
    """A named window of simulated time."""

    name: Name
    duration: Duration
    measure: bool = Field(
        default=True, description="Whether thresholds cover this phase by default."
    )
    load: Load = Load()

    @model_validator(mode="after")
    def stages_fit(self) -> "Phase":
        """Refuse ramps that the phase would cut off."""
        if self.load.stages_ns > self.duration:
            raise ValueError(
                f"the stages last {format_duration(self.load.stages_ns)}, the phase only "
                f"{format_duration(self.duration)}"
            )
        return self


class ScheduledEvent(Model):
    """Something that is done to the run, at a moment or when a condition becomes true."""

    at: Duration | None = Field(default=None, description="Simulated time since the start.")
    when: ConditionText | None = Field(default=None, description="Fires when it becomes true.")
    hold: Duration = Field(0, description="How long the condition must hold before it fires.")
    repeat: Annotated[int, Field(ge=1, le=1000)] | bool = Field(
        default=False, description="Fires each time that it becomes true, or so many times."
    )
    do: Action

    @property
    def times(self) -> int:
        """How often it fires at most."""
        return MAX_REPEATS if self.repeat is True else max(1, int(self.repeat))

    @model_validator(mode="after")
    def one_trigger(self) -> "ScheduledEvent":
        """Refuse both triggers, and none."""
        if (self.at is None) == (self.when is None):
            raise ValueError("an event needs either `at` or `when`")
        if self.when is None and (self.hold or self.repeat):
            raise ValueError("`hold` and `repeat` belong to `when`")
        if self.repeat and isinstance(self.do, HardwareFault) and self.do.for_ is None:
            raise ValueError(f"{self.do.fault} has no `for`: it could not happen again")
        return self

    @model_validator(mode="after")
    def whole_seconds(self) -> "ScheduledEvent":
        """Refuse what could not happen: hardware changes with its tick, once a second."""
        if isinstance(self.do, HardwareFault):
            for name, value in (("at", self.at), ("for", self.do.for_)):
                if value is not None and value % NS_PER_S:
                    raise ValueError(
                        f"`{name}` of {self.do.fault} is {format_duration(value)}: hardware "
                        "breaks and heals at whole simulated seconds"
                    )
            if self.do.for_ == 0:
                raise ValueError(f"{self.do.fault} for 0s would never break anything")
        return self


class Consumer(Model):
    """A consumer of the run's own beside the registrar; faults make it misbehave."""

    stream: Name = Field(description="Which stream it reads, as QIKI_EVENTS_V1.")
    subjects: tuple[str, ...] = Field(default=(), description="Filter; all of the stream without.")
    rate: float | None = Field(
        default=None, gt=0, le=1e6, description="Messages a second that it can process."
    )
    ack_wait: Duration = Field(5_000_000_000, gt=0)
    max_deliver: int = Field(default=-1, ge=-1)
    max_ack_pending: int = Field(default=1000, ge=1)


class HeaderPrefix(StrEnum):
    """What the headers of attributes begin with; both are read everywhere."""

    HYPHEN = "ce-"
    UNDERSCORE = "ce_"


class Scenario(Model):
    """One scenario file, parameters already put in."""

    schema_version: Literal[1]
    name: Name
    include: tuple[str, ...] = Field(
        default=(), description="Files inside the project whose keys are put under these."
    )
    description: str = ""
    tags: tuple[Name, ...] = ()
    seed: int = Field(default=1, ge=0, lt=2**63)
    pace: Pace = Pace.REALTIME
    layout: Layout = Layout.PLATFORM
    header_prefix: HeaderPrefix = Field(
        default=HeaderPrefix.HYPHEN,
        description="How CloudEvents headers begin: as the NATS binding has it, or the platform.",
    )
    parameters: dict[Name, float | int | bool | str] = Field(
        default_factory=dict, description="Defaults of what `--var name=value` may change."
    )
    fleet: dict[Name, Fleet] = Field(min_length=1)
    phases: tuple[Phase, ...]
    events: tuple[ScheduledEvent, ...] = ()
    thresholds: dict[Selector, Annotated[tuple[Expression, ...], Field(min_length=1)]] = Field(
        default_factory=dict
    )
    guarantees: Annotated[Guarantees, BeforeValidator(with_defaults)] = Guarantees.model_validate(
        NOTHING_AMISS
    )
    expect: tuple[Expectation, ...] = ()
    steady_state: tuple[ConditionText, ...] = Field(
        default=(), description="Conditions that hold before the first fault and after the last."
    )
    rollbacks: tuple[Rollback, ...] = Field(
        default=(), description="Commands of yours that are run at the end, however it ends."
    )
    limits: Limits = Limits()
    services: dict[Name, Service] = Field(
        default_factory=dict, description="Processes of yours, which the run starts and stops."
    )
    consumers: dict[Name, Consumer] = Field(
        default_factory=dict, description="Consumers of the run's own, by the name of their role."
    )
    watch: dict[Name, Watch] = Field(
        default_factory=dict, description="Durable consumers of yours, by the name of a role."
    )
    observers: dict[Name, Observer] = Field(
        default_factory=dict, description="Where to read what services recorded."
    )
    external: tuple[Role, ...] = Field(
        default=(), description="Parts of the platform that the twin does not play."
    )
    drain_timeout: Duration = Field(
        15_000_000_000, description="Wall time without progress after which a drain is given up."
    )

    @property
    def duration_ns(self) -> int:
        """Simulated nanoseconds from start to end."""
        return sum(phase.duration for phase in self.phases)

    @model_validator(mode="after")
    def fits_together(self) -> "Scenario":
        """Check what no single part can see; each fault at its own place."""
        found = Findings()
        names = [phase.name for phase in self.phases]
        for index, name in enumerate(names):
            if name in names[:index]:
                found.add(("phases", index, "name"), f"a phase is called {name!r} already")
        if not 0 < self.duration_ns <= MAX_DURATION_NS:
            text = "the phases must last more than 0 s and at most 24 h together"
            found.add(("phases",), text, key=True)
        bots = sum(fleet.count for fleet in self.fleet.values())
        if bots > MAX_BOTS:
            found.add(("fleet",), f"{bots} bots are more than {MAX_BOTS}", key=True)
        self._check_events(found)
        self._check_names(found)
        self._check_outside(found)
        found.raise_any("Scenario")
        return self

    def _check_events(self, found: Findings) -> None:
        external = Role.REGISTRAR in self.external
        for index, event in enumerate(self.events):
            path, fault = ("events", index, "do"), event.do.fault
            if event.at is not None and event.at >= self.duration_ns:
                text = f"{fault} at {format_duration(event.at)} is not before the end at "
                found.add(("events", index, "at"), text + format_duration(self.duration_ns))
            consumer = event.do.consumer if isinstance(event.do, ConsumerFault) else None
            if consumer is not None and consumer not in self.consumers:
                hint = did_you_mean(consumer, list(self.consumers))
                found.add((*path, "consumer"), f"there is no consumer {consumer!r}{hint}")
            elif isinstance(event.do, ConsumerSlow):
                self._check_slower(event.do, path, found)
            service = getattr(event.do, "service", None)
            if service is not None and service not in self.services:
                hint = did_you_mean(service, list(self.services))
                found.add((*path, "service"), f"there is no service {service!r}{hint}")
            if external and fault.startswith("registrar."):
                found.add((*path, "fault"), f"{fault}: the registrar is external")

    def _check_slower(self, fault: ConsumerSlow, path: KeyPath, found: Findings) -> None:
        usual = self.consumers[fault.consumer].rate
        if usual is not None and fault.rate >= usual:
            text = f"{fault.rate:g} a second is not slower than the consumer's own {usual:g}"
            found.add((*path, "rate"), text)

    def _check_names(self, found: Findings) -> None:
        """Look for names that mean two things: services, consumers, observers, our own."""
        own = {"broker", "registrar"}
        if Role.REGISTRAR not in self.external:
            for section, names in (("watch", self.watch), ("observers", self.observers)):
                if "registrar" in names:
                    text = "registrar is a name of the run's own: take another"
                    found.add((section, "registrar"), text, key=True)
        taken = {"services": own, "consumers": own | {*self.services, *self.watch}}
        for section, others in taken.items():
            for name in sorted(others & {*getattr(self, section)}):
                what = "a name of the run's own" if name in own else "taken"
                found.add((section, name), f"{name} is {what}: take another", key=True)

    def _check_outside(self, found: Findings) -> None:
        """Check roles and observers against what there is to observe."""
        external = Role.REGISTRAR in self.external
        if external and not self.observers:
            text = "with `external: [registrar]` an observer has to say what is recorded"
            found.add(("external",), text)
        for index, one in enumerate(self.expect):
            if external and one.audit is not None:
                text = "`expect: audit` asks our own registrar, which is external here"
                found.add(("expect", index, "audit"), text, key=True)
        for name, observer in self.observers.items():
            if observer.service is not None and observer.service not in self.services:
                hint = did_you_mean(observer.service, list(self.services))
                text = f"there is no service {observer.service!r}{hint}"
                found.add(("observers", name, "service"), text)

    def needs_wall_time(self) -> str | None:
        """Say why the scenario cannot run at pace fast; None when it can."""
        for event in self.events:
            if lasts_in_wall_time(event.do):
                return f"{event.do.fault} lasts in wall time"
        for name, fleet in self.fleet.items():
            if fleet.policy is not None:
                return f"the policy of {name} follows the latency of acknowledgements"
        for selector in self.thresholds:
            if selector.startswith(WALL_METRICS):
                return f"the threshold on {selector} measures wall time"
        return None
