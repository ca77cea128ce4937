"""Rounds as the document that is kept, compared and shown: every repeat of every figure."""

from collections.abc import Iterator, Mapping, Sequence

from twin.bench.fields import Field, Measure, Rounds, Spent
from twin.bench.measured import merged
from twin.report.compare import Bench, Metric
from twin.scenario.evidence.facts import machine, versions

__all__ = ["costs_document", "rounds_document"]

UNITS = {"cpu": "us", "p50": "ms", "p95": "ms", "p99": "ms"}
SPENT: tuple[Spent, ...] = ("elapsed", "processor")
LATENCIES: tuple[Measure, ...] = ("p50", "p95", "p99")


def rounds_document(
    rounds: Rounds,
    *,
    began_ns: int,
    machine: dict[str, str | int | float],
    versions: dict[str, str],
    settings: dict[str, str | int | float],
) -> Bench:
    """Return what was measured. A metric is called after what it is of, from wide to narrow:
    `rate{twin;bots=10}`, `cpu{twin;bots=10;server}`, `ratio{twin;nats-py;bots=10;cpu}`,
    `share{chain;store alone;bytes=256;elapsed}`.
    """
    metrics: dict[str, Metric] = {}
    histograms: dict[str, str] = {}
    for point, name in rounds.places():
        at = f"{name};{rounds.field.point}={point}"
        metrics |= dict(_own(rounds, point, name, at))
        if rounds.turns[point, name][0].latencies:
            encoded = (turn.latencies for turn in rounds.turns[point, name])
            histograms[f"latency{{{at}}}"] = merged(encoded)
    metrics |= dict(_ratios(rounds))
    metrics |= dict(_shares(rounds))
    return Bench(
        name=rounds.field.name,
        began_ns=began_ns,
        machine=machine,
        versions=versions,
        settings=settings,
        metrics=metrics,
        histograms=histograms,
    )


def costs_document(
    name: str,
    costs: Mapping[str, Sequence[float]],
    unit: str = "us",
    *,
    began_ns: int,
    settings: dict[str, str | int | float],
) -> Bench:
    """Return processor times, measured here, by what took them, `tracker` or `tracker;calm`."""
    return Bench(
        name=name,
        began_ns=began_ns,
        machine=machine(),
        versions=versions(""),
        settings=settings,
        metrics={
            f"cpu{{{of}}}": Metric(unit=unit, better="lower", samples=tuple(samples))
            for of, samples in costs.items()
        },
    )


def _own(rounds: Rounds, point: int, name: str, at: str) -> Iterator[tuple[str, Metric]]:
    turns = rounds.turns[point, name]
    rates = rounds.samples(point, name, "rate")
    yield f"rate{{{at}}}", Metric(unit="1/s", better="higher", samples=rates)
    for party in turns[0].cpu_s:
        spent = tuple(turn.cpu_us(party) for turn in turns)
        yield f"cpu{{{at};{party}}}", Metric(unit="us", better="lower", samples=spent)
    for party in turns[0].peak_mib:
        peaks = tuple(turn.peak_mib[party] for turn in turns)
        yield f"memory{{{at};{party}}}", Metric(unit="MiB", better="lower", samples=peaks)
    if turns[0].stored_bytes:
        sizes = tuple(turn.stored_bytes for turn in turns)
        yield f"bytes{{{at}}}", Metric(unit="B", better="lower", samples=sizes)
    for latency in LATENCIES if turns[0].latencies else ():
        samples = rounds.samples(point, name, latency)
        yield f"{latency}{{{at}}}", Metric(unit="ms", better="lower", samples=samples)


def _ratios(rounds: Rounds) -> Iterator[tuple[str, Metric]]:
    """Yield how many times better ours is than each other, round by round."""
    field: Field = rounds.field
    ours, *others = field.contenders
    for point in dict.fromkeys(point for point, _ in rounds.places()):
        for other in others:
            for measure in field.compared:
                pair = [rounds.samples(point, name, measure) for name in (ours, other)]
                over, under = pair if measure == "rate" else reversed(pair)
                samples = tuple(one / two for one, two in zip(over, under, strict=True))
                named = f"ratio{{{ours};{other};{field.point}={point};{measure}}}"
                yield named, Metric(unit="", better="higher", samples=samples)


def _shares(rounds: Rounds) -> Iterator[tuple[str, Metric]]:
    """Yield what parts cost in each round, by elapsed and by processor time, in percent."""
    field: Field = rounds.field
    for point in dict.fromkeys(point for point, _ in rounds.places()):
        for share in field.shares:
            for measure in SPENT:
                costs = (rounds.costs(point, name, measure) for name in share[1:])
                samples = tuple(
                    100 * (whole - lacking) / over
                    for whole, lacking, over in zip(*costs, strict=True)
                )
                named = f"share{{{share.part};{share.over};{field.point}={point};{measure}}}"
                yield named, Metric(unit="%", better="lower", samples=samples)
