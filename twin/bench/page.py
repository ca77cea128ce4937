"""The measured parts of a page of documentation, written from recorded results.

A part stands between `<!-- measured: NAME -->` and `<!-- end of NAME -->`; the prose around it
is the author's.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from twin.bench.tables import Sheet, sheets
from twin.errors import UsageError
from twin.report.compare import Bench

__all__ = ["part", "rewritten"]

PART = re.compile(r"(<!-- measured: ([\w-]+) -->\n).*?(<!-- end of \2 -->)", re.DOTALL)


def rewritten(page: str, benches: Iterable[Bench]) -> str:
    """Return the page with its measured parts made anew.

    UsageError where a part has no result or a result no part.
    """
    texts = {bench.name: part(bench) for bench in benches}
    wanted = [found[2] for found in PART.finditer(page)]
    if missing := sorted({*wanted} ^ {*texts}):
        raise UsageError(f"page and results do not fit: only one of them has {', '.join(missing)}")
    return PART.sub(lambda found: f"{found[1]}{texts[found[2]]}{found[3]}", page)


def part(bench: Bench) -> str:
    """Return a result as Markdown: when and where, settings, tables."""
    day = datetime.fromtimestamp(bench.began_ns / 1e9, UTC).date().isoformat()
    versions = ", ".join(f"{name} {number}" for name, number in bench.versions.items() if number)
    settings = ", ".join(f"{name} {value}" for name, value in bench.settings.items())
    lines = [f"Recorded on {day}: {_machine(bench)}; {versions}.", f"Settings: {settings}.", ""]
    return "\n".join([*lines, *(_markdown(sheet) for sheet in sheets(bench))])


def _machine(bench: Bench) -> str:
    facts = {"processor": "?", "cores": "?", "system": "?", **bench.machine}
    return f"{facts['processor']}, {facts['cores']} cores, {facts['system']}"


def _markdown(sheet: Sheet) -> str:
    lines = [sheet.columns, tuple("---" for _ in sheet.columns), *sheet.rows]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"{sheet.title}:\n\n{table}\n"
