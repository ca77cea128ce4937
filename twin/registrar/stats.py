"""What a store holds, in numbers."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import apsw

from twin.registrar.schema import reading, segments, select

__all__ = ["Stats", "store_stats"]


@dataclass(slots=True)
class Stats:
    """Counts of a store; times in nanoseconds since 1970, 0 when there are no events."""

    segments: int = 0
    batches: int = 0
    events: int = 0
    notes: int = 0
    bytes: int = 0
    first_ns: int = 0
    last_ns: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    streams: dict[str, int] = field(default_factory=dict)


def store_stats(store: Path) -> Stats:
    """Count what the store holds; StoreError when it cannot be read."""
    stats = Stats()
    for path in segments(store):
        with reading(path) as db:
            _add(stats, db)
        log = path.with_name(f"{path.name}-wal")
        stats.bytes += sum(file.stat().st_size for file in (path, log) if file.exists())
    return stats


def _add(stats: Stats, db: apsw.Connection) -> None:
    stats.segments += 1
    stats.batches += db.execute("SELECT count(*) FROM batches").get
    for table in ("events", "notes"):
        counts = dict(db.execute(select(["code", "count(*)"], f"FROM {table} GROUP BY code")))
        stats.codes.update(counts)
        setattr(stats, table, getattr(stats, table) + sum(counts.values()))
    first, last = db.execute("SELECT min(event_ns), max(event_ns) FROM events").fetchone() or (0, 0)
    if first is not None:
        stats.first_ns = min(first, stats.first_ns or first)
        stats.last_ns = max(last, stats.last_ns)
    stats.streams.update(dict(db.execute("SELECT stream, last_seq FROM streams")))
