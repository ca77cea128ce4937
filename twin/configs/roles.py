"""Who may do what on the bus: one NATS user per role, each with the least that it needs."""

from collections.abc import Iterable
from dataclasses import dataclass

from twin.configs.channels import platform_channels
from twin.configs.topology import space_of
from twin.events.channels import AUDIT_SUBJECT
from twin.events.subjects import SubjectSpace
from twin.events.topology import Topology
from twin.spec.bot import BotSpec

__all__ = ["PROBES", "PROBE_NAME", "Role", "probe_stream", "roles"]

API = "$JS.API"
PROBE_NAME = "smoke"
"""How the smoke checks call what they make when they run as the role `smoke`."""
PROBES = ("trip", "twice", "clock", "ce", "lag")
"""What the smoke checks make a stream for."""


def probe_stream(name: str, purpose: str) -> str:
    """Return the name of the stream that smoke checks called `name` make for a purpose."""
    return f"TWIN_{name}_{purpose}".replace("-", "_")


@dataclass(frozen=True, slots=True)
class Role:
    """A NATS user. Subjects are patterns; what is not listed is denied.

    `replies` allows one answer to the reply subject of each message that was received.
    """

    user: str
    purpose: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    replies: bool = False

    @property
    def inbox(self) -> str:
        """The inbox prefix that the role's client has to use: nobody else can listen there."""
        return f"_INBOX_{self.user}"

    @property
    def password_variable(self) -> str:
        """The environment variable that holds the password."""
        return f"TWIN_{self.user.upper()}_PASSWORD"


def roles(spec: BotSpec, topology: Topology) -> tuple[Role, ...]:
    """Return the roles of a deployment of `spec` with `topology` (on the wire)."""
    space = space_of(spec)
    return (
        _bot(spec, space, "bot", spec.metadata.id, "the bot itself: says and hears its own"),
        _bot(spec, space, "fleet", "*", "a simulator or gateway that speaks for all bots"),
        _operator(spec, space),
        _registrar(spec, topology, space),
        *_readers(topology),
        _lag(topology),
        _provisioner(),
        _smoke(spec, topology, space),
    )


def _bot(spec: BotSpec, space: SubjectSpace, user: str, bot: str, purpose: str) -> Role:
    own = tuple(channel.subject_of(bot) for channel in spec.event_bus.custom)
    channels = [one for one in platform_channels(spec) if one.subject != AUDIT_SUBJECT]
    says = (space.subject(bot, channel.subject) for channel in channels if not channel.inbound)
    hears = (space.subject(bot, channel.subject) for channel in channels if channel.inbound)
    return _role(user, purpose, (*says, *own), hears, replies=True)


def _operator(spec: BotSpec, space: SubjectSpace) -> Role:
    channels = platform_channels(spec)
    commands = (space.pattern(channel.subject) for channel in channels if channel.inbound)
    answers = (
        space.pattern(channel.subject)
        for channel in channels
        if channel.key.startswith("responses.")
    )
    return _role("operator", "commands bots and hears their answers", commands, answers)


def _registrar(spec: BotSpec, topology: Topology, space: SubjectSpace) -> Role:
    known = [channel.subject for channel in platform_channels(spec)]
    audit = (space.pattern(AUDIT_SUBJECT),) if AUDIT_SUBJECT in known else ()
    return _role(
        "registrar",
        "reads its durables, writes audit records",
        (*audit, f"{API}.INFO", *_reading(topology, "registrar")),
        (),
    )


def _readers(topology: Topology) -> tuple[Role, ...]:
    """Return a role for each of the platform's own consumers."""
    names = dict.fromkeys(one.role for one in topology.consumers if one.role != "registrar")
    return tuple(
        _role(name, "reads its durable", (f"{API}.INFO", *_reading(topology, name)), ())
        for name in names
    )


def _reading(topology: Topology, role: str) -> tuple[str, ...]:
    """Return what a consumer publishes to look at its streams, to pull and to acknowledge."""
    durables = [(one.stream, one.name) for one in topology.consumers if one.role == role]
    streams = dict.fromkeys(stream for stream, _ in durables)
    return (
        *(f"{API}.STREAM.INFO.{stream}" for stream in streams),
        *(
            subject
            for stream, name in durables
            for subject in (
                f"{API}.CONSUMER.INFO.{stream}.{name}",
                f"{API}.CONSUMER.MSG.NEXT.{stream}.{name}",
                f"$JS.ACK.{stream}.{name}.>",
            )
        ),
    )


def _lag(topology: Topology) -> Role:
    streams = [*(stream.name for stream in topology.streams), probe_stream(PROBE_NAME, "lag")]
    return _role(
        "lag",
        "looks at streams and consumers, reads the time of the oldest message",
        (
            f"{API}.INFO",
            f"{API}.STREAM.NAMES",
            f"{API}.STREAM.LIST",
            *(
                f"{API}.{verb}.{stream}"
                for stream in streams
                for verb in ("STREAM.INFO", "STREAM.MSG.GET", "CONSUMER.NAMES", "CONSUMER.LIST")
            ),
            *(f"{API}.CONSUMER.INFO.{stream}.*" for stream in streams),
        ),
        ("$JS.EVENT.ADVISORY.>",),
    )


def _provisioner() -> Role:
    return _role(
        "provisioner",
        "makes streams and consumers; deletes, purges and reads nothing",
        (
            f"{API}.INFO",
            *(f"{API}.STREAM.{verb}" for verb in ("NAMES", "LIST")),
            *(f"{API}.STREAM.{verb}.*" for verb in ("CREATE", "UPDATE", "INFO")),
            *(f"{API}.CONSUMER.{verb}.*" for verb in ("NAMES", "LIST")),
            f"{API}.CONSUMER.CREATE.>",
            f"{API}.CONSUMER.DURABLE.CREATE.*.*",
            f"{API}.CONSUMER.INFO.*.*",
        ),
        (),
    )


def _smoke(spec: BotSpec, topology: Topology, space: SubjectSpace) -> Role:
    """Return the role of `twin smoke --name smoke`: streams of its own, and a probing bot."""
    probes = [probe_stream(PROBE_NAME, purpose) for purpose in PROBES]
    channels = [one for one in platform_channels(spec) if not one.inbound]
    says = [space.subject("*", one.subject) for one in channels if one.subject != AUDIT_SUBJECT]
    known = [channel.subject for channel in channels]
    audit = (space.pattern(AUDIT_SUBJECT),) if AUDIT_SUBJECT in known else ()
    return _role(
        "smoke",
        "checks the deployment: makes and deletes streams of its own, speaks as a probing bot",
        (
            *says,
            *(f"twin.{PROBE_NAME}.{purpose}" for purpose in PROBES),
            f"{API}.INFO",
            f"{API}.STREAM.NAMES",
            *(
                f"{API}.STREAM.{verb}.{stream}"
                for stream in probes
                for verb in ("CREATE", "UPDATE", "DELETE", "INFO", "MSG.GET")
            ),
            *(
                f"{API}.{verb}.{stream}.{stream}"
                for stream in probes
                for verb in ("CONSUMER.CREATE", "CONSUMER.INFO", "CONSUMER.MSG.NEXT")
            ),
            *(f"$JS.ACK.{stream}.{stream}.>" for stream in probes),
            *(
                f"{API}.STREAM.{verb}.{stream.name}"
                for stream in topology.streams
                for verb in ("INFO", "MSG.GET")
            ),
            *(f"{API}.CONSUMER.INFO.{one.stream}.{one.name}" for one in topology.consumers),
        ),
        audit,
    )


def _role(
    user: str,
    purpose: str,
    publish: Iterable[str],
    subscribe: Iterable[str],
    *,
    replies: bool = False,
) -> Role:
    inbox = f"_INBOX_{user}.>"
    return Role(user, purpose, tuple(publish), (*subscribe, inbox), replies)
