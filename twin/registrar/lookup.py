"""Finding events in a segment of whatever schema.

From schema 3 on the indexes over texts are made of partitions: SPAN rows in a row, each with a
key range of its own. Only the newest one grows, so that a commit writes few pages however many
bots there are and however large the segment is; who searches asks each partition.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import apsw

from twin.errors import StoreError
from twin.registrar.record import Row
from twin.registrar.schema import schema_of, select

__all__ = ["SPAN_BITS", "any_of", "partitions", "stored_as", "stored_at"]

SPAN_BITS: Final = 14
"""A partition holds 2 to this power rows; the indexes from schema 3 on have the same number."""


def partitions(db: apsw.Connection) -> range:
    """Return the numbers of the partitions of a segment, of schema 3 at least."""
    first = db.execute("SELECT min(row) FROM events").get
    last = db.execute("SELECT max(row) FROM events").get
    if first is None or last is None:
        return range(0)
    if last - first >= (room := db.pragma("page_count") * db.pragma("page_size")):
        raise StoreError(
            f"{db.filename}: rows {first} to {last} do not fit into {room} bytes; "
            "run `twin registrar verify`"
        )
    return range(first >> SPAN_BITS, (last >> SPAN_BITS) + 1)


def any_of(numbers: Iterable[int]) -> str:
    """Return the SQL condition that leads to these partitions."""
    return f"(row >> {SPAN_BITS}) IN ({', '.join(map(str, numbers))})"


def stored_as(segments: Sequence[apsw.Connection], event_id: str, source: str) -> Row | None:
    """Return the event of this id and source."""
    for db in segments:
        where = f"{any_of(partitions(db))} AND " if schema_of(db) > 2 else ""
        found = _one(db, f"{where}id = ? AND source = ?", (event_id, source))
        if found is not None:
            return found
    return None


def stored_at(segments: Sequence[apsw.Connection], stream: str, stream_seq: int) -> Row | None:
    """Return an event that was recorded from this place of a stream."""
    for db in segments:
        if (found := _one(db, "stream = ? AND stream_seq = ?", (stream, stream_seq))) is not None:
            return found
    return None


def _one(db: apsw.Connection, where: str, values: tuple[str | int, ...]) -> Row | None:
    query = select(Row._fields, f"FROM events WHERE {where} LIMIT 1")
    found = db.execute(query, values).fetchone()
    return None if found is None else Row(*found)
