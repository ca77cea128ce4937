"""How many events a healthy fleet is going to emit, worked out before the run."""

from collections import Counter
from collections.abc import Sequence

from twin.events.channels import CHANNELS, Cadence
from twin.events.subjects import SubjectSpace
from twin.simulation.fleet import FleetGroup
from twin.simulation.rates import cohorts, custom_period_ns, periods, ticks_per_second
from twin.simulation.sampling import COHORTS, SECOND_NS, SampleClock, emissions, sampling_end_ns
from twin.spec.bot import BotSpec
from twin.spec.params.modes import ModesParams

__all__ = ["predict"]

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
    exact = {k: p for k, p in periods(spec).items() if CHANNELS[k].cadence is Cadence.PERIODIC}
    for key, period_ns in (exact | own).items():
        if booted < end:
            found[key] += emissions(end, period_ns, cohort) - emissions(booted, period_ns, cohort)
    return found


def _subject(spec: BotSpec, space: SubjectSpace, bot: str, key: str) -> str:
    for channel in spec.event_bus.custom:
        if channel.name == key:
            return channel.subject_of(bot)
    return space.subject(bot, CHANNELS[key].subject)


def _booted_ns(spec: BotSpec, phases: Phases) -> int:
    """Return the sampling time of the tick that ends the boot, at the rate of the first phase."""
    clock, boot_s = SampleClock(), spec.params(ModesParams).boot_s
    rate = phases[0][1] if phases else 1.0
    if rate != 1:
        clock.set_rate(rate, 0, 0)
    at, passed_s = 0, 0.0
    while passed_s < boot_s:
        following = clock.next_tick_ns(at, ticks_per_second(spec))
        passed_s += (following - at) / SECOND_NS / clock.rate
        at = following
    return at
