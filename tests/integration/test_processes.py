"""Child processes end with their parent, whatever ends it."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from twin.errors import ProcessFailed
from twin.processes import ChildProcess, tail

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""
STUBBORN = [sys.executable, "-c", DEAF]
PARENT = """
import asyncio, sys
from twin.processes import ChildProcess

async def main():
    guardian = sys.argv[1] == "guardian"
    async with ChildProcess.start([sys.executable, "-c", "import time; time.sleep(60)"],
                                  guardian=guardian) as child:
        print(child.pid, flush=True)
        if sys.argv[2] == "raise":
            raise RuntimeError("on purpose")
        await asyncio.sleep(60)

asyncio.run(main())
"""


def alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def eventually(condition: Callable[[], bool], deadline_s: float = 30.0) -> bool:
    """Wait for a condition outside any event loop."""
    end = time.monotonic() + deadline_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


@contextlib.contextmanager
def parent(tether: str, ending: str):  # type: ignore[no-untyped-def]
    """A Python parent with one child; yields the parent and the child's pid."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, tether, ending],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    with process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
        process.kill()


@pytest.mark.parametrize("tether", ["pdeathsig", "guardian"])
def test_killed_parent_leaves_no_child(tether: str) -> None:
    """kill -9 of the parent ends the child too."""
    with parent(tether, "sleep") as (process, child):
        assert alive(child)
        process.kill()
        assert eventually(lambda: not alive(child))


@pytest.mark.parametrize("ending", ["raise", "interrupt"])
def test_failing_or_interrupted_parent_leaves_no_child(ending: str) -> None:
    """An exception and Ctrl-C end the child before the parent is gone."""
    with parent("pdeathsig", ending) as (process, child):
        if ending == "interrupt":
            os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) != 0
        assert not alive(child)


async def test_cancellation_ends_the_child() -> None:
    """A cancelled task takes its child with it, also one that ignores SIGTERM."""
    started: asyncio.Future[ChildProcess] = asyncio.get_running_loop().create_future()

    async def hold() -> None:
        async with ChildProcess.start(SLEEPER) as child:
            started.set_result(child)
            await child.wait()

    task = asyncio.create_task(hold())
    child = await started
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert child.returncode == -signal.SIGTERM


async def test_cancelled_termination_still_ends_the_child(tmp_path: Path) -> None:
    """Cancelling the polite ending of a deaf child kills it."""
    log = tmp_path / "log"
    child = ChildProcess.start(STUBBORN, log_path=log)
    assert await asyncio.to_thread(eventually, lambda: "deaf" in tail(log))
    ending = asyncio.create_task(child.terminate(grace_s=30))
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert child.returncode == -signal.SIGKILL


@pytest.mark.parametrize("guardian", [False, True])
async def test_terminate_kills_after_the_grace_period(tmp_path: Path, guardian: bool) -> None:
    """A child that ignores SIGTERM gets SIGKILL, also when it is paused."""
    log = tmp_path / "log"
    child = ChildProcess.start(STUBBORN, log_path=log, guardian=guardian)
    assert await asyncio.to_thread(eventually, lambda: "deaf" in tail(log))
    child.pause()
    assert await child.terminate(grace_s=0.1) == -signal.SIGKILL


async def test_output_and_environment_of_a_child(tmp_path: Path) -> None:
    """Additions to the environment arrive, and both outputs end up in the log."""
    program = "import os, sys; print(os.environ['WORD']); print(os.getcwd(), file=sys.stderr)"
    async with ChildProcess.start(
        [sys.executable, "-c", program],
        env={"WORD": "hello"},
        log_path=tmp_path / "log",
        cwd=tmp_path,
    ) as child:
        assert await asyncio.gather(child.wait(), child.wait()) == [0, 0]
    assert sorted(tail(tmp_path / "log").splitlines()) == sorted(["hello", str(tmp_path)])


async def test_child_has_a_process_group_of_its_own() -> None:
    """A terminal's Ctrl-C, sent to our group, does not reach the child."""
    async with ChildProcess.start(SLEEPER) as child:
        assert os.getpgid(child.pid) == child.pid != os.getpgid(0)


async def test_pause_and_resume() -> None:
    """SIGSTOP stops the child and SIGCONT lets it go on."""

    def state(pid: int) -> str:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]

    async with ChildProcess.start(SLEEPER) as child:
        for _ in range(3):
            child.pause()
            assert state(child.pid) == "T"
            child.resume()
            assert await asyncio.to_thread(eventually, lambda: state(child.pid) != "T")


def test_refuses_what_cannot_work(tmp_path: Path) -> None:
    """A missing program and a thread that may end early are errors, not surprises."""
    with pytest.raises(ProcessFailed, match="no-such-program"):
        ChildProcess.start([tmp_path / "no-such-program"])
    caught: list[BaseException] = []

    def elsewhere() -> None:
        try:
            ChildProcess.start(SLEEPER)
        except ProcessFailed as error:
            caught.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert "main thread" in str(caught[0])
