"""Commands that a scenario wants run when it is over, however it ended."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from twin.errors import ProcessFailed
from twin.processes import ChildProcess
from twin.scenario.language.outside import Word
from twin.scenario.language.values import NS_PER_S, Duration, Model
from twin.verdict.manifest import RollbackFacts

__all__ = ["Rollback", "Rollbacks"]


class Rollback(Model):
    """A command of yours that puts something back."""

    run: tuple[Word, ...] = Field(
        min_length=1, description="Program and arguments; `python` is the twin's interpreter."
    )
    timeout: Duration = Field(30 * NS_PER_S, gt=0, description="Wall time before it is killed.")


class Rollbacks:
    """Runs every command once, in order, whether or not the ones before it worked."""

    def __init__(
        self, declared: tuple[Rollback, ...], *, env: Mapping[str, str], cwd: Path, log: Path
    ) -> None:
        self._waiting = list(declared)
        self._env, self._cwd, self._log = env, cwd, log
        self._done: list[RollbackFacts] = []

    async def run(self) -> tuple[RollbackFacts, ...]:
        """Run what has not been run yet; return how all of them ended."""
        while self._waiting:
            self._done.append(await self._one(self._waiting.pop(0)))
        return tuple(self._done)

    async def _one(self, rollback: Rollback) -> RollbackFacts:
        program, *arguments = rollback.run
        argv = [sys.executable if program == "python" else program, *arguments]
        name = " ".join(rollback.run)
        try:
            child = ChildProcess.start(argv, env=self._env, log_path=self._log, cwd=self._cwd)
        except ProcessFailed as error:
            return RollbackFacts(command=name, exit_code=None, detail=str(error))
        try:
            async with asyncio.timeout(rollback.timeout / NS_PER_S):
                code = await child.wait()
        except TimeoutError:
            await child.terminate()
            limit = f"{rollback.timeout / NS_PER_S:g} s"
            return RollbackFacts(command=name, exit_code=None, detail=f"not done within {limit}")
        return RollbackFacts(command=name, exit_code=code)
