"""The SimPy side of the world: a beat for inputs, one process per physics, one per channel.

All planes of a shard tick in one process, because they read each other: as processes of
their own they would have to be put in order again at every instant. A channel is one process
that sends a cohort of the bots at a time, so SimPy handles a few hundred events per simulated
second, whatever the size of the fleet. At one instant the beat comes first, then the ticks,
then the channels in the order in which they were added.
"""

import math
from collections.abc import Callable, Generator

import simpy

from twin.simulation.sampling import COHORTS, SECOND_NS, SampleClock

__all__ = ["Schedule"]

BEAT, TICK, CHANNEL, AFTERWARDS = 0, 1, 2, 1_000_000
Waiting = Generator[simpy.Event, None, None]


class _Due(simpy.Event):
    """A timeout that says which of several things due at one instant comes first."""

    def __init__(self, env: simpy.Environment, delay_ns: int, rank: int) -> None:
        super().__init__(env)
        self._ok, self._value = True, None
        env.schedule(self, priority=rank, delay=delay_ns)  # type: ignore[arg-type]  # any int sorts


class Schedule:
    """Calls `on_beat()` at least once per simulated second, ticks and channels as added.

    The beats are the moments at which anything from outside may take effect; changes of the
    load do. Time is simulated nanoseconds, always an int. Add everything before the first step.
    """

    def __init__(self, on_beat: Callable[[], None]) -> None:
        self._env = simpy.Environment(initial_time=0)
        self._clock = SampleClock()
        self._on_beat = on_beat
        self._wanted_rate = 1.0
        self._periodic: list[simpy.Process] = []
        self._channels = 0
        self._env.process(self._beats())

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
        """Change the load at the next beat that has not happened yet."""
        if not 0 < rate < math.inf:
            raise ValueError(f"a rate must be positive, not {rate}")
        self._wanted_rate = rate

    def tick(self, per_second: int, step: Callable[[float], None]) -> None:
        """Add physics: `step(dt_s)` so many times per second of sampling time, or more.

        The first step is at the start with `dt_s` 0; none is longer than one simulated second.
        """
        self._periodic.append(self._env.process(self._ticks(per_second, step)))

    def every(self, period_ns: int, emit: Callable[[int], None]) -> None:
        """Add a channel: `emit` gets the cohorts 0..9 in turn, evenly over each period."""
        rank = CHANNEL + self._channels
        self._channels += 1
        self._periodic.append(self._env.process(self._emission(period_ns, emit, rank)))

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
            yield _Due(self._env, period_ns - self.now_ns % period_ns, AFTERWARDS)
            if not work():
                return

    def _beats(self) -> Waiting:
        at = 0
        while True:
            yield from self._until(at, BEAT)
            if self._wanted_rate != self._clock.rate:
                self._adopt_rate(at)
            self._on_beat()
            at = self._clock.next_tick_ns(at)

    def _adopt_rate(self, sampling_ns: int) -> None:
        self._clock.set_rate(self._wanted_rate, self.now_ns, sampling_ns)
        for process in self._periodic:
            process.interrupt("rate")

    def _ticks(self, per_second: int, step: Callable[[float], None]) -> Waiting:
        before = at = 0
        rate = self._clock.rate
        while True:
            yield from self._until(at, TICK)
            step((at - before) / SECOND_NS / rate)
            rate = self._clock.rate
            before, at = at, self._clock.next_tick_ns(at, per_second)

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
