"""Is a segment sound where its chain does not reach: the file, its definitions, its names?"""

from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Final

import apsw
import numpy as np

from twin.registrar.codes import CODES, Severity, category
from twin.registrar.keyfilter import keys_of
from twin.registrar.schema import tables

__all__ = ["contradictions", "defects", "overlaid"]

WRONG_KIND: Final = (
    "SELECT row FROM events e LEFT JOIN kinds k USING (kind) "
    "WHERE k.type IS NOT e.type OR k.code IS NOT e.code ORDER BY row LIMIT 1"
)
LOST_RULES: Final = (
    "SELECT rules FROM batches WHERE rules NOT IN (SELECT hash FROM rules) "
    "GROUP BY rules ORDER BY min(batch)"
)
STRAY_MARKS: Final = (
    "SELECT batch FROM marks WHERE batch NOT IN (SELECT batch FROM batches WHERE rows > 0)"
)
UNCHAINED: Final = ("SELECT * FROM streams ORDER BY 1", "SELECT * FROM codes ORDER BY 1")
EVERY_KEY: Final = "SELECT row, id, source FROM events ORDER BY row"


def defects(db: apsw.Connection, schema: int) -> Iterator[str]:
    """Yield damage that SQLite finds, and definitions, rules and names that were changed."""
    yield from _damage(db)
    yield from _schema_changes(db, schema)
    yield from _rule_changes(db)
    yield from _renamed(db)


def overlaid(path: Path) -> bool:
    """Tell whether the write-ahead log of a segment changes tables outside the chain."""
    place = path.resolve().as_uri()
    seen, closed = (
        apsw.Connection(f"{place}?{mode}", apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        for mode in ("mode=ro", "immutable=1")
    )
    with closing(seen), closing(closed):
        try:
            one, other = ([[*db.execute(query)] for query in UNCHAINED] for db in (seen, closed))
        except (apsw.Error, UnicodeDecodeError):
            return True
        return one != other


def contradictions(db: apsw.Connection, schema: int) -> Iterator[str]:
    """Yield what does not fit together in a segment whose records are what was written."""
    for (name,) in db.execute(LOST_RULES):
        yield f"the text of the rules {name[:12]} is missing"
    if schema > 2:
        for (row,) in db.execute(WRONG_KIND):
            yield f"the kind of row {row} is not that of its type and code"
        yield from _doubled(db)
    if schema > 3:
        for (batch,) in db.execute(STRAY_MARKS):
            yield f"the marks of batch {batch} belong to no events"


def _damage(db: apsw.Connection) -> Iterator[str]:
    for (message,) in db.execute("PRAGMA integrity_check(10)"):
        if message != "ok":
            yield f"SQLite finds damage: {message}"


def _schema_changes(db: apsw.Connection, version: int) -> Iterator[str]:
    with apsw.Connection(":memory:") as pattern:
        pattern.execute(tables(version))
        ours, theirs = (
            dict(one.execute("SELECT name, sql FROM sqlite_schema")) for one in (pattern, db)
        )
        if pattern.pragma("user_version") != db.pragma("user_version"):
            yield "the number of its schema was changed"
    for name in sorted({*ours, *theirs}):
        if ours.get(name) != theirs.get(name):
            yield f"the definition of {name} was changed"


def _rule_changes(db: apsw.Connection) -> Iterator[str]:
    for name, text in db.execute("SELECT hash, text FROM rules"):
        if not isinstance(text, str) or sha256(text.encode()).hexdigest() != name:
            yield f"the text of the rules {name[:12]} was changed"


def _renamed(db: apsw.Connection) -> Iterator[str]:
    """Yield codes and severities that have not the name that we know them by."""
    codes = {code.number: (code.name, category(code.number)) for code in CODES.values()}
    for number, *told in db.execute("SELECT code, name, category FROM codes"):
        if codes.get(number, tuple(told)) != tuple(told):
            yield f"the name of the code {number} was changed"
    if dict(db.execute("SELECT severity, name FROM severities")) != {
        int(level): level.name for level in Severity
    }:
        yield "the names of the severities were changed"


def _doubled(db: apsw.Connection) -> Iterator[str]:
    """Yield rows whose event stands in the segment already: no index forbids that."""
    keys = np.sort(keys_of(db.execute("SELECT id, source FROM events")))
    twice = set(keys[1:][keys[1:] == keys[:-1]].tolist())
    first: dict[tuple[str, str], int] = {}
    for row, *identity in db.execute(EVERY_KEY) if twice else ():
        if hash(key := (identity[0], identity[1])) in twice and first.setdefault(key, row) != row:
            yield f"row {row} is the event of row {first[key]} again"
