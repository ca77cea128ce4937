"""What to look for in a store, as a question that SQLite understands."""

import re
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

import apsw
import orjson

from twin.errors import UsageError

__all__ = ["FEW", "Bound", "Condition", "Filter", "Value", "is_unicode"]

Value: TypeAlias = str | int | float | bool | None
Bound: TypeAlias = "tuple[str, list[Value]]"
"""An SQL condition and the values of its marks."""

SEVERE: Final = 30
FEW: Final = ("id", "correlation", "trace")
"""Columns of which each value has few records."""

COLUMNS: Final = (*FEW, "bot", "type")
EQUAL: Final = ("=", "!=")
LARGEST: Final = (1 << 63) - 1
CONDITION: Final = re.compile(
    r"""(\$(?:\.[^.\[\]"=<>!]+|\."[^"]+"|\[(?:#-)?\d+\])+)(!=|<=|>=|=|<|>)(.*)""", re.DOTALL
)


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
        if match is None or not _is_path(match[1]) or not is_unicode(text):
            raise UsageError(f"'{text}' is no condition; write for example power.soc_pct<=20")
        path, comparison, literal = match.groups()
        try:
            value = orjson.loads(literal)
        except orjson.JSONDecodeError:
            value = literal
        if isinstance(value, list | dict):
            value = literal
        if isinstance(value, int) and value > LARGEST:
            value = float(value)  # as SQLite has it in JSON
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

    def clause(self, time_column: str, payload_column: str, leader: str = "") -> Bound:
        """Return the SQL condition, except for the code, and its values.

        A `+` keeps SQLite from the index of every column but the `leader`'s.
        """
        parts = [self.severity_clause(leader), *map(self._equal, COLUMNS, [leader] * len(COLUMNS))]
        parts.append(self.during(f"+{time_column}" if leader in FEW else time_column))
        for condition in self.where:
            term, values = condition.term(payload_column)
            parts.append((f"CASE typeof({payload_column}) WHEN 'text' THEN {term} END", values))
        terms = [term for term, _ in parts if term]
        return " AND ".join(terms) or "true", [one for _, values in parts for one in values]

    def during(self, column: str) -> Bound:
        """Return the condition on the time."""
        bounds = ((f"{column} >= ?", self.since_ns), (f"{column} < ?", self.until_ns))
        given = [(term, moment) for term, moment in bounds if moment is not None]
        return " AND ".join(term for term, _ in given), [moment for _, moment in given]

    @property
    def severe(self) -> bool:
        """Whether the index of what is severe holds all that can match."""
        return self.severity >= SEVERE

    def severity_clause(self, leader: str) -> Bound:
        """Return the condition on the severity: as literals, to fit the partial index."""
        if not self.severity:
            return "", []
        if leader != "severity":
            return f"+severity >= {int(self.severity)}", []
        return f"severity >= {SEVERE} AND severity >= {int(self.severity)}", []

    def _equal(self, column: str, leader: str) -> Bound:
        value = getattr(self, column)
        if value is None:
            return "", []
        if column != leader:
            return f"+{column} = ?", [value]
        partial = f" AND {column} != ''" if value and column in FEW else ""
        return f"{column} = ?{partial}", [value]

    def code_clause(self) -> Bound:
        """Return the SQL condition on the code, and its values."""
        terms = " OR ".join(["+code BETWEEN ? AND ?"] * len(self.codes))
        return f"({terms or 'true'})", [end for ends in self.codes for end in ends]

    def document(self) -> dict[str, object]:
        """Return what was asked for, as JSON has it."""
        given = {field: getattr(self, field) for field in self.__slots__}
        return {name: value for name, value in given.items() if value not in (None, (), 0)}

    @property
    def takes_notes(self) -> bool:
        """Whether a note can be an answer, which has no bot, type, correlation or trace."""
        given = (self.bot, self.type, self.correlation, self.trace)
        return all(value is None for value in given)


def _is_path(text: str) -> bool:
    """Tell whether SQLite knows a JSON path."""
    with closing(apsw.Connection(":memory:")) as db:
        try:
            db.execute("SELECT json_extract('{}', ?)", (text,))
        except (apsw.SQLError, UnicodeEncodeError):
            return False
    return True


def is_unicode(text: str) -> bool:
    """Tell whether a text can be stored: what of an argument is no UTF-8 comes as surrogates."""
    return not any("\ud800" <= char <= "\udfff" for char in text)
