"""What is to be recorded of a batch of messages, and the batch while that is being found out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import NamedTuple

from twin.jetstream.message import Message
from twin.registrar.alike import Rows
from twin.registrar.places import Place
from twin.registrar.record import Note, Row
from twin.registrar.shapes import Shape

__all__ = ["Batch", "Event", "Records"]


class Event(NamedTuple):
    """A row for the store, and whether it is to be fanned out as an audit record."""

    row: Row
    publish: bool


@dataclass(slots=True)
class Records:
    """What is to be recorded of some messages; rows and notes each in the messages' order.

    `unrecorded` are the sequences of those of which nothing is; `publish` has id and source of
    the events that are to be fanned out.
    """

    rows: list[Row] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    unrecorded: list[int] = field(default_factory=list)
    publish: set[tuple[str, str]] = field(default_factory=set)


class Batch:
    """Messages, their places, and what has been found of each so far."""

    def __init__(self, messages: Sequence[Message], places: Sequence[Place]) -> None:
        self.messages = messages
        self.places = places
        self._found: list[Row | Note | None] = [None] * len(messages)
        self._publish: set[tuple[str, str]] = set()

    def by_subject(self) -> Iterable[tuple[Shape | None, Sequence[int]]]:
        """Return who has which shape if each is like the latest of its subject."""
        shapes = {place.shape for place in set(self.places)}
        if len(shapes) == 1:
            return [(shapes.pop(), range(len(self.messages)))]
        groups: dict[Shape | None, list[int]] = {shape: [] for shape in shapes}
        for at, place in enumerate(self.places):
            groups[place.shape].append(at)
        return groups.items()

    def of(self, members: Sequence[int]) -> Sequence[Message]:
        """Return some of the messages."""
        return [self.messages[at] for at in members]

    def put(self, members: Sequence[int], rows: Rows) -> None:
        """Keep the rows of some."""
        if len(members) == len(self.messages):
            self._found = list(rows.rows)
        else:
            for at, row in zip(members, rows.rows, strict=True):
                self._found[at] = row
        if any(rows.publish):
            self._publish.update((row.id, row.source) for row in compress(*rows))

    def put_one(self, at: int, found: Event | Note | None) -> None:
        """Keep what was found of one."""
        if isinstance(found, Event):
            self._found[at] = found.row
            if found.publish:
                self._publish.add((found.row.id, found.row.source))
        else:
            self._found[at] = found

    def records(self) -> Records:
        """Return what was found, in order."""
        return Records(
            [one for one in self._found if isinstance(one, Row)],
            [one for one in self._found if isinstance(one, Note)],
            [
                message.stream_seq
                for message, one in zip(self.messages, self._found, strict=True)
                if one is None
            ],
            self._publish,
        )
