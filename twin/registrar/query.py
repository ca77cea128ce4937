"""Questions to a store: records as answers, from every segment in time order."""

import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import apsw
import orjson

from twin.errors import StoreError
from twin.registrar.fields import fields
from twin.registrar.filter import FEW, Bound, Filter, Value
from twin.registrar.lookup import SPAN_BITS, any_of, partitions
from twin.registrar.schema import open_reader, schema_of, segments, select

__all__ = ["EVENT", "NOTE", "Found", "Query", "queries", "read_records"]

FIRST_WITH_KINDS: Final = 3
MOST_PIECES: Final = 200
COUNTED: Final = 1_000
"""Up to so many records of each index are counted to find the one with the fewest."""


class Found(NamedTuple):
    """A record: an event, or a note (`kind`), whose payload is then its detail."""

    time_ns: int
    kind: str
    row: int
    code: int
    severity: int
    bot: str
    id: str
    source: str
    type: str
    subject: str
    stream: str
    stream_seq: int
    deliveries: int
    correlation: str
    trace: str
    payload: str | bytes


EVENT: Final = (
    "event_ns",
    "'event'",
    "row",
    "code",
    "severity",
    "bot",
    "id",
    "source",
    "type",
    "subject",
    "stream",
    "stream_seq",
    "deliveries",
    "correlation",
    "trace",
    "payload",
)
NOTE: Final = (
    "recorded_ns",
    "'note'",
    "note",
    "code",
    "severity",
    "''",
    "id",
    "source",
    "''",
    "subject",
    "stream",
    "stream_seq",
    "0",
    "''",
    "''",
    "detail",
)


def read_records(store: Path, wanted: Filter, newest_first: bool = False) -> Iterator[Found]:
    """Yield what matches in time order; StoreError when the store cannot be read."""
    readers = [open_reader(path) for path in segments(store)]
    try:
        asked = [(db, query) for db in readers for query in queries(db, wanted, newest_first)]
        yield from _merged(asked, newest_first)
    except (apsw.Error, UnicodeDecodeError) as error:
        raise StoreError(f"The store {store} cannot be read: {error}") from error
    finally:
        for db in readers:
            db.close()


class Query(NamedTuple):
    """What SQLite is asked; nothing that it gives comes before `from_ns` in the order asked for."""

    table: str
    text: str
    values: list[Value]
    from_ns: int | None = None


class _Way(NamedTuple):
    """A column whose index leads to the events: what to count, and the terms to ask one by one.

    An index that is made of partitions is asked for each of them.
    """

    column: str
    counted: Bound
    terms: list[Bound]
    partitioned: bool = False


def _merged(asked: Sequence[tuple[apsw.Connection, Query]], newest_first: bool) -> Iterator[Found]:
    """Yield the records of all queries in order; a query waits until its first may be the next."""
    sign = -1 if newest_first else 1
    heap: list[tuple[float, int, Found | None, Iterator[Found]]] = []
    for place, (db, query) in enumerate(asked):
        due = -math.inf if query.from_ns is None else sign * query.from_ns
        heap.append((due, place, None, _asked(db, query)))
    heapq.heapify(heap)
    while heap:
        _, place, record, more = heap[0]
        if record is not None:
            yield record
        following = next(more, None)
        if following is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (sign * following.time_ns, place, following, more))


def _asked(db: apsw.Connection, query: Query) -> Iterator[Found]:
    """Ask when the first record is wanted."""
    columns = EVENT if query.table == "events" else NOTE
    yield from map(Found._make, fields(db, query.table, columns, query.text, query.values))


def queries(db: apsw.Connection, wanted: Filter, newest_first: bool) -> Iterator[Query]:
    """Yield what SQLite is asked.

    Events in pieces each of whose order an index gives, so that nothing needs sorting, except
    for the few of an id, a correlation or a trace.
    """
    order = "DESC" if newest_first else "ASC"
    way = _shortest(db, wanted)
    condition, values = wanted.clause("event_ns", "payload", way.column)
    pieces = _pieces(db, way.column, wanted, order) if way.partitioned else [("true", None)]
    for piece, from_ns in pieces:
        for term, more in way.terms:
            where = (
                f"FROM events WHERE {condition} AND {piece} AND {term} ORDER BY event_ns {order}"
            )
            yield Query("events", select(EVENT, where), [*values, *more], from_ns)
    if wanted.takes_notes:
        condition, values = wanted.clause("recorded_ns", "detail")
        codes, ends = wanted.code_clause()
        where = f"FROM notes WHERE {condition} AND {codes} ORDER BY recorded_ns {order}"
        yield Query("notes", select(NOTE, where), [*values, *ends])


def _pieces(
    db: apsw.Connection, column: str, wanted: Filter, order: str
) -> Iterator[tuple[str, int]]:
    """Yield a condition for each partition that has the value at all, and its first time.

    One statement asks the index alone: that is cheap also where there are hundreds.
    """
    when, moments = wanted.during("event_ns")
    where = f"(row >> {SPAN_BITS}) = part.value AND {column} = ?{f' AND {when}' if when else ''}"
    first = select(["ifnull(event_ns, '')"], f"FROM events WHERE {where} ORDER BY event_ns {order}")
    query = (
        f"SELECT value, event_ns FROM (SELECT value, ({first} LIMIT 1) AS event_ns "  # noqa: S608 - marks
        "FROM json_each(?) AS part) WHERE event_ns IS NOT NULL"
    )
    numbers = orjson.dumps(list(partitions(db))).decode()
    asked = [getattr(wanted, column), *moments, numbers]
    for number, from_ns in fields(db, "events", ("value", "event_ns"), query, asked):
        yield any_of([number]), from_ns


def _shortest(db: apsw.Connection, wanted: Filter) -> _Way:
    """Return the way past the fewest records; where all have many, the first."""
    ways = list(_ways(db, wanted) if schema_of(db) >= FIRST_WITH_KINDS else _old_ways(db, wanted))
    if len(ways) < 2 or ways[0].column in FEW:
        return ways[0] if ways else _Way("", ("true", []), [wanted.code_clause()])
    when, moments = wanted.during("event_ns")
    counts = []
    for way in ways:
        term, values = way.counted
        where = f"{term} AND {when}" if when else term
        query = f"SELECT count(*) FROM (SELECT 1 FROM events WHERE {where} LIMIT {COUNTED})"  # noqa: S608 - marks
        counts.append(db.execute(query, [*values, *moments]).get)
    return ways[counts.index(min(counts))]


def _ways(db: apsw.Connection, wanted: Filter) -> Iterator[_Way]:
    """Yield what the indexes of the present schema offer, the narrowest as a rule first."""
    (codes, ends), every = wanted.code_clause(), any_of(partitions(db))
    for column in FEW:
        if getattr(wanted, column) is not None:
            where = f"{every} AND {codes}" if column == "id" else codes
            yield _Way(column, ("false", []), [(where, ends)])
    if wanted.bot is not None:
        counted: Bound = (f"{every} AND bot = ?", [wanted.bot])
        yield _Way("bot", counted, [(codes, ends)], partitioned=True)
    if wanted.type is not None or wanted.codes:
        query = f"SELECT kind FROM kinds WHERE {codes} AND (? IS NULL OR type = ?)"  # noqa: S608 - marks
        asked = fields(db, "kinds", ("kind",), query, [*ends, wanted.type, wanted.type])
        kinds = [kind for (kind,) in asked]
        if len(kinds) <= MOST_PIECES:
            yield _Way("kind", _in("kind", kinds), [("kind = ?", [kind]) for kind in kinds])
    if wanted.severe:
        yield _Way("severity", wanted.severity_clause("severity"), [(codes, ends)])


def _old_ways(db: apsw.Connection, wanted: Filter) -> Iterator[_Way]:
    """Yield what the indexes of schemas 1 and 2 offer."""
    codes = wanted.code_clause()
    for column in (*FEW, "bot"):
        if (value := getattr(wanted, column)) is not None:
            yield _Way(column, (f"{column} = ?", [value]), [codes])
    if wanted.codes:
        asked = _codes(db, wanted)
        yield _Way("code", _in("code", asked), [("code = ?", [code]) for code in asked])
    if wanted.type is not None:
        yield _Way("type", ("type = ?", [wanted.type]), [codes])
    if wanted.severe:
        yield _Way("severity", wanted.severity_clause("severity"), [codes])


def _codes(db: apsw.Connection, wanted: Filter) -> list[int]:
    known = [code for (code,) in fields(db, "codes", ("code",), "SELECT code FROM codes")]
    asked = {ends[0] for ends in wanted.codes if ends[0] == ends[1]}
    asked |= {code for code in known for low, high in wanted.codes if low <= code <= high}
    return sorted(asked)


def _in(column: str, numbers: Iterable[int]) -> Bound:
    return f"{column} IN ({', '.join(map(str, numbers))})", []
