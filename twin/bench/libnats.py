"""The C client, where it is installed: compiled on the spot, run as a process of its own."""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

from twin.bench.rig import Clock, Rig, Turn, process_cpu_s
from twin.errors import ProcessFailed

__all__ = ["LibNats"]

SOURCE = Path(__file__).with_suffix(".c")


class LibNats:
    """A program that publishes through libnats' js_PublishMsgAsync."""

    def __init__(self, program: Path) -> None:
        self._program = program

    @classmethod
    def build(cls, folder: Path) -> "LibNats | None":
        """Compile it into `folder`; None without a C compiler or libnats (Debian: libnats-dev)."""
        compiler, program = shutil.which("cc"), folder / "libnats"
        if compiler is None:
            return None
        argv = [compiler, "-O2", "-o", str(program), str(SOURCE), "-lnats"]
        done = subprocess.run(argv, capture_output=True, check=False)
        return cls(program) if done.returncode == 0 else None

    async def publish(self, rig: Rig, count: int, run: str) -> Turn:
        """Publish `count` messages, timed from the first to the last acknowledgement.

        Begins with all written files on disk, as the clock of the others does.
        """
        os.sync()
        before = process_cpu_s(rig.server.pid)
        process = await asyncio.create_subprocess_exec(
            *(str(self._program), rig.server.url, run, str(count)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, error = await process.communicate()
        if process.returncode != 0:
            raise ProcessFailed(f"The program with libnats failed: {error.decode()}")
        wall_s, cpu_s = map(float, output.split())
        server_s = process_cpu_s(rig.server.pid) - before
        return Turn(count, Clock(wall_s, {"client": cpu_s, "server": server_s}))
