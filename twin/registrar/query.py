"""Questions to a store: filters, and records as answers, from every segment in time order."""

import heapq
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import apsw
import orjson

from twin.errors import StoreError, UsageError
from twin.registrar.lookup import any_of, partitions
from twin.registrar.schema import open_reader, schema_of, segments, select

__all__ = ["EVENT", "NOTE", "Condition", "Filter", "Found", "queries", "read_records"]

Value: TypeAlias = str | int | float | bool | None
Bound: TypeAlias = "tuple[str, list[Value]]"
Way: TypeAlias = Bound
"""A further term of a condition, beginning with AND, and its values."""

FIRST_WITH_KINDS: Final = 3
MOST_WAYS: Final = 200


class Condition(NamedTuple):
    """A payload field (an SQLite JSON path such as `$.power.soc_pct`) compared with a value.

    `=` null means null or absent. All others need the field to be there, and `<` to `>=` one of
    the value's kind: a number or a text.
    """

    path: str
    value: Value
    comparison: str = "="

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Read `path=value`, or with `!=`, `<`, `<=`, `>`, `>=`.

        `$.` may be left out, a value that is no JSON scalar is text.
        """
        match = CONDITION.fullmatch(text if text.startswith("$") else f"$.{text}")
        if match is None:
            raise UsageError(f"'{text}' is no condition; write for example power.soc_pct<=20")
        path, comparison, literal = match.groups()
        try:
            value = orjson.loads(literal)
        except orjson.JSONDecodeError:
            value = literal
        if isinstance(value, list | dict):
            value = literal
        if comparison not in EQUAL and (value is None or isinstance(value, bool)):
            raise UsageError(f"'{text}': {comparison} compares with a number or a text")
        return cls(path, value, comparison)

    def term(self, column: str) -> Bound:
        """Return the SQL condition on a column of JSON, and its values."""
        found = f"json_extract({column}, ?)"
        if self.comparison == "=":
            return f"{found} IS ?", [self.path, self.value]
        if self.value is None:
            return f"{found} IS NOT ?", [self.path, self.value]
        if self.comparison == "!=":
            return f"{found} != ?", [self.path, self.value]
        kinds = "('text')" if isinstance(self.value, str) else "('integer', 'real')"
        kind = f"json_type({column}, ?) IN {kinds}"
        return f"{kind} AND {found} {self.comparison} ?", [self.path, self.path, self.value]


@dataclass(frozen=True, slots=True)
class Filter:
    """What to look for; everything given must hold. `severity` and up; times in nanoseconds.

    `codes` are ranges with both ends included, any of which may hold the code.
    """

    codes: tuple[tuple[int, int], ...] = ()
    severity: int = 0
    bot: str | None = None
    type: str | None = None
    id: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    correlation: str | None = None
    trace: str | None = None
    where: tuple[Condition, ...] = field(default=())

    def clause(self, time_column: str, payload_column: str) -> Bound:
        """Return the SQL condition, except for the code, and its values.

        A `+` keeps SQLite from the index of a column when another one leads to fewer records.
        """
        terms: list[str] = []
        values: list[Value] = []
        if self.severity:
            terms.append(f"severity >= {int(self.severity)}")
        if self.severity >= INDEXED_SEVERITY:
            terms.append(f"severity >= {INDEXED_SEVERITY}")  # literal, to fit the partial index
        given = [column for column in NARROWEST_FIRST if getattr(self, column) is not None]
        for column in given:
            value = getattr(self, column)
            terms.append(f"{column} = ?" if column == given[0] else f"+{column} = ?")
            values.append(value)
            if value and column in PARTLY_INDEXED:
                terms.append(f"{column} != ''")
        when = f"+{time_column}" if {*given} & FEW else time_column
        for comparison, bound in ((">=", self.since_ns), ("<", self.until_ns)):
            if bound is not None:
                terms.append(f"{when} {comparison} ?")
                values.append(bound)
        for condition in self.where:
            term, compared = condition.term(payload_column)
            terms.append(f"CASE typeof({payload_column}) WHEN 'text' THEN {term} END")
            values += compared
        return " AND ".join(terms) or "true", values

    def code_clause(self) -> Bound:
        """Return the SQL condition on the code, and its values."""
        terms = " OR ".join(["code BETWEEN ? AND ?"] * len(self.codes))
        return f"({terms or 'true'})", [end for ends in self.codes for end in ends]

    def document(self) -> dict[str, object]:
        """Return what was asked for, as JSON has it."""
        given = {field: getattr(self, field) for field in self.__slots__}
        return {name: value for name, value in given.items() if value not in (None, (), 0)}

    @property
    def pinned(self) -> bool:
        """Whether something narrower than a code or type leads to the records."""
        given = (self.bot, self.id, self.correlation, self.trace)
        return any(value is not None for value in given)

    @property
    def takes_notes(self) -> bool:
        """Whether a note can be an answer, which has no bot, type, correlation or trace."""
        given = (self.bot, self.type, self.correlation, self.trace)
        return all(value is None for value in given)


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


INDEXED_SEVERITY: Final = 30
NARROWEST_FIRST: Final = ("id", "correlation", "trace", "bot", "type")
FEW: Final = {"id", "correlation", "trace"}
PARTLY_INDEXED: Final = ("correlation", "trace")
EQUAL: Final = ("=", "!=")
CONDITION: Final = re.compile(
    r"""(\$(?:\.[^.\[\]"=<>!]+|\."[^"]+"|\[(?:#-)?\d+\])+)(!=|<=|>=|=|<|>)(.*)""", re.DOTALL
)
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
        streams = [
            map(Found._make, db.execute(query, values))
            for db in readers
            for _, query, values in queries(db, wanted, newest_first)
        ]
        merged = heapq.merge(*streams, key=lambda record: record.time_ns, reverse=newest_first)
        yield from merged
    except (apsw.Error, UnicodeDecodeError) as error:
        raise StoreError(f"The store {store} cannot be read: {error}") from error
    finally:
        for db in readers:
            db.close()


def queries(
    db: apsw.Connection, wanted: Filter, newest_first: bool
) -> Iterator[tuple[str, str, list[Value]]]:
    """Yield what SQLite is asked: table, statement and values.

    Cut into pieces each of whose order an index gives, so that nothing needs sorting.
    """
    tables = [("events", EVENT, "event_ns", "payload", _ways(db, wanted))]
    if wanted.takes_notes:
        by_code = _codes(db, wanted, "+code" if wanted.pinned else "code")
        tables.append(("notes", NOTE, "recorded_ns", "detail", by_code))
    for table, columns, time_column, payload_column, ways in tables:
        condition, values = wanted.clause(time_column, payload_column)
        order = f"ORDER BY {time_column} {'DESC' if newest_first else 'ASC'}"
        for term, more in ways:
            query = select(columns, f"FROM {table} WHERE {condition}{term} {order}")
            yield table, query, [*values, *more]


def _ways(db: apsw.Connection, wanted: Filter) -> list[Way]:
    """Return the terms that lead to the events that can match, by the indexes of the schema."""
    if schema_of(db) < FIRST_WITH_KINDS:
        return _codes(db, wanted, "+code" if wanted.pinned else "code")
    if not wanted.pinned:
        return _kinds(db, wanted)
    codes, ends = wanted.code_clause()
    term = f" AND {codes}"
    if wanted.id is not None:
        return [(f"{term} AND {any_of(partitions(db))}", ends)]
    if wanted.correlation is None and wanted.trace is None:
        return [(f"{term} AND {any_of([number])}", ends) for number in partitions(db)]
    return [(term, ends)]


def _kinds(db: apsw.Connection, wanted: Filter) -> list[Way]:
    """Return a term per kind of event, or one for all where there are very many."""
    if wanted.type is None and not wanted.codes:
        return [("", [])]
    codes, ends = wanted.code_clause()
    kinds = f"SELECT kind FROM kinds WHERE {codes} AND (? IS NULL OR type = ?)"  # noqa: S608 - marks
    found = [kind for (kind,) in db.execute(kinds, [*ends, wanted.type, wanted.type])]
    if len(found) > MOST_WAYS:
        return [(f" AND +kind IN ({', '.join(map(str, found))})", [])]
    return [(" AND kind = ?", [kind]) for kind in found]


def _codes(db: apsw.Connection, wanted: Filter, column: str) -> list[Way]:
    """Return a term per code."""
    if not wanted.codes:
        return [("", [])]
    known = [code for (code,) in db.execute("SELECT code FROM codes")]
    asked = {ends[0] for ends in wanted.codes if ends[0] == ends[1]}
    asked |= {code for code in known for low, high in wanted.codes if low <= code <= high}
    return [(f" AND {column} = ?", [code]) for code in sorted(asked)]
