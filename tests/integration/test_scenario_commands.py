"""Commands over a real server into a real world, in the layout in which subjects name bots."""

import io
from collections.abc import Awaitable, Callable

import orjson

from twin.events.event import SourceTable
from twin.events.subjects import Layout, SubjectSpace
from twin.jetstream.connection import Connection
from twin.jetstream.server import NatsServer
from twin.jetstream.wire import Delivery
from twin.scenario.fleet.commands import Commands
from twin.simulation.fleet import FleetGroup
from twin.simulation.world import World
from twin.spec.load import load_spec

Until = Callable[..., Awaitable[None]]
SPACE = SubjectSpace(Layout.FLEET, "lab")


def mode_command(mode: str) -> bytes:
    """Return a request for a mode; the destination names nobody."""
    metadata = {
        "message_id": "m-1",
        "timestamp": "2026-01-01T00:00:00Z",
        "message_type": "command",
        "source": "operator",
        "destination": "somebody",
    }
    return orjson.dumps({"schema_version": 1, "mode": mode, "metadata": metadata})


def a_world(sources: SourceTable, commands: Commands) -> World:
    """Return two bots that have booted."""
    world = World(
        [FleetGroup("h", load_spec("builtin:BotSpec"), 2)],
        seed=1,
        epoch_ns=0,
        run_id="r",
        space=SPACE,
        sources=sources,
        sink=lambda events: None,
        answer=commands.answer,
    )
    world.run_until(3_000_000_000)
    return world


async def test_subject_names_the_bot_and_its_answer_comes_back(
    connection: Connection, until: Until
) -> None:
    """Only the bot of the subject obeys; the answer reaches its own subject and the asker."""
    sources = SourceTable()
    commands = Commands(connection, SPACE, sources)
    world = a_world(sources, commands)
    log, got = io.BytesIO(), list[Delivery]()
    await connection.subscribe("lab.qiki.fleet.v1.*.responses.control", got.extend)
    await connection.subscribe("answers", got.extend)
    async with commands.reach(world, world.bots, log.write):
        await connection.flush()
        for bot in ("h-0002", "h-0009"):
            subject = f"lab.qiki.fleet.v1.{bot}.commands.mode".encode()
            connection.send([(subject, b"answers", b"", mode_command("SHUTDOWN"))])
        await connection.flush()
        await until(log.getvalue)
        world.run_until(5_000_000_000)
        await until(lambda: len(got) == 2)
    assert {one[0] for one in got} == {b"lab.qiki.fleet.v1.h-0002.responses.control", b"answers"}
    assert all(orjson.loads(one[3])["ok"] for one in got)
    [line] = [orjson.loads(line) for line in log.getvalue().splitlines()]
    assert (line["bot"], line["command"]) == ("h-0002", "commands.mode")
    assert world.snapshot()["fleet.h.modes.shutdown"] == 1
    connection.send([(b"lab.qiki.fleet.v1.h-0001.commands.mode", b"", b"", mode_command("IDLE"))])
    await connection.flush()
    assert len(log.getvalue().splitlines()) == 1


async def test_commands_reach_bots_again_after_the_broker_has_come_back(
    server: NatsServer, connection: Connection, until: Until
) -> None:
    """A restart of the broker ends no subscription; one that stays dead does not hold up the end.

    An answer while the broker is away is lost without harm.
    """
    sources = SourceTable()
    commands = Commands(connection, SPACE, sources)
    world, log = a_world(sources, commands), io.BytesIO()
    subject = "lab.qiki.fleet.v1.h-0001.commands.mode"
    async with commands.reach(world, world.bots, log.write):
        await server.kill()
        await server.start()
        await connection.wait_up(20)
        await connection.flush()
        await connection.publish(subject, mode_command("SHUTDOWN"))
        await until(log.getvalue)
        await server.kill()
        await until(lambda: not connection.up)
        world.run_until(5_000_000_000)
    assert world.snapshot()["fleet.h.modes.shutdown"] == 1
