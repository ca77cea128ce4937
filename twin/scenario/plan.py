"""What a run is going to be, settled before anything is started."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from twin.errors import UsageError
from twin.events.channels import CHANNELS
from twin.events.subjects import SubjectSpace, covers
from twin.events.topology import Topology
from twin.jetstream.connection import Connection
from twin.scenario.evidence.folder import new_run_id
from twin.scenario.language.bus_actions import StreamDelete
from twin.scenario.language.load import LoadedScenario
from twin.scenario.language.model import Pace, Scenario
from twin.scenario.language.outside import silenced_keys
from twin.scenario.language.shapes import RateStep
from twin.scenario.run_topology import StreamSettings, run_topology
from twin.scenario.shared import Shared, attached, check_shared
from twin.simulation.fleet import FleetGroup
from twin.simulation.predict import natural_rate, predict
from twin.verdict.criteria import Guarantees
from twin.verdict.manifest import Criteria, PhaseWindow, Predicted

__all__ = ["EMBEDDED_EPOCH_NS", "Plan", "Settings", "rate_steps"]

EMBEDDED_EPOCH_NS = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z: the epoch of runs whose broker is their own."""
PREFIX = re.compile(r"[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64})*")
BYTES_AN_EVENT = 4096
LEAST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """What is settled beside the scenario. `prefix` implies a shared server.

    `allow_shrink` lets limits of our own streams and consumers be lowered.
    `shared` says that the run is on their own subjects and streams there, without a prefix.
    The last three make streams that cannot keep their promises, to prove that this is noticed.
    """

    seed: int | None = None
    pace: Pace | None = None
    shared_server: bool = False
    prefix: str = ""
    shared: Shared | None = None
    allow_shrink: bool = False
    allow_time_skew: bool = False
    epoch_ns: int | None = None
    memory_storage: bool = False
    persist_async: bool = False
    duplicate_window_s: float = 120.0

    @property
    def own_prefix(self) -> bool:
        """Whether subjects and streams have a prefix: on somebody else's server, unless shared."""
        return self.shared_server and not self.shared


@dataclass(frozen=True, slots=True)
class Plan:
    """Identity, clocks, topology and criteria of one run. Topology is as the server sees it.

    `owns_streams` says that the streams are for this run alone, on somebody else's server,
    and go when the run is over; with a prefix of the user's choice they stay. `recorded` are
    the streams that hold the run's events and that somebody has to read, by their names on
    the server: commands and answers are in none of them. On `external` logical subjects
    somebody else publishes instead of the twin. `shared` says what may be done on streams of
    others, which `attach` finds; `duplicate_window_s` is the shortest of theirs.
    """

    run_id: str
    scenario: Scenario
    seed: int
    pace: Pace
    epoch_ns: int
    space: SubjectSpace
    topology: Topology
    phases: tuple[PhaseWindow, ...]
    steps: tuple[RateStep, ...]
    predicted: Predicted
    criteria: Criteria
    owns_streams: bool
    recorded: tuple[str, ...]
    external: tuple[str, ...]
    shared: Shared | None = None
    duplicate_window_s: float = 120.0

    @classmethod
    def make(cls, loaded: LoadedScenario, settings: Settings) -> "Plan":
        """Settle everything; raises UsageError where scenario and settings contradict."""
        scenario = loaded.scenario
        pace = settings.pace or scenario.pace
        _check_pace(scenario, pace, settings)
        run_id = new_run_id(scenario.name)
        space = _space(scenario, settings, run_id)
        steps = rate_steps(scenario, loaded.groups)
        external = _external(scenario, space)
        expected = _expected(loaded.groups, space, steps, external)
        if settings.shared:
            check_shared(settings.shared, scenario, expected, scenario.duration_ns)
        topology, recorded = run_topology(
            scenario,
            loaded.groups,
            space,
            StreamSettings(
                max_bytes=max(LEAST_BYTES, expected.total * BYTES_AN_EVENT),
                duplicate_window_s=settings.duplicate_window_s,
                memory_storage=settings.memory_storage,
                persist_async=settings.persist_async,
            ),
        )
        return cls(
            run_id=run_id,
            scenario=scenario,
            seed=scenario.seed if settings.seed is None else settings.seed,
            pace=pace,
            epoch_ns=_epoch_ns(settings),
            space=space,
            topology=topology,
            recorded=recorded,
            external=external,
            phases=_windows(scenario, steps),
            steps=steps,
            predicted=expected,
            criteria=Criteria(
                thresholds=scenario.thresholds,
                guarantees=_guarantees(scenario, settings),
                expect=scenario.expect,
                steady_state=scenario.steady_state,
                limits=scenario.limits,
            ),
            owns_streams=settings.own_prefix and not settings.prefix,
            shared=settings.shared,
        )

    async def attach(self, connection: Connection) -> "Plan":
        """Return the plan with the streams of others that store the run's subjects."""
        topology, window_s = await attached(connection, self.predicted.by_subject)
        names = tuple(stream.name for stream in topology.streams)
        return replace(self, topology=topology, recorded=names, duplicate_window_s=window_s)


def _space(scenario: Scenario, settings: Settings, run_id: str) -> SubjectSpace:
    if settings.prefix and not PREFIX.fullmatch(settings.prefix):
        raise UsageError(
            f"the prefix {settings.prefix!r} is no beginning of a subject: use letters, "
            "digits, _ and -, in tokens with a dot between them"
        )
    fresh = f"twin_{run_id[-8:]}" if settings.own_prefix else ""
    return SubjectSpace(scenario.layout, settings.prefix or fresh)


def _external(scenario: Scenario, space: SubjectSpace) -> tuple[str, ...]:
    """Return the logical subjects on which somebody else publishes."""
    keys = silenced_keys(scenario.external, tuple(CHANNELS))
    return tuple(sorted(space.pattern(CHANNELS[key].subject) for key in keys))


def _expected(
    groups: Sequence[FleetGroup],
    space: SubjectSpace,
    steps: Sequence[RateStep],
    external: Sequence[str],
) -> Predicted:
    """Return how many events the twin has to publish, at least."""
    found = predict(groups, space, [(step.duration_ns, step.rate) for step in steps])
    own = {
        subject: count
        for subject, count in found.items()
        if not any(covers(pattern, subject) for pattern in external)
    }
    return Predicted(total=sum(own.values()), by_subject=own)


def _guarantees(scenario: Scenario, settings: Settings) -> Guarantees:
    """Return what has to hold; on streams of others, what they publish is not unexpected."""
    if settings.shared is None:
        return scenario.guarantees
    return scenario.guarantees.model_copy(update={"unexpected": None})


def _epoch_ns(settings: Settings) -> int:
    if settings.epoch_ns is not None:
        return settings.epoch_ns
    return time.time_ns() if settings.shared_server else EMBEDDED_EPOCH_NS


def _check_pace(scenario: Scenario, pace: Pace, settings: Settings) -> None:
    if pace is Pace.FAST and (why := scenario.needs_wall_time()):
        raise UsageError(f"{scenario.name} cannot run at pace fast: {why}")
    if pace is not Pace.REALTIME and settings.shared_server and not settings.allow_time_skew:
        raise UsageError(
            f"pace {pace} makes times that a foreign server's services have not reached yet; "
            "give --allow-time-skew if that is meant"
        )
    if settings.shared_server:
        for event in scenario.events:
            if event.do.fault.startswith("broker."):
                raise UsageError(
                    f"{event.do.fault} acts on the embedded server only, not on --nats"
                )
            if settings.prefix and isinstance(event.do, StreamDelete):
                raise UsageError(
                    f"{event.do.fault} would delete what other runs left under --prefix "
                    f"{settings.prefix}; leave the prefix out, and the run has its own streams"
                )


def rate_steps(scenario: Scenario, groups: Sequence[FleetGroup]) -> tuple[RateStep, ...]:
    """Return the rates of a whole run in order; UsageError where one is impossible."""
    natural, at = natural_rate(groups), 0
    steps: list[RateStep] = []
    for phase in scenario.phases:
        try:
            steps += phase.load.steps(at, phase.duration, natural)
        except ValueError as error:
            raise UsageError(f"phase {phase.name}: {error}") from None
        at += phase.duration
    return tuple(steps)


def _windows(scenario: Scenario, steps: Sequence[RateStep]) -> tuple[PhaseWindow, ...]:
    """Return the phases; the rate of one is the mean of its steps."""
    ends = list(accumulate(phase.duration for phase in scenario.phases))
    windows = []
    for phase, end in zip(scenario.phases, ends, strict=True):
        start = end - phase.duration
        area = sum(one.duration_ns * one.rate for one in steps if start <= one.start_ns < end)
        windows.append(
            PhaseWindow(
                name=phase.name,
                start_sim_ns=start,
                end_sim_ns=end,
                measure=phase.measure,
                rate=round(area / phase.duration, 6) if phase.duration else 1.0,
            )
        )
    return tuple(windows)
