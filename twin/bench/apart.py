"""One turn of one contender in a process of its own: FIELD CONTENDER POINT LOAD, JSON on stdout."""

import asyncio
import sys
import tempfile
from pathlib import Path

from twin.bench.fields import FIELDS
from twin.bench.measured import Measured
from twin.bench.rig import Rig
from twin.errors import TwinError, UsageError
from twin.jetstream.server import NatsServer

__all__ = ["take_turn"]


async def take_turn(field: str, contender: str, point: int, load: float) -> Measured:
    """Let a contender take its turn on a nats-server that is there for nothing else."""
    run = FIELDS[field].contenders[contender]
    if isinstance(run, str):
        raise UsageError(f"{contender} takes its turn with {run}")
    with tempfile.TemporaryDirectory(prefix="twin-bench-") as name:
        folder = Path(name)
        async with NatsServer(folder / "nats", log=folder / "nats-server.log") as server:
            measured = await run(Rig(server, folder), point, load)
            return measured.model_copy(update={"nats_server": server.version})


if __name__ == "__main__":
    _, field, contender, point, load = sys.argv
    try:
        measured = asyncio.run(take_turn(field, contender, int(point), float(load)))
    except TwinError as error:
        sys.exit(str(error))
    sys.stdout.write(measured.model_dump_json())
