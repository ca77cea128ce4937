"""Makes streams that exist already large enough for one more run, never smaller."""

from dataclasses import replace

from twin.events.topology import StreamDecl, Topology
from twin.jetstream.api import stream_info
from twin.jetstream.connection import Connection

__all__ = ["with_room"]

UNLIMITED = -1


async def with_room(connection: Connection, topology: Topology) -> Topology:
    """Return the topology with each stream sized for what it holds now and what is to come."""
    return replace(
        topology, streams=tuple([await _sized(connection, one) for one in topology.streams])
    )


async def _sized(connection: Connection, declared: StreamDecl) -> StreamDecl:
    info = await stream_info(connection, declared.name)
    if info is None:
        return declared
    if UNLIMITED in (info.config.max_bytes, declared.max_bytes):
        return replace(declared, max_bytes=UNLIMITED)
    needed = info.state.bytes + declared.max_bytes
    return replace(declared, max_bytes=max(info.config.max_bytes, needed))
