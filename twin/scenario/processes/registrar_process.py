"""The registrar as a process of its own, which a run can kill, pause and start again."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from twin.errors import ProcessFailed
from twin.processes import ChildProcess, tail
from twin.scenario.processes.own_process import OwnProcess

__all__ = ["RegistrarProcess"]

READY_S = 20.0
POLL_S = 0.02
DEFAULT_COMMAND = (sys.executable, "-m", "twin", "registrar", "serve")


class RegistrarProcess(OwnProcess):
    """Starts `command` (by default our own registrar) and knows how it ended.

    `arguments` follow the command; secrets belong into `env`. Ready means that the process
    has written `announce`, JSON with its `http` address.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        announce: Path,
        command: Sequence[str] = DEFAULT_COMMAND,
    ) -> None:
        super().__init__()
        self._argv = [*command, *arguments]
        self._env = dict(env)
        self._log = log
        self._announce = announce
        self.http = ""

    async def start(self) -> None:
        """Start the process and return once it consumes; raises ProcessFailed with its log."""
        self._announce.unlink(missing_ok=True)
        self.stopped_on_purpose = False
        self._child = ChildProcess.start(self._argv, env=self._env, log_path=self._log)
        try:
            async with asyncio.timeout(READY_S):
                while not self._announce.exists():
                    if self._child.returncode is not None:
                        raise ProcessFailed(self._story(f"ended with {self._child.returncode}"))
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise ProcessFailed(self._story(f"was not ready within {READY_S:g} s")) from None
        try:
            self.http = json.loads(self._announce.read_text())["http"]
        except (ValueError, KeyError, TypeError) as error:
            raise ProcessFailed(self._story(f"announced what is no address: {error}")) from error

    @property
    def pid(self) -> int:
        """The process id of the registrar, running or last run; 0 before the first start."""
        return self._child.pid if self._child else 0

    @property
    def returncode(self) -> int | None:
        """The exit code, None while the process runs."""
        return self._child.returncode if self._child else None

    async def stop(self) -> int | None:
        """Ask the process to drain and end; return the exit code that it had or got."""
        if self._child is None:
            return None
        if self._child.returncode is None:
            await self._child.terminate(grace_s=10.0)
        return self._child.returncode

    def _story(self, what: str) -> str:
        return f"The registrar {what}.{os.linesep}{tail(self._log)}"
