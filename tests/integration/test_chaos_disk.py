"""A small disk that can be made full, without root and without harm to others."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from twin.chaos.disk import SmallDisk
from twin.errors import InfrastructureError
from twin.processes import ChildProcess

SIZE = 4 * 1024 * 1024
HARNESS = """
import asyncio, sys
from pathlib import Path
from twin.chaos.disk import SmallDisk

async def main():
    async with SmallDisk(Path(sys.argv[1]) / "disk", 1 << 20, Path(sys.argv[1]) / "log") as disk:
        print(disk.entry[2] if disk.entry else 0, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def write(disk: SmallDisk, path: Path, size: int) -> str:
    """Write a file where the disk is; return what dd says."""
    log = path.parent.parent / "dd.log"
    command = [*disk.entry, "dd", "if=/dev/zero", f"of={path}", "bs=1024", f"count={size // 1024}"]
    async with ChildProcess.start(command, log_path=log) as child:
        await child.wait()
    return log.read_text()


async def test_a_full_disk_has_no_room_until_it_is_freed(tmp_path: Path) -> None:
    """Writes meet ENOSPC while it is full, and succeed before and after."""
    path = tmp_path / "disk"
    async with SmallDisk(path, SIZE, tmp_path / "log") as disk:
        if disk.missing:
            pytest.skip(disk.missing)
        assert "No space left" not in await write(disk, path / "before", 64 * 1024)
        await disk.fill()
        assert "No space left" in await write(disk, path / "full", 64 * 1024)
        await disk.free()
        assert (await write(disk, path / "after", 64 * 1024)).count("No space left") == 1
        assert not list(path.iterdir())
    assert not list(path.iterdir())


async def test_without_the_programs_there_is_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where unshare is not installed it says so, and an ordinary folder is used."""
    monkeypatch.setenv("PATH", str(tmp_path))
    async with SmallDisk(tmp_path / "disk", SIZE, tmp_path / "log") as disk:
        assert "unshare" in disk.missing
        assert disk.entry == ()
        with pytest.raises(InfrastructureError):
            await disk.fill()


def test_the_disk_ends_with_the_harness(tmp_path: Path) -> None:
    """When the harness is killed the process that keeps the disk is killed too."""
    harness = subprocess.Popen(
        [sys.executable, "-c", HARNESS, tmp_path], stdout=subprocess.PIPE, text=True
    )
    assert harness.stdout is not None
    keeper = int(harness.stdout.readline())
    harness.send_signal(signal.SIGKILL)
    harness.wait()
    harness.stdout.close()
    if not keeper:
        pytest.skip("this system lets nobody mount a disk")
    end = time.monotonic() + 30
    while Path(f"/proc/{keeper}").exists() and time.monotonic() < end:
        asyncio.run(asyncio.sleep(0.02))
    with pytest.raises(ProcessLookupError):
        os.kill(keeper, 0)
