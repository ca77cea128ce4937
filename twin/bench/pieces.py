"""The pieces that every event passes, alone: processor time of one each, without a broker.

A turn measures every piece for a few tenths of a second of processor time; repeats are turns, so
that what the machine does meanwhile hits all pieces. The figures are for comparing
two versions on one machine (`twin bench pieces --against`), not for comparing machines.
"""

import math
import time
from collections.abc import Callable, Mapping
from typing import Final

from twin.events.cloudevents import decode
from twin.events.encode import (
    RadarEncoder,
    Roster,
    bus_encoder,
    pdu_encoder,
    telemetry_encoder,
    thermal_encoder,
)
from twin.events.event import Event, SourceTable
from twin.events.ratings import PowerRating
from twin.events.samples import NODES, sample_views
from twin.events.subjects import SubjectSpace
from twin.hardware.assembly import Hardware
from twin.jetstream.message import Message
from twin.lag.sample import ConsumerSample
from twin.lag.status import StatusRules, assess
from twin.registrar.intake import Intake
from twin.registrar.rules import Classifier, Rules
from twin.simulation.fleet import FleetGroup
from twin.simulation.world import World
from twin.spec.load import load_spec

__all__ = ["PIECES", "Piece", "turn"]

Piece = Callable[[], int]
"""Does its work once and returns how many events (bots, samples) that was."""

EPOCH_NS: Final = 1_767_225_600 * 10**9
NS: Final = 10**9
WINDOWS: Final = 6
WINDOW_S: Final = 0.05
BOTS: Final = 200


def _encode() -> Piece:
    roster = Roster("20260101-bench", EPOCH_NS, tuple(f"bot-{i:05d}" for i in range(BOTS)))
    views, everyone = sample_views(BOTS), range(BOTS)
    telemetry = telemetry_encoder(roster, PowerRating(), NODES)
    thermal, bus, pdu = thermal_encoder(roster), bus_encoder(roster), pdu_encoder(roster)
    radar = RadarEncoder(roster)

    def work() -> int:
        return sum(
            len(events)
            for events in (
                telemetry.encode(everyone, views.telemetry, NS),
                thermal.encode(everyone, views.thermal, NS),
                bus.encode(everyone, views.power, NS),
                pdu.encode(everyone, views.power, NS),
                radar.encode(everyone, views.radar, NS),
            )
        )

    return work


def _planes() -> Piece:
    hardware = Hardware(load_spec("builtin:BotSpec"), [f"bot-{i}" for i in range(2000)], seed=1)

    def work() -> int:
        hardware.step(1.0)
        hardware.drain_edges()
        return 2000

    return work


def _world() -> Piece:
    made: list[Event] = []
    world = World(
        [FleetGroup("bench", load_spec("builtin:BotSpec"), BOTS)],
        seed=1,
        epoch_ns=EPOCH_NS,
        run_id="20260101-bench",
        space=SubjectSpace(),
        sources=SourceTable(),
        sink=made.extend,
    )
    world.run_until(5 * NS)

    def work() -> int:
        made.clear()
        world.run_until(world.now_ns + NS)
        return len(made)

    return work


def _messages() -> list[Message]:
    roster = Roster("20260101-bench", EPOCH_NS, tuple(f"bot-{i:05d}" for i in range(BOTS)))
    events = bus_encoder(roster).encode(range(BOTS), sample_views(BOTS).power, NS)
    return [
        Message(
            (
                b"qiki.events.v1.power.bus",
                b"$JS.ACK.QIKI_EVENTS_V1.registrar.1.%d.%d.%d.0" % (place, place, EPOCH_NS),
                event.headers + b"\r\n",
                event.payload,
            )
        )
        for place, event in enumerate(events, 1)
    ]


def _decode() -> Piece:
    messages = _messages()

    def work() -> int:
        for message in messages:
            decode(message.headers, message.payload)
        return len(messages)

    return work


def _intake() -> Piece:
    messages, intake = _messages(), Intake(Classifier(Rules.load()), SubjectSpace())

    def work() -> int:
        intake.take_all(messages, EPOCH_NS)
        return len(messages)

    return work


def _status() -> Piece:
    rules = StatusRules.every(1.0)
    window = [
        ConsumerSample(
            second * NS,
            "bench",
            "S",
            "C",
            num_pending=10 * second,
            num_ack_pending=5,
            num_redelivered=0,
            num_waiting=1,
            delivered_seq=50 * second,
            ack_floor=45 * second,
            first_seq=1,
            last_seq=60 * second,
            backlog=10 * second + 5,
            oldest_age_s=2.0,
        )
        for second in range(1, 7)
    ]

    def work() -> int:
        for _ in range(200):
            assess(window, 6 * NS, rules)
        return 200

    return work


PIECES: Final[Mapping[str, Callable[[], Piece]]] = {
    "planes": _planes,
    "encode": _encode,
    "world": _world,
    "decode": _decode,
    "intake": _intake,
    "status": _status,
}
"""What is measured, and how it is set up: processor time per bot, event, message or verdict."""


def turn() -> dict[str, float]:
    """Measure every piece once, in us of processor time per unit of work.

    The least of several windows: what disturbs only ever adds. The pieces take their windows
    in turns, so that those of one lie apart and a short disturbance does not hit all of them.
    """
    works = {name: make() for name, make in PIECES.items()}
    least = dict.fromkeys(works, math.inf)
    for number in range(WINDOWS + 1):
        for name, work in works.items():
            cost_us = _window_us(work)
            if number:  # the first warms up
                least[name] = min(least[name], cost_us)
    return least


def _window_us(work: Piece) -> float:
    done, began = 0, time.process_time()
    while (spent := time.process_time() - began) < WINDOW_S:
        done += work()
    return spent * 1e6 / done
