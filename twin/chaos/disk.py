"""A small disk for the broker's store, which can be made full: every write then is a true ENOSPC.

It is a tmpfs in a mount namespace of its own, which a sleeping process keeps and nats-server
enters, so that it outlives restarts of the broker and ends with the run. It is full when its
size is set to what it holds. This needs Linux, util-linux, and a kernel that lets users have
namespaces; neither root nor a second disk.
"""

import asyncio
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from twin.errors import InfrastructureError, ProcessFailed
from twin.jetstream.server import NatsServer
from twin.processes import ChildProcess, tail

__all__ = ["BrokerDisk", "SmallDisk"]

READY: Final = b"mounted"
READY_S: Final = 5.0
POLL_S: Final = 0.05
TRIES: Final = 20
"""How often the size is set anew when the store has grown meanwhile."""
PAGE: Final = 4096
KEEP: Final = 'mount -t tmpfs -o "size=$1" twin "$0" && echo mounted && exec sleep 604800'


class SmallDisk:
    """A disk of `size` bytes at `path`, for those who enter by `entry`.

    `missing` says why there is none; then `entry` is empty, and `path` an ordinary folder.
    """

    def __init__(self, path: Path, size: int, log: Path) -> None:
        self._path, self._size, self._log = path.resolve(), size, log
        self._keeper: ChildProcess | None = None
        self.missing = "it has not been mounted"

    @property
    def entry(self) -> tuple[str, ...]:
        """What a command line begins with to run where the disk is."""
        if self._keeper is None or self.missing:
            return ()
        namespaces = ("--user", "--mount", "--preserve-credentials")
        return ("nsenter", "--target", str(self._keeper.pid), *namespaces, "--")

    async def __aenter__(self) -> Self:
        self._path.mkdir(parents=True, exist_ok=True)
        self.missing = await self._mount()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._keeper is not None:
            await self._keeper.terminate(0.5)

    async def fill(self) -> None:
        """Leave no room at all; raises InfrastructureError when that cannot be done."""
        for _ in range(TRIES):
            if await self._resize(max(PAGE, self._used())):
                return
        raise InfrastructureError(f"the disk could not be filled: {tail(self._log, 1)}")

    async def free(self) -> None:
        """Give the room back."""
        if not await self._resize(self._size):
            raise InfrastructureError(f"the disk could not be freed: {tail(self._log, 1)}")

    async def _mount(self) -> str:
        """Mount it; return why that cannot be done, "" when it is."""
        if sys.platform != "linux" or not all(map(shutil.which, ("unshare", "nsenter"))):
            return "a full disk needs Linux with unshare and nsenter"
        spaces = ("--user", "--map-root-user", "--mount")
        keep = ("sh", "-c", KEEP, str(self._path), str(self._size))
        self._keeper = ChildProcess.start(["unshare", *spaces, *keep], log_path=self._log)
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_S):
                while not self._said_ready() and self._keeper.returncode is None:  # noqa: ASYNC110
                    await asyncio.sleep(POLL_S)
        if self._keeper.returncode is None and self._said_ready():
            return ""
        why = tail(self._log, 1) or "no answer"
        return f"this system lets nobody mount a disk in a namespace of their own ({why})"

    def _said_ready(self) -> bool:
        return READY in self._log.read_bytes()

    def _used(self) -> int:
        if self._keeper is None:
            raise InfrastructureError(self.missing)
        found = os.statvfs(f"/proc/{self._keeper.pid}/root{self._path}")
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    async def _resize(self, size: int) -> bool:
        command = (*self.entry, "mount", "-o", f"remount,size={size}", str(self._path))
        async with ChildProcess.start(command, log_path=self._log) as resizing:
            return await resizing.wait() == 0


class BrokerDisk:
    """The disk of a broker of the run's own, as something that a fault can fill."""

    def __init__(self, server: NatsServer, disk: SmallDisk) -> None:
        self._server, self._disk = server, disk

    @property
    def running(self) -> bool:
        """Whether the broker runs."""
        return self._server.running

    async def fill(self, within_s: float) -> None:
        """Leave no room and return once the broker has met that.

        Raises InfrastructureError when there is no such disk, or the broker wrote nothing in time.
        """
        if self._disk.missing:
            raise InfrastructureError(self._disk.missing)
        seen = self._server.log.stat().st_size
        await self._disk.fill()
        try:
            async with asyncio.timeout(within_s):
                while not self._met_it(seen):  # noqa: ASYNC110 - a log sets no Event
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise InfrastructureError("the broker wrote nothing to its full disk") from None

    async def free(self) -> None:
        """Give the room back and start the broker again, which does not use its store otherwise."""
        if self._disk.missing:
            return
        await self._disk.free()
        await self._server.stop()
        try:
            await self._server.start()
        except ProcessFailed as error:
            raise InfrastructureError(f"it did not come back: {error}") from error

    def _met_it(self, seen: int) -> bool:
        with self._server.log.open("rb") as log:
            log.seek(seen)
            text = log.read().lower()
        return b"no space left" in text or b"out of space" in text or b"out of file" in text
