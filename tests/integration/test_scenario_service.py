"""A user's service as a process of the run: how it began and ended is what the verdict hears."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from twin.errors import ProcessFailed
from twin.scenario.language.outside import Ready, Service
from twin.scenario.processes.service import ServiceProcess

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


WRAPPER = """
import os, subprocess, sys, time
inner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open("inner.pid", "w").write(str(inner.pid))
print("ready", flush=True)
if sys.argv[-1] == "leaves":
    sys.exit(0)
inner.wait()
"""


def works(pid: int) -> bool:
    """Tell whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("end", ["kill", "end", "stop"])
async def test_what_a_wrapper_has_started_ends_with_it(
    end: str, tmp_path: Path, until: Callable[..., Awaitable[None]]
) -> None:
    """Behind a shell or a launcher, a fault hits the service itself, and no run leaves it."""
    mine = service(tmp_path, WRAPPER)
    await mine.start()
    inner = int((tmp_path / "inner.pid").read_text())
    assert works(inner)
    await getattr(mine, end)()
    await until(lambda: not works(inner))


DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open("inner.part", "w").write(str(os.getpid()))
        os.rename("inner.part", "inner.pid")
        time.sleep(60)
    os._exit(0)
os.wait()
while not os.path.exists("inner.pid"):
    time.sleep(0.01)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="daemons are found by /proc")
@pytest.mark.parametrize("end", ["kill", "end", "stop"])
async def test_a_daemon_ends_with_its_service(
    end: str, tmp_path: Path, until: Callable[..., Awaitable[None]]
) -> None:
    """What has left the service's process group and has no parent any more is found as well."""
    mine = service(tmp_path, DAEMON)
    await mine.start()
    inner = int((tmp_path / "inner.pid").read_text())
    assert works(inner)
    await getattr(mine, end)()
    await until(lambda: not works(inner))


@pytest.mark.skipif(sys.platform != "linux", reason="daemons are found by /proc")
async def test_a_daemon_stands_still_with_its_service(
    tmp_path: Path, until: Callable[..., Awaitable[None]]
) -> None:
    """A pause stops all that the service has started, and a resume lets all go on."""

    def state() -> str:
        return Path(f"/proc/{inner}/stat").read_text().rpartition(")")[2].split()[0]

    mine = service(tmp_path, DAEMON)
    await mine.start()
    inner = int((tmp_path / "inner.pid").read_text())
    mine.pause()
    await until(lambda: state() == "T")
    mine.resume()
    await until(lambda: state() == "S")
    await mine.stop()


async def test_a_launcher_that_is_gone_leaves_nothing(
    tmp_path: Path, until: Callable[..., Awaitable[None]]
) -> None:
    """What a service left behind when it ended by itself is ended with the run."""
    mine = service(tmp_path, WRAPPER.replace("sys.argv[-1]", "'leaves'"))
    await mine.start()
    inner = int((tmp_path / "inner.pid").read_text())
    await until(lambda: not mine.running)
    assert not (await mine.stop()).expected
    await until(lambda: not works(inner))


async def test_a_port_that_does_not_speak_http_is_not_ready(tmp_path: Path) -> None:
    """Another protocol behind `ready: {http}` is no crash."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"INFO {}\r\n")
        await writer.drain()
        writer.close()

    async def exists(consumer: str) -> bool:
        return bool(consumer)

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        ready = Ready(http=f"http://127.0.0.1:{port}/", within="200ms")
        declared = Service(command=("sleep", "60"), ready=ready)
        log = tmp_path / "service.log"
        mine = ServiceProcess("mine", declared, env={}, log=log, cwd=tmp_path, exists=exists)
        with pytest.raises(ProcessFailed, match=r"was not ready within 0\.2 s"):
            await mine.start()
        await mine.stop()
