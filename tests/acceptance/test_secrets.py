"""Canaries: secrets of every kind go in, and are found nowhere that others may read."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from server_logins import Key, Operator, write_nkey

from twin.jetstream.connection import BrokerOptions
from twin.jetstream.server import NatsServer

TWIN = Path(sys.executable).with_name("twin")
CANARY = "c4n4ry-Zq7"
SCENARIO = """\
schema_version: 1
name: quiet
fleet: {crew: {count: 1}}
phases: [{name: all, duration: 2s}]
limits: {max_slip_p99_ms: 10000}
services:
  mine:
    command: [python, -c, "import time; print('up', flush=True); time.sleep(60)"]
    ready: {log: up}
"""


@dataclass(frozen=True)
class Login:
    """What a server asks for, what a context says, and the secrets in it."""

    config: str
    context: dict[str, str]
    canaries: tuple[str, ...]


def login(kind: str, folder: Path) -> Login:
    """Make a login of a kind, with its files in `folder`."""
    if kind == "token":
        return Login(f"authorization {{ token: {CANARY} }}", {"token": CANARY}, (CANARY,))
    if kind == "url":
        users = f"authorization {{ users: [{{user: ann, password: {CANARY}}}] }}"
        return Login(users, {"url": f"ann:{CANARY}@"}, (CANARY,))
    if kind == "nkey":
        key = Key.make("user")
        file = write_nkey(folder / "user.nk", key.seed)
        config = f"authorization {{ users: [{{nkey: {key.public}}}] }}"
        return Login(config, {"nkey": str(file)}, (key.seed,))
    operator = Operator()
    creds = operator.creds(folder / "user.creds")
    lines = creds.read_text().splitlines()
    return Login(operator.config, {"creds": str(creds)}, (lines[1], lines[5]))


class Watched:
    """Runs commands, and keeps what they print and how they and their children are called."""

    def __init__(self, place: Path, secrets: Path, canaries: tuple[str, ...]) -> None:
        self.place = place
        self.env = {**os.environ, "XDG_CONFIG_HOME": str(secrets), "TWIN_DEBUG": "1"}
        self.canaries = canaries
        self.calls: set[bytes] = set()
        self.outputs: list[bytes] = []

    async def run(self, *arguments: str, stop_when: Path | None = None) -> int:
        """Run a command to its end; one that would go on is stopped once a file is there."""
        process = await asyncio.create_subprocess_exec(
            TWIN,
            *arguments,
            cwd=self.place,
            env=self.env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        talking = asyncio.create_task(process.communicate())
        async with asyncio.timeout(120):
            while not talking.done():
                self.calls |= set(command_lines(process.pid))
                if stop_when and stop_when.exists():  # noqa: ASYNC240 - at once
                    stop_when = None
                    process.send_signal(signal.SIGTERM)
                await asyncio.wait({talking}, timeout=0.02)
        self.outputs += await talking
        assert process.returncode is not None
        return process.returncode

    def leaks(self) -> list[str]:
        """Name the places where a canary is."""
        found = {b" ".join(call.split(b"\0")).decode(): call for call in self.calls}
        found |= {f"output {number}": text for number, text in enumerate(self.outputs)}
        files = {str(path): path.read_bytes() for path in self.place.rglob("*") if path.is_file()}
        return [
            f"{canary[:4]}... in {name}"
            for name, data in {**found, **files}.items()
            for canary in self.canaries
            if canary.encode() in data
        ]


def command_lines(pid: int) -> Iterator[bytes]:
    """Yield how a process and all below it are called."""
    with suppress(OSError):
        yield Path(f"/proc/{pid}/cmdline").read_bytes()
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from command_lines(int(child))


async def everything(watched: Watched, repeat: int) -> dict[str, int]:
    """Call every command that reaches a server; return how each ended."""
    way = ("--context", "canary")
    announce = watched.place / "announce.json"
    service = ("--http", "127.0.0.1:0", "--announce", announce.name)
    run = ("run", "quiet.yaml", "--jobs", "2", "--repeat", str(repeat))
    audit = ("registrar", "serve", *way, "--store", "audit", *service)
    return {
        "run": await watched.run(*run, *way),
        "smoke": await watched.run("smoke", *way, "--junit", "smoke.xml"),
        "doctor": await watched.run("doctor", *way, "--json"),
        "lag": await watched.run("lag", "watch", *way, "--count", "1"),
        "registrar": await watched.run(*audit, stop_when=announce),
    }


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["token", "url", "nkey", "creds"])
async def test_no_secret_is_found_anywhere(kind: str, tmp_path: Path) -> None:
    """Not in output, files or command lines, whether the login is let in or not."""
    place, secrets = tmp_path / "place", tmp_path / "secrets"
    context = secrets / "nats" / "context" / "canary.json"
    for folder in (place, context.parent):
        folder.mkdir(parents=True)
    (place / "quiet.yaml").write_text(SCENARIO)
    mine = login(kind, secrets)
    watched = Watched(place, secrets, mine.canaries)

    def point_at(url: str) -> BrokerOptions:
        with_login = url.replace("://", f"://{mine.context.get('url', '')}")
        context.write_text(json.dumps({**mine.context, "url": with_login}))
        return BrokerOptions.resolve(context="canary", environ=watched.env)

    log = place / "nats-server.log"
    probe = point_at("nats://127.0.0.1:1")
    async with NatsServer(secrets / "js", log=log, extra_config=mine.config, probe=probe) as server:
        point_at(server.url)
        good = await everything(watched, 2 if kind == "url" else 1)
    config, probe = "authorization { token: another }", BrokerOptions(token="another")
    async with NatsServer(tmp_path / "js", log=log, extra_config=config, probe=probe) as server:
        point_at(server.url)
        refused = [
            await watched.run(*command, "--context", "canary")
            for command in (("run", "quiet.yaml"), ("smoke",), ("doctor",), ("lag", "watch"))
        ]
    assert watched.leaks() == []
    assert good == dict.fromkeys(good, 0) | {"smoke": 1}, watched.outputs
    assert refused == [4] * 4
    assert len(watched.calls) > 8, "children were seen"


def test_the_watch_finds_what_it_looks_for(tmp_path: Path) -> None:
    """A canary in an output, a file or a command line is a leak."""
    for leak in ("output", "file", "call"):
        watched = Watched(tmp_path, tmp_path, (CANARY,))
        (tmp_path / "file").write_text(CANARY if leak == "file" else "")
        watched.outputs = [CANARY.encode() if leak == "output" else b""]
        watched.calls = {CANARY.encode() if leak == "call" else b""}
        assert len(watched.leaks()) == 1, leak
