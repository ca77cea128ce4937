"""Carries out what a scenario's events do, and writes down what really happened."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol, TypeAlias, cast

from twin.chaos.consumer import SimulatedConsumer
from twin.chaos.disk import BrokerDisk
from twin.chaos.faultlog import FaultEntry, FaultLog
from twin.chaos.messages import Injector
from twin.chaos.network import Proxy
from twin.chaos.stream import BreakableStream
from twin.errors import TwinError
from twin.scenario.faults.bus_faults import break_bus
from twin.scenario.faults.felt import Felt
from twin.scenario.faults.message_faults import inject
from twin.scenario.faults.net_faults import break_network
from twin.scenario.faults.process_faults import Killable, break_process
from twin.scenario.fleet.drive import Timeline
from twin.scenario.language.actions import Action, HardwareFault
from twin.scenario.language.bus_actions import BusFault, ConsumerFault, StreamFault
from twin.scenario.language.message_actions import MessageFault
from twin.scenario.language.model import ScheduledEvent
from twin.scenario.language.net_actions import NetFault
from twin.scenario.language.process_actions import BrokerDiskFull, ProcessFault, ServiceFault
from twin.scenario.language.triggers import EdgeTrigger
from twin.scenario.language.values import NS_PER_S
from twin.simulation.inputs import Heal, Input, Start

__all__ = ["DISK", "INJECTOR", "Breakable", "FaultRunner", "Firing", "Victim", "network_of"]

DISK = "the disk of the broker"
INJECTOR = "the injector"
CONFIRM_NS = 2 * NS_PER_S
CONFIRM_STEP_NS = NS_PER_S // 10


class Breakable(Protocol):
    """The world, as far as malfunctions are concerned."""

    def apply(self, given: Input) -> None:
        """Let an input take effect at the next beat."""

    def hit(self, id_: str) -> tuple[str, ...]:
        """Return the bots that the malfunction of this id broke, once it has begun."""


Victim: TypeAlias = Killable | SimulatedConsumer | BreakableStream | Proxy | Injector | BrokerDisk
"""What a fault that lasts in wall time may act on."""


class Firing(NamedTuple):
    """A condition that fired: of which event, counted from 1, and under which id in the log."""

    condition: str
    event: int
    fault: int


@dataclass(slots=True)
class _Conditional:
    """An event with a condition, and the entry of its newest firing."""

    number: int
    trigger: EdgeTrigger
    event: ScheduledEvent
    entry: FaultEntry
    fired: bool = False

    @property
    def lasts(self) -> bool:
        """Whether it has fired and is not over."""
        return self.fired and self.entry.healed_wall_ns is None and self.entry.outcome != "failed"


class FaultRunner:
    """Starts the faults of a run; every declared fault is in the log, whether it fires or not.

    Faults of processes are tasks of `group` and last in wall time. `felt` says by target what
    waits for a process that stands still. Faults of hardware are inputs of the world and heal
    by the timeline; they have fired once the world says whom they hit. Healing is part of a
    fault: `finish` waits until each is over, so that nothing stays broken by accident when the
    run drains.
    """

    def __init__(
        self,
        events: tuple[ScheduledEvent, ...],
        targets: Mapping[str, Victim],
        world: Breakable,
        group: asyncio.TaskGroup,
        *,
        seed: int = 0,
        felt: Mapping[str, Felt] | None = None,
    ) -> None:
        self.log = FaultLog()
        self._targets = targets
        self._world = world
        self._group = group
        self._seed = seed
        self._felt = felt or {}
        self._tasks: list[asyncio.Task[None]] = []
        self._held: set[str] = set()
        self._unconfirmed: dict[str, FaultEntry] = {}
        declared = [
            (event, self.log.declare(event.do.fault, _target(event), event.at)) for event in events
        ]
        self._timed = [(event, entry) for event, entry in declared if event.at is not None]
        self._conditional = [
            _Conditional(number, EdgeTrigger(event.when, event.hold, event.times), event, entry)
            for number, (event, entry) in enumerate(declared, 1)
            if event.when
        ]

    def schedule(self, timeline: Timeline, wall: Callable[[int], int]) -> None:
        """Put what is due at moments of simulated time on the timeline; `wall` maps them."""
        for event, entry in self._timed:
            at = event.at or 0
            timeline.add(at, partial(self._start, event.do, entry, at, wall(at), timeline))

    def check(self, sim_ns: int, state: Mapping[str, float], timeline: Timeline) -> list[Firing]:
        """Start what the state of the run triggers now; return what fired.

        An event that fires again must be over: what happens to its condition meanwhile is
        not looked at.
        """
        hits = []
        for one in self._conditional:
            if one.lasts or not one.trigger.fires(state, sim_ns):
                continue
            if one.fired:
                one.entry = self.log.declare(one.event.do.fault, one.entry.target, None)
            one.fired = True
            self._start(one.event.do, one.entry, sim_ns, time.time_ns(), timeline)
            hits.append(Firing(one.trigger.text, one.number, one.entry.id))
        return hits

    @property
    def begun(self) -> bool:
        """Whether any fault has been started."""
        return any(entry.intended_wall_ns is not None for entry in self.log.entries)

    async def finish(self) -> None:
        """Wait until every fault that was started is over."""
        await asyncio.gather(*self._tasks)
        self._confirm()
        for entry in self._unconfirmed.values():
            entry.detail = "it hit no bot"

    def _start(
        self,
        action: Action,
        entry: FaultEntry,
        sim_ns: int,
        intended_wall_ns: int,
        timeline: Timeline,
    ) -> None:
        entry.intended_wall_ns = intended_wall_ns
        if isinstance(action, HardwareFault):
            self._break(action, entry, sim_ns, timeline)
        else:
            self._tasks.append(self._group.create_task(self._carry_out(action, entry)))

    def _break(
        self, action: HardwareFault, entry: FaultEntry, sim_ns: int, timeline: Timeline
    ) -> None:
        name = str(entry.id)
        self._world.apply(Start(name, action, action.on))
        self._unconfirmed[name] = entry
        for delay_ns in range(0, CONFIRM_NS, CONFIRM_STEP_NS):
            timeline.add(sim_ns + delay_ns + 1, self._confirm)
        if action.for_ is not None:
            timeline.add(sim_ns + action.for_, partial(self._heal, name, entry))

    def _confirm(self) -> None:
        """Note which malfunctions have taken hold of a bot by now."""
        for name, entry in list(self._unconfirmed.items()):
            if bots := self._world.hit(name):
                entry.fired()
                entry.detail = f"hit {len(bots)} bots"
                del self._unconfirmed[name]

    def _heal(self, name: str, entry: FaultEntry) -> None:
        self._confirm()
        self._world.apply(Heal(name))
        entry.healed()

    async def _carry_out(self, action: Action, entry: FaultEntry) -> None:
        """Do it, alone: a fault on a target that another one still holds would prove nothing."""
        target = self._targets[_victim(action, entry.target)]
        part = _part(action, entry.target)
        if part in self._held:
            entry.failed(f"another fault of the {entry.target} was not over yet")
        elif not target.running:
            entry.failed(f"the {entry.target} was not running")
        else:
            self._held.add(part)
            try:
                await self._act(action, target, entry)
            except TwinError as error:
                entry.failed(str(error))
            finally:
                self._held.discard(part)

    async def _act(
        self,
        action: Action,
        target: Victim,
        entry: FaultEntry,
    ) -> None:
        if isinstance(target, SimulatedConsumer | BreakableStream):
            await break_bus(cast("BusFault", action), target, entry)
            return
        if isinstance(target, Injector):
            await inject(cast("MessageFault", action), target, entry, self._seed)
            return
        if isinstance(target, Proxy):
            await break_network(cast("NetFault", action), target, entry, self._seed)
            return
        felt = self._felt.get(entry.target)
        await break_process(cast("ProcessFault", action), target, entry, felt)


def _target(event: ScheduledEvent) -> str:
    """Return a process, a consumer, a stream, or the part of the fleet that is meant."""
    if isinstance(event.do, NetFault):
        return event.do.client
    if isinstance(event.do, ConsumerFault):
        return event.do.consumer
    if isinstance(event.do, StreamFault):
        return event.do.stream
    if isinstance(event.do, ServiceFault):
        return event.do.service
    if not isinstance(event.do, HardwareFault):
        return event.do.fault.partition(".")[0]
    return event.do.on.group or "fleet"


def _victim(action: Action, target: str) -> str:
    """Return under which name a target is known: a client's network is another one than it."""
    if isinstance(action, MessageFault):
        return INJECTOR
    if isinstance(action, BrokerDiskFull):
        return DISK
    return network_of(target) if isinstance(action, NetFault) else target


def _part(action: Action, target: str) -> str:
    """Return what of a target one fault holds: different toxics go together."""
    if isinstance(action, NetFault):
        return f"{network_of(target)} {action.fault} {getattr(action, 'stream', '')}"
    if isinstance(action, MessageFault):
        return f"messages of {target} {id(action)}"  # the injector lets them wait for each other
    return target


def network_of(client: str) -> str:
    """Return the name of the network of a client among the targets of faults."""
    return f"the network of {client}"
