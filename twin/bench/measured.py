"""What one turn of a whole flow took: time, processor time and memory by process, latencies."""

import os
from collections.abc import Iterable

from hdrh.histogram import HdrHistogram
from pydantic import BaseModel, ConfigDict

from twin.bench.rig import Clock, peak_mib

__all__ = ["Measured", "histogram", "merged", "quantile_ms"]

MOST_US = 3_600_000_000
DIGITS = 3


class Measured(BaseModel):
    """One turn of one contender at one point.

    `units` are events or looks; `peak_mib` is the most memory that each process had;
    `latencies` is an HDR histogram of microseconds (its V2 compressed encoding), "" if none;
    `nats_server` is the version that it was measured on; `stored_bytes` is what the contender
    keeps on disk per unit, 0 where that is not of interest; `beside` are contenders, by name,
    that took the same turn with it, piece by piece.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    units: int
    wall_s: float
    cpu_s: dict[str, float]
    peak_mib: dict[str, float]
    latencies: str = ""
    nats_server: str = ""
    stored_bytes: float = 0.0
    beside: dict[str, "Measured"] = {}

    @classmethod
    def of(cls, units: int, clock: Clock, pids: dict[str, int]) -> "Measured":
        """Return what a clock took; `pids` are the processes besides this one."""
        peaks = {name: peak_mib(pid) for name, pid in {"client": os.getpid(), **pids}.items()}
        return cls(units=units, wall_s=clock.wall_s, cpu_s=clock.cpu_s, peak_mib=peaks)

    def with_latencies(self, latencies_us: Iterable[int]) -> "Measured":
        """Return the same with what each unit waited."""
        return self.model_copy(update={"latencies": histogram(latencies_us)})

    @property
    def rate(self) -> float:
        """Units per second of wall time."""
        return self.units / self.wall_s

    def cpu_us(self, party: str = "") -> float:
        """Return the processor time per unit of one party, of all without one."""
        spent = self.cpu_s[party] if party else sum(self.cpu_s.values())
        return 1e6 * spent / self.units


def histogram(latencies_us: Iterable[int]) -> str:
    """Return the encoded histogram of some latencies, "" of none."""
    found = HdrHistogram(1, MOST_US, DIGITS)
    for latency_us in latencies_us:
        found.record_value(min(max(1, latency_us), MOST_US))
    return str(found.encode().decode()) if found.get_total_count() else ""


def merged(encoded: Iterable[str]) -> str:
    """Return the histogram of everything that is in some."""
    found = HdrHistogram(1, MOST_US, DIGITS)
    for one in encoded:
        found.decode_and_add(one)
    return str(found.encode().decode())


def quantile_ms(encoded: str, percent: float) -> float:
    """Return the latency that `percent` of the events did not exceed, in milliseconds."""
    return float(HdrHistogram.decode(encoded).get_value_at_percentile(percent)) / 1000
