"""The grammar of thresholds: `metric{tag:value,...}` and `p(99)<250ms`, as k6 writes them.

`parse_threshold` reads one pair; errors are ValueErrors that name the remedy, so that
pydantic models and the command line can place them. `METRICS` says what can be measured.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "METRICS",
    "WALL_METRICS",
    "Expression",
    "Kind",
    "Metric",
    "Selector",
    "Threshold",
    "parse_expression",
    "parse_selector",
    "parse_threshold",
    "parse_thresholds",
]


class Kind(StrEnum):
    """How a metric's samples are summed up."""

    TREND = "trend"  # one value per event
    GAUGE = "gauge"  # one value per poll
    COUNTER = "counter"  # a count; `rate` is per second
    RATIO = "ratio"  # a count; `rate` is the part of all generated events


@dataclass(frozen=True, slots=True)
class Metric:
    """Something that a run measures. `unit` is the unit of bare numbers."""

    name: str
    kind: Kind
    unit: str
    tags: tuple[str, ...]
    text: str


EVENT_TAGS = ("phase", "subject")
CONSUMER_TAGS = ("phase", "consumer", "stream")
STATISTICS = ("avg", "min", "max", "med", "p", "last", "recovery")
TREND_STATISTICS = tuple(name for name in STATISTICS if name != "last")

METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "publish_latency",
            Kind.TREND,
            "ms",
            EVENT_TAGS,
            "From the intended publish time to the acknowledgement, or to giving up.",
        ),
        Metric(
            "end_to_end_latency",
            Kind.TREND,
            "ms",
            (*EVENT_TAGS, "observer"),
            "From the intended publish time to the first durable record of an observer.",
        ),
        Metric(
            "schedule_slip",
            Kind.TREND,
            "ms",
            EVENT_TAGS,
            "How late the generator handed an event over.",
        ),
        Metric("events", Kind.COUNTER, "", EVENT_TAGS, "Events generated."),
        Metric("events_acknowledged", Kind.COUNTER, "", EVENT_TAGS, "Events acknowledged."),
        Metric("publish_unknown", Kind.RATIO, "", EVENT_TAGS, "Outcome unknown at the publisher."),
        Metric("publish_refused", Kind.RATIO, "", EVENT_TAGS, "Refused by the server."),
        Metric("publish_shed", Kind.RATIO, "", EVENT_TAGS, "Shed by a bot before publishing."),
        Metric("consumer_backlog", Kind.GAUGE, "", CONSUMER_TAGS, "Pending plus ack pending."),
        Metric("consumer_ack_pending", Kind.GAUGE, "", CONSUMER_TAGS, "Delivered, not acked."),
        Metric(
            "consumer_time_lag",
            Kind.GAUGE,
            "s",
            CONSUMER_TAGS,
            "Age of the oldest message that is stored and not yet processed.",
        ),
        Metric(
            "consumer_ack_latency",
            Kind.TREND,
            "ms",
            CONSUMER_TAGS,
            "From a delivery to its acknowledgement, of watched consumers with `ack_latency`.",
        ),
        Metric("consumer_redeliveries", Kind.GAUGE, "", CONSUMER_TAGS, "Redelivered and open."),
    )
}

ALLOWED = {
    Kind.TREND: TREND_STATISTICS,
    Kind.GAUGE: STATISTICS,
    Kind.COUNTER: ("count", "rate"),
    Kind.RATIO: ("count", "rate"),
}
WALL_METRICS = (
    "publish_latency",
    "end_to_end_latency",
    "schedule_slip",
    "consumer_time_lag",
    "consumer_ack_latency",
)
"""Metrics that mean nothing without a wall clock that the run kept to."""
SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
MULTIPLES = {"": 1.0, "k": 1e3, "M": 1e6}
SELECTOR = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(?:\{([^{}]*)\})?\s*")
EXPRESSION = re.compile(
    r"\s*([a-z]+)\s*(?:\(\s*([0-9.]+)\s*\))?\s*(<=|>=|==|!=|<|>)\s*"
    r"(-?[0-9]+(?:\.[0-9]+)?(?:[eE][0-9]+)?)\s*([A-Za-zµ%/]*)\s*"
)
GRAMMAR = "write a statistic, a comparison and a number, as in p(99)<250ms or max<10k"


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric, and the tags that its samples must carry."""

    metric: Metric
    tags: tuple[tuple[str, str], ...] = ()

    def tag(self, name: str) -> str | None:
        """Return the value that is asked of a tag, or None when any will do."""
        return dict(self.tags).get(name)

    def __str__(self) -> str:
        inside = ",".join(f"{name}:{value}" for name, value in self.tags)
        return f"{self.metric.name}{{{inside}}}" if inside else self.metric.name


@dataclass(frozen=True, slots=True)
class Expression:
    """`statistic comparison value unit`; `percentile` only with `p`."""

    statistic: str
    percentile: float | None
    comparison: str
    value: float
    unit: str
    text: str

    @property
    def name(self) -> str:
        """The statistic as it is written: `p(99)`, `max`."""
        return self.statistic if self.percentile is None else f"p({self.percentile:g})"


@dataclass(frozen=True, slots=True)
class Threshold:
    """One expression on one selection; `limit` and `unit` are in the metric's own unit."""

    selector: Selector
    expression: Expression
    limit: float
    unit: str

    def holds(self, measured: float) -> bool:
        """Compare a measured value with the limit; NaN never holds."""
        return {
            "<": measured < self.limit,
            "<=": measured <= self.limit,
            ">": measured > self.limit,
            ">=": measured >= self.limit,
            "==": measured == self.limit,
            "!=": measured == measured and measured != self.limit,  # noqa: PLR0124 - not NaN
        }[self.expression.comparison]

    def __str__(self) -> str:
        return f"{self.selector}: {self.expression.text}"


def parse_selector(text: str) -> Selector:
    """Read `metric{tag:value,...}`; raises ValueError with a remedy."""
    match = SELECTOR.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no metric: write metric{{tag:value}}")
    metric = METRICS.get(match[1])
    if metric is None:
        raise ValueError(f"there is no metric {match[1]!r}{_hint(match[1], METRICS)}")
    tags: dict[str, str] = {}
    for part in (match[2] or "").split(",") if (match[2] or "").strip() else ():
        name, colon, value = (piece.strip() for piece in part.partition(":"))
        if not (name and colon and value):
            raise ValueError(f"{part.strip()!r} in {text!r} is no tag: write tag:value")
        if name not in metric.tags:
            raise ValueError(f"{metric.name} has no tag {name!r}{_hint(name, metric.tags)}")
        if name in tags:
            raise ValueError(f"tag {name!r} is given twice in {text!r}")
        tags[name] = value
    return Selector(metric, tuple(sorted(tags.items())))


def parse_expression(text: str) -> Expression:
    """Read `p(99)<250ms`; raises ValueError with a remedy."""
    match = EXPRESSION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no threshold: {GRAMMAR}")
    statistic, argument, comparison, number, unit = match.groups()
    known = (*STATISTICS, "count", "rate")
    if statistic not in known:
        raise ValueError(
            f"there is no statistic {statistic!r} in {text!r}{_hint(statistic, known)}"
        )
    if (statistic == "p") != (argument is not None):
        raise ValueError(f"{text!r}: write p(95) for a percentile, {statistic} without a number")
    percentile = _percentile(argument, text) if argument is not None else None
    if unit and unit not in (*SECONDS, *MULTIPLES, "%", "/s", "k/s", "M/s"):
        raise ValueError(f"{text!r} has an unknown unit {unit!r}: use us, ms, s, m, %, k, M or /s")
    return Expression(
        statistic, percentile, comparison, float(number), unit, re.sub(r"\s+", "", text)
    )


def parse_threshold(selector: str, expression: str) -> Threshold:
    """Read both parts and check that they fit together; raises ValueError with a remedy."""
    what, term = parse_selector(selector), parse_expression(expression)
    kind = what.metric.kind
    if term.statistic not in ALLOWED[kind]:
        raise ValueError(
            f"{what.metric.name} is a {kind} and has no {term.statistic}: "
            f"use {', '.join(ALLOWED[kind])}"
        )
    unit = _unit(what.metric, term.statistic)
    return Threshold(what, term, _convert(term, unit, what.metric.name), unit)


def parse_thresholds(thresholds: Mapping[str, Iterable[str]]) -> tuple[Threshold, ...]:
    """Read a scenario's `thresholds` block, in order; raises ValueError with a remedy."""
    return tuple(
        parse_threshold(selector, expression)
        for selector, expressions in thresholds.items()
        for expression in expressions
    )


def _unit(metric: Metric, statistic: str) -> str:
    if statistic == "recovery":
        return "s"
    if statistic == "rate":
        return "/s" if metric.kind is Kind.COUNTER else "%"
    return metric.unit


def _convert(term: Expression, unit: str, name: str) -> float:
    """Return the limit in `unit`; a ratio is a fraction, also where it is written in percent."""
    value, written = term.value, term.unit
    if unit == "%" and written in ("", "%"):
        return value / 100 if written else value
    if unit in SECONDS and written in SECONDS:
        return value * SECONDS[written] / SECONDS[unit]
    if unit in SECONDS and not written:
        return value
    multiple = written.removesuffix("/s") if unit == "/s" else written
    if unit in ("", "/s") and multiple in MULTIPLES:
        return value * MULTIPLES[multiple]
    meant = {"": "a count", "/s": "a number per second", "%": "a fraction or a percentage"}
    raise ValueError(
        f"{term.text!r}: {term.name} of {name} is {meant.get(unit, 'a time')}, "
        f"which {written!r} does not measure"
    )


def _percentile(text: str, whole: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise ValueError(f"{whole!r}: a percentile is a number from 0 to 100")
    return value


def _hint(word: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(names)}"
