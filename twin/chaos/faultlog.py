"""The log of faults: what was intended, when it really happened, and when it was over."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import orjson

__all__ = ["FaultEntry", "FaultLog"]


@dataclass(slots=True)
class FaultEntry:
    """One declared fault. Times are wall nanoseconds, None for what did not happen."""

    id: int
    fault: str
    target: str
    intended_sim_ns: int | None
    intended_wall_ns: int | None = None
    fired_wall_ns: int | None = None
    healed_wall_ns: int | None = None
    outcome: Literal["fired", "failed", "not fired", "had no effect"] = "not fired"
    detail: str = ""

    def fired(self) -> None:
        """Note that the fault is in force from now on."""
        self.fired_wall_ns = time.time_ns()
        self.outcome = "fired"

    def healed(self) -> None:
        """Note that what the fault broke works again."""
        self.healed_wall_ns = time.time_ns()

    def spared(self, why: str) -> None:
        """Note that the fault was in force, and that nothing was hit by it."""
        self.outcome = "had no effect"
        self.detail = why

    def failed(self, why: str) -> None:
        """Note that the fault could not be done, or not be healed."""
        self.outcome = "failed"
        self.detail = why


class FaultLog:
    """All faults that a run declares, whether or not they fire."""

    def __init__(self) -> None:
        self.entries: list[FaultEntry] = []

    def declare(self, fault: str, target: str, intended_sim_ns: int | None) -> FaultEntry:
        """Add a fault that is expected to fire; its time is None when a condition starts it."""
        entry = FaultEntry(len(self.entries) + 1, fault, target, intended_sim_ns)
        self.entries.append(entry)
        return entry

    def save(self, path: Path) -> None:
        """Write one JSON object per fault, in the order of declaration."""
        path.write_bytes(b"".join(orjson.dumps(asdict(entry)) + b"\n" for entry in self.entries))
