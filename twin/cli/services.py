"""What the commands that serve until they are stopped have in common."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

from twin.errors import UsageError

__all__ = ["address", "until_terminated"]


async def until_terminated(work: Coroutine[Any, Any, None]) -> None:
    """Do the work; SIGTERM ends it in good order."""
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def address(text: str) -> tuple[str, int]:
    """Read HOST:PORT, as `--http` takes it; raises UsageError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"--http: {text!r} is not HOST:PORT")
    return host, int(port)
