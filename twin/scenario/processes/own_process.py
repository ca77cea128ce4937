"""A process of the run that faults may break: killed, stopped where it is, let go again."""

from twin.processes import ChildProcess

__all__ = ["OwnProcess"]


class OwnProcess:
    """What a fault does to a process, whoever starts it; nothing while there is none.

    `stopped_on_purpose` says that the run has ended it: its exit was not its own.
    """

    def __init__(self) -> None:
        self._child: ChildProcess | None = None
        self.stopped_on_purpose = False

    @property
    def running(self) -> bool:
        """Whether there is a process now."""
        return self._child is not None and self._child.returncode is None

    async def kill(self) -> None:
        """End it with SIGKILL and return once it is gone."""
        self.stopped_on_purpose = True
        if self._child:
            self._child.kill()
            await self._child.wait()

    def pause(self) -> None:
        """Stop it where it is."""
        if self._child:
            self._child.pause()

    def resume(self) -> None:
        """Let it go on."""
        if self._child:
            self._child.resume()
