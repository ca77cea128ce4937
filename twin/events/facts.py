"""Single happenings that become events: edges of a bot's state, alerts, answers to commands.

`bot` is the index of the bot in the `Roster` of the encoder. An encoder takes a list of facts
of one kind and keeps their order.
"""

from typing import NamedTuple

__all__ = ["CommandAnswer", "GuardAlert", "ModeSet", "StateEdge", "ThermalTrip"]


class StateEdge(NamedTuple):
    """`events.v1.state`: something about a bot went from `before` to `after`.

    `kind` is a word as in `vocabulary.StateKind`; `source` the plane (`power`), `subject` what
    of it (`battery`, `radar`). `reason` is written only where there is one.
    """

    bot: int
    kind: str
    category: str
    source: str
    subject: str
    before: str
    after: str
    reason: str | None = None


class ThermalTrip(NamedTuple):
    """`events.v1.sensor.thermal.trip`: a node tripped, or came back. Temperatures in degC."""

    bot: int
    node: str
    tripped: bool
    temp: float
    trip_c: float
    hys_c: float


class GuardAlert(NamedTuple):
    """`events.v1.radar.guard`: a track fulfils a guard rule (unknown, foe or spoof too near).

    `track` is the bot's own serial number of the track, as in `TracksView.serial`.
    """

    bot: int
    rule_id: str
    track: int
    severity: str
    message: str
    range_m: float
    quality: float
    iff: int
    transponder_on: bool
    transponder_mode: int


class ModeSet(NamedTuple):
    """`events.v1.system_mode`: the platform's mode of operation, FACTORY or MISSION."""

    bot: int
    mode: str


class CommandAnswer(NamedTuple):
    """`responses.control`: what became of a command that a bot was sent."""

    bot: int
    request_id: str
    command_name: str
    success: bool
    status: str
    error: str | None = None
    error_detail: str | None = None
