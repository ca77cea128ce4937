"""The streams and consumers that a spec's deployment needs."""

from dataclasses import replace

from twin.configs.channels import platform_channels
from twin.events.channels import AUDIT_SUBJECT, CHANNELS, EVENTS_STREAM, RADAR_STREAM
from twin.events.streams import build_topology
from twin.events.subjects import Layout, SubjectSpace
from twin.events.topology import ConsumerDecl, Topology
from twin.spec.bot import BotSpec

__all__ = ["space_of", "spec_topology", "with_custom"]

RADAR_FRAMES = ("qiki.radar.v1.frames", "qiki.radar.v1.frames.lr", "qiki.radar.v1.tracks.sr")
RADAR_TRACKS = ("qiki.radar.v1.tracks",)


def space_of(spec: BotSpec) -> SubjectSpace:
    """Return the subject space of the spec's layout, on a server of its own."""
    return SubjectSpace(Layout(spec.event_bus.layout))


def spec_topology(spec: BotSpec) -> Topology:
    """Return the topology of a deployment, with the platform's limits and durables.

    A bot of the profile custom has its own streams, and the platform's only where it uses one
    of the platform's channels.
    """
    space = space_of(spec)
    base = build_topology(space, platform_limits=True)
    own = with_custom(base, spec)
    used = {channel.stream for channel in platform_channels(spec)}
    consumers = base.consumers + _platform_durables(space)
    return Topology(
        tuple(one for one in base.streams if one.name in used) + own.streams,
        tuple(one for one in consumers if one.stream in used) + own.consumers,
    )


def with_custom(like: Topology, spec: BotSpec) -> Topology:
    """Return the streams of the spec's own channels, each with a consumer for every role.

    Limits, durable names and acknowledgement are taken from the first stream and consumer of
    `like`, so that a run treats all its streams alike. Subjects and names are logical.
    """
    subjects: dict[str, list[str]] = {}
    for channel in spec.event_bus.custom:
        subjects.setdefault(channel.stream, []).append(channel.pattern)
    streams = tuple(
        replace(like.streams[0], name=name, subjects=tuple(patterns), no_ack=False)
        for name, patterns in subjects.items()
    )
    first = {consumer.role: consumer for consumer in reversed(like.consumers)}
    consumers = tuple(
        replace(consumer, stream=name, filter_subjects=tuple(patterns))
        for name, patterns in subjects.items()
        for consumer in first.values()
    )
    return Topology(streams, consumers)


def _platform_durables(space: SubjectSpace) -> tuple[ConsumerDecl, ...]:
    """Return the durables that the platform's own services read; none of them reads audits."""
    known = [row.subject for row in CHANNELS.values() if row.stream == EVENTS_STREAM]
    events = tuple(sorted(subject for subject in known if subject != AUDIT_SUBJECT))
    return tuple(
        ConsumerDecl(role, stream, name, tuple(space.pattern(subject) for subject in subjects))
        for role, stream, name, subjects in (
            ("radar_frames", RADAR_STREAM, "radar_frames_pull", RADAR_FRAMES),
            ("radar_tracks", RADAR_STREAM, "radar_tracks_pull", RADAR_TRACKS),
            ("events_audit", EVENTS_STREAM, "events_audit_pull", events),
        )
    )
