"""Publishing and consuming beside the alternatives, in turns on one server.

A machine that is busy with other things treats all contenders alike when they take turns;
so each is measured once a round, and the ratio of two is the median of the rounds' ratios.
"""

import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import orjson

from twin.bench import nats_py, ours
from twin.bench.children import TURN_S, said_by
from twin.bench.libnats import LibNats
from twin.bench.raw import raw_socket
from twin.bench.rig import Clock, Rig, Turn
from twin.errors import InfrastructureError

__all__ = ["FLOORS", "Contender", "Floor", "Outcome", "contenders", "measure"]

_SLOWEST = 1000
"""Messages a second, prepared and published, below which a turn has come to a standstill."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do what its group is about; slow ones get a part of the messages only.

    `apart`: its turns need a process of their own; otherwise it starts one itself.
    """

    group: str
    name: str
    run: Callable[[Rig, int, str], Awaitable[Turn]]
    part: float = 1.0
    apart: bool = True


@dataclass(frozen=True, slots=True)
class Floor:
    """`ratio` is what the rate of `name` over that of `base` should be at least."""

    name: str
    base: str
    ratio: float


FLOORS = (
    Floor("twin, pipelined", "nats-py publish_async", 4.0),
    Floor("twin, ordered", "nats-py publish_async", 4.0),
    Floor("twin, pipelined", "nats-py one by one", 30.0),
    Floor("twin, pipelined", "raw socket, no accounts", 0.8),
    Floor("twin, simulated", "nats-py publish_async", 3.0),
    Floor("twin, simulated", "nats-py publish_async, fleet", 3.0),
    Floor("twin, encoded", "libnats js_PublishMsgAsync", 1.2),
    Floor("twin, fetched", "nats-py fetch(1000)", 8.0),
    Floor("twin, audited", "nats-py publish_async + fetch", 2.0),
    Floor("twin, audited", "nats-py publish_async + fetch, fleet", 2.0),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The turns of every contender, round by round."""

    turns: Mapping[str, tuple[Turn, ...]]

    def rate(self, name: str) -> float:
        """Return the median messages per second."""
        return statistics.median(turn.rate for turn in self.turns[name])

    def cpu_us(self, name: str) -> dict[str, float]:
        """Return the median processor time per message of each party, in microseconds."""
        each = [turn.cpu_us() for turn in self.turns[name]]
        return {party: statistics.median(one[party] for one in each) for party in each[0]}

    def ratio(self, name: str, base: str) -> float:
        """Return the median over the rounds of one rate over the other."""
        pairs = zip(self.turns[name], self.turns[base], strict=True)
        return statistics.median(one.rate / other.rate for one, other in pairs)

    def floors(self) -> Iterable[tuple[Floor, float]]:
        """Yield the floors of which both sides ran, each with the ratio that was reached."""
        for floor in FLOORS:
            if floor.name in self.turns and floor.base in self.turns:
                yield floor, self.ratio(floor.name, floor.base)


def contenders(only: Iterable[str], libnats: LibNats | None) -> list[Contender]:
    """Return the contenders of the groups named in `only`, all without one, in turn order."""
    wanted = set(only)
    every = [
        Contender("publish", "nats-py publish_async", nats_py.publish_async, 1 / 3),
        Contender(
            "publish",
            "nats-py publish_async, fleet",
            partial(nats_py.publish_async, ready=ours.emitted),
            1 / 3,
        ),
        Contender("publish", "nats-py one by one", nats_py.one_by_one, 1 / 20),
        Contender("publish", "raw socket, no accounts", raw_socket),
        Contender("publish", "twin, ordered", ours.publish),
        Contender("publish", "twin, pipelined", partial(ours.publish, pipelined=True)),
        Contender("publish", "twin, public API", partial(ours.publish, wire="public"), 1 / 3),
        Contender("publish", "twin, encoded", ours.encode),
        Contender("publish", "twin, simulated", ours.simulate),
        Contender("consume", "nats-py fetch(1000)", nats_py.fetch, 1 / 3),
        Contender("consume", "twin, fetched", ours.consume),
        Contender(
            "consume", "twin, fetched, public API", partial(ours.consume, wire="public"), 1 / 3
        ),
        Contender("audit", "nats-py publish_async + fetch", nats_py.async_and_fetch, 1 / 3),
        Contender(
            "audit",
            "nats-py publish_async + fetch, fleet",
            partial(nats_py.async_and_fetch, ready=ours.emitted),
            1 / 3,
        ),
        Contender("audit", "twin, audited", ours.audit),
    ]
    if libnats is not None:
        every.insert(
            3, Contender("publish", "libnats js_PublishMsgAsync", libnats.publish, apart=False)
        )
    return [one for one in every if not wanted or one.group in wanted]


async def measure(
    rig: Rig,
    field: Iterable[Contender],
    messages: int,
    rounds: int,
    tell: Callable[[str], None],
) -> Outcome:
    """Let everybody take turns; after each, the stream holds exactly what was published.

    Raises InfrastructureError when it does not. `tell` hears whose turn it is. Every other
    round goes backwards: what a turn leaves to the next (files to be written and deleted, a
    server's garbage) falls on both sides of a ratio.
    """
    field = list(field)
    turns: dict[str, list[Turn]] = {one.name: [] for one in field}
    for number in range(rounds):
        for place, one in enumerate(field if number % 2 == 0 else reversed(field)):
            tell(f"round {number + 1} of {rounds}: {one.name}")
            count = max(1, round(messages * one.part))
            await rig.fresh()
            take = partial(_turn_apart, one.name) if one.apart else one.run
            turn = await take(rig, count, f"{time.time_ns()}-{number}-{place}")
            if (stored := await rig.stored()) != count:
                raise InfrastructureError(f"{one.name}: {stored} stored of {count}.")
            turns[one.name].append(turn)
    return Outcome({name: tuple(taken) for name, taken in turns.items()})


async def _turn_apart(name: str, rig: Rig, count: int, run: str) -> Turn:
    server = rig.server
    words = (name, count, run, rig.folder, server.url, server.port, server.pid)
    most_s = TURN_S + count / _SLOWEST
    output = await said_by("twin.bench.traffic_turn", *words, whose=name, most_s=most_s)
    return Turn(count, Clock(**orjson.loads(output)))
