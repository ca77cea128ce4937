"""One turn of a traffic contender in a process of its own, JSON on stdout.

Words: contender, messages, run, folder, and the server's URL, port and pid.
"""

import asyncio
import sys
from pathlib import Path

import orjson

from twin.bench.rig import Rig, Served
from twin.bench.traffic import contenders
from twin.errors import TwinError

__all__: list[str] = []


async def _turn(name: str, count: int, run: str, rig: Rig) -> bytes:
    one = next(one for one in contenders((), None) if one.name == name)
    turn = await one.run(rig, count, run)
    return orjson.dumps({"wall_s": turn.clock.wall_s, "cpu_s": turn.clock.cpu_s})


if __name__ == "__main__":
    _, name, count, run, folder, url, port, pid = sys.argv
    served = Served(url, int(port), int(pid))
    try:
        said = asyncio.run(_turn(name, int(count), run, Rig(served, Path(folder))))
    except TwinError as error:
        sys.exit(str(error))
    sys.stdout.buffer.write(said)
