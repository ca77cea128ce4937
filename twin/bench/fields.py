"""The whole flows that are compared: contenders over a range of points, in turns, each apart.

A turn runs in a process of its own with a nats-server of its own, so that memory is the turn's
and nothing is carried over. Rounds go through all points and contenders; ratios are those of
turns of the same round.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

from twin.bench import flows, looks, plain_flow
from twin.bench.children import said_by
from twin.bench.measured import Measured, quantile_ms
from twin.bench.recording import TRUSTING, UNCHAINED, WHOLE, Fill, Turns, of_bytes, of_fleet
from twin.bench.rig import Rig

__all__ = ["FIELDS", "Contender", "Field", "Measure", "Rounds", "Share", "Spent", "measure"]

Contender: TypeAlias = Callable[[Rig, int, float], Awaitable[Measured]]
"""Takes its turn at a point (bots, bytes, consumers) with some load (seconds, messages, looks)."""
Measure: TypeAlias = Literal["rate", "cpu", "p50", "p95", "p99"]
Spent: TypeAlias = Literal["elapsed", "processor"]


class Share(NamedTuple):
    """What a part costs: a contender less the one that lacks it, over what another takes."""

    part: str
    whole: str
    lacking: str
    over: str


@dataclass(frozen=True, slots=True)
class Field:
    """A comparison: `contenders` by name, ours first; `compared` are the ratios that count.

    One that is given as another's name takes no turn of its own: the other's has it beside.
    """

    name: str
    title: str
    point: str
    points: tuple[int, ...]
    load: float
    load_unit: str
    quick_load: float
    unit: str
    contenders: Mapping[str, Contender | str]
    compared: tuple[Measure, ...]
    shares: tuple[Share, ...] = ()


SHARES: Final = (
    Share("chain", WHOLE, UNCHAINED, WHOLE),
    Share("chain and dedupe", WHOLE, TRUSTING, "twin"),
)


def _recording(fill: Fill) -> Mapping[str, Contender | str]:
    turns = Turns(fill)
    return {
        "twin": turns.registrar,
        "nats-py fetch, JSON lines, no sync": turns.lines,
        WHOLE: turns.stores,
        UNCHAINED: WHOLE,
        TRUSTING: WHOLE,
        "executemany alone, no chain": turns.executemany,
        "chain alone": turns.chain,
    }


FIELDS: Final = {
    field.name: field
    for field in (
        Field(
            name="flow",
            title="End to end, open load: simulated in real time, published, recorded",
            point="bots",
            points=(100, 250),
            load=4.0,
            load_unit="seconds",
            quick_load=1.0,
            unit="event",
            contenders={
                "twin": flows.flow,
                "SimPy a sensor, nats-py, sqlite3": plain_flow.flow,
            },
            compared=("cpu", "p50", "p99"),
        ),
        Field(
            name="scale",
            title="From 10 to 10,000 bots: simulated and published at full speed",
            point="bots",
            points=(10, 100, 1000, 10_000),
            load=40_000.0,
            load_unit="messages",
            quick_load=2_000.0,
            unit="event",
            contenders={"twin": flows.scale, "SimPy a sensor, nats-py": plain_flow.scale},
            compared=("rate", "cpu"),
        ),
        Field(
            name="payload",
            title="By payload: ready-made events, published in order",
            point="bytes",
            points=(64, 1024, 16_384),
            load=20_000.0,
            load_unit="messages",
            quick_load=1_000.0,
            unit="event",
            contenders={
                "twin": flows.published,
                "nats-py publish_async": plain_flow.published,
            },
            compared=("rate", "cpu"),
        ),
        Field(
            name="registrar",
            title="Recorded on one core: 256 bytes of payload from 2,000 sources",
            point="bytes",
            points=(256,),
            load=100_000.0,
            load_unit="messages",
            quick_load=2_000.0,
            unit="event",
            contenders=_recording(of_bytes),
            compared=("rate", "cpu"),
            shares=SHARES,
        ),
        Field(
            name="registrar-fleet",
            title="Recorded on one core: what a fleet emits by default",
            point="bots",
            points=(1000,),
            load=100_000.0,
            load_unit="messages",
            quick_load=2_000.0,
            unit="event",
            contenders=_recording(of_fleet),
            compared=("rate", "cpu"),
            shares=SHARES,
        ),
        Field(
            name="lag",
            title="Looks at consumers, each of them behind",
            point="consumers",
            points=(100, 1000),
            load=5.0,
            load_unit="looks",
            quick_load=2.0,
            unit="consumer",
            contenders={
                "twin": looks.sampled,
                "nats-py consumer_info, 32 at once": looks.at_once,
                "nats-py consumer_info": looks.one_by_one,
            },
            compared=("rate", "cpu"),
        ),
    )
}


@dataclass(slots=True)
class Rounds:
    """The turns of every contender at every point, round by round."""

    field: Field
    turns: dict[tuple[int, str], list[Measured]]

    def samples(self, point: int, contender: str, measure: Measure) -> tuple[float, ...]:
        """Return one figure of each round: units/s, us of all processes per unit, or ms."""
        turns = self.turns[point, contender]
        if measure == "rate":
            return tuple(turn.rate for turn in turns)
        if measure == "cpu":
            return tuple(turn.cpu_us() for turn in turns)
        return tuple(quantile_ms(turn.latencies, float(measure[1:])) for turn in turns)

    def costs(self, point: int, contender: str, measure: Spent) -> tuple[float, ...]:
        """Return what a unit took in each round, in us: elapsed, or of the recorder's processor."""
        turns = self.turns[point, contender]
        if measure == "elapsed":
            return tuple(1e6 / turn.rate for turn in turns)
        return tuple(
            turn.cpu_us("registrar" if "registrar" in turn.cpu_s else "client") for turn in turns
        )

    @property
    def nats_server(self) -> str:
        """The version of nats-server."""
        return next(iter(self.turns.values()))[0].nats_server

    def places(self) -> Iterator[tuple[int, str]]:
        """Yield points and contenders in the order of their turns."""
        yield from self.turns


async def measure(
    field: Field, points: tuple[int, ...], load: float, rounds: int, tell: Callable[[str], None]
) -> Rounds:
    """Let everybody take turns; raises ProcessFailed with what a turn that failed has said.

    Every other round goes backwards: what a turn leaves to the next falls on both sides.
    """
    found = Rounds(field, {(point, name): [] for point in points for name in field.contenders})
    for number in range(rounds):
        places = [one for one in found.places() if callable(field.contenders[one[1]])]
        for point, name in places if number % 2 == 0 else reversed(places):
            tell(f"round {number + 1} of {rounds}: {name}, {point:,} {field.point}")
            taken = await _turn(field, name, point, load)
            for each, measured in ((name, taken), *taken.beside.items()):
                found.turns[point, each].append(measured)
    return found


async def _turn(field: Field, name: str, point: int, load: float) -> Measured:
    words = (field.name, name, point, load)
    output = await said_by("twin.bench.apart", *words, whose=f"{name} at {point} {field.point}")
    return Measured.model_validate_json(output)
