"""What a store holds, in numbers."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import apsw

from twin.registrar.fields import fields
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
        columns = ("code", "count(*)")
        query = select(columns, f"FROM {table} GROUP BY code")
        counts: dict[int, int] = dict(fields(db, table, columns, query))
        stats.codes.update(counts)
        setattr(stats, table, getattr(stats, table) + sum(counts.values()))
    for order in ("ASC", "DESC"):
        query = select(["event_ns"], f"FROM events ORDER BY event_ns {order} LIMIT 1")
        for (event_ns,) in fields(db, "events", ["event_ns"], query):
            stats.first_ns = min(event_ns, stats.first_ns or event_ns)
            stats.last_ns = max(event_ns, stats.last_ns)
    columns = ("stream", "last_seq")
    stats.streams.update(dict(fields(db, "streams", columns, select(columns, "FROM streams"))))
