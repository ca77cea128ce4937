"""A world and what it emitted, for the tests of the simulation."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from twin.events.channels import channel_for
from twin.events.event import Event, SourceTable
from twin.events.subjects import SubjectSpace
from twin.simulation.fleet import FleetGroup
from twin.simulation.sampling import SECOND_NS
from twin.simulation.world import World

__all__ = ["EPOCH_NS", "STATE", "Run", "State"]

EPOCH_NS = 1_767_225_600 * SECOND_NS
STATE = "qiki.events.v1.state"


@dataclass(frozen=True)
class State:
    """One state change, as it was sent."""

    bot: str
    sim_ns: int
    kind: str
    subject: str
    before: str
    after: str
    reason: str


class Run:
    """A world, and what it emitted."""

    def __init__(
        self, groups: Sequence[FleetGroup], *, seed: int = 1, space: SubjectSpace | None = None
    ) -> None:
        self.events: list[Event] = []
        self.shed: list[Event] = []
        self.answers: list[Event] = []
        self.sources = SourceTable()
        self.world = World(
            groups,
            seed=seed,
            epoch_ns=EPOCH_NS,
            run_id="test-run",
            space=space or SubjectSpace(),
            sources=self.sources,
            sink=self.events.extend,
            shed=self.shed.extend,
            answer=self.answers.extend,
        )

    def until(self, seconds: float) -> "Run":
        """Let everything before so many simulated seconds happen."""
        self.world.run_until(round(seconds * SECOND_NS))
        return self

    def by_subject(self) -> Counter[str]:
        """Count the events of each subject."""
        return Counter(self.sources[event.source].subject for event in self.events)

    def key(self, event: Event) -> str:
        """Return the key of an event's channel."""
        channel = channel_for(self.sources[event.source].subject)
        assert channel is not None
        return channel.key

    def select(self, keep: Callable[[str, str], bool]) -> list[Event]:
        """Return the events whose bot and channel key are wanted."""
        return [e for e in self.events if keep(self.sources[e.source].bot, self.key(e))]

    def payloads(self, bot: str, key: str) -> list[dict[str, Any]]:
        """Return what a bot said on a channel."""
        wanted = self.select(lambda b, k: (b, k) == (bot, key))
        return [orjson.loads(event.payload) for event in wanted]

    def states(self, *kinds: str) -> list[State]:
        """Return the state changes of some kinds, in the order in which they were sent."""
        found = []
        for event in self.select(lambda _, key: key == "events.v1.state"):
            payload = orjson.loads(event.payload)
            if payload["kind"] in kinds:
                words = (payload[name] for name in ("kind", "subject", "from", "to"))
                bot, reason = self.sources[event.source].bot, payload.get("reason", "")
                found.append(State(bot, event.sim_ns, *words, reason))
        return found
