"""The topology of a run: its streams, and the consumers of the registrar."""

from twin.events.channels import (
    AUDIT_SUBJECT,
    CHANNELS,
    COMMANDS_STREAM,
    EVENTS_STREAM,
    RADAR_STREAM,
    TELEMETRY_STREAM,
)
from twin.events.subjects import SubjectSpace
from twin.events.topology import ConsumerDecl, StreamDecl, Topology

__all__ = ["AUDITED_STREAMS", "SUBJECTS", "build_topology"]

SUBJECTS = {
    RADAR_STREAM: ("qiki.radar.v1.>",),
    EVENTS_STREAM: ("qiki.events.v1.>",),
    TELEMETRY_STREAM: ("qiki.telemetry",),
    COMMANDS_STREAM: ("qiki.commands.>", "qiki.responses.>"),
}

AUDITED_STREAMS = tuple(SUBJECTS)
"""The streams that the registrar reads, each with a durable of its own."""

PLATFORM_BYTES = 10 * 1024 * 1024
PLATFORM_AGE_S = 3600.0
UNLIMITED = -1


def build_topology(
    space: SubjectSpace,
    *,
    durable: str = "registrar",
    max_bytes: int | None = None,
    max_age_s: float = 86_400.0,
    duplicate_window_s: float = 120.0,
    discard_new: bool = True,
    ack_wait_s: float = 5.0,
    max_ack_pending: int = 10_000,
    platform_limits: bool = False,
) -> Topology:
    """Return the streams and the registrar's consumers, under logical names and subjects.

    `max_bytes` is per stream, None for no limit; a run sizes its streams for what it
    publishes. `platform_limits` takes the platform's own instead (10 MiB, one hour, oldest
    evicted) and ignores `max_bytes`, `max_age_s` and `discard_new`. The command stream sets
    `no_ack`: otherwise a request would be answered by the broker instead of the bot.
    """
    limits = (
        (PLATFORM_BYTES, PLATFORM_AGE_S, False)
        if platform_limits
        else (UNLIMITED if max_bytes is None else max_bytes, max_age_s, discard_new)
    )
    streams = tuple(
        StreamDecl(
            name,
            tuple(space.pattern(subject) for subject in subjects),
            max_bytes=limits[0],
            max_age_s=limits[1],
            duplicate_window_s=duplicate_window_s,
            discard_new=limits[2],
            no_ack=name == COMMANDS_STREAM,
        )
        for name, subjects in SUBJECTS.items()
    )
    consumers = tuple(
        ConsumerDecl(
            role="registrar",
            stream=name,
            name=durable,
            filter_subjects=tuple(space.pattern(subject) for subject in _audited(name)),
            ack_wait_s=ack_wait_s,
            max_deliver=-1,
            max_ack_pending=max_ack_pending,
        )
        for name in AUDITED_STREAMS
    )
    return Topology(streams, consumers)


def _audited(stream: str) -> tuple[str, ...]:
    """Return the platform subjects that the registrar reads: all known ones but the audit's own."""
    if stream == EVENTS_STREAM:
        known = [row.subject for row in CHANNELS.values() if row.stream == stream]
        return tuple(sorted(subject for subject in known if subject != AUDIT_SUBJECT))
    return SUBJECTS[stream]
