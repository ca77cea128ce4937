"""Turns in processes of their own: each begins with fresh memory, and its memory is its own."""

import asyncio
import sys

from twin.errors import ProcessFailed

__all__ = ["TURN_S", "said_by"]

TURN_S = 300.0


async def said_by(module: str, *words: object, whose: str, most_s: float = TURN_S) -> bytes:
    """Return what a module of ours, run as a program with these words, writes to stdout.

    Raises ProcessFailed with what it has said of its failure, or when it takes more than `most_s`
    seconds; `whose` turn it is stands before. However this ends, the process has ended.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *map(str, words)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(most_s):
            output, error = await process.communicate()
    except TimeoutError:
        raise ProcessFailed(f"{whose} has not finished its turn in {most_s:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise ProcessFailed(f"{whose}: {_why(error)}")
    return output


def _why(error: bytes) -> str:
    """Return what a process has said of its failure; of a traceback the last line."""
    text = error.decode(errors="replace").strip()
    return text.splitlines()[-1] if "Traceback (most recent call last)" in text else text
