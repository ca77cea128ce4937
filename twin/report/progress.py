"""Where a run stands: a live display on a terminal, a plain line every 2 s elsewhere."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

__all__ = ["Progress", "SideConsole", "Snapshot"]

PLAIN_EVERY_S = 2.0
REFRESH_PER_S = 8
NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at one moment. `backlog` is None while it is unknown, `p99_ms` before any ack."""

    sim_ns: int
    duration_ns: int
    phase: str
    offered: int
    acknowledged: int
    in_flight: int
    waiting: int
    backlog: int | None
    p99_ms: float | None
    connected: bool = True


class SideConsole(Console):
    """Standard error as a side show: when nobody reads it any more, it falls silent."""

    def on_broken_pipe(self) -> None:
        """Go on without it."""
        self.quiet = True


class Progress:
    """Shows snapshots until its context is left; call it with each new one.

    It writes to standard error by default, so that standard output is the result's alone.
    `clock` returns seconds of any monotonic clock.
    """

    def __init__(
        self,
        title: str,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title = title
        self._console = console or SideConsole(stderr=True, highlight=False)
        self._clock = clock
        self._live: Live | None = None
        self._last_line = -PLAIN_EVERY_S
        self._phase = ""
        self._rate = Rate()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(
                console=self._console, transient=True, refresh_per_second=REFRESH_PER_S
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __call__(self, snapshot: Snapshot) -> None:
        """Show the run as it is now; an output that takes no more is no reason to stop."""
        try:
            self._show(snapshot)
        except OSError:
            self._console.quiet = True

    def _show(self, snapshot: Snapshot) -> None:
        now = self._clock()
        per_s = self._rate.after(now, snapshot.acknowledged)
        if self._live is not None:
            self._live.update(self._display(snapshot, per_s))
        elif now - self._last_line >= PLAIN_EVERY_S or snapshot.phase != self._phase:
            self._last_line = now
            self._console.print(self._line(snapshot, per_s), soft_wrap=True, markup=False)
        self._phase = snapshot.phase

    def _line(self, snapshot: Snapshot, per_s: float) -> str:
        """Return one line, for logs."""
        clock = f"{snapshot.sim_ns / NS:6.1f}/{snapshot.duration_ns / NS:.0f} s"
        return f"{self._title} {clock}  {snapshot.phase:<12} {_figures(snapshot, per_s)}"

    def _display(self, snapshot: Snapshot, per_s: float) -> RenderableType:
        """Return two lines, for a terminal."""
        head = Table.grid(padding=(0, 1))
        clock = f"{snapshot.sim_ns / NS:.1f} / {snapshot.duration_ns / NS:.0f} s"
        bar = ProgressBar(total=max(1, snapshot.duration_ns), completed=snapshot.sim_ns, width=30)
        head.add_row(
            Text(self._title, style="bold"), bar, clock, Text(snapshot.phase, style="cyan")
        )
        style = "" if snapshot.connected else "bold yellow"
        return Group(head, Text(_figures(snapshot, per_s), style=style))


class Rate:
    """A count's growth per second, over the last few seconds."""

    def __init__(self, over_s: float = 3.0) -> None:
        self._over_s = over_s
        self._seen: list[tuple[float, int]] = []

    def after(self, now: float, count: int) -> float:
        """Return the rate with one more reading."""
        self._seen.append((now, count))
        while len(self._seen) > 2 and now - self._seen[1][0] > self._over_s:
            self._seen.pop(0)
        first_s, first = self._seen[0]
        return (count - first) / (now - first_s) if now > first_s else 0.0


def _figures(snapshot: Snapshot, per_s: float) -> str:
    backlog = "?" if snapshot.backlog is None else f"{snapshot.backlog:,}"
    parts = [
        f"offered {snapshot.offered:,}",
        f"acked {snapshot.acknowledged:,}",
        f"{per_s:,.0f}/s",
        f"in flight {snapshot.in_flight:,}",
    ]
    if snapshot.waiting:
        parts.append(f"waiting {snapshot.waiting:,}")
    parts.append(f"backlog {backlog}")
    if snapshot.p99_ms is not None:
        parts.append(f"p99 {snapshot.p99_ms:.1f} ms")
    if not snapshot.connected:
        parts.append("no broker")
    return "  ".join(parts)
