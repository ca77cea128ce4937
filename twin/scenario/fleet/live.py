"""Lets the simulated time of a scenario pass: phases, faults, samples, conditions."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import BinaryIO, Literal, NamedTuple

import orjson

from twin.chaos.faultlog import FaultLog
from twin.errors import TwinError
from twin.events.event import Event
from twin.jetstream.publisher import PublishCounts, Publisher
from twin.report.progress import Snapshot
from twin.scenario.evidence.folder import RunFolder
from twin.scenario.faults.fault_runner import FaultRunner, Victim
from twin.scenario.faults.felt import Felt
from twin.scenario.fleet.commands import Commands
from twin.scenario.fleet.drive import Outlet, Timeline, drive
from twin.scenario.fleet.policies import Policies
from twin.scenario.language.values import NS_PER_S
from twin.scenario.plan import Plan
from twin.simulation.pacing import Pacer
from twin.simulation.world import World
from twin.verdict.conditions import parse_condition
from twin.verdict.manifest import PhaseWindow, SteadyLook

__all__ = ["Live", "Lived", "Watch"]

Watch = Callable[[Snapshot], None]
SAMPLE_NS = NS_PER_S


@dataclass(slots=True)
class Live:
    """A run between its first and its last event.

    `emitted` is where the world's sink appends, `outlet` the way from there to the publisher.
    `backlog` and `connected` say what the monitor and the connection know now, `around` all
    that conditions can watch beside the fleet; `watch` is shown where the run stands.
    `commands` from the bus reach the world while this lasts.
    """

    plan: Plan
    folder: RunFolder
    world: World
    emitted: list[Event]
    publisher: Publisher
    outlet: Outlet
    targets: Mapping[str, Victim]
    felt: Mapping[str, Felt]
    backlog: Callable[[], int | None]
    around: Callable[[PublishCounts], dict[str, float]]
    connected: Callable[[], bool]
    watch: Watch
    commands: Commands
    phase: str = ""
    _windows: list[PhaseWindow] = field(default_factory=list)
    _steady: dict[str, SteadyLook] = field(default_factory=dict)
    _policies: Policies | None = None

    async def run(self) -> "Lived":
        """Return once the scenario's time has passed and every fault is over."""
        scenario = self.plan.scenario
        pacer = Pacer(self.plan.pace.speed, time.time_ns())
        with (
            (self.folder.samples / "metrics.jsonl").open("wb") as samples,
            self.folder.inputs.open("wb") as inputs,
        ):
            async with (
                _unwrapped_task_group() as group,
                self.commands.reach(self.world, self.world.bots, inputs.write),
            ):
                self._policies = Policies(scenario, self.world, self.publisher)
                faults = FaultRunner(
                    scenario.events,
                    self.targets,
                    self.world,
                    group,
                    seed=self.plan.seed,
                    felt=self.felt,
                )
                timeline = Timeline()
                for phase in self.plan.phases:
                    timeline.add(phase.start_sim_ns, partial(self._enter, phase))
                for step in self.plan.steps:
                    timeline.add(step.start_ns, partial(self.world.set_rate, step.rate))
                faults.schedule(timeline, pacer.intended_ns)
                look = partial(self._look, faults, timeline, samples, inputs)
                for at in range(0, scenario.duration_ns, SAMPLE_NS):
                    timeline.add(at, partial(look, at))
                await drive(
                    self.world,
                    self.emitted,
                    self.outlet,
                    pacer=pacer,
                    timeline=timeline,
                    end_ns=scenario.duration_ns,
                )
                self._leave()
                await faults.finish()
                self._steadily("after", scenario.duration_ns, self._state(self.world.snapshot()))
        return Lived(faults.log, tuple(self._windows), tuple(self._steady.values()))

    def tell(self, phase: str, sim_ns: int | None = None) -> None:
        """Show where the run stands."""
        counts, latency = self.publisher.counts, self.publisher.latency
        self.watch(
            Snapshot(
                sim_ns=self.plan.scenario.duration_ns if sim_ns is None else sim_ns,
                duration_ns=self.plan.scenario.duration_ns,
                phase=phase,
                offered=counts.offered,
                acknowledged=counts.acknowledged,
                in_flight=counts.in_flight,
                waiting=counts.waiting,
                backlog=self.backlog(),
                p99_ms=latency.p99 if latency else None,
                connected=self.connected(),
            )
        )

    def _state(self, fleet: Mapping[str, float]) -> dict[str, float]:
        """Return all that conditions can watch."""
        return {**fleet, **self.around(self.publisher.counts)}

    def _steadily(
        self, when: Literal["before", "after"], sim_ns: int, state: Mapping[str, float]
    ) -> None:
        """Note what the metrics of the steady state are now."""
        metrics = [parse_condition(one).metric for one in self.plan.scenario.steady_state]
        if metrics:
            values = {metric: state.get(metric) for metric in metrics}
            self._steady[when] = SteadyLook(when=when, sim_ns=sim_ns, values=values)

    def _enter(self, phase: PhaseWindow) -> None:
        self._leave()
        self._windows.append(phase.model_copy(update={"start_wall_ns": time.time_ns()}))
        self.phase = phase.name

    def _leave(self) -> None:
        if self._windows:
            last = self._windows[-1].model_copy(update={"end_wall_ns": time.time_ns()})
            self._windows[-1] = last

    def _look(
        self,
        faults: FaultRunner,
        timeline: Timeline,
        samples: BinaryIO,
        inputs: BinaryIO,
        sim_ns: int,
    ) -> None:
        """Take a sample, and let conditions on the state of the run fire."""
        fleet = self.world.snapshot()
        state = self._state(fleet)
        if not faults.begun:
            self._steadily("before", sim_ns, state)
        for firing in faults.check(sim_ns, state, timeline):
            inputs.write(orjson.dumps({"sim_ns": sim_ns, **firing._asdict()}) + b"\n")
        for decision in self._policies.look() if self._policies else ():
            inputs.write(orjson.dumps({"sim_ns": sim_ns, "policy": decision}) + b"\n")
        row = {
            "wall_ns": time.time_ns(),
            "sim_ns": sim_ns,
            "phase": self.phase,
            "publish": asdict(self.publisher.counts),
            "fleet": fleet,
        }
        samples.write(orjson.dumps(row) + b"\n")
        self.tell(self.phase, sim_ns)


class Lived(NamedTuple):
    """What happened while the fleet lived."""

    faults: FaultLog
    phases: tuple[PhaseWindow, ...]
    steady: tuple[SteadyLook, ...]


@asynccontextmanager
async def _unwrapped_task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """Be a TaskGroup whose first TwinError is raised by itself."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except ExceptionGroup as errors:
        ours, others = errors.split(TwinError)
        if ours is None or others is not None:
            raise
        raise ours.exceptions[0] from None
