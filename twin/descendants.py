"""The processes that a child has started, also those that left its process group.

A name in the environment marks a child; what it starts inherits it, through setsid and double
forks. Whoever empties the environment or becomes another user is not found, and nobody where
there is no /proc.
"""

import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["Descendants"]

PROC: Final = Path("/proc")
ROUNDS: Final = 10
"""How often is looked for new ones while all that were found are being ended."""


class Descendants:
    """Those who bear the mark of one child; `environment` is what gives it to the child."""

    def __init__(self) -> None:
        self._name = f"TWIN_FAMILY_{secrets.token_hex(8)}"
        self._stopped: list[int] = []

    @property
    def environment(self) -> dict[str, str]:
        """What the child has to be started with."""
        return {self._name: "1"}

    def kill(self) -> None:
        """End all of them at once (SIGKILL), also those that are started meanwhile."""
        for _ in range(ROUNDS):
            if not [pid for pid in self._pids() if self._send(pid, signal.SIGKILL)]:
                return

    def pause(self) -> None:
        """Stop them where they are (SIGSTOP)."""
        self._stopped = [pid for pid in self._pids() if self._send(pid, signal.SIGSTOP)]

    def resume(self) -> None:
        """Let those go on that were stopped."""
        for pid in self._stopped:
            self._send(pid, signal.SIGCONT)
        self._stopped = []

    def _pids(self) -> Iterator[int]:
        with suppress(OSError):
            pids = [int(name) for name in os.listdir(PROC) if name.isdecimal()]  # noqa: PTH208 - names are all it takes
            yield from (pid for pid in pids if self._is_marked(pid))

    def _is_marked(self, pid: int) -> bool:
        try:
            environment = (PROC / str(pid) / "environ").read_bytes()
        except OSError:  # it has ended, or is somebody else's
            return False
        return f"{self._name}=1".encode() in environment.split(b"\0")

    def _send(self, pid: int, number: signal.Signals) -> bool:
        """Send a signal to this very process, or to none if its number has become another's."""
        try:
            handle = os.pidfd_open(pid)
        except (AttributeError, OSError):
            return False
        try:
            if not self._is_marked(pid):
                return False
            signal.pidfd_send_signal(handle, number)
        except OSError:
            return False
        finally:
            os.close(handle)
        return True
