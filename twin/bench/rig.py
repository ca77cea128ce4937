"""What every contender of a benchmark gets: a server, an empty stream, and the same messages."""

import gc
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from twin.errors import ProcessFailed
from twin.events.topology import ConsumerDecl, StreamDecl, Topology
from twin.jetstream.api import ApiRefused, call, stream_state
from twin.jetstream.connection import BrokerOptions, Connection, connect
from twin.jetstream.link import WireChoice
from twin.jetstream.reconcile import reconcile
from twin.jetstream.server import NatsServer

__all__ = [
    "PAYLOAD_BYTES",
    "SOURCES",
    "STREAM",
    "SUBJECTS",
    "Clock",
    "ReadyMade",
    "Rig",
    "Served",
    "Turn",
    "block",
    "header_fields",
    "payload",
    "peak_mib",
    "process_cpu_s",
]

STREAM = "BENCH"
SUBJECTS = "bench.>"
SOURCES = 2000
PAYLOAD_BYTES = 256
_DECL = StreamDecl(STREAM, (SUBJECTS,), max_bytes=-1, duplicate_window_s=120)


@dataclass(slots=True)
class Clock:
    """What a turn took: wall time, and processor time of the parties in seconds."""

    wall_s: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def going(self) -> Iterator[None]:
        """Add what happens inside, in this process."""
        own, started = time.process_time(), time.perf_counter()
        yield
        self.wall_s += time.perf_counter() - started
        self.cpu_s["client"] = self.cpu_s.get("client", 0.0) + time.process_time() - own


@dataclass(frozen=True, slots=True)
class Turn:
    """One contender's turn: how many messages, and what they took."""

    messages: int
    clock: Clock

    @property
    def rate(self) -> float:
        """Messages per second of wall time."""
        return self.messages / self.clock.wall_s

    def cpu_us(self) -> dict[str, float]:
        """Processor time per message and party, in microseconds."""
        return {name: 1e6 * spent / self.messages for name, spent in self.clock.cpu_s.items()}


class ReadyMade(NamedTuple):
    """A message as one hands it to a client: subject, headers by name, payload."""

    subject: str
    headers: dict[str, str]
    payload: bytes


class Served(NamedTuple):
    """A nats-server that another process of ours has started."""

    url: str
    port: int
    pid: int


class Rig:
    """A nats-server with one stream, made anew before each turn, and a folder for files."""

    def __init__(self, server: NatsServer | Served, folder: Path) -> None:
        self.server = server
        self.folder = folder

    async def connect(self, wire: WireChoice = "auto") -> Connection:
        """Open a connection of ours."""
        return await connect(BrokerOptions(url=self.server.url), name="bench", wire=wire)

    async def fresh(self) -> None:
        """Make the stream anew, so that no file and no message id is carried over."""
        async with await self.connect() as connection:
            with suppress(ApiRefused):  # not there yet
                await call(connection, f"STREAM.DELETE.{STREAM}")
            await reconcile(connection, Topology((_DECL,), ()))

    async def durable(self, name: str) -> None:
        """Make a durable on the stream, wide enough to hold nobody back."""
        decl = ConsumerDecl(
            "bench", STREAM, name, max_ack_pending=20_000, max_deliver=-1, ack_wait_s=5.0
        )
        async with await self.connect() as connection:
            await reconcile(connection, Topology((_DECL,), (decl,)))

    async def stored(self) -> int:
        """Count what the stream holds."""
        async with await self.connect() as connection:
            return (await stream_state(connection, STREAM, "none")).messages

    @contextmanager
    def clock(self, **others: int) -> Iterator[Clock]:
        """Time what happens inside; `others` are further processes by role.

        Begins with an empty young generation, and with all written files on disk: neither
        garbage nor writes of what was prepared, or of the turn before, cost anybody.
        """
        pids = {"server": self.server.pid, **others}
        clock = Clock()
        gc.collect()
        gc.freeze()
        os.sync()
        before = {name: process_cpu_s(pid) for name, pid in pids.items()}
        with clock.going():
            yield clock
        clock.cpu_s |= {name: process_cpu_s(pid) - before[name] for name, pid in pids.items()}
        gc.unfreeze()


def process_cpu_s(pid: int) -> float:
    """Return the processor time of a process so far; 0 where there is no /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if Path("/proc/self/stat").exists():
            raise ProcessFailed(f"Process {pid} ended during its turn.") from error
        return 0.0
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def peak_mib(pid: int) -> float:
    """Return the most memory that a process has had so far; 0 where there is no /proc."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return 0.0
    found = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(found.split()[1]) / 1024


def payload(size: int = PAYLOAD_BYTES) -> bytes:
    """Return the JSON payload of every message."""
    return b'{"fill":"x"}'.ljust(size)


def header_fields(run: str, number: int) -> dict[str, str]:
    """Return seven CloudEvents headers and the message id of one event: its own time and bot."""
    bot = number % SOURCES
    name = f"bot-{bot}/bench/{number // SOURCES + 1}"
    return {
        "ce-specversion": "1.0",
        "ce-type": "qiki.telemetry.v1.Snapshot",
        "ce-source": f"urn:twin:benchmark:bot-{bot:04d}",
        "ce-subject": "power",
        "ce-time": _time(number),
        "ce-datacontenttype": "application/json",
        "ce-id": name,
        "Nats-Msg-Id": f"{run}/{name}",
    }


def _time(number: int) -> str:
    """Return the moment of an event, a thousand of them a second: no two of a turn are alike."""
    seconds, ms = divmod(number, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"2026-01-01T{hour % 24:02d}:{minute:02d}:{second:02d}.{ms:03d}Z"


def block(run: str, number: int) -> bytes:
    """Return the same headers encoded, without the closing empty line."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in header_fields(run, number).items())
    return f"NATS/1.0\r\n{lines}".encode()
