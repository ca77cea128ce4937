"""The journal: what was attempted and what became of it, on disk and outside the broker.

A run folder holds facts as flat binary tables, one numpy record each, appended and never
rewritten; a torn last record (a crash) is not read. `sources.jsonl` numbers the sources:
line i is `{"bot": ..., "subject": ...}` of source i.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from twin.errors import InfrastructureError
from twin.events.digest import payload_hashes
from twin.events.event import NO_SOURCE, Columns

__all__ = [
    "ACK",
    "ATTEMPT",
    "COPY",
    "NO_SOURCE",
    "OUTCOME",
    "FileJournal",
    "LocalRefusal",
    "Outcome",
    "Rows",
    "TableWriter",
    "attempts",
    "read_table",
]

Rows = npt.NDArray[np.void]
"""Records of one of the tables below."""

ATTEMPT = np.dtype(
    [
        ("source", "<u4"),
        ("seq", "<u4"),
        ("hash", "<u8"),  # XXH3 (64 bits) of the payload
        ("sim_ns", "<i8"),  # intended publish time on the simulated clock
        ("intended_ns", "<i8"),  # the same moment on the wall clock
        ("slip_us", "<u4"),  # how late the generator handed it over, 0 when in time
        ("size", "<u4"),  # payload bytes
    ]
)
"""`journal/attempted.bin`: one record per generated event, before it is first sent."""

OUTCOME = np.dtype(
    [
        ("source", "<u4"),
        ("seq", "<u4"),
        ("outcome", "u1"),  # an Outcome
        ("duplicate", "u1"),  # the server said `duplicate: true`
        ("tries", "<u2"),
        ("error", "<u4"),  # JetStream err_code or LocalRefusal of the last failure, otherwise 0
        ("stream_seq", "<u8"),
        ("ack_ns", "<i8"),  # wall time at which the outcome became known
    ]
)
"""`journal/acknowledged.bin`: one record per event whose outcome is known."""

COPY = np.dtype(
    [
        ("source", "<u4"),
        ("seq", "<u4"),
        ("hash", "<u8"),
        ("stream_seq", "<u8"),
        ("time_ns", "<i8"),  # stream: stored; observer: durably recorded
        ("stream", "<u2"),  # index into the manifest's list of streams
        ("deliveries", "<u2"),  # as counted by JetStream; 0 in a stream scan
        ("code", "<u2"),  # registrar code; 0 elsewhere
        ("spare", "<u2"),
    ]
)
"""`stream/stored.bin` and `observed/<observer>.bin`: one record per stored or recorded copy."""

ACK = np.dtype(
    [
        ("consumer", "<u2"),  # index into the manifest's list of consumers
        ("deliveries", "<u2"),
        ("spare", "<u4"),
        ("stream_seq", "<u8"),
        ("delay_ns", "<i8"),  # from the delivery to the acknowledgement, by the server's clock
        ("time_ns", "<i8"),  # wall time at which the sample came
    ]
)
"""`observed/acks.samples`: one record per sampled acknowledgement of a watched consumer."""


class Outcome(IntEnum):
    """What the publisher knows of an event at the end; PENDING is never written."""

    PENDING = 0
    ACKNOWLEDGED = 1
    REFUSED = 2
    UNKNOWN = 3
    SHED = 4


class LocalRefusal(IntEnum):
    """Why the publisher itself gave an event up; below all err_codes of JetStream."""

    OVERFLOW = 1
    """The bounded backlog was full."""
    NOT_SENT = 2
    """The run ended before the event was first sent."""
    MAX_PAYLOAD = 3
    """Larger than the server takes."""
    PERMISSION = 4
    """The server forbids the subject."""
    NO_RESPONDERS = 503
    """No stream took the subject, on any try."""


def attempts(events: Columns, intended_ns: npt.ArrayLike, slip_us: int) -> Rows:
    """Return the ATTEMPT rows of events."""
    source, seq, sim_ns, _, payloads = events
    rows = np.empty(len(source), ATTEMPT)
    rows["source"] = source
    rows["seq"] = seq
    rows["hash"] = payload_hashes(payloads)
    rows["sim_ns"] = sim_ns
    rows["intended_ns"] = intended_ns
    rows["slip_us"] = slip_us
    rows["size"] = list(map(len, payloads))
    return rows


class TableWriter:
    """Appends records of one dtype to a file through a bounded buffer.

    `append` takes the fields in order, `extend` whole records; `checkpoint` makes everything
    appended so far durable. Not safe for use by several threads at once.
    """

    def __init__(self, path: Path, dtype: np.dtype[np.void], buffered: int = 4096) -> None:
        self._file = path.open("ab", buffering=0)
        self._pieces: list[bytes] = []
        self._held = 0
        self._dtype = dtype
        self._pack = _packer(dtype)
        self._buffered = buffered

    def append(self, *fields: int) -> None:
        """Add one record; it is written out when the buffer is full."""
        self._add(self._pack(*fields), 1)

    def extend(self, rows: Rows) -> None:
        """Add many records at once."""
        if rows.dtype != self._dtype:
            raise TypeError(f"records of {rows.dtype} do not belong into a table of {self._dtype}")
        self._add(rows.tobytes(), len(rows))

    def flush(self) -> None:
        """Hand the buffered records to the operating system."""
        if self._held:
            data = memoryview(b"".join(self._pieces))
            while data:
                data = data[self._file.write(data) :]
            self._pieces.clear()
            self._held = 0

    def _add(self, piece: bytes, records: int) -> None:
        self._pieces.append(piece)
        self._held += records
        if self._held >= self._buffered:
            self.flush()

    def sync(self) -> None:
        """Return once what was flushed is on stable storage; may run beside the other calls."""
        os.fsync(self._file.fileno())

    def checkpoint(self) -> None:
        """Flush, and return once the records are on stable storage."""
        self.flush()
        self.sync()

    def close(self) -> None:
        """Checkpoint and close."""
        if not self._file.closed:
            self.checkpoint()
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()


def _packer(dtype: np.dtype[np.void]) -> Callable[..., bytes]:
    """Return what packs one record; three times as fast as going through an array."""
    codes = {"u1": "B", "u2": "H", "u4": "I", "u8": "Q", "i8": "q"}
    fields = "".join(codes[dtype[name].str[1:]] for name in dtype.names or ())
    return Struct(f"<{fields}").pack


class FileJournal:
    """The publisher's journal in a folder: `attempted.bin` and `acknowledged.bin`.

    Errors of the file system are raised as InfrastructureError.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._attempted = TableWriter(folder / "attempted.bin", ATTEMPT)
        self._settled = TableWriter(folder / "acknowledged.bin", OUTCOME)

    def attempted(self, rows: Rows) -> None:
        """Record ATTEMPT rows, before the events are first sent."""
        with _writing():
            self._attempted.extend(rows)

    def settled(self, rows: Rows) -> None:
        """Record OUTCOME rows."""
        with _writing():
            self._settled.extend(rows)

    def flush(self) -> None:
        """Hand everything recorded so far to the operating system."""
        with _writing():
            self._attempted.flush()
            self._settled.flush()

    def sync(self) -> None:
        """Return once what was flushed is on stable storage; may run in another thread."""
        with _writing():
            self._attempted.sync()
            self._settled.sync()

    def close(self) -> None:
        """Make everything durable and close the files."""
        with _writing():
            self._attempted.close()
            self._settled.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InfrastructureError(f"The journal cannot be written: {error}") from error


def read_table(
    path: Path, dtype: np.dtype[np.void], chunk: int = 1_000_000
) -> Iterator[npt.NDArray[np.void]]:
    """Yield a table in arrays of at most `chunk` whole records; a missing file has none."""
    if not path.exists():
        return
    with path.open("rb") as file:
        while len(data := file.read(chunk * dtype.itemsize)) >= dtype.itemsize:
            yield np.frombuffer(data, dtype=dtype, count=len(data) // dtype.itemsize)
