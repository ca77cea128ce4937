"""From edges of the hardware to events: each once, at the tick at which it happened."""

from collections.abc import Callable, Sequence
from itertools import groupby

from twin.events.encode.happenings import (
    guard_encoder,
    mode_encoder,
    state_encoder,
    trip_encoder,
)
from twin.events.encode.roster import Roster
from twin.events.event import Event
from twin.events.facts import GuardAlert, ModeSet, StateEdge, ThermalTrip
from twin.events.views import IntArray
from twin.events.vocabulary import StateKind
from twin.hardware.plane import Edge

__all__ = ["Reporter"]

CATEGORIES = {
    "power": "power",
    "supervisor": "power",
    "pdu": "power",
    "thermal": "sensor",
    "modes": "system",
    "comms": "comms",
    "docking": "docking",
    "propulsion": "actuator",
    "shields": "defence",
    "navigation": "nav",
}
"""What a plane's state changes are filed under; sensors and all others under `sensor`."""

GUARD_SEVERITY = {"unknown": "WARN", "foe": "ERROR", "spoof": "ERROR"}


class Reporter:
    """Encodes edges, in their order, on the channels of the platform.

    Temperatures that trip or clear go to `sensor.thermal.trip`, guard alerts to `radar.guard`,
    everything else to `state`. A bot that has booted also says on `system_mode` that it is on
    its mission.
    """

    def __init__(self, roster: Roster) -> None:
        self._state = state_encoder(roster)
        self._trip = trip_encoder(roster)
        self._guard = guard_encoder(roster)
        self._mode = mode_encoder(roster)

    def encode(self, edges: Sequence[Edge], sim_ns: int) -> list[Event]:
        """Return the events of some edges, one each, in their order."""
        events: list[Event] = []
        for encoder, run in groupby(edges, key=self._encoder):
            events += encoder(list(run), sim_ns)
        return events

    def on_mission(self, bots: IntArray, sim_ns: int) -> list[Event]:
        """Return the mode of operation of bots that have just booted."""
        return self._mode.encode([ModeSet(bot, "MISSION") for bot in bots.tolist()], sim_ns)

    def shed(self, losses: Sequence[tuple[int, int]], sim_ns: int) -> list[Event]:
        """Return what bots say of (bot, number of events) that their outbox had no room for."""
        facts = [
            StateEdge(
                bot, StateKind.EVENT_SHED, "comms", "comms", "outbox", "full", "room", f"{n} events"
            )
            for bot, n in losses
        ]
        return self._state.encode(facts, sim_ns)

    def _encoder(self, edge: Edge) -> Callable[[list[Edge], int], list[Event]]:
        if edge.kind in {"thermal_trip", "thermal_clear"}:
            return self._trips
        return self._guards if edge.kind == "radar_guard" else self._states

    def _states(self, edges: list[Edge], sim_ns: int) -> list[Event]:
        return self._state.encode([_state(edge) for edge in edges], sim_ns)

    def _trips(self, edges: list[Edge], sim_ns: int) -> list[Event]:
        return self._trip.encode([_trip(edge) for edge in edges], sim_ns)

    def _guards(self, edges: list[Edge], sim_ns: int) -> list[Event]:
        return self._guard.encode([_guard(edge) for edge in edges], sim_ns)


def _state(edge: Edge) -> StateEdge:
    category = CATEGORIES.get(edge.source, "sensor")
    return StateEdge(
        edge.bot,
        edge.kind,
        category,
        edge.source,
        edge.subject,
        edge.before,
        edge.after,
        edge.reason or None,
    )


def _trip(edge: Edge) -> ThermalTrip:
    values = dict(edge.values)
    return ThermalTrip(
        edge.bot,
        edge.subject,
        edge.kind == "thermal_trip",
        values["temp"],
        values["trip_c"],
        values["hys_c"],
    )


def _guard(edge: Edge) -> GuardAlert:
    values = dict(edge.values)
    range_m = values["range_m"]
    return GuardAlert(
        edge.bot,
        edge.subject,
        int(values["track"]),
        GUARD_SEVERITY[edge.subject],
        f"{edge.subject} contact at {range_m:.0f} m",
        range_m,
        values["quality"],
        int(values["iff"]),
        bool(values["transponder_on"]),
        int(values["transponder_mode"]),
    )
