"""How many events a healthy fleet is going to emit, worked out before the run."""

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from twin.events.channels import CHANNELS, Cadence
from twin.events.subjects import SubjectSpace
from twin.simulation.fleet import FleetGroup
from twin.simulation.rates import cohorts, custom_period_ns, periods, ticks_per_second
from twin.simulation.sampling import COHORTS, SECOND_NS, SampleClock, emissions, sampling_end_ns
from twin.spec.bot import BotSpec
from twin.spec.params.modes import ModesParams

__all__ = ["natural_rate", "predict"]

Phases = Sequence[tuple[int, float]]

AT_BOOT = {
    "events.v1.bios_status": 1,
    "events.v1.system_mode": 1,
    "events.v1.state": 4,
}
"""What every bot says when it has booted: boot_start, boot_ok, sensor_io_ok, the mode IDLE."""


def predict(groups: Sequence[FleetGroup], space: SubjectSpace, phases: Phases) -> dict[str, int]:
    """Return the least number of events per logical subject, for phases of (sim ns, rate).

    Exact for channels with one event per period, as long as every bot stays well: a bot says
    nothing until it has booted, and then speaks once per period in the turn of its cohort.
    Events per item (tracks) and later changes of state come on top. A fleet that boots slower
    than its spec says, sheds its radar or fails falls below it.
    """
    total: Counter[str] = Counter()
    for group in groups:
        turns = [_per_bot(group.spec, cohort, phases) for cohort in range(COHORTS)]
        for bot, cohort in zip(group.bots, cohorts(group.bots).tolist(), strict=True):
            for key, count in turns[cohort].items():
                total[_subject(group.spec, space, bot, key)] += count
    return {subject: count for subject, count in sorted(total.items()) if count}


def _per_bot(spec: BotSpec, cohort: int, phases: Phases) -> dict[str, int]:
    """Return the events of one bot of a cohort, by channel."""
    booted, end = _booted_ns(spec, phases), sampling_end_ns(phases)
    found = Counter(AT_BOOT if booted < end and spec.profile == "qiki" else {})
    own = {channel.name: custom_period_ns(channel) for channel in spec.event_bus.custom}
    for key, period_ns in (_exact(spec) | own).items():
        if booted < end:
            found[key] += emissions(end, period_ns, cohort) - emissions(booted, period_ns, cohort)
    return found


def _subject(spec: BotSpec, space: SubjectSpace, bot: str, key: str) -> str:
    for channel in spec.event_bus.custom:
        if channel.name == key:
            return channel.subject_of(bot)
    return space.subject(bot, CHANNELS[key].subject)


def _booted_ns(spec: BotSpec, phases: Phases) -> int:
    """Return the sampling time of the tick that ends the boot."""
    boot_s, per_second = spec.params(ModesParams).boot_s, ticks_per_second(spec)
    ends = list(accumulate((duration for duration, _ in phases), initial=0))
    changes = [(start, rate) for start, (_, rate) in zip(ends, phases, strict=False)]
    clock, at, passed_s = SampleClock(), 0, 0.0
    while passed_s < boot_s:
        now = clock.sim_ns(at)
        due = [rate for start, rate in changes if start <= now]
        if due and due[-1] != clock.rate and clock.next_tick_ns(at - 1) == at:
            clock.set_rate(due[-1], now, at)
        following = clock.next_tick_ns(at, per_second)
        passed_s += (following - at) / SECOND_NS / clock.rate
        at = following
    return at


def natural_rate(groups: Sequence[FleetGroup]) -> float:
    """Return how many events per second the fleet emits at its natural rate, once it has booted."""
    total = 0.0
    for group in groups:
        own = (custom_period_ns(channel) for channel in group.spec.event_bus.custom)
        total += len(group.bots) * sum(SECOND_NS / p for p in (*_exact(group.spec).values(), *own))
    return total


def _exact(spec: BotSpec) -> dict[str, int]:
    """Return the channels with one event per period, and their periods in ns."""
    return {k: p for k, p in periods(spec).items() if CHANNELS[k].cadence is Cadence.PERIODIC}
