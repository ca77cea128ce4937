"""The world end to end: physics, encoding and digest of a fleet, beside the usual way.

`python benchmarks/bench_world.py` simulates 1,000 and 10,000 bots and prints, per fleet,
events and simulated seconds per second of processor time, and how the time divides; then one
SimPy process per bot and sensor, as such a twin is usually written, for the same channels.
Time is CPU time of this process (the machine may be shared); rounds alternate, medians count.
"""

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from twin.bench.plain import PlainFleet
from twin.events.event import Event, SourceTable
from twin.events.subjects import SubjectSpace
from twin.simulation.emitters import Emitter
from twin.simulation.fleet import FleetGroup
from twin.simulation.rates import periods
from twin.simulation.sampling import SECOND_NS
from twin.simulation.world import World
from twin.spec.load import load_spec

EPOCH_NS = 1_767_225_600 * SECOND_NS
BOOT_S = 2


@dataclass
class Score:
    """What one round did in its measured seconds."""

    events: int = 0
    cpu_s: float = 0.0

    @property
    def rate(self) -> float:
        """Events per second of processor time."""
        return self.events / self.cpu_s


@contextmanager
def timed(score: Score) -> Iterator[None]:
    """Count the processor time of what happens inside, without garbage of what was before."""
    gc.collect()
    gc.freeze()
    before = time.process_time()
    yield
    score.cpu_s = time.process_time() - before
    gc.unfreeze()


def world_of(bots: int, taken: list[int]) -> World:
    """Return a fleet of the platform's bots whose events are counted and dropped."""

    def count(events: list[Event]) -> None:
        taken[0] += len(events)

    return World(
        [FleetGroup("bench", load_spec("builtin:BotSpec"), bots)],
        seed=1,
        epoch_ns=EPOCH_NS,
        run_id="bench",
        space=SubjectSpace(),
        sources=SourceTable(),
        sink=count,
    )


def ours(bots: int, seconds: int) -> Score:
    """Simulate a fleet after its boot."""
    taken, score = [0], Score()
    world = world_of(bots, taken)
    world.run_until(BOOT_S * SECOND_NS)
    taken[0] = 0
    with timed(score):
        world.run_until((BOOT_S + seconds) * SECOND_NS)
    score.events = taken[0]
    return score


def divided(bots: int, seconds: int) -> dict[str, float]:
    """Return the share of the time of physics, encoding and digest, in a round of its own."""
    world, spent = world_of(bots, [0]), dict.fromkeys(("physics", "encoding", "digest"), 0.0)
    [squad] = world.squads
    world.run_until(BOOT_S * SECOND_NS)

    def measured(part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            before = time.process_time()
            result = work(*arguments)
            spent[part] += time.process_time() - before
            return result

        return run

    squad.hw.step = measured("physics", squad.hw.step)  # type: ignore[method-assign]
    exits = squad._exits
    object.__setattr__(exits, "generated", measured("digest", exits.generated))
    squad.emitters[:] = [
        Emitter(e.keys, e.period_ns, measured("encoding", e.encode), e.speaking)
        for e in squad.emitters
    ]
    score = Score()
    with timed(score):
        world.run_until((BOOT_S + seconds) * SECOND_NS)
    shares = {part: time_s / score.cpu_s for part, time_s in spent.items()}
    return {**shares, "the rest": 1 - sum(shares.values())}


def plain(bots: int, seconds: int) -> Score:
    """Simulate the same channels with one process per bot and sensor."""
    score, taken = Score(), [0]

    def send(subject: str, body: bytes, headers: dict[str, str]) -> None:
        block = b"".join(f"{name}: {value}\r\n".encode() for name, value in headers.items())
        taken[0] += bool(body) and bool(block)

    environment = PlainFleet(bots, "bench", send).environment
    environment.run(until=1)
    taken[0] = 0
    with timed(score):
        environment.run(until=1 + seconds)
    score.events = taken[0]
    return score


def report(bots: int, seconds: int, rounds: int) -> None:
    """Measure one size of fleet and print it."""
    pairs = [(ours(bots, seconds), plain(bots, seconds)) for _ in range(rounds)]
    fast = statistics.median(score.rate for score, _ in pairs)
    slow = statistics.median(score.rate for _, score in pairs)
    middle = sorted((score for score, _ in pairs), key=lambda score: score.rate)[rounds // 2]
    print(f"{bots:,} bots, {len(periods(load_spec('builtin:BotSpec')))} channels")
    print(
        f"  world: {fast:9,.0f} events/s, {seconds / middle.cpu_s:5.1f} simulated s per CPU s "
        f"({middle.events / seconds:,.0f} events per simulated s)"
    )
    shares = ", ".join(f"{part} {share:.0%}" for part, share in divided(bots, seconds).items())
    print(f"         {shares}")
    print(f"  plain: {slow:9,.0f} events/s; the world does {fast / slow:.1f} times as many")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bots", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--seconds", type=int, default=5, help="simulated seconds per round")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    for bots in given.bots:
        report(bots, given.seconds, given.rounds)


if __name__ == "__main__":
    main()
