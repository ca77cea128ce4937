"""Kill campaigns: SIGKILL at each step of the registrar's work, of the broker, and of both.

The quick setting runs with all tests; `make crash-test` runs the long one (TWIN_CRASH=long),
in ROUNDS rounds of TIMES kills at each step.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from test_registrar_service import (
    DEADLINE_S,
    connection,
    drained,
    publish,
    server,
    serving,
)
from victim import STEPS

from twin.jetstream.connection import Connection
from twin.jetstream.server import NatsServer
from twin.registrar.filter import Filter
from twin.registrar.query import read_records
from twin.registrar.verify import verify

__all__ = ["connection", "server"]

LONG = os.environ.get("TWIN_CRASH") == "long"
ROUNDS = range(10 if LONG else 1)
TIMES = 10 if LONG else 1
SIGKILLED = -signal.SIGKILL


class Victim:
    """Registrars on one store, each of which is killed at a step."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def start(self, step: str, nth: int = 1) -> int:
        """Start one; return its pid."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{step} {nth}\n".encode())
        word, pid = await self._line()
        assert word == "started"
        return int(pid)

    async def ended(self) -> int:
        """Wait until it has ended; return its exit code, negative for a signal."""
        word, code = await self._line()
        assert word == "ended"
        return int(code)

    async def _line(self) -> list[str]:
        assert self._process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            return (await self._process.stdout.readline()).decode().split()


@asynccontextmanager
async def victims(folder: Path, url: str, *more: str) -> AsyncIterator[Victim]:
    """Keep a process that starts registrars."""
    log = (folder / "victim.log").open("wb")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).with_name("victim.py")),
        "--store", str(folder / "store"), *more,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
        env={**os.environ, "NATS_URL": url},
    )  # fmt: skip
    try:
        yield Victim(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(DEADLINE_S):
            await process.wait()
        log.close()


def recorded(store: Path) -> list[int]:
    """Return the numbers of the recorded events."""
    found = [one for one in read_records(store, Filter()) if one.kind == "event"]
    return sorted(int(one.id.rpartition("/")[2]) for one in found)


def notes(store: Path, *codes: int) -> int:
    """Return how many notes of these codes there are."""
    wanted = Filter(codes=tuple((code, code) for code in codes))
    return sum(1 for _ in read_records(store, wanted))


BATCH_STEPS = [step for step in STEPS if "rotation" not in step and "tombstone" not in step
               and "files" not in step]  # fmt: skip


@pytest.mark.parametrize("campaign", ROUNDS)
@pytest.mark.timeout(3600 if LONG else 600)
async def test_killed_at_each_step_it_loses_and_doubles_nothing(
    tmp_path: Path, server: NatsServer, connection: Connection, campaign: int
) -> None:
    """Before and after write, commit and ack: after all kills every event is there once."""
    at, kills = 1, 0
    async with victims(tmp_path, server.url, "--attach", "--ack-wait", "1") as victim:
        for step in BATCH_STEPS * TIMES:
            await publish(connection, range(at, at + 60))
            at += 60
            await victim.start(step, 1 if "ack" in step else 2)
            assert await victim.ended() == SIGKILLED, step
            kills += 1
    await drained_by_another(tmp_path, server, connection, at - 1)
    steps = len(BATCH_STEPS)
    print(f"{campaign}: kill -9: {kills} kills at {steps} steps, {at - 1} events, each once")


@pytest.mark.parametrize("campaign", ROUNDS)
@pytest.mark.timeout(3600 if LONG else 600)
async def test_killed_while_it_rotates_it_loses_and_doubles_nothing(
    tmp_path: Path, server: NatsServer, connection: Connection, campaign: int
) -> None:
    """Before, in and after rotation and retention: what is kept is whole, nothing is doubled."""
    flags = ("--attach", "--segment-size", "1", "--keep-size", "4M")
    at, kills = 1, 0
    steps = [step for step in STEPS if step not in BATCH_STEPS]
    async with victims(tmp_path, server.url, *flags) as victim:
        for step in steps * TIMES:
            child = await victim.start(step)
            ended = asyncio.create_task(victim.ended())
            while not ended.done():
                await publish(connection, range(at, at + 20))
                at += 20
                await asyncio.wait({ended}, timeout=0.1)
            assert ended.result() == SIGKILLED, (step, child)
            kills += 1
    await drained_by_another(tmp_path, server, connection, at - 1, dropped=True)
    print(f"{campaign}: kill -9: {kills} kills at {len(steps)} steps of rotation, {at - 1} events")


@pytest.mark.parametrize("campaign", ROUNDS)
@pytest.mark.timeout(3600 if LONG else 600)
async def test_broker_and_registrar_killed_together_lose_nothing(
    tmp_path: Path, server: NatsServer, connection: Connection, campaign: int
) -> None:
    """The broker killed alone, and both at once: what was stored is recorded once."""
    at = 1
    async with victims(tmp_path, server.url, "--attach", "--ack-wait", "1") as victim:
        for number in range(2 * TIMES):
            both = number % 2
            await publish(connection, range(at, at + 60))
            at += 60
            pid = await victim.start("after the commit" if both else "none", 2 if both else 0)
            if both:
                await victim.ended()
            await server.kill()
            await server.start()
            await connection.wait_up(DEADLINE_S)
            await publish(connection, range(at, at + 20))
            at += 20
            if not both:
                await drained(connection)
                os.kill(pid, signal.SIGTERM)
                assert await victim.ended() == 0
    await drained_by_another(tmp_path, server, connection, at - 1)
    print(f"{campaign}: kill -9 of the broker: {2 * TIMES} times, {at - 1} events, each once")


async def drained_by_another(
    folder: Path, server: NatsServer, connection: Connection, last: int, dropped: bool = False
) -> None:
    """Let a registrar that lives record the rest, and count."""
    async with serving(folder, server.url) as service:
        await drained(connection)
    found = recorded(service.store)
    assert found == list(range(found[0] if dropped else 1, last + 1))
    assert verify(service.store).breaks == []
    assert notes(service.store, 440, 920, 921, 922) == 0
