"""A probing bot: booted in simulation, sent to the real streams, looked for in the audit."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from twin.errors import TwinError
from twin.events.channels import AUDIT_SUBJECT, channel_for
from twin.events.cloudevents import NonConforming, decode, parse_headers
from twin.events.event import Event, SourceTable
from twin.events.payloads import validate_payload
from twin.jetstream.api import stream_info, stream_state
from twin.jetstream.wire import Delivery
from twin.simulation.fleet import FleetGroup
from twin.simulation.world import World
from twin.smoke.check import Broken, NotChecked
from twin.smoke.messages import StoredMessage, last_message, message
from twin.smoke.services import Recorded, recorded
from twin.smoke.site import Ack, Site, forget, publish, random_name

__all__ = ["cloudevents", "registrar"]

SECOND_NS = 1_000_000_000
BOOT_S = 20
MOST = 100
"""Subjects of one stream that are looked at."""
RECORDED_S = 2.0
POLL_S = 0.1
FRAME = "qiki.radar.v1.frames"
STATE = "qiki.events.v1.state"
EXPECTED = {"boot_ok": 101, "sensor_io_ok": 201}
"""The code that the bot's own event of each kind has to be recorded with."""
NAMES = {101: "BOOT_OK", 201: "SENSOR_IO_OK"}


@dataclass(slots=True)
class Boot:
    """What a bot says from power-on to SENSOR_IO_OK, and its first radar frame."""

    bot: str
    events: list[tuple[str, Event]]

    @property
    def expected(self) -> set[tuple[str, int]]:
        """Event ids with the codes that they have to be recorded with."""
        found = set()
        for _, event in self.events:
            code = EXPECTED.get(orjson.loads(event.payload).get("kind", ""))
            if code:
                found.add((parse_headers(event.headers + b"\r\n")["ce-id"], code))
        return found


@dataclass(slots=True)
class Audit:
    """The audit records of one bot as they are published: arrival by event id and code."""

    bot: str
    arrived: dict[tuple[str, int], float] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, batch: list[Delivery]) -> None:
        """Keep what is about our bot."""
        for delivery in batch:
            try:
                payload = orjson.loads(delivery[3]).get("payload", {})
            except (orjson.JSONDecodeError, AttributeError):
                continue
            if isinstance(payload, dict) and payload.get("bot") == self.bot:
                record = (str(payload.get("id")), int(payload.get("code", 0)))
                self.arrived.setdefault(record, time.monotonic())
                self.news.set()

    async def wait(self, expected: set[tuple[str, int]], deadline: float) -> set[tuple[str, int]]:
        """Return which records have not come until the deadline."""
        while missing := expected - self.arrived.keys():
            self.news.clear()
            try:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    await self.news.wait()
            except TimeoutError:
                return missing
        return set()

    def instead(self, missing: set[tuple[str, int]]) -> str:
        """Say which other codes the events of missing records have got."""
        wanted = {event for event, _ in missing}
        others = sorted(f"{event} has {code}" for event, code in self.arrived if event in wanted)
        return f"; {', '.join(others)}" if others else ""


async def registrar(site: Site) -> str:
    """BOOT_OK and SENSOR_IO_OK of a probing bot are recorded within 2 s of its first frame."""
    if not site.registrar:
        raise NotChecked("no --registrar URL was given")
    boot = await asyncio.to_thread(_boot, site)
    audit = Audit(boot.bot)
    subject = site.space.wire(site.space.pattern(AUDIT_SUBJECT))
    subscription = await site.connection.subscribe(subject, audit.take)
    stored: list[Ack] = []
    try:
        await site.connection.flush()
        before, began = await recorded(site), time.monotonic()
        for wire, event in boot.events:
            stored.append(
                await publish(site.connection, wire, event.payload, event.headers + b"\r\n")
            )
        missing = await audit.wait(boot.expected, began + RECORDED_S)
        other = "" if missing else await _elsewhere(site, before, boot, stored)
    finally:
        await site.connection.unsubscribe(subscription)
        note = await forget(site.connection, stored + await _audited(site, boot, stored))
    if missing:
        names = ", ".join(f"{code} {NAMES[code]} of {event}" for event, code in sorted(missing))
        raise Broken(
            f"no audit record {names} within {RECORDED_S:g} s{audit.instead(missing)}",
            "see that `twin registrar serve` consumes these streams (its /readyz), is not "
            "behind (`twin lag watch`), publishes audit records, and that its rules give the codes",
        )
    if other:
        raise Broken(
            f"the probing bot was audited, but not recorded whole by {site.registrar}: {other}",
            "give the URL of the registrar of this broker (--registrar http://HOST:PORT), and "
            "see that it records all streams of the spec",
        )
    took = max(audit.arrived[record] for record in boot.expected) - began
    return f"101 BOOT_OK and 201 SENSOR_IO_OK of {boot.bot} in {took:.2f} s{note}"


async def cloudevents(site: Site) -> str:
    """The newest message of each subject is a CloudEvent whose payload keeps its contract."""
    wrong, good, rest = [], 0, 0
    if defect := await _own_defect(site):
        wrong.append(f"a probe message was changed on its way: {defect}")
    for stream in site.topology.streams:
        state = await stream_state(site.connection, stream.name)
        looked = _spread(sorted(state.subjects))
        rest += len(state.subjects) - len(looked)
        for subject in looked:
            found = await last_message(site.connection, stream.name, subject)
            if found is not None:
                defect = _defect(site, found)
                wrong += [f"{found.subject} (sequence {found.seq}): {defect}"] if defect else []
                good += not defect
    if wrong:
        raise Broken(
            "; ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""),
            "let the publisher write ce-id, ce-source, ce-type, ce-specversion and the payload "
            "of the contract",
        )
    more = f"; {rest:,} more subjects were not looked at" if rest else ""
    return f"a probe frame, and the newest messages of {good} subjects{more}"


def _spread(subjects: Sequence[str]) -> Sequence[str]:
    """Return some subjects, evenly from all: the first ones may all be of a few bots."""
    step = max(1, -(-len(subjects) // MOST))
    return subjects[::step]


async def _own_defect(site: Site) -> str:
    """Store a radar frame of the probing bot in a stream of our own and read it back."""
    boot = await asyncio.to_thread(_boot, site)
    event = boot.events[0][1]
    async with site.stream("ce") as (stream, subject):
        ack = await publish(site.connection, subject, event.payload, event.headers + b"\r\n")
        found = await message(site.connection, stream, ack.seq)
    if found is None or found.data != event.payload:
        return "its payload is not what was sent"
    return _defect(site, found)


def _defect(site: Site, found: StoredMessage) -> str:
    event = decode(found.headers or None, found.data)
    if isinstance(event, NonConforming):
        return "; ".join(str(one.detail or one.defect) for one in event.findings)
    logical = site.space.logical(found.subject)
    channel = channel_for(logical) or channel_for(f"qiki.{logical.split('.', 4)[-1]}")
    if channel is None:
        return ""
    try:
        validate_payload(channel.key, event.data)
    except KeyError:
        return ""
    except ValueError as error:
        return str(error).splitlines()[0]
    return ""


def _boot(site: Site) -> Boot:
    """Simulate a bot until it has booted and its sensors answer; nothing is sent."""
    sources = SourceTable()
    events: list[Event] = []
    world = World(
        [FleetGroup(site.token, site.spec, 1)],
        seed=1,
        epoch_ns=time.time_ns(),
        run_id=random_name(),
        space=site.space,
        sources=sources,
        sink=events.extend,
    )
    world.run_until(BOOT_S * SECOND_NS)
    bot = world.bots[0]
    state, frame = (site.space.subject(bot, subject) for subject in (STATE, FRAME))
    chosen = [event for event in events if sources[event.source].subject == state]
    chosen += [event for event in events if sources[event.source].subject == frame][:1]
    kinds = {orjson.loads(event.payload).get("kind") for event in chosen}
    if not EXPECTED.keys() <= kinds:
        raise NotChecked("bots of this spec do not report boot_ok and sensor_io_ok")
    chosen.sort(key=lambda event: (sources[event.source].subject != frame, event.sim_ns))
    return Boot(bot, [(site.space.wire(sources[event.source].subject), event) for event in chosen])


async def _elsewhere(site: Site, before: Recorded, boot: Boot, stored: list[Ack]) -> str:
    """Say what tells that the registrar that was named has not recorded the probing bot, in time.

    Its count of events has to grow, and its last sequence of each stream to be between that
    of the bot's last message and that of the stream: another broker's is below or above.
    """
    recording = {one.stream for one in site.topology.consumers if one.role == "registrar"}
    wanted = {ack.stream: ack.seq for ack in stored if ack.stream in recording}
    deadline = time.monotonic() + RECORDED_S
    while True:
        now = await recorded(site)
        wrong = [
            f"its registrar_last_sequence of {stream} is {now.last.get(stream, 0):g}, "
            f"the bot's {seq}"
            for stream, seq in wanted.items()
            if not now.last.get(stream, 0) >= seq
        ]
        if not now.events >= before.events + len(boot.expected):
            wrong.append("its registrar_events_total stays as it was")
        if not wrong or time.monotonic() > deadline:
            break
        await asyncio.sleep(POLL_S)
    for stream in () if wrong else wanted:
        about = await stream_info(site.connection, stream)
        if about is not None and now.last[stream] > about.state.last_seq:
            wrong.append(
                f"its registrar_last_sequence of {stream} is {now.last[stream]:g}, "
                f"the stream's {about.state.last_seq}"
            )
    return "; ".join(wrong)


async def _audited(site: Site, boot: Boot, stored: list[Ack]) -> list[Ack]:
    """Return where audit records of the probing bot are stored, among the newest messages."""
    found = []
    first = {ack.stream: ack.seq for ack in reversed(stored)}
    for stream, seq in first.items():
        for number in range(seq, max(ack.seq for ack in stored if ack.stream == stream) + 64):
            try:
                one = await message(site.connection, stream, number)
            except TwinError:
                break
            if one is not None and f"/{boot.bot}/".encode() in one.headers:
                found.append(Ack(stream, number, False))
    known = {(ack.stream, ack.seq) for ack in stored}
    return [ack for ack in found if (ack.stream, ack.seq) not in known]
