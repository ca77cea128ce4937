"""Lives a recorded run again from its folder alone: the twin to the bit, and its inputs with it.

Malfunctions at their times, conditions when they were seen to fire, commands when they arrived
and decisions of policies are given to a fresh world; what it generates is compared with the
journal, event by event, and with the recorded digest. No broker is needed.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from twin.events.digest import payload_hash
from twin.events.event import Event, SourceTable
from twin.events.subjects import Layout, SubjectSpace
from twin.scenario.evidence.facts import machine, versions
from twin.scenario.language.actions import Action, HardwareFault
from twin.scenario.language.load import LoadedScenario
from twin.scenario.language.values import NS_PER_S
from twin.scenario.plan import rate_steps
from twin.simulation.inputs import Command, Heal, Start, Throttle
from twin.simulation.policy import Decision
from twin.simulation.world import World
from twin.verdict.dense import tables
from twin.verdict.facts import BrokenEvidence, Row, read_rows, read_sources
from twin.verdict.journal import ATTEMPT
from twin.verdict.manifest import Manifest

__all__ = ["TwinReplay", "replay_twin"]

INPUT = 1
BEFORE = 0
SHOWN = 300
"""Bytes of a payload that diverges."""


@dataclass(slots=True)
class TwinReplay:
    """What became of the comparison. `why_not` says why bits need not be equal here."""

    recorded: str
    replayed: str = ""
    events: int = 0
    divergence: str = ""
    missing: int = 0
    why_not: str = ""

    @property
    def same(self) -> bool:
        """Whether the twin generated the same history."""
        return self.recorded == self.replayed and not self.divergence and not self.missing


@dataclass(slots=True)
class _Comparison:
    """Looks every generated event up in the journal; keeps the first that differs."""

    sources: SourceTable
    journal: dict[tuple[str, int], int]
    found: TwinReplay
    seen: int = 0

    def take(self, events: list[Event]) -> None:
        """Compare what was generated; an event that was never sent is in no journal."""
        self.found.events += len(events)
        for event in events:
            name = self.sources[event.source].name
            recorded = self.journal.get((name, event.seq))
            if recorded is None:
                continue
            self.seen += 1
            if recorded != payload_hash(event.payload) and not self.found.divergence:
                at = event.sim_ns / NS_PER_S
                text = event.payload[:SHOWN].decode(errors="replace")
                self.found.divergence = f"{name}/{event.seq} at {at:.3f} s is now {text}"


@dataclass(slots=True)
class _Agenda:
    """What is due when, in the order in which a run does it."""

    entries: list[tuple[int, int, int, object]] = field(default_factory=list)

    def add(self, sim_ns: int, order: int, what: object) -> None:
        """Add an entry; `order` BEFORE a phase, a malfunction or a command, INPUT after it."""
        self.entries.append((sim_ns, order, len(self.entries), what))

    def __iter__(self) -> Iterator[tuple[int, object]]:
        for sim_ns, _, _, what in sorted(self.entries, key=lambda entry: entry[:3]):
            yield sim_ns, what


def replay_twin(run_dir: Path, manifest: Manifest, loaded: LoadedScenario) -> TwinReplay:
    """Generate the run's events again and compare; raises BrokenEvidence for unreadable inputs."""
    found = TwinReplay(manifest.digest, why_not=_why_not(manifest))
    sources = SourceTable()
    comparison = _Comparison(sources, _journal(run_dir), found)
    world = World(
        loaded.groups,
        seed=manifest.seed,
        epoch_ns=manifest.epoch_ns,
        run_id=manifest.run_id,
        space=SubjectSpace(Layout(manifest.layout), manifest.prefix),
        sources=sources,
        sink=comparison.take,
        shed=comparison.take,
        answer=lambda events: None,
    )
    end_ns = loaded.scenario.duration_ns
    for sim_ns, what in _agenda(run_dir, loaded):
        _live_until(world, min(sim_ns, end_ns))
        _do(world, what)
    _live_until(world, end_ns)
    found.replayed = world.digest()
    found.missing = len(comparison.journal) - comparison.seen
    return found


def _live_until(world: World, end_ns: int) -> None:
    """Let everything before `end_ns` happen."""
    while world.peek_ns() < end_ns:
        world.step()


def _do(world: World, what: object) -> None:
    if isinstance(what, float):
        world.set_rate(what)
    elif isinstance(what, Start | Heal | Command | Throttle):
        world.apply(what)


def _agenda(run_dir: Path, loaded: LoadedScenario) -> _Agenda:
    agenda = _Agenda()
    for step in rate_steps(loaded.scenario, loaded.groups):
        agenda.add(step.start_ns, BEFORE, step.rate)
    events = loaded.scenario.events
    for number, event in enumerate(events, 1):
        if event.at is not None:
            _break(agenda, event.at, number, event.do)
    for row in read_rows(run_dir / "inputs.jsonl"):
        sim_ns = int(str(row.get("sim_ns", 0)))
        if "condition" in row:
            number, fault = int(str(row.get("event"))), int(str(row.get("fault")))
            _break(agenda, sim_ns, fault, events[number - 1].do)
        elif "command" in row:  # it came after that instant, and works at the next beat
            agenda.add(sim_ns + 1, BEFORE, _command(row))
        elif "policy" in row:
            agenda.add(sim_ns, INPUT, _throttle(row))
    return agenda


def _break(agenda: _Agenda, sim_ns: int, number: int, fault: Action) -> None:
    """Add a malfunction under its number in the log of faults; what is none changes no bot."""
    if not isinstance(fault, HardwareFault):
        return
    agenda.add(sim_ns, INPUT, Start(str(number), fault, fault.on))
    if fault.for_ is not None:
        agenda.add(sim_ns + fault.for_, INPUT, Heal(str(number)))


def _throttle(row: Row) -> Throttle:
    found = row["policy"]
    if not isinstance(found, dict):
        raise BrokenEvidence(f"inputs.jsonl: the policy {found!r} is no decision")
    rate = found.get("rate_per_s")
    limit = math.inf if rate is None else float(str(rate))
    return Throttle(str(found.get("group")), Decision(limit, int(str(found.get("sample_down")))))


def _command(row: Row) -> Command:
    text = row.get("payload_hex")
    payload = bytes.fromhex(str(text)) if text is not None else str(row.get("payload", "")).encode()
    return Command(str(row.get("bot", "")), str(row["command"]), payload)


def _journal(run_dir: Path) -> dict[tuple[str, int], int]:
    """Return the payload hash of every attempted event."""
    names = [source.name for source in read_sources(run_dir)]
    return {
        (names[source], seq): digest
        for rows in tables(run_dir / "journal" / "attempted.bin", ATTEMPT)
        for source, seq, digest in zip(
            rows["source"].tolist(), rows["seq"].tolist(), rows["hash"].tolist(), strict=True
        )
    }


def _why_not(manifest: Manifest) -> str:
    """Say what differs here from where the run took place, as far as bits depend on it."""
    compared = ("numpy", "payload_hash")
    here = {name: versions("")[name] for name in compared} | {"simd": str(machine()["simd"])}
    there = {name: manifest.versions.get(name, "") for name in compared}
    there["simd"] = str(manifest.machine.get("simd", ""))
    return "; ".join(
        f"{name} was {there[name] or 'unknown'}, here it is {here[name]}"
        for name in here
        if here[name] != there[name]
    )
