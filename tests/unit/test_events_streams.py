"""The topology of a run and the table of channels that it serves."""

from fnmatch import fnmatchcase

import pytest

from twin.events.channels import AUDIT_SUBJECT, CHANNELS, COMMANDS_STREAM, Cadence, channel_for
from twin.events.streams import AUDITED_STREAMS, build_topology
from twin.events.subjects import Layout, SubjectSpace
from twin.events.topology import Topology

SPACES = [SubjectSpace(), SubjectSpace(Layout.FLEET), SubjectSpace(Layout.FLEET, "twin.x")]


def matches(pattern: str, subject: str) -> bool:
    """Tell whether a NATS pattern matches a subject, the plain way."""
    theirs, ours = pattern.split("."), subject.split(".")
    for place, token in enumerate(theirs):
        if token == ">":
            return len(ours) > place
        if place >= len(ours) or not (token == "*" or token == ours[place]):
            return False
    return len(theirs) == len(ours)


def streams_of(topology: Topology, subject: str) -> list[str]:
    return [s.name for s in topology.streams if any(matches(p, subject) for p in s.subjects)]


def test_matcher_of_this_file_agrees_with_globs() -> None:
    """The helper that judges patterns is itself right about a few plain cases."""
    assert matches("a.*.c", "a.b.c") is fnmatchcase("a.b.c", "a.?.c") is True
    assert not matches("a.>", "a")
    assert not matches("a.b", "a.b.c")


@pytest.mark.parametrize("space", SPACES)
def test_every_channel_is_stored_in_its_stream_and_no_other(space: SubjectSpace) -> None:
    """The subject of each channel matches exactly the stream that the table names."""
    topology = build_topology(space)
    for channel in CHANNELS.values():
        subject = space.subject("bot-7", channel.subject)
        assert streams_of(topology, subject) == [channel.stream], subject


@pytest.mark.parametrize("space", SPACES)
def test_registrar_reads_everything_but_the_audit_subject(space: SubjectSpace) -> None:
    """Each channel is matched by exactly one filter; audit records by none."""
    topology = build_topology(space)
    for channel in CHANNELS.values():
        subject = space.subject("bot-7", channel.subject)
        filters = [
            pattern
            for consumer in topology.consumers
            for pattern in consumer.filter_subjects
            if matches(pattern, subject)
        ]
        assert len(filters) == (0 if channel.subject == AUDIT_SUBJECT else 1), subject


def test_only_the_command_stream_keeps_silent() -> None:
    """A request must get the bot's answer: `no_ack` is set there and nowhere else."""
    silent = [stream.name for stream in build_topology(SubjectSpace()).streams if stream.no_ack]
    assert silent == [COMMANDS_STREAM]


def test_registrar_never_gives_up_on_a_message() -> None:
    """Every audited stream has one durable, without a limit of deliveries."""
    consumers = build_topology(SubjectSpace(), durable="audit").consumers
    assert [c.stream for c in consumers] == list(AUDITED_STREAMS)
    assert {(c.name, c.role, c.max_deliver) for c in consumers} == {("audit", "registrar", -1)}


def test_platform_limits_replace_our_own() -> None:
    """The platform's 10 MiB and one hour evict the oldest; ours refuse the newest."""
    ours = build_topology(SubjectSpace(), max_bytes=1000).streams[0]
    theirs = build_topology(SubjectSpace(), max_bytes=1000, platform_limits=True).streams[0]
    assert (ours.max_bytes, ours.discard_new) == (1000, True)
    assert (theirs.max_bytes, theirs.max_age_s, theirs.discard_new) == (10 << 20, 3600.0, False)
    assert build_topology(SubjectSpace()).streams[0].max_bytes == -1


def test_topology_moves_under_a_prefix() -> None:
    """On somebody else's server, names and subjects all carry the prefix."""
    space = SubjectSpace(Layout.FLEET, "twin.x")
    wire = build_topology(space).on_wire(space)
    assert all(s.name.startswith("TWIN_X_QIKI_") for s in wire.streams)
    subjects = [p for c in wire.consumers for p in c.filter_subjects]
    assert all(subject.startswith("twin.x.qiki.fleet.v1.*.") for subject in subjects)


def test_table_of_channels_is_consistent() -> None:
    """Periodic rows have a period, others none; keys, subjects and look-up agree."""
    for key, channel in CHANNELS.items():
        assert channel.key == key
        assert channel_for(channel.subject) is channel
        periodic = channel.cadence in (Cadence.PERIODIC, Cadence.PER_ITEM)
        assert (channel.period_ns > 0) is periodic, key
    assert channel_for("qiki.nothing") is None


def test_all_nine_channels_of_the_spec_have_a_subject() -> None:
    """No channel that a BotSpec must name is without a row."""
    assert {c.spec_channel for c in CHANNELS.values()} - {None} == {
        "SensorFrame",
        "TrackSet",
        "ThrusterCmd",
        "ModeCmd",
        "ProtocolCmd",
        "EnergyStatus",
        "ShieldStatus",
        "NavState",
        "RegistrarEvent",
    }


def test_types_of_the_platform_are_kept() -> None:
    """The CloudEvents types in use on the platform are those of the table."""
    given = {c.event_type for c in CHANNELS.values() if not c.assumed}
    assert given == {
        "qiki.radar.v1.LRFrame",
        "qiki.radar.v1.SRFrame",
        "qiki.radar.v1.UNSPECIFIEDFrame",
        "qiki.radar.v1.Track",
        "qiki.telemetry.v1.Snapshot",
        "qiki.events.v1.SensorReading",
        "qiki.events.v1.PowerBusReading",
        "qiki.events.v1.PowerPduStatus",
        "qiki.events.v1.ThermalTrip",
        "qiki.events.v1.RadarGuardAlert",
        "qiki.events.v1.AuditRecord",
    }
