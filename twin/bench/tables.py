"""Any benchmark's document as tables: who did how much, at what cost, and how many times better."""

import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from twin.bench.measured import quantile_ms
from twin.report.compare import Bench, Metric
from twin.report.ratio import ratio_of

__all__ = ["Sheet", "interval", "sheets"]

CONFIDENCE = 0.95
NAME = re.compile(r"(\w+)\{(.*)\}")
COLUMNS = {
    "rate": "per s",
    "cpu": "cpu us each",
    "memory": "peak MiB",
    "bytes": "bytes each",
    "latency": "latency ms",
}
SPECTRUM = (50, 95, 99, 99.9, 100)


@dataclass(slots=True)
class Sheet:
    """A table: its columns, and rows of as many cells."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)


def sheets(bench: Bench) -> list[Sheet]:
    """Return the tables of a document: contenders, ratios, shares, then whatever else it has."""
    named = {key: _split(key) for key in bench.metrics}
    rates = [of for kind, of in named.values() if kind == "rate"]
    ratios = [key for key, (kind, _) in named.items() if kind == "ratio"]
    shares = [key for key, (kind, _) in named.items() if kind == "share"]
    rest = {
        key: bench.metrics[key]
        for key, (kind, of) in named.items()
        if kind not in {"ratio", "share"} and not _belongs(of, rates)
    }
    found = [_contenders(bench, rates)] if rates else []
    found += [_ratios(bench, ratios)] if ratios else []
    found += [_shares(bench, shares)] if shares else []
    return [*found, *([_rest(rest)] if rest else [])]


def interval(samples: Sequence[float]) -> str:
    """Return the mean ratio of paired rounds, with its bootstrap interval where there is one."""
    found = ratio_of(samples, [1.0] * len(samples), CONFIDENCE)
    return str(found) if len(samples) > 2 else f"{found.value:.2f}"


def _contenders(bench: Bench, rates: Sequence[str]) -> Sheet:
    kinds = ["rate", "cpu"]
    kinds += ["memory"] if any(key.startswith("memory{") for key in bench.metrics) else []
    kinds += ["bytes"] if any(key.startswith("bytes{") for key in bench.metrics) else []
    kinds += ["latency"] if bench.histograms else []
    sheet = Sheet("Contenders, medians", ("contender", *(COLUMNS[kind] for kind in kinds)))
    if "latency" in kinds:
        sheet.columns = (*sheet.columns[:-1], f"latency ms: {', '.join(map(_percent, SPECTRUM))}")
    for of in rates:
        sheet.rows.append((_place(of), *(_cell(bench, kind, of) for kind in kinds)))
    return sheet


def _cell(bench: Bench, kind: str, of: str) -> str:
    if kind == "rate":
        return f"{statistics.median(bench.metrics[f'rate{{{of}}}'].samples):,.0f}"
    if kind == "bytes":
        size = bench.metrics.get(f"bytes{{{of}}}")
        return f"{statistics.median(size.samples):,.0f}" if size else ""
    if kind == "latency":
        encoded = bench.histograms.get(f"latency{{{of}}}")
        values = [quantile_ms(encoded, percent) for percent in SPECTRUM] if encoded else []
        return ", ".join(f"{value:.1f}" for value in values)
    return " + ".join(
        f"{statistics.median(metric.samples):.3g} {party}"
        for party, metric in _parties(bench, kind, of)
    )


def _parties(bench: Bench, kind: str, of: str) -> Iterator[tuple[str, Metric]]:
    head = f"{kind}{{{of};"
    for key, metric in bench.metrics.items():
        if key.startswith(head) and ";" not in (party := key.removeprefix(head)[:-1]):
            yield party, metric


def _ratios(bench: Bench, names: Sequence[str]) -> Sheet:
    sheet = Sheet("Ratios, 95 % intervals", ("contender", "beside", "at", "ratio"))
    for name in names:
        one, other, *rest = _split(name)[1].split(";")
        ratio = interval(bench.metrics[name].samples)
        sheet.rows.append((one, other, _place(";".join(rest)), ratio))
    return sheet


def _shares(bench: Bench, names: Sequence[str]) -> Sheet:
    sheet = Sheet("Shares, medians (least to most)", ("part", "of", "at", "share"))
    for name in names:
        part, over, *rest = _split(name)[1].split(";")
        samples = bench.metrics[name].samples
        share = f"{statistics.median(samples):.1f} %"
        if len(samples) > 1:
            share += f" ({min(samples):.1f} to {max(samples):.1f})"
        sheet.rows.append((part, over, _place(";".join(rest)), share))
    return sheet


def _rest(metrics: Mapping[str, Metric]) -> Sheet:
    """Return figures that are of two things each, as a plane of a fleet, crossed."""
    places = {key: tuple(_split(key)[1].split(";")) for key in metrics}
    if any(len(place) != 2 for place in places.values()):
        return _plain(metrics)
    cells = {place: metrics[key] for key, place in places.items()}
    columns = tuple(dict.fromkeys(column for _, column in cells))
    units = sorted({metric.unit for metric in metrics.values()})
    sheet = Sheet(f"Medians, {' or '.join(units)}", ("", *columns))
    for row in dict.fromkeys(row for row, _ in cells):
        found = (cells.get((row, column)) for column in columns)
        texts = (f"{statistics.median(one.samples):,.4g}" if one else "" for one in found)
        sheet.rows.append((row, *texts))
    return sheet


def _plain(metrics: Mapping[str, Metric]) -> Sheet:
    sheet = Sheet("Figures", ("metric", "unit", "median", "least", "most"))
    for key, metric in metrics.items():
        values = (statistics.median(metric.samples), min(metric.samples), max(metric.samples))
        sheet.rows.append((key, metric.unit, *(f"{value:,.4g}" for value in values)))
    return sheet


def _split(name: str) -> tuple[str, str]:
    """Split `cpu{twin;server}` into what is measured and what it is of."""
    found = NAME.fullmatch(name)
    return (found[1], found[2]) if found else (name, "")


def _belongs(of: str, rates: Sequence[str]) -> bool:
    """Tell whether a figure is of a contender that has a row: itself, or one of its processes."""
    return of in rates or of.rpartition(";")[0] in rates


def _place(of: str) -> str:
    """Write `twin;bots=1000;cpu` as `twin, 1,000 bots, cpu`."""
    parts = []
    for part in of.split(";"):
        name, sign, number = part.partition("=")
        parts.append(f"{int(number):,} {name}" if sign and number.isdigit() else part)
    return ", ".join(filter(None, parts))


def _percent(percent: float) -> str:
    return "max" if percent == 100 else f"p{percent:g}"
