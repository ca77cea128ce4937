"""Events into their table, many to a statement.

A statement opens the table and each of its indexes: events that share one share that. The text
of a statement is looked at each time it runs, so that it is as short as can be.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import apsw

from twin.registrar.chain import Record
from twin.registrar.schema import ROW_COLUMNS

__all__ = ["STRIDE", "insert_events"]

STRIDE: Final = 100
"""How many events share a statement."""

WIDTH: Final = len(ROW_COLUMNS) + 2
"""The columns of `events`: those that a leaf covers, the leaf, the kind."""

MARKS: Final = f"({','.join('?' * WIDTH)})"
INSERT_ONE: Final = f"INSERT INTO events VALUES {MARKS}"  # noqa: S608 - marks
INSERT_MANY: Final = ",".join([INSERT_ONE, *[MARKS] * (STRIDE - 1)])


def insert_events(
    db: apsw.Connection, records: Sequence[Record], leaves: Iterable[bytes], kinds: Iterable[int]
) -> None:
    """Insert events as the chain sees them, with their leaves and the numbers of their kinds."""
    ends = zip(leaves, kinds, strict=True)
    if len(records) == STRIDE:
        values: list[str | int | bytes] = []
        for record, end in zip(records, ends, strict=True):
            values += record[1:]
            values += end
        db.execute(INSERT_MANY, values)
    else:
        db.executemany(
            INSERT_ONE, (record[1:] + end for record, end in zip(records, ends, strict=True))
        )
