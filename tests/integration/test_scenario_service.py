"""A user's service as a process of the run: how it began and ended is what the verdict hears."""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from twin.scenario.outside import Ready, Service
from twin.scenario.service import ServiceProcess

BODY = """
import signal, sys, time
def leave(*_):
    sys.exit(%s)
signal.signal(signal.SIGTERM, leave)
print("ready", flush=True)
time.sleep(30)
"""


def service(folder: Path, program: str) -> ServiceProcess:
    """Return a service that runs a Python program."""

    async def exists(consumer: str) -> bool:
        return bool(consumer)

    declared = Service(command=(sys.executable, "-c", program), ready=Ready(log="^ready"))
    log = folder / "service.log"
    return ServiceProcess("mine", declared, env={}, log=log, cwd=folder, exists=exists)


@pytest.mark.parametrize(("code", "fine"), [("0", True), ("3", False)])
async def test_a_bad_end_at_a_restart_is_remembered(code: str, fine: bool, tmp_path: Path) -> None:
    """What fails when it is asked to stop has failed, also where a fault asked."""
    mine = service(tmp_path, BODY % code)
    await mine.start()
    await mine.end()
    await mine.start()
    await mine.kill()
    facts = await mine.stop()
    assert facts.expected is fine
    if not fine:
        assert (facts.exit_code, facts.detail) == (3, "was asked to stop and ended with 3")


async def test_an_end_that_nobody_asked_for_is_its_own(
    tmp_path: Path, until: Callable[..., Awaitable[None]]
) -> None:
    """A service that leaves early is told apart from one that a fault killed."""
    mine = service(tmp_path, "print('ready', flush=True)")
    await mine.start()
    await until(lambda: not mine.running)
    facts = await mine.stop()
    assert (facts.exit_code, facts.expected) == (0, False)
    assert facts.detail == "ended by itself with exit code 0"
