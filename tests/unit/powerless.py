"""An SQLite VFS that records writes and syncs, and the disks that a power loss may leave of them.

What was synced is there. Of what was written since, any subset is, each write whole, absent
or torn at a sector; so is a file that was never synced.
"""

import gc
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

SECTOR = 512


@dataclass(frozen=True, slots=True)
class Op:
    """One thing that happened to a file: `write`, `truncate`, `sync`, `delete`; or a `mark`.

    `settle` is a sync of the folder."""

    kind: str
    path: str = ""
    offset: int = 0
    data: bytes = b""


class Recorder(apsw.VFS):
    """Passes everything on to the disk and remembers it in `ops`.

    `fail` may raise for an operation before it is carried out.
    """

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.fail: Callable[[Op], None] = lambda op: None
        super().__init__("recorder", "unix", makedefault=True)

    def note(self, op: Op) -> None:
        """Remember an operation, unless it is made to fail."""
        self.fail(op)
        self.ops.append(op)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "RecordedFile":  # noqa: N802
        """Open a file."""
        return RecordedFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        """Delete a file."""
        self.note(Op("delete", filename))
        super().xDelete(filename, syncdir)


class RecordedFile(apsw.VFSFile):
    """A file of the recorder."""

    def __init__(
        self, vfs: Recorder, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        self.vfs = vfs
        self.path = name.filename() if isinstance(name, apsw.URIFilename) else str(name or "")
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        """Write."""
        self.vfs.note(Op("write", self.path, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        """Cut off."""
        self.vfs.note(Op("truncate", self.path, newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        """Make durable."""
        self.vfs.note(Op("sync", self.path))
        super().xSync(flags)


@contextmanager
def recording() -> Iterator[Recorder]:
    """Record all that SQLite does meanwhile."""
    vfs = Recorder()
    loud, sys.unraisablehook = (
        sys.unraisablehook,
        lambda _: None,
    )  # what `fail` raises, SQLite tells
    try:
        yield vfs
    finally:
        gc.collect()  # cursors in tracebacks, which report once more what made them fail
        sys.unraisablehook = loud
        vfs.unregister()


def disk_after(ops: list[Op], chance: random.Random) -> dict[str, bytes]:
    """Return files by path as a power loss after these operations may leave them.

    The first sync of a journal syncs its folder too, as SQLite does: what was deleted before
    that is gone.
    """
    durable: dict[str, bytearray | None] = {}
    pending: dict[str, list[Op]] = {}
    for op in ops:
        if op.kind == "sync":
            if durable.get(op.path) is None and op.path.endswith(("-wal", "-journal")):
                _settle_deletions(durable, pending)
            content = durable.get(op.path)
            for one in pending.pop(op.path, []):
                content = _applied(content, one)
            durable[op.path] = content
        elif op.kind == "settle":
            _settle_deletions(durable, pending)
        elif op.kind != "mark":
            pending.setdefault(op.path, []).append(op)
    for path, waiting in pending.items():
        for one in waiting:
            torn = _torn(one, chance)
            if torn is not None:
                durable[path] = _applied(durable.get(path), torn)
    return {path: bytes(content) for path, content in durable.items() if content is not None}


def _settle_deletions(durable: dict[str, bytearray | None], pending: dict[str, list[Op]]) -> None:
    for path, waiting in pending.items():
        last = max((at for at, op in enumerate(waiting) if op.kind == "delete"), default=-1)
        if last >= 0:
            durable[path] = None
            del waiting[: last + 1]


def lay_out(files: dict[str, bytes], source: Path, target: Path) -> None:
    """Write such a disk into a folder, with what SQLite does not write (key and lock)."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for name in ("signing-key.pem", "lock"):
        shutil.copy(source / name, target)
    for path, content in files.items():
        if "-shm" not in path:
            (target / Path(path).name).write_bytes(content)


def _applied(content: bytearray | None, op: Op) -> bytearray | None:
    if op.kind == "delete":
        return None
    content = bytearray() if content is None else content
    if op.kind == "truncate":
        del content[op.offset :]
        return content
    if len(content) < op.offset:
        content.extend(bytes(op.offset - len(content)))
    content[op.offset : op.offset + len(op.data)] = op.data
    return content


def _torn(op: Op, chance: random.Random) -> Op | None:
    fate = chance.random()
    if fate < 0.4:
        return None
    if op.kind != "write" or fate < 0.8 or len(op.data) <= SECTOR:
        return op
    return Op(
        "write",
        op.path,
        op.offset,
        op.data[: SECTOR * chance.randrange(1, len(op.data) // SECTOR + 1)],
    )
