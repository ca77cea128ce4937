"""One moment of simulated time in the three ways in which payloads write it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from twin.events.encode.leaves import Clock

__all__ = ["Moment"]


@dataclass(frozen=True, slots=True)
class Moment:
    """Nanoseconds since 1970. Written with whole microseconds, cut off, not rounded."""

    ns: int

    @property
    def rfc3339(self) -> bytes:
        """`2026-01-01T00:00:00.000000Z`."""
        seconds, rest = divmod(self.ns, 1_000_000_000)
        day = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return b"%b.%06dZ" % (day.encode(), rest // 1000)

    @property
    def epoch_s(self) -> bytes:
        """Seconds since 1970 with six decimals."""
        seconds, rest = divmod(self.ns, 1_000_000_000)
        return b"%d.%06d" % (seconds, rest // 1000)

    def written(self, clock: Clock) -> bytes:
        """Return the moment as JSON."""
        match clock:
            case Clock.RFC3339:
                return b'"%b"' % self.rfc3339
            case Clock.EPOCH_S:
                return self.epoch_s
            case Clock.EPOCH_MS:
                return b"%d" % (self.ns // 1_000_000)
