"""A pipelined socket that keeps no accounts: what a stream takes at most from one client."""

import asyncio
import select
import socket

from twin.bench.rig import SOURCES, Rig, Turn, block, payload
from twin.errors import InfrastructureError

__all__ = ["raw_socket"]

SLICE = 256
WINDOW = 8192
READ = 1 << 20
_SEQ = b'"seq":'


async def raw_socket(rig: Rig, count: int, run: str) -> Turn:
    """Send ready-made frames and count the answers."""
    frames = [
        b"".join(_frame(run, n) for n in range(start, min(start + SLICE, count)))
        for start in range(0, count, SLICE)
    ]
    return await asyncio.to_thread(_pump, rig, frames, count)


def _frame(run: str, number: int) -> bytes:
    head, body = block(run, number) + b"\r\n", payload()
    sizes = b"%d %d" % (len(head), len(head) + len(body))
    return b"HPUB bench.%d i.x %b\r\n%b%b\r\n" % (number % SOURCES, sizes, head, body)


def _pump(rig: Rig, frames: list[bytes], count: int) -> Turn:
    with socket.create_connection(("127.0.0.1", rig.server.port), timeout=30) as wire:
        wire.sendall(b'CONNECT {"headers":true,"verbose":false}\r\nSUB i.x 1\r\nPING\r\n')
        while b"PONG" not in wire.recv(READ):
            pass
        with rig.clock() as clock:
            _exchange(wire, frames, count)
    return Turn(count, clock)


def _exchange(wire: socket.socket, frames: list[bytes], count: int) -> None:
    sent = answered = 0
    tail = b""
    waiting = list(reversed(frames))
    while answered < count:
        while waiting and sent - answered < WINDOW:
            sent += SLICE
            wire.sendall(waiting.pop())
            if select.select([wire], [], [], 0)[0]:
                break
        data = tail + wire.recv(READ)
        if b'"error"' in data or data == tail:
            raise InfrastructureError(f"The server refused or left: {data[-200:]!r}")
        answered += data.count(_SEQ)
        tail = data[-len(_SEQ) + 1 :]
