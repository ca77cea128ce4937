"""Events into their table, many to a statement.

A statement opens the table and each of its indexes: events that share one share that. The text
of a statement is looked at each time it runs, so that it is as short as can be. SQLite copies
what is bound: into memory that a connection has ready, or else into what it asks for each time.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import apsw

from twin.registrar.chain import GROUP, Record
from twin.registrar.schema import ROW_COLUMNS

__all__ = ["STRIDE", "insert_events", "make_room"]

STRIDE: Final = 12 * GROUP
"""How many events share a statement, and are hashed just before it."""

WIDTH: Final = len(ROW_COLUMNS) + 1
"""The columns of `events`: those that the chain covers, the kind."""

MARKS: Final = f"({','.join('?' * WIDTH)})"
INSERT_ONE: Final = f"INSERT INTO events VALUES {MARKS}"  # noqa: S608 - marks
INSERT_MANY: Final = ",".join([INSERT_ONE, *[MARKS] * (STRIDE - 1)])

ROOM: Final = (512, 640)
"""Bytes and number of the pieces of memory that a connection has ready. SQLite cuts three small
ones for each large one: with this, 365 for headers and payloads, 1,100 for shorter texts."""


def make_room() -> None:
    """Give every connection of this process memory for the texts of STRIDE events.

    Only before the process opens its first database: SQLite begins anew.
    """
    apsw.shutdown()
    apsw.config(apsw.SQLITE_CONFIG_LOOKASIDE, *ROOM)
    apsw.initialize()


def insert_events(db: apsw.Connection, records: Sequence[Record], kinds: Iterable[int]) -> None:
    """Insert events as the chain sees them, with the numbers of their kinds."""
    if len(records) == STRIDE:
        values: list[str | int | bytes] = []
        for record, kind in zip(records, kinds, strict=True):
            values += record
            values.append(kind)
        db.execute(INSERT_MANY, values)
    else:
        db.executemany(
            INSERT_ONE, ((*record, kind) for record, kind in zip(records, kinds, strict=True))
        )
