"""The table of channels: what a bot says and hears, where, how often and in which stream.

Subjects and types are the platform's where it has one. What it leaves open follows the
meaning of the field and is marked `assumed`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

__all__ = [
    "AUDIT_SUBJECT",
    "CHANNELS",
    "COMMANDS_STREAM",
    "EVENTS_STREAM",
    "RADAR_STREAM",
    "TELEMETRY_STREAM",
    "Cadence",
    "Channel",
    "channel_for",
]

RADAR_STREAM = "QIKI_RADAR_V1"
EVENTS_STREAM = "QIKI_EVENTS_V1"
TELEMETRY_STREAM = "QIKI_TELEMETRY_V1"
COMMANDS_STREAM = "QIKI_COMMANDS_V1"

AUDIT_SUBJECT = "qiki.events.v1.audit"
"""Where audit records go; a consumer that writes them must never read it."""

SECOND_NS = 1_000_000_000


class Cadence(Enum):
    """What makes an event of a channel happen."""

    PERIODIC = "periodic"
    """One event per bot and period."""
    PER_ITEM = "per-item"
    """Every period one event for each thing that is there: a number that cannot be predicted."""
    EDGE = "edge"
    """When a state changes."""
    REQUEST = "request"
    """When somebody asks: commands to bots and the answers to them."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One row of the table.

    `key` is the platform subject without `qiki.`, hence also the subject key of event ids.
    `period_ns` is the natural period in nanoseconds, 0 where nothing is periodic. `spec_channel`
    is the BotSpec channel that it belongs to, None for what the platform publishes besides
    its nine channels. `range_band` is the value of the radar's `x-range-band` header.
    """

    key: str
    event_type: str
    stream: str
    cadence: Cadence
    period_ns: int = 0
    spec_channel: str | None = None
    range_band: str | None = None
    inbound: bool = False
    assumed: bool = False

    @property
    def subject(self) -> str:
        """The platform subject; `SubjectSpace.subject` gives the logical one of a bot."""
        return f"qiki.{self.key}"


def _table(*rows: Channel) -> Mapping[str, Channel]:
    return MappingProxyType({row.key: row for row in rows})


CHANNELS: Mapping[str, Channel] = _table(
    Channel(
        "radar.v1.frames",
        "qiki.radar.v1.UNSPECIFIEDFrame",
        RADAR_STREAM,
        Cadence.PERIODIC,
        SECOND_NS,
        spec_channel="SensorFrame",
        range_band="RR_UNSPECIFIED",
    ),
    Channel(
        "radar.v1.frames.lr",
        "qiki.radar.v1.LRFrame",
        RADAR_STREAM,
        Cadence.PERIODIC,
        SECOND_NS,
        spec_channel="SensorFrame",
        range_band="RR_LR",
    ),
    Channel(
        "radar.v1.tracks.sr",
        "qiki.radar.v1.SRFrame",
        RADAR_STREAM,
        Cadence.PERIODIC,
        SECOND_NS,
        spec_channel="SensorFrame",
        range_band="RR_SR",
    ),
    Channel(
        "radar.v1.tracks",
        "qiki.radar.v1.Track",
        RADAR_STREAM,
        Cadence.PER_ITEM,
        SECOND_NS,
        spec_channel="TrackSet",
    ),
    Channel(
        "telemetry",
        "qiki.telemetry.v1.Snapshot",
        TELEMETRY_STREAM,
        Cadence.PERIODIC,
        SECOND_NS,
    ),
    Channel(
        "events.v1.sensor.thermal",
        "qiki.events.v1.SensorReading",
        EVENTS_STREAM,
        Cadence.PERIODIC,
        SECOND_NS,
    ),
    Channel(
        "events.v1.power.bus",
        "qiki.events.v1.PowerBusReading",
        EVENTS_STREAM,
        Cadence.PERIODIC,
        SECOND_NS,
    ),
    Channel(
        "events.v1.power.pdu",
        "qiki.events.v1.PowerPduStatus",
        EVENTS_STREAM,
        Cadence.PERIODIC,
        SECOND_NS,
    ),
    Channel(
        "events.v1.bios_status",
        "qiki.events.v1.BiosStatus",
        EVENTS_STREAM,
        Cadence.PERIODIC,
        5 * SECOND_NS,
        assumed=True,
    ),
    Channel(
        "events.v1.sensor.imu",
        "qiki.events.v1.SensorReading",
        EVENTS_STREAM,
        Cadence.PERIODIC,
        SECOND_NS,
        assumed=True,
    ),
    Channel(
        "events.v1.nav",
        "qiki.events.v1.NavState",
        EVENTS_STREAM,
        Cadence.PERIODIC,
        SECOND_NS,
        spec_channel="NavState",
        assumed=True,
    ),
    Channel(
        "events.v1.energy",
        "qiki.events.v1.EnergyStatus",
        EVENTS_STREAM,
        Cadence.PERIODIC,
        SECOND_NS,
        spec_channel="EnergyStatus",
        assumed=True,
    ),
    Channel(
        "events.v1.shield",
        "qiki.events.v1.ShieldStatus",
        EVENTS_STREAM,
        Cadence.PERIODIC,
        SECOND_NS,
        spec_channel="ShieldStatus",
        assumed=True,
    ),
    Channel(
        "events.v1.sensor.thermal.trip",
        "qiki.events.v1.ThermalTrip",
        EVENTS_STREAM,
        Cadence.EDGE,
    ),
    Channel(
        "events.v1.radar.guard",
        "qiki.events.v1.RadarGuardAlert",
        EVENTS_STREAM,
        Cadence.EDGE,
    ),
    Channel(
        "events.v1.system_mode",
        "qiki.events.v1.SystemMode",
        EVENTS_STREAM,
        Cadence.EDGE,
        assumed=True,
    ),
    Channel(
        "events.v1.state",
        "qiki.events.v1.StateChange",
        EVENTS_STREAM,
        Cadence.EDGE,
        assumed=True,
    ),
    Channel(
        "events.v1.audit",
        "qiki.events.v1.AuditRecord",
        EVENTS_STREAM,
        Cadence.EDGE,
        spec_channel="RegistrarEvent",
    ),
    Channel(
        "commands.control",
        "qiki.commands.v1.Control",
        COMMANDS_STREAM,
        Cadence.REQUEST,
        inbound=True,
        assumed=True,
    ),
    Channel(
        "commands.thruster",
        "qiki.commands.v1.ThrusterCmd",
        COMMANDS_STREAM,
        Cadence.REQUEST,
        spec_channel="ThrusterCmd",
        inbound=True,
        assumed=True,
    ),
    Channel(
        "commands.mode",
        "qiki.commands.v1.ModeCmd",
        COMMANDS_STREAM,
        Cadence.REQUEST,
        spec_channel="ModeCmd",
        inbound=True,
        assumed=True,
    ),
    Channel(
        "commands.protocol",
        "qiki.commands.v1.ProtocolCmd",
        COMMANDS_STREAM,
        Cadence.REQUEST,
        spec_channel="ProtocolCmd",
        inbound=True,
        assumed=True,
    ),
    Channel(
        "responses.control",
        "qiki.responses.v1.Control",
        COMMANDS_STREAM,
        Cadence.REQUEST,
        assumed=True,
    ),
)
"""All channels by key."""


def channel_for(subject: str) -> Channel | None:
    """Return the channel of a platform subject, None for a subject that the table lacks."""
    return CHANNELS.get(subject.removeprefix("qiki."))
