"""An event before it meets a broker, and the table of the sources that emit events."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from struct import pack
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from twin.events.subjects import subject_key

__all__ = [
    "MAX_SEQ",
    "NO_SOURCE",
    "TWIN_SOURCE",
    "Columns",
    "Digits",
    "Event",
    "Source",
    "SourceTable",
    "attribute",
    "columns",
    "many",
    "split_event_id",
]

NO_SOURCE = 0xFFFFFFFF
"""The source of a recorded message whose id names no source of the run."""
MAX_SEQ = 0xFFFFFFFF
TWIN_SOURCE = "urn:twin:"
MOST_DIGITS: Final = 10_000


class Event(NamedTuple):
    """One generated event, encoded and ready to be sent.

    `source` indexes the run's SourceTable; `seq` is dense from 1 per source, also over
    events that an outbox sheds later. `sim_ns` is the intended publish time in simulated
    nanoseconds since the start. `headers` is a NATS header block that begins with
    `NATS/1.0` and ends after its last line: whoever sends it may append lines, then adds
    the closing empty line.
    """

    source: int
    seq: int
    sim_ns: int
    headers: bytes
    payload: bytes


class Columns(NamedTuple):
    """Events field by field: the n-th of each is of the n-th event."""

    source: npt.NDArray[np.uint32]
    seq: npt.NDArray[np.uint32]
    sim_ns: npt.NDArray[np.int64]
    headers: Sequence[bytes]
    payload: Sequence[bytes]


def columns(events: Iterable[Event]) -> Columns:
    """Return the fields of events, of which there is at least one."""
    source, seq, sim_ns, headers, payloads = zip(*events, strict=True)
    return Columns(
        np.frombuffer(pack(f"<{len(source)}I", *source), "<u4"),
        np.frombuffer(pack(f"<{len(seq)}I", *seq), "<u4"),
        np.frombuffer(pack(f"<{len(sim_ns)}q", *sim_ns), "<i8"),
        headers,
        payloads,
    )


def many(rows: Iterable[tuple[int, int, int, bytes, bytes]]) -> list[Event]:
    """Return the events of which these are the fields; half the price of one by one."""
    return list(map(tuple.__new__, repeat(Event), rows))


class Digits(dict[int, bytes]):
    """Numbers as text, kept: the sources of a channel are at the same few at any time."""

    def __missing__(self, number: int) -> bytes:
        if len(self) >= MOST_DIGITS:
            self.clear()
        made = self[number] = b"%d" % number
        return made


class Source(NamedTuple):
    """One (bot, subject) pair. `subject` is logical: without the prefix of a foreign server."""

    bot: str
    subject: str

    @property
    def name(self) -> str:
        """`<bot>/<subject key>`: an event id without its sequence number."""
        return f"{self.bot}/{subject_key(self.subject, self.bot)}"


@dataclass(slots=True)
class SourceTable:
    """Dense numbering of the sources of a run, in the order in which they were declared."""

    _sources: list[Source] = field(default_factory=list)
    _by_name: dict[str, int] = field(default_factory=dict)

    def add(self, bot: str, subject: str) -> int:
        """Return the index of the source, adding it when it is new."""
        source = Source(bot, subject)
        index = self._by_name.setdefault(source.name, len(self._sources))
        if index == len(self._sources):
            self._sources.append(source)
        return index

    def find(self, name: str) -> int | None:
        """Return the index of `<bot>/<subject key>`, or None for a source of somebody else."""
        return self._by_name.get(name)

    def __getitem__(self, index: int) -> Source:
        return self._sources[index]

    def __len__(self) -> int:
        return len(self._sources)

    def __iter__(self) -> Iterator[Source]:
        return iter(self._sources)


def split_event_id(event_id: str) -> tuple[str, int] | None:
    """Split `<bot>/<subject key>/<seq>` into source name and sequence; None if it is no such id."""
    name, _, digits = event_id.rpartition("/")
    if not (name and digits.isascii() and digits.isdigit() and digits[0] != "0"):
        return None
    return name, int(digits)


def attribute(
    sources: SourceTable, run_id: str, event_id: str, ce_source: str, subject: str
) -> tuple[int, int, str]:
    """Return the source and sequence of a recorded message, or NO_SOURCE, 0 and why.

    `subject` is logical. A message is the run's own if its id names one of `sources`, its
    CloudEvents source is that bot of the run (not asked for without a `run_id`), and it came
    on that source's subject.
    """
    named = split_event_id(event_id)
    index = None if named is None else sources.find(named[0])
    if named is None or index is None or named[1] > MAX_SEQ:
        return NO_SOURCE, 0, "its id names no source of the run"
    source = sources[index]
    if run_id and ce_source != f"{TWIN_SOURCE}{run_id}:{source.bot}":
        return NO_SOURCE, 0, "its CloudEvents source is not this run's"
    if source.subject != subject:
        return NO_SOURCE, 0, "it came on the subject of another source"
    return index, named[1], ""
