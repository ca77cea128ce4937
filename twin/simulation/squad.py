"""One group of bots: their hardware, what they say about it, and when."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from twin.events.encode.happenings import answer_encoder
from twin.events.encode.roster import Roster
from twin.events.event import Event
from twin.events.views import IntArray
from twin.hardware.assembly import Hardware
from twin.hardware.modes import Mode
from twin.hardware.plane import ANY, Bools, Edge, Floats, Ints
from twin.simulation.breakage import Breakage
from twin.simulation.clocks import Clocks
from twin.simulation.emitters import Emitter, Encode, emitters
from twin.simulation.fleet import FleetGroup, start_values
from twin.simulation.inputs import Command
from twin.simulation.orders import Orders
from twin.simulation.outbox import Priority
from twin.simulation.policy import Decision
from twin.simulation.rates import cohorts
from twin.simulation.relay import Relay
from twin.simulation.reporting import Reporter
from twin.simulation.sampling import COHORTS
from twin.simulation.views import Views
from twin.spec.params.comms import CommsParams

__all__ = ["Exit", "Squad"]

BIOS = "events.v1.bios_status"
BOOTED = {"boot_ok", "boot_failed"}


@dataclass(frozen=True, slots=True)
class Exit:
    """Where a squad's events go: `generated` before anything may happen to them, then one of
    `sent` (to the bus now) and `shed` (never). Answers to commands go to `answered` only."""

    generated: Callable[[list[Event]], None]
    sent: Callable[[list[Event]], None]
    shed: Callable[[list[Event]], None]
    answered: Callable[[list[Event]], None]


class Squad:
    """The bots of one group, or of a shard's part of it.

    `tick` advances the hardware and emits the edges of that tick; `emit` samples one cohort of
    bots on the channels of an emitter; `release` lets stored events out. `breakage` takes
    malfunctions, `obey` commands. Bots of the profile custom speak on the channels that their
    spec names, and do not report edges.
    """

    def __init__(self, group: FleetGroup, roster: Roster, seed: int, exits: Exit) -> None:
        self.name, self.bots = group.name, roster.bots
        self.hw = _hardware(group, seed)
        self._clocks = Clocks(self.hw.n)
        self.breakage = Breakage(group.name, self.hw, self._clocks, seed)
        self._orders, self._answers = Orders(self.hw), answer_encoder(roster)
        self._views = Views.of(self.hw, roster.epoch_ns)
        self.emitters = emitters(group.spec, roster, self.hw, self._views, seed)
        self._bios = next((e for e in self.emitters if BIOS in e.keys), None)
        self._reporter = Reporter(roster) if group.spec.profile == "qiki" else None
        self._roster, self._exits = roster, exits
        self._row = {bot: row for row, bot in enumerate(roster.bots)}
        cohort = cohorts(roster.bots)
        self._cohorts = [np.flatnonzero(cohort == number) for number in range(COHORTS)]
        self._speaking: Bools = np.zeros(len(self.bots), dtype=np.bool_)
        self._queueing = False
        self._sample_down = 1
        self.withheld = 0
        comms = self.hw.comms
        self._relay = Relay(
            comms.link_up,
            lambda: comms.data_rate_kbps * (1 - comms.packet_loss_pct / 100),
            group.spec.params(CommsParams).outbox.capacity_bytes,
            exits.shed,
        )

    def has(self, bot: str) -> bool:
        """Whether a bot is one of these."""
        return bot in self._row

    @property
    def stored(self) -> int:
        """Events that wait in outboxes."""
        return self._relay.stored

    def tick(self, dt_s: float, sim_ns: int) -> bool:
        """Advance all planes and emit what changed; return whether an outbox needs `release`."""
        self.hw.step(dt_s)
        self._clocks.tick(dt_s)
        self._views.refresh()
        self._relay.look()
        self._speaking = self.hw.modes.running & ~self.hw.power.bus_dead
        edges = self.hw.drain_edges()
        if edges and self._reporter is not None:
            self._report(self._reporter, edges, sim_ns)
        if self._relay.quiet and not self._queueing:
            return False
        losses = self._relay.losses()
        if losses and self._reporter is not None:
            self._publish(self._reporter.shed(losses, sim_ns), Priority.VITAL)
        self.hw.comms.queued_items[:] = self._relay.queued(len(self.bots))
        self._queueing = not self._relay.quiet
        return self._relay.draining

    def emit(self, emitter: Emitter, cohort: int, sim_ns: int) -> None:
        """Sample a cohort's bots, those that run and have something to say."""
        rows = self._cohorts[cohort]
        speaking = self._speaking[rows]
        if emitter.speaking is not None:
            speaking = speaking & emitter.speaking()[rows]
        if not speaking.all():
            rows = rows[speaking]
        if self._skips(emitter, sim_ns):
            self.withheld += rows.size * len(emitter.keys)
            return
        if rows.size:
            self._publish(self._sampled(emitter.encode, rows, sim_ns), emitter.priority)

    def _skips(self, emitter: Emitter, sim_ns: int) -> bool:
        """Tell whether a policy leaves this sample out; only bulk is ever sampled less often."""
        bulk = emitter.priority is Priority.BULK
        return bulk and (sim_ns // emitter.period_ns) % self._sample_down > 0

    def throttle(self, decision: Decision) -> None:
        """Send and sample as the group's policy has decided, until it decides anew."""
        self._sample_down = decision.sample_down
        self._relay.limit(decision.rate_per_s)

    def release(self, sim_ns: int) -> bool:
        """Let out what the links carry; return whether more is waiting."""
        if events := self._relay.release(sim_ns):
            self._exits.sent(events)
        return self._relay.draining

    def obey(self, command: Command, sim_ns: int) -> None:
        """Carry out a command and answer; a bot that cannot hear does neither.

        It hears when its link is up and it has booted, also while it is shut down.
        """
        row = self._row[command.bot]
        if self.hw.comms.link_up[row] and self.hw.modes.mode[row] != Mode.BOOTING:
            fact = self._orders.obey(row, command)
            self._exits.answered(self._answers.encode([fact], sim_ns))

    def _sampled(self, encode: Encode, rows: Ints, sim_ns: int) -> list[Event]:
        """Encode what bots say now, each by its own clock."""
        if self._clocks.right:
            return encode(rows, sim_ns)
        return [
            event._replace(sim_ns=sim_ns)
            for part, ahead_ns in self._clocks.alike(rows)
            for event in encode(part, sim_ns + ahead_ns)
        ]

    def _report(self, reporter: Reporter, edges: Sequence[Edge], sim_ns: int) -> None:
        def told(rows: IntArray, at_ns: int) -> list[Event]:
            if self._clocks.right:
                return reporter.encode(edges, at_ns)
            chosen = set(rows.tolist())
            return reporter.encode([edge for edge in edges if edge.bot in chosen], at_ns)

        rows = np.unique([edge.bot for edge in edges])
        self._publish(self._sampled(told, rows, sim_ns), Priority.VITAL)
        booted = {edge.bot: edge.kind for edge in edges if edge.kind in BOOTED}
        if booted:
            self._introduce(reporter, booted, sim_ns)

    def _introduce(self, reporter: Reporter, booted: Mapping[int, str], sim_ns: int) -> None:
        """Let bots that have booted tell the result of their self test, and their mission."""
        rows = np.array(sorted(booted))
        if self._bios is not None:
            self._publish(self._sampled(self._bios.encode, rows, sim_ns), Priority.STATUS)
        well = np.array([row for row in rows.tolist() if booted[row] == "boot_ok"], dtype=np.int64)
        self._publish(self._sampled(reporter.on_mission, well, sim_ns), Priority.VITAL)

    def _publish(self, events: list[Event], priority: Priority) -> None:
        self._exits.generated(events)
        if not self._relay.quiet:
            events = self._relay.pass_on(self._rows(events), events, priority)
        if events:
            self._exits.sent(events)

    def _rows(self, events: Sequence[Event]) -> list[int]:
        sources = self._roster.sources
        return [self._row[sources[event.source].bot] for event in events]

    def values(self, name: str) -> Floats | Ints:
        """Return a plane's array (n,) by dotted name."""
        return self.hw.read(name)


def _hardware(group: FleetGroup, seed: int) -> Hardware:
    together = (group.name,) * group.count if group.interacts else ()
    hw = Hardware(group.spec, group.bots, seed, groups=together)
    known = hw.startable()
    hw.start({key: start_values(group, seed, key, known.get(key, ANY)) for key in group.start})
    return hw
