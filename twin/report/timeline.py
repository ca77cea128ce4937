"""The time axis of a report: buckets of equal width over a run, at most `MOST` of them.

However many events a run has, a series has one value per bucket, so that a report of ten
million events is no larger than one of ten thousand. What a bucket hides is kept by drawing
its extremes: maxima for latencies, the greatest backlog, the lowest and highest of a fleet.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from twin.verdict.manifest import Manifest

__all__ = ["MOST", "Floats", "Timeline"]

Floats = npt.NDArray[np.floating]
NS = 1_000_000_000
MOST = 600
WIDTHS_S = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)


@dataclass(frozen=True, slots=True)
class Timeline:
    """Bucket i covers wall ns `[first_ns + i * width_ns, first_ns + (i + 1) * width_ns)`.

    Seconds shown to people count from `zero_ns`, where the first phase began.
    """

    zero_ns: int
    first_ns: int
    width_ns: int
    count: int

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """Return the axis of a run: from its start to its end, drain included."""
        phases = manifest.phases
        zero = (phases[0].start_wall_ns if phases else None) or manifest.started_ns
        end = max(manifest.ended_ns or zero, zero + NS)
        span = (end - zero) / NS
        width = next((one for one in WIDTHS_S if span / one <= MOST), span / MOST)
        width_ns = int(width * NS)
        return cls(zero, zero, width_ns, int(-(-(end - zero) // width_ns)))

    @property
    def width_s(self) -> float:
        """The width of a bucket in seconds."""
        return self.width_ns / NS

    def seconds(self) -> Floats:
        """Return the middle of each bucket, in seconds since zero."""
        return (np.arange(self.count, dtype=np.float64) + 0.5) * self.width_s

    def since(self, wall_ns: int) -> float:
        """Return a wall time in seconds since zero."""
        return (wall_ns - self.zero_ns) / NS

    def buckets(self, wall_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the bucket of each time; what lies outside is put into the nearest."""
        return np.clip((wall_ns - self.first_ns) // self.width_ns, 0, self.count - 1)

    def rate(self, counts: npt.NDArray[np.int64]) -> Floats:
        """Return counts per bucket as counts per second."""
        return counts / self.width_s

    def greatest(self, wall_ns: npt.NDArray[np.int64], values: Floats) -> Floats:
        """Return the greatest value of each bucket; NaN where there is none."""
        found = np.full(self.count, np.nan)
        np.fmax.at(found, self.buckets(wall_ns), values)
        return found

    def least(self, wall_ns: npt.NDArray[np.int64], values: Floats) -> Floats:
        """Return the least value of each bucket; NaN where there is none."""
        return -self.greatest(wall_ns, -values)

    def quantiles(
        self, wall_ns: npt.NDArray[np.int64], values: npt.NDArray[np.float32], at: tuple[float, ...]
    ) -> list[Floats]:
        """Return a series for each quantile (0 to 100) of the values of each bucket."""
        buckets = self.buckets(wall_ns).astype(np.int16)
        order = np.argsort(buckets, kind="stable")
        ends = np.cumsum(np.bincount(buckets, minlength=self.count))
        found = np.full((len(at), self.count), np.nan)
        low = 0
        for bucket, high in enumerate(ends.tolist()):
            if high > low:
                found[:, bucket] = np.percentile(values[order[low:high]], at)
            low = high
        return list(found)
