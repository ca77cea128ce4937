"""`report.html`: a run on one page, in one file that asks nothing of any network.

The file carries its scripts, styles and data. Its Content-Security-Policy names them by
their hashes, so that nothing that came in with a run (a scenario's name, a message id) can
be anything but text.
"""

import base64
import hashlib
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path

import orjson
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from twin.report.charts import Chart, charts
from twin.report.timeline import Timeline
from twin.verdict.facts import BrokenEvidence
from twin.verdict.files import write_atomic
from twin.verdict.ledger import reconcile
from twin.verdict.manifest import Manifest
from twin.verdict.result import Result

__all__ = ["REPORT", "write_report"]

REPORT = "report.html"
NS = 1_000_000_000
EXAMPLES = 50
SCRIPTS = ("uPlot.iife.min.js", "report.js")
STYLES = ("uPlot.min.css", "report.css")


def write_report(run_dir: Path, result: Result, path: Path | None = None) -> Path:
    """Write the report of a judged run, whole or not at all; returns where it is.

    A run whose evidence cannot be read has a report without charts: verdict and reasons.
    """
    target = path or run_dir / REPORT
    manifest = Manifest.load(run_dir)
    line = Timeline.of(manifest)
    drawn = _charts(run_dir, manifest, line)
    write_atomic(target, _render(result, line, drawn).encode())
    return target


def _charts(run_dir: Path, manifest: Manifest, line: Timeline) -> list[Chart]:
    if manifest.state != "sealed":
        return []
    try:
        return charts(run_dir, manifest, reconcile(run_dir, manifest).journal, line)
    except BrokenEvidence:
        return []


def _render(result: Result, line: Timeline, drawn: list[Chart]) -> str:
    scripts = [_asset(name) for name in SCRIPTS]
    styles = [_asset(name) for name in STYLES]
    return _template().render(
        result=result,
        charts=drawn,
        data=_embedded(_data(result, line, drawn)),
        scripts=[Markup(text) for text in scripts],  # noqa: S704 - our own files
        styles=[Markup(text) for text in styles],  # noqa: S704
        licence=_asset("uPlot.LICENSE"),
        policy=_policy(scripts, styles),
        began=datetime.fromtimestamp(result.started_ns / NS, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        took_s=((result.ended_ns or result.started_ns) - result.started_ns) / NS,
        since=lambda wall_ns: "" if wall_ns is None else f"{line.since(wall_ns):,.2f}",
        examples=[one for hop in result.hops for one in hop.examples][:EXAMPLES],
    )


def _data(result: Result, line: Timeline, drawn: list[Chart]) -> dict[str, object]:
    """Return what the script draws; seconds since the first phase began."""
    end = line.count * line.width_s
    phases = [
        {
            "name": phase.name,
            "start": line.since(phase.start_wall_ns),
            "end": line.since(phase.end_wall_ns),
        }
        for phase in result.phases
        if phase.start_wall_ns is not None and phase.end_wall_ns is not None
    ]
    faults = [
        {
            "name": fault.fault if fault.target in fault.fault else f"{fault.fault} {fault.target}",
            "start": line.since(fault.fired_ns),
            "end": end if fault.healed_ns is None else line.since(fault.healed_ns),
        }
        for fault in result.faults
        if fault.fired_ns is not None
    ]
    return {
        "x": [round(value, 3) for value in line.seconds().tolist()],
        "end": end,
        "phases": phases,
        "faults": faults,
        "charts": [asdict(chart) for chart in drawn],
    }


def _embedded(data: dict[str, object]) -> Markup:
    """Return JSON that cannot end the script element it stands in."""
    text = orjson.dumps(data).decode()
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 - no markup is left in it


def _policy(scripts: list[str], styles: list[str]) -> str:
    sources = {"script-src": scripts, "style-src": styles}
    parts = [f"{name} {' '.join(_hash(text) for text in texts)}" for name, texts in sources.items()]
    return "; ".join(["default-src 'none'", *parts, "base-uri 'none'", "form-action 'none'"])


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _asset(name: str) -> str:
    return files("twin.report").joinpath("assets", name).read_text(encoding="utf-8")


def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(_asset("report.html.j2"))
