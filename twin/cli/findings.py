"""Findings of checks as a terminal shows them."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from twin.printable import printable
from twin.smoke.check import Finding, State

__all__ = ["STOPPED", "print_findings"]

STOPPED = "Interrupted: the checks were not done, and what they had made is deleted again."

STYLES = {State.OK: "green", State.FAIL: "bold red", State.NOT_CHECKED: "yellow"}


def print_findings(findings: Sequence[Finding], seconds: float) -> None:
    """Print a line for each, and how many there are of each state."""
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in findings:
        table.add_row(
            Text(one.state, style=STYLES[one.state]),
            one.name,
            Text(printable(_told(one), lines=True)),
        )
    console.print(table)
    counts = {state: sum(one.state is state for one in findings) for state in State}
    console.print(
        ", ".join(f"{n} {state}" for state, n in counts.items() if n), f"in {seconds:.1f} s"
    )


def _told(one: Finding) -> str:
    if one.state is State.FAIL:
        return f"{one.title}? {one.detail}\nTo do: {one.remedy}"
    return one.detail
