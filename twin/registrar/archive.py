"""The closed segments of a store: what they hold is looked up, and they are dropped when old."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import apsw

from twin.registrar.head import Head, read_head
from twin.registrar.keyfilter import KeyFilter, Keys, keys_of
from twin.registrar.keys import sync_folder
from twin.registrar.limits import Limits
from twin.registrar.lookup import stored_as
from twin.registrar.record import Row
from twin.registrar.schema import open_reader, segment_number

__all__ = ["Archive", "Closed", "file_digest", "has_log", "remove"]


@dataclass(slots=True)
class Closed:
    """A closed segment, open for reading."""

    path: Path
    head: Head
    db: apsw.Connection
    bytes: int
    known: KeyFilter | None = field(default=None)

    @classmethod
    def open(cls, path: Path, known: KeyFilter | None = None) -> "Closed":
        """Open a segment; StoreError when its end is not what was written."""
        db = open_reader(path)
        try:
            return cls(path, read_head(path, db), db, path.stat().st_size, known)
        except BaseException:
            db.close()
            raise

    def filter(self) -> KeyFilter:
        """Return its filter, made from its events if it has none yet."""
        if self.known is None:
            self.known = KeyFilter()
            self.known.add(keys_of(self.db.execute("SELECT id, source FROM events")))
        return self.known


class Archive:
    """All closed segments, oldest first."""

    def __init__(self, paths: Sequence[Path], limits: Limits) -> None:
        self._limits = limits
        self.segments: list[Closed] = []
        try:
            self.segments += map(Closed.open, paths)
        except BaseException:
            self.close()
            raise

    @property
    def bytes(self) -> int:
        """Size of the files."""
        return sum(one.bytes for one in self.segments)

    @property
    def newest_first(self) -> Iterator[apsw.Connection]:
        """The segments to search."""
        return (one.db for one in reversed(self.segments))

    def add(self, path: Path, known: KeyFilter) -> None:
        """Take a segment that was just closed."""
        self.segments.append(Closed.open(path, known))

    def holds_any(self, rows: Sequence[Row], keys: Keys) -> bool:
        """Tell whether one of the events is recorded within the horizon; exact."""
        return any(
            stored_as((one.db,), rows[at].id, rows[at].source) is not None
            for one in self._within_horizon
            for at in one.filter().suspects(keys)
        )

    def suspects(self, keys: Keys) -> set[int]:
        """Return the places of keys that may be those of events within the horizon."""
        return {at for one in self._within_horizon for at in one.filter().suspects(keys)}

    @property
    def _within_horizon(self) -> list[Closed]:
        count = self._limits.dedupe_segments
        return self.segments[-count:] if count else []

    def due(self, active_bytes: int, now_ns: int) -> tuple[int, str]:
        """Return how many segments have to go, oldest first, and why: `age` or `size`."""
        limits, count, reason = self._limits, 0, "age"
        size = self.bytes + active_bytes
        for one in self.segments:
            old = limits.keep_age_s and one.head.last_ns < now_ns - limits.keep_age_s * 1e9
            if not old and not (limits.keep_bytes and size > limits.keep_bytes):
                break
            reason = "age" if old else "size"
            size -= one.bytes
            count += 1
        return count, reason

    def drop(self, count: int) -> None:
        """Remove the oldest segments from the disk."""
        gone, self.segments = self.segments[:count], self.segments[count:]
        for one in gone:
            with suppress(apsw.Error):
                one.db.close()
        remove([one.path for one in gone])

    def close(self) -> None:
        """Close all."""
        for one in self.segments:
            with suppress(apsw.Error):
                one.db.close()


def has_log(path: Path) -> bool:
    """Tell whether a segment has a write-ahead log, so that its file may not be all of it."""
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a segment's file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove(paths: Sequence[Path]) -> None:
    """Remove segments, oldest first, so that what is left has no gap whenever this ends."""
    for path in sorted(paths, key=segment_number):
        for name in (f"{path.name}-wal", f"{path.name}-shm", path.name):
            path.with_name(name).unlink(missing_ok=True)
        sync_folder(path.parent)
