"""Child processes that end with their parent.

On Linux the kernel kills the child when the thread that started it ends (PDEATHSIG), so
children are started from the main thread only. Elsewhere a guardian process holds the
read end of a pipe and kills the child when the pipe closes. A child has a process group of
its own: a terminal's Ctrl-C reaches the parent alone, which then ends its children.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from twin.descendants import Descendants
from twin.errors import ProcessFailed

__all__ = ["ChildProcess", "tail"]

_PR_SET_PDEATHSIG = 1
_POLL_S = 0.02
_REAP_S = 10.0
_STOP_S = 1.0
_GUARDIAN = """
import os, sys
sys.stdin.buffer.read()
os.kill(int(sys.argv[1]), 9)
"""


def tail(log: Path, lines: int = 10) -> str:
    """Return the last lines of a log file, "" when there is none."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 200 * lines))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


class ChildProcess:
    """A running child, made by `start`; leaving the context ends it.

    >>> async with ChildProcess.start(["nats-server"], log_path=Path("server.log")) as child:
    ...     await child.wait()
    """

    def __init__(
        self,
        popen: "subprocess.Popen[bytes]",
        guardian: "subprocess.Popen[bytes] | None",
        family: Descendants | None = None,
    ) -> None:
        self._popen = popen
        self._guardian = guardian
        self._family = family

    @classmethod
    def start(
        cls,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        log_path: Path | None = None,
        cwd: Path | None = None,
        guardian: bool = sys.platform != "linux",
        family: bool = False,
    ) -> Self:
        """Start `argv` with `env` added to our environment and its output appended to a file.

        Raises ProcessFailed when the program cannot be started, or when the caller is not
        the main thread. `guardian` chooses the pipe instead of PDEATHSIG. With `family`,
        what the child has started is killed, paused and resumed with it, and does not outlive
        `terminate`: its process group, and on Linux its Descendants elsewhere.
        """
        if threading.current_thread() is not threading.main_thread():
            raise ProcessFailed("Child processes are started from the main thread only.")
        descendants = Descendants() if family else None
        mark = descendants.environment if descendants else {}
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(log_path.open("ab")) if log_path else subprocess.DEVNULL
            try:
                popen = subprocess.Popen(
                    [str(part) for part in argv],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=cwd,
                    env={**os.environ, **(env or {}), **mark},
                    process_group=0,
                    preexec_fn=None if guardian else _die_with(os.getpid()),  # noqa: PLW1509
                )
            except OSError as error:
                raise ProcessFailed(f"{argv[0]} cannot be started: {error}") from error
        return cls(popen, _guard(popen.pid) if guardian else None, descendants)

    @property
    def pid(self) -> int:
        """The process id; it stays readable after the end."""
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal, None while the child runs."""
        return self._popen.poll()

    async def wait(self) -> int:
        """Return the exit code once the child has ended. Cancelling leaves the child alone."""
        if self._popen.poll() is None:
            await _ended(self._popen)
        self._dismiss_guardian()
        return self._popen.wait()

    async def terminate(self, grace_s: float = 5.0) -> int:
        """Ask the child to end (SIGTERM), and kill it after `grace_s` or when cancelled."""
        self.send_signal(signal.SIGTERM)
        self.resume()  # a paused child could not react
        try:
            async with asyncio.timeout(grace_s):
                return await self.wait()
        except TimeoutError:
            return await self._finish()
        finally:
            self._reap()

    def kill(self) -> None:
        """End the child at once (SIGKILL); `wait` tells when it is gone."""
        self._signal_all(signal.SIGKILL)
        if self._family:
            self._family.kill()

    def pause(self) -> None:
        """Stop the child where it is (SIGSTOP); returns when all of its threads stand still."""
        self._signal_all(signal.SIGSTOP)
        if self._family:
            self._family.pause()
        end = time.monotonic() + _STOP_S
        while self.returncode is None and time.monotonic() < end:
            if os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT):
                return
            time.sleep(0.0005)

    def resume(self) -> None:
        """Let a paused child go on (SIGCONT)."""
        if self._family:
            self._family.resume()
        self._signal_all(signal.SIGCONT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.terminate()

    def send_signal(self, number: signal.Signals) -> None:
        """Send any signal; a child that has ended is left alone."""
        with contextlib.suppress(ProcessLookupError):
            self._popen.send_signal(number)

    def _signal_all(self, number: signal.Signals) -> None:
        """Send a signal to the child, and to its group if its family counts."""
        if self._family is None:
            self.send_signal(number)
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)

    async def _finish(self) -> int:
        self.kill()
        return await self.wait()

    def _reap(self) -> None:
        """Make sure, without waiting for the loop, that nothing is left behind."""
        if self._popen.poll() is None:
            self.kill()
            self._popen.wait(_REAP_S)
        if self._family:
            self._signal_all(signal.SIGKILL)
            self._family.kill()
            self._family = None  # the number of the group may become another one's
        self._dismiss_guardian()

    def _dismiss_guardian(self) -> None:
        if self._guardian is None:
            return
        self._guardian.kill()
        self._guardian.wait(_REAP_S)
        if self._guardian.stdin is not None:
            self._guardian.stdin.close()
        self._guardian = None


def _die_with(parent: int) -> Callable[[], None]:
    """Return what a child runs between fork and exec so that it does not survive `parent`."""
    libc = ctypes.CDLL(None, use_errno=True)  # loaded here: a forked child must not import

    def tether() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before prctl took effect
            os._exit(1)

    return tether


def _guard(pid: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", _GUARDIAN, str(pid)], stdin=subprocess.PIPE, process_group=0
    )


async def _ended(popen: "subprocess.Popen[bytes]") -> None:
    """Return once the process has ended, without reaping it."""
    try:
        handle = os.pidfd_open(popen.pid)
    except (AttributeError, OSError):  # not Linux, or forbidden by a sandbox
        while popen.poll() is None:  # noqa: ASYNC110 - nothing here could set an Event
            await asyncio.sleep(_POLL_S)
        return
    loop = asyncio.get_running_loop()
    gone: asyncio.Future[None] = loop.create_future()
    loop.add_reader(handle, _settle, gone)
    try:
        await gone
    finally:
        loop.remove_reader(handle)
        os.close(handle)


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
