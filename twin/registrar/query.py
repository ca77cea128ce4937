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
from twin.registrar.schema import open_reader, segments, select

__all__ = ["Condition", "Filter", "Found", "read_records"]

Value: TypeAlias = str | int | float | bool | None
Bound: TypeAlias = "tuple[str, list[Value]]"


class Condition(NamedTuple):
    """A payload field (an SQLite JSON path such as `$.power.soc_pct`) and its value."""

    path: str
    value: Value

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Read `path=value`; `$.` may be left out, a value that is no JSON scalar is text."""
        path, equals, literal = text.partition("=")
        path = path if path.startswith("$") else f"$.{path}"
        if not (equals and PATH.fullmatch(path)):
            raise UsageError(f"'{text}' is no condition; write for example power.soc_pct=20")
        try:
            value = orjson.loads(literal)
        except orjson.JSONDecodeError:
            value = literal
        if isinstance(value, list | dict):
            value = literal
        return cls(path, value)


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
    where: tuple[Condition, ...] = field(default=())

    def clause(self, time_column: str, payload_column: str) -> Bound:
        """Return the SQL condition, except for the code, and its values."""
        terms: list[str] = []
        values: list[Value] = []
        if self.severity:
            terms.append(f"severity >= {int(self.severity)}")  # literal, to fit a partial index
        for column in ("bot", "type", "id", "correlation"):
            value = getattr(self, column)
            if value is not None:
                terms.append(f"{column} = ?")
                values.append(value)
        for comparison, bound in ((">=", self.since_ns), ("<", self.until_ns)):
            if bound is not None:
                terms.append(f"{time_column} {comparison} ?")
                values.append(bound)
        for path, value in self.where:
            column = payload_column
            terms.append(
                f"CASE typeof({column}) WHEN 'text' THEN json_extract({column}, ?) IS ? END"
            )
            values += [path, value]
        return " AND ".join(terms) or "true", values

    def document(self) -> dict[str, object]:
        """Return what was asked for, as JSON has it."""
        given = {field: getattr(self, field) for field in self.__slots__}
        return {name: value for name, value in given.items() if value not in (None, (), 0)}

    @property
    def pinned(self) -> bool:
        """Whether something narrower than a code leads to the records."""
        return any(value is not None for value in (self.bot, self.id, self.correlation))

    @property
    def takes_notes(self) -> bool:
        """Whether a note, which has neither bot nor type nor correlation, can be an answer."""
        return all(value is None for value in (self.bot, self.type, self.correlation))


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


PATH: Final = re.compile(r"""\$(\.[^.\[\]"]+|\."[^"]+"|\[(#-)?\d+\])+""")
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
        streams = [one for db in readers for one in _streams(db, wanted, newest_first)]
        merged = heapq.merge(*streams, key=lambda record: record.time_ns, reverse=newest_first)
        yield from merged
    except (apsw.Error, UnicodeDecodeError) as error:
        raise StoreError(f"The store {store} cannot be read: {error}") from error
    finally:
        for db in readers:
            db.close()


def _streams(db: apsw.Connection, wanted: Filter, newest_first: bool) -> Iterator[Iterator[Found]]:
    """Yield one ordered stream of records per table and code.

    A code at a time, because then an index gives the order and nothing needs sorting.
    """
    tables = [("events", EVENT, "event_ns", "payload")]
    if wanted.takes_notes:
        tables.append(("notes", NOTE, "recorded_ns", "detail"))
    for table, columns, time_column, payload_column in tables:
        condition, values = wanted.clause(time_column, payload_column)
        code_column = "+code" if wanted.pinned else "code"
        order = f"ORDER BY {time_column} {'DESC' if newest_first else 'ASC'}"
        for term, code in _codes(db, wanted, code_column):
            query = select(columns, f"FROM {table} WHERE {condition}{term} {order}")
            yield map(Found._make, db.execute(query, [*values, *code]))


def _codes(db: apsw.Connection, wanted: Filter, column: str) -> list[tuple[str, tuple[int, ...]]]:
    if not wanted.codes:
        return [("", ())]
    known = [code for (code,) in db.execute("SELECT code FROM codes")]
    asked = {ends[0] for ends in wanted.codes if ends[0] == ends[1]}
    asked |= {code for code in known for low, high in wanted.codes if low <= code <= high}
    return [(f" AND {column} = ?", (code,)) for code in sorted(asked)]
