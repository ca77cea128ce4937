"""The schedule: what happens at which instant, in which order, under which load."""

import pytest

from twin.simulation.sampling import COHORTS, SECOND_NS, emissions, sampling_end_ns
from twin.simulation.schedule import Schedule


class Log:
    """A schedule that writes down what it was told to do."""

    def __init__(self, *periods_ns: int) -> None:
        self.lines: list[tuple[int, str]] = []
        self.schedule = Schedule(lambda: self.write("beat"))
        self.schedule.tick(1, lambda dt_s: self.write(f"tick {dt_s:.12g}"))
        for number, period_ns in enumerate(periods_ns):
            self.schedule.every(period_ns, self.channel(number))

    def channel(self, number: int):
        """Return the emission of one channel."""
        return lambda cohort: self.write(f"channel {number} cohort {cohort}")

    def write(self, line: str) -> None:
        """Note a line with its instant."""
        self.lines.append((self.schedule.now_ns, line))

    def run(self, end_ns: int) -> None:
        """Let everything before `end_ns` happen."""
        while self.schedule.peek_ns() < end_ns:
            self.schedule.step()

    def at(self, sim_ns: int) -> list[str]:
        """Return the lines of one instant."""
        return [line for at, line in self.lines if at == sim_ns]


def test_physics_comes_before_the_channels_of_an_instant() -> None:
    """At every whole second comes the beat, the tick, then each channel in its order."""
    log = Log(SECOND_NS, 5 * SECOND_NS)
    log.run(6 * SECOND_NS)
    assert log.at(0) == ["beat", "tick 0", "channel 0 cohort 0", "channel 1 cohort 0"]
    assert log.at(5 * SECOND_NS) == ["beat", "tick 1", "channel 0 cohort 0", "channel 1 cohort 0"]
    assert log.at(SECOND_NS + SECOND_NS // 2) == ["channel 0 cohort 5", "channel 1 cohort 3"]


def test_one_step_is_one_instant() -> None:
    """A step does all of an instant, and peek tells the next one."""
    log = Log(SECOND_NS)
    log.schedule.step()
    assert (log.schedule.now_ns, log.schedule.peek_ns()) == (0, SECOND_NS // COHORTS)


@pytest.mark.parametrize("rate", [5.0, 0.5, 3.0, 0.3, 1.7])
def test_a_rate_multiplies_ticks_and_emissions(rate: float) -> None:
    """Under a load a channel and its physics come so many times as often, after the change."""
    phases = [(4 * SECOND_NS, 1.0), (6 * SECOND_NS, rate), (2 * SECOND_NS, 1.0)]
    log, start = Log(SECOND_NS, 5 * SECOND_NS, 30 * SECOND_NS), 0
    for duration_ns, phase_rate in phases:
        log.run(start)
        log.schedule.set_rate(phase_rate)
        start += duration_ns
    log.run(start)
    end = sampling_end_ns(phases)
    for number, period_ns in enumerate((SECOND_NS, 5 * SECOND_NS, 30 * SECOND_NS)):
        for cohort in range(COHORTS):
            wanted = emissions(end, period_ns, cohort)
            line = f"channel {number} cohort {cohort}"
            assert sum(text == line for _, text in log.lines) == wanted
    instants = [at for at, _ in log.lines]
    assert instants == sorted(instants)


def test_ticks_cover_all_time_whatever_the_load() -> None:
    """The lengths of all ticks add up to the simulated time that went by."""
    log = Log()
    for rate, end in ((1.0, 3), (4.0, 7), (0.3, 20)):
        log.schedule.set_rate(rate)
        log.run(end * SECOND_NS)
    lengths = [float(line.split()[1]) for _, line in log.lines if line.startswith("tick")]
    assert sum(lengths) == pytest.approx(log.lines[-1][0] / SECOND_NS, abs=1e-6)
    assert max(lengths) <= 1


@pytest.mark.parametrize("rate", [1.0, 2.5, 0.3])
def test_faster_physics_keeps_the_beat(rate: float) -> None:
    """Physics at 7 Hz ticks as often as it says, and at every beat."""
    log = Log()
    ticks: list[int] = []
    log.schedule.tick(7, lambda _: ticks.append(log.schedule.now_ns))
    log.schedule.set_rate(rate)
    log.run(10 * SECOND_NS)
    beats = [at for at, line in log.lines if line == "beat"]
    assert set(beats) <= set(ticks)
    assert len(ticks) >= 7 * 10 * rate


def test_work_on_demand_stops_when_it_is_done() -> None:
    """Work that is started runs at its period until it says that nothing is left."""
    log = Log()
    left = [3]

    def work() -> bool:
        left[0] -= 1
        log.write("work")
        return left[0] > 0

    start = log.schedule.while_needed(SECOND_NS // 10, work)
    log.run(SECOND_NS + 1)
    start()
    start()
    log.run(3 * SECOND_NS)
    assert [at for at, line in log.lines if line == "work"] == [
        1_100_000_000,
        1_200_000_000,
        1_300_000_000,
    ]
