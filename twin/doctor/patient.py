"""A server as one login sees it, and what is going to be done there."""

from dataclasses import dataclass

from twin.configs.topology import space_of, with_custom
from twin.doctor.needs import Need, missing_needs, needs
from twin.events.streams import build_topology
from twin.events.subjects import SubjectSpace
from twin.events.topology import StreamDecl, Topology
from twin.jetstream.connection import Connection
from twin.registrar.anchor import with_anchors
from twin.spec.bot import BotSpec

__all__ = ["LEAST_BYTES", "Patient", "examine"]

LEAST_BYTES = 64 * 1024 * 1024
"""What a run reserves for each of its streams, at least."""


@dataclass(frozen=True, slots=True)
class Patient:
    """What the checks look at: `topology` is what runs under the prefix make, on the wire.

    `own` is a stream that the checks may make and delete; `missing` are the needs that the
    server does not permit.
    """

    connection: Connection
    topology: Topology
    own: StreamDecl
    wanted: tuple[Need, ...]
    missing: tuple[Need, ...]


async def examine(connection: Connection, spec: BotSpec, prefix: str, token: str) -> Patient:
    """Find out what is permitted; `token` names what does not exist."""
    space = SubjectSpace(space_of(spec).layout, prefix)
    base = build_topology(space, max_bytes=LEAST_BYTES)
    streams = (*base.streams, *with_custom(base, spec).streams)
    own = StreamDecl("DOCTOR", ("doctor",), max_bytes=1 << 20, memory_storage=False)
    wire = Topology((*streams, own), ()).on_wire(space)
    options = connection.options
    names = [stream.name for stream in wire.streams]
    anchors = with_anchors(Topology((), ())).on_wire(space)
    names += [stream.name for stream in anchors.streams]
    wanted = needs(options.api, options.inbox_prefix, prefix, names)
    missing = await missing_needs(connection, wanted, prefix, token)
    wanted = tuple(dict.fromkeys((*wanted, *missing)))
    return Patient(connection, Topology(wire.streams[:-1], ()), wire.streams[-1], wanted, missing)
