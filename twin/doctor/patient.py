"""A server as one login sees it, and what is going to be done there."""

from collections.abc import Sequence
from dataclasses import dataclass

from twin.configs.roles import PROBE_NAME, roles
from twin.configs.topology import space_of, spec_topology, with_custom
from twin.doctor.needs import Need, missing_needs, needs, to_smoke
from twin.events.streams import build_topology
from twin.events.subjects import SubjectSpace
from twin.events.topology import StreamDecl, Topology
from twin.jetstream.connection import Connection
from twin.registrar.anchor import with_anchors
from twin.spec.bot import BotSpec

__all__ = ["LEAST_BYTES", "OwnPatient", "Patient", "examine", "smoking"]

LEAST_BYTES = 64 * 1024 * 1024
"""What a run reserves for each of its streams, at least."""


@dataclass(frozen=True, slots=True)
class Patient:
    """A server as a login sees it; `missing` are the needs that are not permitted."""

    connection: Connection
    wanted: tuple[Need, ...]
    missing: tuple[Need, ...]


@dataclass(frozen=True, slots=True)
class OwnPatient(Patient):
    """What the checks look at: `topology` is what runs under the prefix make, on the wire.

    `own` is a stream that the checks may make and delete.
    """

    topology: Topology
    own: StreamDecl


async def examine(
    connection: Connection, spec: BotSpec, prefix: str, token: str, *, smoke: bool = False
) -> OwnPatient:
    """Find out what runs under a prefix may do; `token` names what does not exist.

    `smoke` adds what the checks of `twin smoke --name smoke` need.
    """
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
    if smoke:
        wanted += smoking(spec, options.api, wanted)
    missing = await missing_needs(connection, wanted, token)
    wanted = tuple(dict.fromkeys((*wanted, *missing)))
    return OwnPatient(
        connection, wanted, missing, Topology(wire.streams[:-1], ()), wire.streams[-1]
    )


def smoking(spec: BotSpec, api: str, beside: Sequence[Need]) -> tuple[Need, ...]:
    """Return what the checks of `twin smoke --name smoke` need `beside` the rest."""
    known = {role.user: role for role in roles(spec, spec_topology(spec))}
    return to_smoke(known[PROBE_NAME], api, beside)
