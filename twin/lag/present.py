"""Samples for people and programs: a live table, plain lines, JSON lines."""

import math
from collections import deque
from collections.abc import Sequence
from typing import Final

import orjson
from rich.table import Table
from rich.text import Text

from twin.lag.sample import COUNTED, ConsumerSample, Status
from twin.printable import printable

__all__ = ["LiveTable", "as_line", "as_text", "sparkline"]

BARS: Final = "▁▂▃▄▅▆▇█"
WIDTH: Final = 24
COLOURS: Final = {Status.OK: "green", Status.WARN: "yellow", Status.PAUSED: "cyan"}


def sparkline(values: Sequence[int]) -> str:
    """Return a bar per value, from none to the highest of them."""
    top = max(values, default=0)
    return "".join(BARS[value * (len(BARS) - 1) // top if top else 0] for value in values)


def as_line(one: ConsumerSample) -> bytes:
    """Return a sample as a JSON line; an ETA of "never" is null, `draining` tells it apart.

    What advisories count is null where they cannot be heard, or the poll failed.
    """
    eta_s = one.drain_eta_s
    finite = eta_s is not None and math.isfinite(eta_s)
    told = one.told and one.error is None
    more = {
        "draining": finite,
        "drain_eta_s": eta_s if finite else None,
        "redelivery_rate": one.redelivery_rate,
        **{name: getattr(one, name) if told else None for name in COUNTED},
    }
    return orjson.dumps(one.as_row() | more) + b"\n"


def as_text(one: ConsumerSample) -> str:
    """Return a sample as one plain line."""
    name = printable(f"{one.stream}/{one.consumer}")
    if one.error is not None:
        return f"{one.status} {name}: {printable(one.error)}"
    why = f": {one.reason}" if one.reason else ""
    return f"{one.status} {name} backlog {one.backlog} lag {_short(one.oldest_age_s)}{why}"


class LiveTable:
    """Turns rounds of samples into a table with a sparkline of each backlog, worst first."""

    def __init__(self) -> None:
        self._backlogs: dict[tuple[str, str], deque[int]] = {}

    def show(self, samples: Sequence[ConsumerSample]) -> Table:
        """Return the table of this round."""
        table = Table(box=None, pad_edge=False)
        for heading in ("status", "stream", "consumer", "backlog", "", "in flight", "lag", "ETA"):
            right = heading in ("backlog", "in flight", "lag", "ETA")
            table.add_column(heading, justify="right" if right else "left")
        table.add_column("why", overflow="fold")
        seen = {(one.stream, one.consumer): self._remember(one) for one in samples}
        self._backlogs = seen
        for one in sorted(samples, key=_worst_first):
            status = one.status or Status.UNKNOWN
            table.add_row(
                f"[{COLOURS.get(status, 'red')}]{status}[/]",
                Text(printable(one.stream)),
                Text(printable(one.consumer)),
                "?" if one.backlog is None else f"{one.backlog:,}",
                sparkline(seen[one.stream, one.consumer]),
                "?" if one.num_ack_pending is None else f"{one.num_ack_pending:,}",
                _short(one.oldest_age_s),
                _short(one.drain_eta_s),
                Text(printable(one.reason)),
            )
        return table

    def _remember(self, one: ConsumerSample) -> deque[int]:
        values = self._backlogs.get((one.stream, one.consumer)) or deque(maxlen=WIDTH)
        if one.backlog is not None:
            values.append(one.backlog)
        return values


def _worst_first(one: ConsumerSample) -> tuple[bool, int, str, str]:
    return one.status is Status.OK, -(one.backlog or 0), one.stream, one.consumer


def _short(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    if math.isinf(seconds):
        return "never"
    return f"{seconds:.1f}s" if seconds < 600 else f"{seconds / 60:.0f}min"
