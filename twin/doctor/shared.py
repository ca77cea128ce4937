"""A run with `--shared`, before it is made: what it needs on somebody else's server."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from twin.configs.channels import platform_channels
from twin.doctor.checks import may, server
from twin.doctor.needs import ADVISORIES, Group, Need, missing_needs
from twin.doctor.patient import Patient, smoking
from twin.errors import InfrastructureError, TopologyConflict
from twin.events.channels import AUDIT_SUBJECT
from twin.events.subjects import covers
from twin.jetstream.api import stream_info, streams_on
from twin.jetstream.connection import Connection
from twin.scenario.evidence.hearing import Hearing
from twin.scenario.language.load import LoadedScenario, load_scenario
from twin.scenario.language.values import NS_PER_S
from twin.scenario.plan import Plan, Settings
from twin.scenario.shared import Shared, attached
from twin.simulation.orders import COMMAND_MODELS
from twin.smoke.check import Broken, Check

__all__ = ["SHARED_CHECKS", "SharedPatient", "SharedRun", "examine_shared"]

_SAMPLES = "$JS.EVENT.METRIC.CONSUMER.ACK"
_ANY = "*"
"""Stands for streams whose names this login may not ask for."""


@dataclass(frozen=True, slots=True)
class SharedRun:
    """A run as it is planned, and what is allowed to it."""

    loaded: LoadedScenario
    plan: Plan
    shared: Shared

    @classmethod
    def of(cls, reference: str, shared: Shared) -> "SharedRun":
        """Plan the run of a scenario; raises UsageError where that wants more than is allowed."""
        loaded = load_scenario(reference)
        settings = Settings(shared_server=True, shared=shared, allow_time_skew=True)
        return cls(loaded, Plan.make(loaded, settings), shared)


@dataclass(frozen=True, slots=True)
class SharedPatient(Patient):
    """What the checks look at."""

    run: SharedRun


async def examine_shared(
    connection: Connection, run: SharedRun, token: str, *, smoke: bool = False
) -> SharedPatient:
    """Find out what a run on subjects of others may do; `token` names what does not exist.

    `smoke` adds what the checks of `twin smoke --name smoke` need.
    """
    options, plan = connection.options, run.plan
    heard, listening = await _heard(connection, plan)
    storing = await _storing(connection, plan.predicted.by_subject)
    observed = (one.stream for one in plan.scenario.observers.values() if one.stream)
    wanted = [
        Need(Group.REPLIES, "subscribe", f"{options.inbox_prefix}.>"),
        Need(Group.API, "publish", f"{options.api}.STREAM.NAMES"),
        *_reading(options.api, dict.fromkeys((*storing, *observed, *heard))),
        *(Need(Group.MESSAGES, "publish", subject) for subject in _said(run)),
        *(Need(Group.MESSAGES, "subscribe", subject) for subject in (*_commands(plan), *listening)),
        *_watching(options.api, plan),
    ]
    for one in run.loaded.groups if smoke else ():
        wanted += smoking(one.spec, options.api, wanted)
    missing = await missing_needs(connection, list(dict.fromkeys(wanted)), token)
    whole = tuple(dict.fromkeys((*wanted, *missing)))
    return SharedPatient(connection, whole, missing, run)


async def _storing(connection: Connection, subjects: Iterable[str]) -> Iterable[str]:
    """Return the streams that store the subjects, or what stands for them."""
    try:
        found = [await streams_on(connection, subject) for subject in subjects]
    except InfrastructureError:
        return (_ANY,)
    return dict.fromkeys(name for names in found for name in names)


async def _heard(connection: Connection, plan: Plan) -> tuple[list[str], list[str]]:
    """Return the streams that expectations are read from, and what is heard without a stream."""
    hearing = Hearing(connection, plan.space, plan.scenario.expect)
    try:
        names = await hearing.streams()
        infos = [await stream_info(connection, name) for name in names]
    except InfrastructureError:
        return [_ANY], hearing.patterns
    captured = [subject for info in infos if info for subject in info.config.subjects]
    free = [one for one in hearing.patterns if not any(covers(own, one) for own in captured)]
    return names, free


def _reading(api: str, streams: Iterable[str]) -> Iterator[Need]:
    """Yield what it takes to find a stream's end, and to read it without acknowledgement."""
    for stream in streams:
        yield Need(Group.STREAMS, "publish", f"{api}.STREAM.INFO.{stream}")
        for verb in ("CREATE", "MSG.NEXT", "DELETE"):
            yield Need(Group.CONSUMERS, "publish", f"{api}.CONSUMER.{verb}.{stream}.*")


def _said(run: SharedRun) -> Iterator[str]:
    """Yield the subjects, of all bots, on which the twin may come to publish."""
    space = run.plan.space
    for group in run.loaded.groups:
        channels = (one for one in platform_channels(group.spec) if not one.inbound)
        own = (space.pattern(one.subject) for one in channels if one.subject != AUDIT_SUBJECT)
        for subject in (*own, *(one.pattern for one in group.spec.event_bus.custom)):
            others = any(covers(one, subject) for one in run.plan.external)
            if run.shared.allows(subject) and not others:
                yield subject


def _commands(plan: Plan) -> list[str]:
    """Return where bots hear commands."""
    return [plan.space.pattern(f"qiki.{key}") for key in COMMAND_MODELS]


def _watching(api: str, plan: Plan) -> Iterator[Need]:
    """Yield what it takes to watch consumers of theirs."""
    for one in plan.scenario.watch.values():
        stream, durable = one.stream, one.durable
        for verb in ("STREAM.INFO", "STREAM.MSG.GET"):
            yield Need(Group.STREAMS, "publish", f"{api}.{verb}.{stream}")
        yield Need(Group.CONSUMERS, "publish", f"{api}.CONSUMER.LIST.{stream}")
        yield Need(Group.CONSUMERS, "publish", f"{api}.CONSUMER.INFO.{stream}.{durable}")
        yield Need(Group.ADVISORIES, "subscribe", f"{ADVISORIES}.*.{stream}.{durable}")
        if one.ack_latency:
            yield Need(Group.CONSUMERS, "publish", f"{api}.CONSUMER.CREATE.{stream}.{durable}")
            yield Need(Group.ADVISORIES, "subscribe", f"{_SAMPLES}.{stream}.{durable}")


async def caps(patient: SharedPatient) -> str:
    """What the scenario is going to publish is within the caps, as far as that is known."""
    plan, shared = patient.run.plan, patient.run.shared
    needed = plan.predicted.total
    per_s = needed / (plan.scenario.duration_ns / NS_PER_S)
    return (
        f"at least {needed:,} of {shared.max_messages:,} messages, {per_s:,.6g} of "
        f"{shared.max_rate:,.6g} a second on average; bytes are counted while it runs, "
        f"up to {shared.max_bytes:,}"
    )


async def streams(patient: SharedPatient) -> str:
    """Every subject is stored by a stream of theirs that acknowledges."""
    try:
        topology, window_s = await attached(
            patient.connection, patient.run.plan.predicted.by_subject
        )
    except TopologyConflict as conflict:
        raise Broken(
            str(conflict).replace("\n", " "),
            "make a stream for these subjects, without no_ack; the run makes none",
        ) from conflict
    names = ", ".join(one.name for one in topology.streams)
    return f"{names}; ids are remembered for {window_s:g} s"


SHARED_CHECKS: Final[tuple[Check[SharedPatient], ...]] = (
    Check("server", "The server is recent, and takes messages as large as a bot's", server),
    *may(
        (Group.REPLIES, "Answers may be heard"),
        (Group.API, "Streams may be looked for"),
        (Group.STREAMS, "Streams may be looked at"),
        (Group.CONSUMERS, "Streams may be read, and consumers be watched"),
        (Group.MESSAGES, "Events may be published, and commands heard"),
        (Group.ADVISORIES, "Advisories of watched consumers may be heard"),
    ),
    Check("caps", "The scenario keeps within what is allowed", caps),
    Check(
        "streams",
        "Streams of yours store what is published",
        streams,
        ("may-replies", "may-api", "may-streams"),
    ),
)
