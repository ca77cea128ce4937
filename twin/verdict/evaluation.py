"""Thresholds against measurements: the measured value, its window, and whether it holds."""

import difflib
from dataclasses import dataclass, replace

import numpy as np

from twin.verdict.dense import Bools
from twin.verdict.facts import Fault, LagSeries
from twin.verdict.ledger import STREAM
from twin.verdict.manifest import Manifest
from twin.verdict.measure import Events, Floats, Selected, phase_walls, read_acks, select_lag
from twin.verdict.recovery import NothingMeasured, longest_recovery_s
from twin.verdict.thresholds import Kind, Selector, Threshold

__all__ = ["Evaluated", "Evaluator", "statistic"]

ACK_LATENCY = "consumer_ack_latency"
NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A threshold and what was measured; `ok` is None when nothing was measured, see `note`."""

    threshold: Threshold
    measured: float | None
    ok: bool | None
    window: str
    samples: int
    note: str = ""


class Evaluator:
    """Evaluates the thresholds of one run, metric by metric."""

    def __init__(
        self,
        manifest: Manifest,
        events: Events,
        lag: list[LagSeries],
        faults: list[Fault],
    ) -> None:
        self._manifest = manifest
        self._events = events
        self._lag = lag
        self._faults = [fault for fault in faults if fault.fired]

    def evaluate(self, thresholds: tuple[Threshold, ...]) -> list[Evaluated]:
        """Return one result for each threshold, in the given order."""
        by_plane = sorted(range(len(thresholds)), key=lambda i: str(thresholds[i].selector.metric))
        results = {index: self._one(thresholds[index]) for index in by_plane}
        return [results[index] for index in range(len(thresholds))]

    def _one(self, threshold: Threshold) -> Evaluated:
        window = ""
        try:
            phases = self._phases(threshold.selector)
            window = self._window(threshold, phases)
            measured, samples = self._measure(threshold, phases)
        except NothingMeasured as error:
            return Evaluated(threshold, None, None, window, 0, str(error))
        return Evaluated(threshold, measured, threshold.holds(measured), window, samples)

    def _phases(self, selector: Selector) -> tuple[int, ...]:
        """Return the phases that a selector covers: its own, or all that are measured."""
        wanted = selector.tag("phase")
        phases = self._manifest.phases
        if wanted is None:
            return tuple(i for i, phase in enumerate(phases) if phase.measure)
        found = tuple(i for i, phase in enumerate(phases) if phase.name == wanted)
        if not found:
            raise NothingMeasured(_no_such("phase", wanted, [phase.name for phase in phases]))
        return found

    def _window(self, threshold: Threshold, phases: tuple[int, ...]) -> str:
        if threshold.expression.statistic == "recovery":
            return "the time after " + ", ".join(fault.fault for fault in self._faults)
        spans = [self._manifest.phases[index] for index in phases]
        return ", ".join(
            f"{span.name} ({span.start_sim_ns / NS:g} s to {span.end_sim_ns / NS:g} s)"
            for span in spans
        )

    def _measure(self, threshold: Threshold, phases: tuple[int, ...]) -> tuple[float, int]:
        kind = threshold.selector.metric.kind
        if threshold.expression.statistic == "recovery":
            return self._recovery(threshold.selector)
        if kind in (Kind.COUNTER, Kind.RATIO):
            return self._count(threshold, phases)
        if kind is Kind.GAUGE:
            values = self._gauge(threshold, phases)
        elif threshold.selector.metric.name == ACK_LATENCY:
            values = self._acks(threshold.selector, phases)
        else:
            mask = self._events.mask(phases, self._subject(threshold.selector))
            observer = self._timely(threshold.selector, mask)
            values = self._events.select(threshold.selector.metric.name, observer, mask)
        if not len(values):
            raise NothingMeasured(f"no samples of {threshold.selector}")
        expression = threshold.expression
        measured = statistic(values, expression.statistic, expression.percentile)
        return round(measured, 3), len(values)

    def _count(self, threshold: Threshold, phases: tuple[int, ...]) -> tuple[float, int]:
        selector = threshold.selector
        mask = self._events.mask(phases, self._subject(selector))
        count, generated = (
            self._events.count(name, mask) for name in (selector.metric.name, "events")
        )
        if not generated:
            raise NothingMeasured(f"no events under {selector}")
        if threshold.expression.statistic == "count":
            return float(count), generated
        if selector.metric.kind is Kind.RATIO:
            return count / generated, generated
        walls = [phase_walls(self._manifest, self._manifest.phases[index]) for index in phases]
        seconds = sum(high - low for low, high in walls) / NS
        if seconds <= 0:
            raise NothingMeasured("the phases last no time")
        return count / seconds, generated

    def _gauge(self, threshold: Threshold, phases: tuple[int, ...]) -> Floats:
        windows = [phase_walls(self._manifest, self._manifest.phases[index]) for index in phases]
        found = self._lag_series(threshold.selector, windows)
        if threshold.expression.statistic == "last":
            return np.array([series.values[-1] for series in found if len(series.values)])
        return np.concatenate([series.values for series in found])

    def _acks(self, selector: Selector, phases: tuple[int, ...]) -> Floats:
        windows = [phase_walls(self._manifest, self._manifest.phases[index]) for index in phases]
        found: list[Floats] = [np.zeros(0)]
        for series in self._ack_series(selector):
            for low, high in windows:
                inside = (series.wall_ns >= low) & (series.wall_ns < high)
                found.append(series.values[inside])
        return np.concatenate(found)

    def _ack_series(self, selector: Selector) -> list[Selected]:
        found = read_acks(
            self._events.run_dir, self._manifest, selector.tag("consumer"), selector.tag("stream")
        )
        if not found:
            raise NothingMeasured(
                "no acknowledgement was sampled: `ack_latency: true` under `watch` asks for it"
            )
        return found

    def _lag_series(
        self, selector: Selector, windows: list[tuple[int, int]] | None
    ) -> list[Selected]:
        consumer, stream = selector.tag("consumer"), selector.tag("stream")
        found = select_lag(self._lag, selector.metric.name, consumer, stream, windows)
        if not found:
            known = [series.role for series in self._lag]
            raise NothingMeasured(_no_such("consumer", f"{consumer or stream}", known))
        return found

    def _recovery(self, selector: Selector) -> tuple[float, int]:
        """Return the longest recovery of any matching series from any fault."""
        if not self._faults:
            raise NothingMeasured("there was no fault to recover from")
        if selector.metric.kind is Kind.GAUGE:
            found = self._closed(self._lag_series(selector, None))
        elif selector.metric.name == ACK_LATENCY:
            found = self._ack_series(selector)
        else:
            mask = self._events.mask(None, self._subject(selector))
            observer = self._timely(selector, mask)
            found = [self._events.timed(selector.metric.name, observer, mask)]
        unmeasured = [
            phase_walls(self._manifest, phase)
            for phase in self._manifest.phases
            if not phase.measure
        ]
        longest = max(longest_recovery_s(series, self._faults, unmeasured) for series in found)
        return longest, sum(len(series.values) for series in found)

    def _closed(self, found: list[Selected]) -> list[Selected]:
        """Let each series of a drained consumer end with 0, at the end of the run."""
        consumers = [one for one in self._manifest.consumers if one.finished]
        drained = {(one.role, one.stream) for one in consumers}
        ended = self._manifest.ended_ns
        return [
            series
            if ended is None or (series.role, series.stream) not in drained
            else replace(
                series,
                values=np.append(series.values, 0.0),
                wall_ns=np.append(series.wall_ns, max(ended, int(series.wall_ns.max(initial=0)))),
            )
            for series in found
        ]

    def _subject(self, selector: Selector) -> str | None:
        wanted = selector.tag("subject")
        if wanted is not None and not self._events.mask(None, wanted).any():
            raise NothingMeasured(_no_such("subject", wanted, self._events.channels))
        return wanted

    def _timely(self, selector: Selector, mask: Bools) -> str:
        """Return the observer that is measured, "" for none; it has to time all that it records."""
        observer = self._observer(selector)
        if observer and (untimed := self._events.untimed(observer, mask)):
            raise NothingMeasured(f"{observer} does not say when it recorded {untimed} events")
        return observer

    def _observer(self, selector: Selector) -> str:
        if selector.metric.name != "end_to_end_latency":
            return ""
        known = [observer.name for observer in self._manifest.observers]
        wanted = selector.tag("observer") or next(iter(known), "")
        if wanted not in known:
            raise NothingMeasured(_no_such("observer", wanted or STREAM, known))
        return wanted


def statistic(values: Floats, name: str, percentile: float | None = None) -> float:
    """Return a statistic of at least one value; percentiles interpolate linearly."""
    if name in ("max", "last"):
        return float(values.max())
    if name == "min":
        return float(values.min())
    if name == "avg":
        return float(values.mean(dtype=np.float64))
    return float(np.percentile(values, 50.0 if percentile is None else percentile))


def _no_such(what: str, name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    more = f"did you mean {close[0]!r}?" if close else f"there is {', '.join(known) or 'none'}"
    return f"there is no {what} {name!r}: {more}"
