"""Messages that the run itself injected, and whether each became what it had to become.

`journal/injected.jsonl` has one line per message. An injected message is nothing unexpected;
what is judged is what was made of it:

- `recorded`: the registrar has it once, as an event;
- `quarantined`: the registrar has it once, under a code 9xx;
- `deduplicated`: an event of the run once more in the stream, for which the class of
  duplicates says whether an observer recorded it twice;
- `dropped`, `refused`: the broker did not store it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from twin.verdict.facts import BrokenEvidence, read_rows

__all__ = ["INJECTED", "Expected", "Injection", "Injections", "Outcome", "read_injections"]

INJECTED = "journal/injected.jsonl"
Expected = Literal["recorded", "quarantined", "deduplicated", "dropped", "refused"]
Outcome = Literal["stored", "dropped", "refused", "unknown"]
Key = tuple[int, int]
"""The number of a stream in the manifest, and a sequence in it."""


@dataclass(frozen=True, slots=True)
class Injection:
    """One injected message. `stream_seq` is 0 unless it was stored or dropped as a duplicate.

    `subject` is logical, `stream` as on the server. `id` and `source` are those under which it
    was made; a repeated event bears its own.
    """

    fault: int
    kind: str
    expected: Expected
    outcome: Outcome
    stream: str
    stream_seq: int
    subject: str
    id: str
    source: str
    hash: int
    wall_ns: int
    error: str = ""

    @property
    def as_meant(self) -> bool:
        """Whether the broker did with it what the fault is about."""
        meant = self.expected if self.expected in ("dropped", "refused") else "stored"
        return self.outcome == meant


class Injections:
    """The stored ones by their places, numbered as the manifest numbers streams."""

    def __init__(self, injections: Iterable[Injection] = (), streams: tuple[str, ...] = ()) -> None:
        self.all = tuple(injections)
        self.by_key: dict[Key, Injection] = {}
        self._by_id: dict[str, Key] = {}
        for one in self.all:
            if one.outcome != "stored" or not one.as_meant:
                continue
            if one.stream not in streams:
                raise BrokenEvidence(f"{INJECTED} names {one.stream!r}, no stream of the run")
            key = (streams.index(one.stream), one.stream_seq)
            self.by_key[key] = one
            if one.expected != "deduplicated":
                self._by_id[one.id] = key

    def stranger(self, key: Key, event_id: str, source: str) -> Key | None:
        """Return the place of what was injected with an identity of its own.

        It is known by its place, or where an observer has none, by its id.
        """
        found = self.by_key.get(key)
        if found is not None and found.expected != "deduplicated":
            return key
        place = self._by_id.get(event_id)
        ours = place is not None and source in ("", self.by_key[place].source)
        return place if ours else None

    def repeated(self, stream: int) -> dict[int, Injection]:
        """Return the events that were injected again, by their sequence in a stream."""
        return {
            seq: one
            for (number, seq), one in self.by_key.items()
            if number == stream and one.expected == "deduplicated"
        }


ROW = TypeAdapter(Injection)


def read_injections(run_dir: Path) -> list[Injection]:
    """Return what was injected; BrokenEvidence when that cannot be read."""
    path = run_dir / INJECTED
    try:
        return [ROW.validate_python(row) for row in read_rows(path)]
    except ValidationError as error:
        raise BrokenEvidence(f"{path}: {str(error).splitlines()[0]}") from error
