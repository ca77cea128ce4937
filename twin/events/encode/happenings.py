"""Encoders of single facts: edges, alerts, modes and answers. Rare, hence by dict and orjson."""

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

import orjson

from twin.events.channels import CHANNELS
from twin.events.encode.envelope import Envelope
from twin.events.encode.identity import uuid_text
from twin.events.encode.moment import Moment
from twin.events.encode.roster import Roster
from twin.events.encode.tracks import track_ids
from twin.events.event import Event
from twin.events.facts import CommandAnswer, GuardAlert, ModeSet, StateEdge, ThermalTrip

__all__ = [
    "FactEncoder",
    "answer_encoder",
    "guard_encoder",
    "mode_encoder",
    "state_encoder",
    "trip_encoder",
]


class OfBot(Protocol):
    """A fact about one bot of the roster."""

    @property
    def bot(self) -> int: ...


Fact = TypeVar("Fact", bound=OfBot)


class FactEncoder(Generic[Fact]):
    """Encodes the facts of one channel."""

    def __init__(
        self, key: str, roster: Roster, document: Callable[[Fact, Moment], dict[str, object]]
    ) -> None:
        self._envelope = Envelope(CHANNELS[key], roster)
        self._document = document

    def encode(self, facts: Sequence[Fact], sim_ns: int) -> list[Event]:
        """Return one event for each fact, in that order."""
        moment = self._envelope.moment(sim_ns)
        payloads = [orjson.dumps(self._document(fact, moment)) for fact in facts]
        return self._envelope.stamp([fact.bot for fact in facts], payloads, moment)


def state_encoder(roster: Roster) -> FactEncoder[StateEdge]:
    """Return the encoder of `events.v1.state`."""
    return FactEncoder("events.v1.state", roster, _state)


def trip_encoder(roster: Roster) -> FactEncoder[ThermalTrip]:
    """Return the encoder of `events.v1.sensor.thermal.trip`."""
    return FactEncoder("events.v1.sensor.thermal.trip", roster, _trip)


def mode_encoder(roster: Roster) -> FactEncoder[ModeSet]:
    """Return the encoder of `events.v1.system_mode`."""
    key = "events.v1.system_mode"
    subjects = [roster.space.subject(bot, CHANNELS[key].subject) for bot in roster.bots]

    def document(fact: ModeSet, moment: Moment) -> dict[str, object]:
        return {
            "event_schema_version": 1,
            "source": roster.bots[fact.bot],
            "subject": subjects[fact.bot],
            "timestamp": moment.rfc3339.decode(),
            "mode": fact.mode,
        }

    return FactEncoder(key, roster, document)


def guard_encoder(roster: Roster) -> FactEncoder[GuardAlert]:
    """Return the encoder of `events.v1.radar.guard`."""
    prefixes = track_ids(roster)

    def document(fact: GuardAlert, moment: Moment) -> dict[str, object]:
        return {
            "schema_version": 1,
            "category": "radar",
            "kind": "guard_alert",
            "source": "guard",
            "subject": fact.rule_id,
            "ts_epoch": orjson.Fragment(moment.epoch_s),
            "rule_id": fact.rule_id,
            "track_id": uuid_text(prefixes[fact.bot], fact.track).decode(),
            "severity": fact.severity,
            "message": fact.message,
            "range_m": round(fact.range_m, 2),
            "quality": round(fact.quality, 3),
            "iff": fact.iff,
            "transponder_on": fact.transponder_on,
            "transponder_mode": fact.transponder_mode,
        }

    return FactEncoder("events.v1.radar.guard", roster, document)


def answer_encoder(roster: Roster) -> FactEncoder[CommandAnswer]:
    """Return the encoder of `responses.control`."""
    return FactEncoder("responses.control", roster, _answer)


def _state(fact: StateEdge, moment: Moment) -> dict[str, object]:
    document: dict[str, object] = {
        "schema_version": 1,
        "category": fact.category,
        "source": fact.source,
        "subject": fact.subject,
        "ts_epoch": orjson.Fragment(moment.epoch_s),
        "kind": fact.kind,
        "from": fact.before,
        "to": fact.after,
    }
    return document if fact.reason is None else {**document, "reason": fact.reason}


def _trip(fact: ThermalTrip, moment: Moment) -> dict[str, object]:
    return {
        "schema_version": 1,
        "category": "sensor",
        "kind": "thermal_trip" if fact.tripped else "thermal_clear",
        "source": "thermal",
        "subject": fact.node,
        "ts_epoch": orjson.Fragment(moment.epoch_s),
        "tripped": int(fact.tripped),
        "temp": round(fact.temp, 2),
        "trip_c": fact.trip_c,
        "hys_c": fact.hys_c,
        "unit": "C",
    }


def _answer(fact: CommandAnswer, moment: Moment) -> dict[str, object]:
    return {
        "version": 1,
        "kind": "command_response",
        "success": fact.success,
        "ok": fact.success,
        "requestId": fact.request_id,
        "request_id": fact.request_id,
        "timestamp": moment.rfc3339.decode(),
        "payload": {"command_name": fact.command_name, "status": fact.status},
        "error": fact.error,
        "error_detail": fact.error_detail,
    }
