"""The SimPy side of the world: one process that ticks the physics, one per channel.

All bots of a shard tick in one process, because planes read each other: as processes of
their own they would have to be put in order again at every instant. A channel is one process
that sends a cohort of the bots at a time, so SimPy handles a few hundred events per simulated
second, whatever the size of the fleet. At one instant the tick comes first, then the channels
in the order in which they were added.
"""

import math
from collections.abc import Callable, Generator

import simpy

from twin.simulation.sampling import COHORTS, SECOND_NS, SampleClock

__all__ = ["Schedule"]

TICK_RANK = 0
Waiting = Generator[simpy.Event, None, None]


class _Due(simpy.Event):
    """A timeout that says which of several things due at one instant comes first."""

    def __init__(self, env: simpy.Environment, delay_ns: int, rank: int) -> None:
        super().__init__(env)
        self._ok, self._value = True, None
        env.schedule(self, priority=rank, delay=delay_ns)  # type: ignore[arg-type]  # any int sorts


class Schedule:
    """Calls `on_tick(dt_s)` at every tick of physics and `emit(cohort)` for each channel.

    The first tick, at the start, has `dt_s` 0. Time is simulated nanoseconds, always an int.
    """

    def __init__(self, on_tick: Callable[[float], None]) -> None:
        self._env = simpy.Environment(initial_time=0)
        self._clock = SampleClock()
        self._on_tick = on_tick
        self._wanted_rate = 1.0
        self._channels: list[simpy.Process] = []
        self._env.process(self._ticks())

    @property
    def now_ns(self) -> int:
        """Simulated time of the last instant."""
        return int(self._env.now)

    @property
    def rate(self) -> float:
        """The load now: sampling seconds per simulated second."""
        return self._clock.rate

    def peek_ns(self) -> int:
        """Return the next instant."""
        return int(self._env.peek())

    def step(self) -> None:
        """Let everything of the next instant happen."""
        instant = self._env.peek()
        while self._env.peek() == instant:
            self._env.step()

    def set_rate(self, rate: float) -> None:
        """Change the load at the next tick that has not happened yet."""
        if not 0 < rate < math.inf:
            raise ValueError(f"a rate must be positive, not {rate}")
        self._wanted_rate = rate

    def every(self, period_ns: int, emit: Callable[[int], None]) -> None:
        """Add a channel: `emit` gets the cohorts 0..9 in turn, evenly over each period."""
        rank = TICK_RANK + 1 + len(self._channels)
        self._channels.append(self._env.process(self._emission(period_ns, emit, rank)))

    def while_needed(self, period_ns: int, work: Callable[[], bool]) -> Callable[[], None]:
        """Return a function that starts calling `work` each period until it returns False.

        The calls come after everything else of their instant, at multiples of the period of
        simulated time. While nothing is needed, it costs nothing.
        """
        running: list[simpy.Process] = []

        def start() -> None:
            if not running or not running[0].is_alive:
                running[:] = [self._env.process(self._while_needed(period_ns, work))]

        return start

    def _while_needed(self, period_ns: int, work: Callable[[], bool]) -> Waiting:
        while True:
            yield _Due(self._env, period_ns - self.now_ns % period_ns, 1_000_000)
            if not work():
                return

    def _ticks(self) -> Waiting:
        before = at = 0
        while True:
            yield from self._until(at, TICK_RANK)
            dt_s = (at - before) / SECOND_NS / self._clock.rate
            self._adopt_rate(at)
            self._on_tick(dt_s)
            before, at = at, self._clock.next_tick_ns(at)

    def _adopt_rate(self, sampling_ns: int) -> None:
        if self._wanted_rate == self._clock.rate:
            return
        self._clock.set_rate(self._wanted_rate, self.now_ns, sampling_ns)
        for channel in self._channels:
            channel.interrupt("rate")

    def _emission(self, period_ns: int, emit: Callable[[int], None], rank: int) -> Waiting:
        frame = 0
        while True:
            for cohort in range(COHORTS):
                yield from self._until(frame + cohort * (period_ns // COHORTS), rank)
                emit(cohort)
            frame += period_ns

    def _until(self, sampling_ns: int, rank: int) -> Waiting:
        """Wait for a moment of sampling time; look again whenever the rate changes."""
        while True:
            delay_ns = max(0, self._clock.sim_ns(sampling_ns) - self.now_ns)
            try:
                yield _Due(self._env, delay_ns, rank)
            except simpy.Interrupt:
                continue
            return
