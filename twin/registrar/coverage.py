"""Which sequences of each stream are recorded, and why the others are not.

The registrar notes what it finds out about holes while it runs (441, `gaps.py`); here the
records and those notes are put together. Sequences above what it had looked at are `open`.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import apsw
import orjson

from twin.errors import StoreError
from twin.registrar.head import latest_tombstone
from twin.registrar.intervals import Intervals, Span
from twin.registrar.schema import reading, schema_of, segment_number, segments, select

__all__ = ["CAUSES", "GAP", "Stretch", "coverage", "coverage_of", "recorded_above"]

CAUSES: Final = ("unknown", "filtered", "deleted", "expired", "down")
"""Why a sequence is not recorded, as the notes have it. Of two that are noted the first here
counts: what was seen in the stream, acknowledged by nobody of ours, may be gone the next day.
"""

GAP, ROLLBACK = 441, 922
MOST_KEPT: Final = 1000


NOTED: Final = (
    "SELECT stream, detail, first_row, rows FROM notes JOIN batches USING (batch) "
    "WHERE code = ? ORDER BY note"
)
MENTIONED: Final = (
    "SELECT stream, stream_seq, first_row + rows - 1 FROM notes JOIN batches USING (batch) "
    "WHERE stream_seq > 0 AND code NOT IN (?, ?) ORDER BY stream, stream_seq"
)
LAST_ROLLBACK: Final = (
    "SELECT detail, first_row, rows FROM notes JOIN batches USING (batch) "
    "WHERE stream = ? AND code = ? ORDER BY note DESC LIMIT 1"
)
ROWS_ABOVE: Final = "SELECT stream_seq FROM events WHERE stream = ? AND stream_seq > ? AND row >= ?"
NOTES_ABOVE: Final = (
    "SELECT stream_seq FROM notes JOIN batches USING (batch) "
    "WHERE stream = ? AND stream_seq > ? AND first_row + rows > ?"
)
RECORDED: Final = "SELECT stream, stream_seq, row FROM events ORDER BY stream, stream_seq"

Kept: TypeAlias = tuple[str, int, int, int, str]
"""A stretch as a tombstone has it: stream, epoch, first, last, cause."""


class Stretch(NamedTuple):
    """Sequences of a stream with one fate: `recorded`, a cause of CAUSES, `open`, or `accounted`.

    A stream that lost its tail gives sequences out again: `epoch` counts those times from 1.
    `from_ns` and `to_ns` are when the registrar was down, where that is the cause.
    `accounted` stands for many short stretches of dropped segments, none of them unknown.
    """

    stream: str
    epoch: int
    first: int
    last: int
    cause: str
    from_ns: int = 0
    to_ns: int = 0


@dataclass(slots=True)
class _Epoch:
    base: int
    from_row: int
    seen: dict[str, Intervals] = field(default_factory=dict)
    down: dict[int, Span] = field(default_factory=dict)

    @property
    def top(self) -> int:
        return max((one.top for one in self.seen.values()), default=0)

    def add(self, cause: str, first: int, last: int) -> None:
        self.seen.setdefault(cause, Intervals()).add(first, last)


@dataclass(slots=True)
class _Account:
    """What is known of one stream."""

    epochs: list[_Epoch] = field(default_factory=lambda: [_Epoch(0, 0)])
    covered: int = 0

    def of_row(self, row: int) -> _Epoch:
        at = bisect_right(self.epochs, row, key=lambda epoch: epoch.from_row)
        return self.epochs[max(at, 1) - 1]


def coverage(store: Path) -> list[Stretch]:
    """Return the stretches of all streams in order; StoreError when the store cannot be read."""
    try:
        return _coverage(segments(store))
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise StoreError(
            f"what {store} says of its streams is damaged; run `twin registrar verify`: {error}"
        ) from error


def _coverage(paths: Sequence[Path]) -> list[Stretch]:
    with reading(paths[-1]) as db:
        found = latest_tombstone(db) if schema_of(db) > 1 else None
    accounts = _accounts(found[0].coverage if found else ())
    dropped = found[0].segments if found else 0
    for path in paths:
        if segment_number(path) > dropped:
            with reading(path) as db:
                _take(accounts, db)
    return list(_stretches(accounts))


def coverage_of(dbs: Iterable[apsw.Connection], before: Iterable[Kept]) -> list[Kept]:
    """Return what segments say that are to be dropped, short enough for a tombstone.

    `before` is what the tombstone before it says of those that are gone already.
    """
    accounts = _accounts(before)
    for db in dbs:
        _take(accounts, db)
    kept = [one[:5] for one in _stretches(accounts) if one.cause != "open"]
    return kept if len(kept) <= MOST_KEPT else list(_shortened(kept))


def recorded_above(
    newest_first: Iterable[apsw.Connection], stream: str, floor: int
) -> Iterator[int]:
    """Yield what is recorded of a stream above `floor` since it last lost its tail, unordered."""
    for db in newest_first:
        lost = db.execute(LAST_ROLLBACK, (stream, ROLLBACK)).fetchone()
        epoch = None
        if lost is not None:
            detail, first_row, rows = lost
            span = range(first_row, first_row + rows)
            epoch = _new_epoch(db, stream, orjson.loads(detail), span)
        bounds = (stream, floor, epoch.from_row if epoch else 0)
        yield from (sequence for (sequence,) in db.execute(ROWS_ABOVE, bounds))
        yield from (sequence for (sequence,) in db.execute(NOTES_ABOVE, bounds))
        if epoch:
            break


def _accounts(kept: Iterable[Kept]) -> dict[str, _Account]:
    """Return what a tombstone says, as accounts to go on with."""
    accounts: dict[str, _Account] = {}
    for stream, epoch, first, last, cause in kept:
        account = accounts.setdefault(stream, _Account())
        while len(account.epochs) < epoch:
            account.epochs.append(_Epoch(first - 1, 0))
        account.epochs[epoch - 1].add(cause, first, last)
    return accounts


def _take(accounts: dict[str, _Account], db: apsw.Connection) -> None:
    """Account for what one segment holds; segments come in order."""
    column = "covered" if schema_of(db) > 1 else "last_seq"
    for stream, covered in db.execute(select(["stream", column], "FROM streams")):
        accounts.setdefault(stream, _Account()).covered = covered
    for stream, detail, first_row, rows in db.execute(NOTED, (ROLLBACK,)):
        epoch = _new_epoch(db, stream, orjson.loads(detail), range(first_row, first_row + rows))
        accounts[stream].epochs.append(epoch)
    for stream, sequence, row in db.execute(RECORDED):
        accounts[stream].of_row(row).add("recorded", sequence, sequence)
    for stream, sequence, row in db.execute(MENTIONED, (GAP, ROLLBACK)):
        accounts[stream].of_row(row).add("recorded", sequence, sequence)
    for stream, detail, first_row, rows in db.execute(NOTED, (GAP,)):
        epoch = accounts[stream].of_row(first_row + rows - 1)
        for cause, spans in orjson.loads(detail).items():
            for first, last, *when in spans:
                epoch.add(cause, first, last)
                if when:
                    epoch.down[first] = (when[0], when[1])


def _new_epoch(db: apsw.Connection, stream: str, detail: dict[str, int], rows: range) -> _Epoch:
    """Return what begins with the row that came under a used sequence, or after a short stream."""
    if "sequence" in detail:
        query = "SELECT max(row) FROM events WHERE stream = ? AND stream_seq = ? AND row >= ?"
        row = db.execute(query, (stream, detail["sequence"], rows.start)).get
        return _Epoch(detail["sequence"] - 1, row or rows.start)
    return _Epoch(detail["stream_last"], rows.stop)


def _stretches(accounts: dict[str, _Account]) -> Iterator[Stretch]:
    for stream, account in sorted(accounts.items()):
        for number, epoch in enumerate(account.epochs, 1):
            covered = account.covered if number == len(account.epochs) else epoch.top
            found = [
                Stretch(stream, number, first, last, cause, *epoch.down.get(first, ()))
                for first, last, cause in _fates(epoch, covered)
            ]
            yield from sorted(found)


def _fates(epoch: _Epoch, covered: int) -> Iterator[tuple[int, int, str]]:
    """Yield first, last and fate, the records first, then what is left of it for each cause."""
    left = Intervals([(epoch.base + 1, epoch.top)] if epoch.top > epoch.base else [])
    for cause in ("recorded", "accounted", *CAUSES):
        spans = epoch.seen.get(cause, Intervals())
        if cause == "recorded":
            yield from ((first, last, cause) for first, last in spans)
        else:
            yield from ((*span, cause) for hole in left for span in spans.within(*hole))
        left = Intervals(rest for hole in left for rest in spans.holes(*hole))
    for first, last in left:
        if first <= covered:
            yield first, min(last, covered), "unknown"
        if last > covered:
            yield max(first, covered + 1), last, "open"


def _shortened(kept: list[Kept]) -> Iterator[Kept]:
    """Join neighbours of which nothing is unknown."""
    current = kept[0]
    for one in kept[1:]:
        joins = current[:2] == one[:2] and "unknown" not in (current[4], one[4])
        if joins and one[2] == current[3] + 1:
            current = (*current[:3], one[3], "accounted")
        else:
            yield current
            current = one
    yield current
