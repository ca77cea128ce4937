"""A user's service as a process of the run: started, made sure of, broken by faults, stopped."""

import asyncio
import http.client
import re
import sys
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from signal import Signals

from twin.errors import InfrastructureError, ProcessFailed
from twin.processes import ChildProcess, tail
from twin.scenario.language.outside import Ready, Service
from twin.scenario.language.values import NS_PER_S
from twin.scenario.processes.own_process import OwnProcess
from twin.verdict.manifest import ServiceFacts

__all__ = ["ServiceProcess"]

POLL_S = 0.05
HTTP_S = 2.0
Exists = Callable[[str], Awaitable[bool]]
"""Tells whether a consumer STREAM/DURABLE is there."""


class ServiceProcess(OwnProcess):
    """Runs what a scenario's `services` says, with its output in `log`.

    `cwd` is the scenario's folder. `exists` asks the broker for a consumer.
    """

    def __init__(
        self,
        name: str,
        service: Service,
        *,
        env: Mapping[str, str],
        log: Path,
        cwd: Path,
        exists: Exists,
    ) -> None:
        super().__init__()
        program, *arguments = service.command
        self._argv = [sys.executable if program == "python" else program, *arguments]
        self._service = service
        self._env = {**env, **service.env}
        self._log, self._cwd = log, cwd
        self._exists = exists
        self._bad_end: int | None = None
        self.name = name

    async def start(self) -> None:
        """Start it and return once it is ready; ProcessFailed with the end of its log if not."""
        self.stopped_on_purpose = False
        seen = self._log.stat().st_size if self._log.exists() else 0
        self._child = ChildProcess.start(
            self._argv, env=self._env, log_path=self._log, cwd=self._cwd, family=True
        )
        ready = self._service.ready
        if ready is None:
            return
        try:
            async with asyncio.timeout(ready.within / NS_PER_S):
                while not await self._is_ready(ready, seen):
                    if self._child.returncode is not None:
                        raise ProcessFailed(self._story(f"ended with {self._child.returncode}"))
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            limit = f"{ready.within / NS_PER_S:g} s"
            raise ProcessFailed(self._story(f"was not ready within {limit}")) from None

    async def end(self) -> None:
        """Ask it to end, as the scenario says, and return once it is gone."""
        self.stopped_on_purpose = True
        if self.running:
            self._note(await self._end())

    async def stop(self) -> ServiceFacts:
        """End it for good; an exit before this, unless a fault's doing, was its own."""
        died = self._child.returncode if self._child else None
        ended = await self._end()
        if died is None:
            self._note(ended)
        if died is not None and not self.stopped_on_purpose:
            detail = f"ended by itself with exit code {died}"
            return ServiceFacts(
                name=self.name, exit_code=died, expected=False, detail=detail, own=False
            )
        detail = (
            "" if self._bad_end is None else f"was asked to stop and ended with {self._bad_end}"
        )
        return ServiceFacts(
            name=self.name,
            exit_code=died if self._bad_end is None else self._bad_end,
            expected=self._bad_end is None,
            detail=detail,
            own=False,
        )

    def _note(self, code: int | None) -> None:
        """Remember the first bad end of a process that was asked to stop."""
        fine = (None, 0, -int(Signals[f"SIG{self._service.stop}"]))
        if code not in fine and self._bad_end is None:
            self._bad_end = code

    async def _end(self) -> int | None:
        if self._child is None:
            return None
        grace_s = self._service.stop_within / NS_PER_S
        if self._child.returncode is None and self._service.stop != "TERM":
            self._child.send_signal(Signals[f"SIG{self._service.stop}"])
            self._child.resume()
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self._child.wait()
            grace_s = 0.0
        return await self._child.terminate(grace_s)

    async def _is_ready(self, ready: Ready, seen: int) -> bool:
        if ready.http is not None:
            return await asyncio.to_thread(_answers, ready.http)
        if ready.consumer is not None:
            try:
                return await self._exists(ready.consumer)
            except InfrastructureError:
                return False
        with self._log.open("rb") as file:
            file.seek(seen)
            text = file.read().decode(errors="replace")
        return re.search(ready.log or "", text, re.MULTILINE) is not None

    def _story(self, what: str) -> str:
        return f"The service {self.name} {what}.\n{tail(self._log)}"


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=HTTP_S) as answer:  # noqa: S310 - http only, checked
            return bool(answer.status == 200)
    except (OSError, http.client.HTTPException):
        return False
