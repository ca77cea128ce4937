"""The table of event codes: numbers, names, severities, and the categories 1xx to 9xx.

Numbers are a contract with everyone who reads the audit log: codes are added inside the
ranges, never renumbered. Those the platform gave are marked in docs/registrar.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

__all__ = ["CATEGORIES", "CODES", "UNKNOWN_TYPE", "Code", "Severity", "category", "code_range"]


class Severity(IntEnum):
    """How serious a record is; the numbers leave room and order like logging's levels."""

    DEBUG = 10
    INFO = 20
    WARN = 30
    ERROR = 40
    CRITICAL = 50


CATEGORIES: Final = {
    1: "boot",
    2: "sensors",
    3: "actuators",
    4: "communication",
    5: "navigation",
    6: "power",
    7: "health",
    8: "security",
    9: "critical",
}
"""Name of each range, by its first digit."""


@dataclass(frozen=True, slots=True)
class Code:
    """One code. `bulk` marks readings that every bot emits all the time.

    `given` codes are the platform's own; `own` codes are used for the registrar's notes
    about its own work and are never given to an event by a rule.
    """

    number: int
    name: str
    severity: Severity
    meaning: str
    bulk: bool = False
    given: bool = False
    own: bool = False

    @property
    def category(self) -> str:
        """Return the name of the code's range."""
        return category(self.number)


def category(number: int) -> str:
    """Return the name of the range that a code lies in."""
    return CATEGORIES[number // 100]


def code_range(text: str) -> tuple[int, int]:
    """Return the first and last code of a range written as `6xx` or `61x`; ValueError otherwise."""
    digits = text.lower().rstrip("x")
    wild = len(text) - len(digits)
    if (
        not text.isascii()
        or len(text) != 3
        or not (1 <= wild <= 2 and digits.isdecimal() and digits[0] != "0")
    ):
        raise ValueError(f"'{text}' is no range of codes; write for example 6xx or 61x")
    width = (1, 10, 100)[wild]
    first = int(digits) * width
    return first, first + width - 1


def _given() -> Iterator[Code]:
    debug, info, warn, error, critical = Severity
    rows = [
        (100, "BOOT_START", info, "a bot began to boot"),
        (101, "BOOT_OK", info, "a bot finished booting"),
        (102, "BOOT_FAILED", error, "a bot could not boot"),
        (110, "INIT_START", info, "a component began to initialise"),
        (111, "INIT_OK", info, "a component is initialised"),
        (112, "INIT_FAILED", error, "a component could not be initialised"),
        (200, "SENSOR_IO_START", info, "a bot began to read its sensors"),
        (201, "SENSOR_IO_OK", info, "a bot's sensors answer"),
        (202, "SENSOR_IO_FAILED", error, "a sensor stopped answering"),
        (210, "RADAR_FRAME_RECEIVED", debug, "a radar frame"),
        (211, "RADAR_TRACK_GENERATED", debug, "a radar track"),
        (300, "ACTUATOR_START", info, "an actuator began to work"),
        (301, "ACTUATOR_OK", info, "an actuator did what it was told"),
        (302, "ACTUATOR_FAILED", error, "an actuator did not do what it was told"),
        (400, "COMM_START", info, "communication was started"),
        (401, "COMM_OK", info, "communication works"),
        (402, "COMM_FAILED", error, "communication failed"),
        (410, "NATS_CONNECTED", info, "the registrar reached the broker"),
        (411, "NATS_DISCONNECTED", warn, "the registrar lost the broker"),
        (500, "NAV_START", info, "navigation was started"),
        (501, "NAV_OK", info, "navigation works"),
        (502, "NAV_FAILED", error, "navigation failed"),
        (600, "POWER_START", info, "power was switched on"),
        (601, "POWER_OK", info, "power is well"),
        (602, "POWER_LOW", warn, "state of charge fell to the low limit"),
        (603, "POWER_CRITICAL", critical, "state of charge fell to the critical limit"),
        (700, "HEALTH_CHECK_START", info, "a health check began"),
        (701, "HEALTH_CHECK_OK", debug, "a health check found every device well"),
        (702, "HEALTH_CHECK_FAILED", error, "a health check found a device that is not well"),
        (800, "SECURITY_START", info, "a security check began"),
        (801, "SECURITY_OK", info, "a security check found nothing"),
        (802, "SECURITY_VIOLATION", critical, "a security rule was broken"),
        (900, "CRITICAL_ERROR", critical, "something failed that must not fail"),
        (901, "SYSTEM_HALT", critical, "a bot halted"),
        (910, "RECOVERY_START", warn, "recovery from a failure began"),
        (911, "RECOVERY_OK", info, "recovery from a failure succeeded"),
    ]
    for row in rows:
        yield Code(*row, given=True, bulk=row[0] in (210, 211, 701))


def _added() -> Iterator[Code]:
    info, warn, error = Severity.INFO, Severity.WARN, Severity.ERROR
    rows = [
        (120, "MODE_CHANGED", info, "a bot changed its mode"),
        (121, "SYSTEM_MODE", info, "a bot entered factory or mission mode"),
        (299, "UNKNOWN_TYPE", info, "no rule knows this type of event"),
        (310, "COMMAND_RECEIVED", info, "a command for a bot"),
        (311, "COMMAND_ANSWERED", info, "a bot's answer to a command"),
        (312, "COMMAND_FAILED", warn, "a bot refused a command or could not carry it out"),
        (320, "DOCKING_CHANGED", info, "a docking port changed its state"),
        (420, "COMMS_LINK_DOWN", warn, "a bot lost its link"),
        (421, "COMMS_LINK_UP", info, "a bot's link is up again"),
        (422, "COMMS_CHANGED", info, "a bot's comms changed in another way"),
        (430, "OUTBOX_SHED", warn, "a bot dropped events that it could not send"),
        (604, "POWER_LOW_CLEARED", info, "state of charge is well above the low limit again"),
        (605, "POWER_CRITICAL_CLEARED", info, "state of charge left the critical range"),
        (610, "LOAD_SHED", warn, "a load was switched off to save power or heat"),
        (611, "LOAD_RESTORED", info, "a shed load was switched on again"),
        (620, "PDU_OVERCURRENT", warn, "the power distribution unit is past its limit"),
        (621, "PDU_FAULT", error, "the power distribution unit failed, its bus overloaded"),
        (622, "PDU_CLEARED", info, "the power distribution unit is well again"),
        (710, "THERMAL_TRIP", error, "a node reached its trip temperature"),
        (711, "THERMAL_CLEAR", info, "a tripped node cooled down"),
        (712, "RADIATION_HIGH", warn, "the dose rate reached a limit"),
        (713, "RADIATION_CLEARED", info, "the dose rate is normal again"),
        (810, "GUARD_ALERT", warn, "a radar guard rule fired"),
        (811, "GUARD_CLEARED", info, "a radar guard rule no longer holds"),
        (812, "SHIELD_LOW", warn, "a shield fell below a threshold"),
        (813, "SHIELD_CHANGED", info, "a shield recovered, or was switched off"),
        (923, "CONTRACT_BROKEN", error, "an event whose payload is not what its type promises"),
    ]
    yield from (Code(*row) for row in rows)


def _readings() -> Iterator[Code]:
    rows = [
        (220, "TELEMETRY_SNAPSHOT", "a telemetry snapshot"),
        (221, "SENSOR_READING", "a reading of a sensor"),
        (330, "THRUSTER_COMMAND", "a thruster schedule"),
        (331, "MODE_COMMAND", "a request for a mode"),
        (332, "PROTOCOL_COMMAND", "a step of a protocol"),
        (510, "NAV_STATE", "a navigation state"),
        (630, "POWER_BUS_READING", "a reading of the power bus"),
        (631, "POWER_PDU_STATUS", "a reading of the power distribution unit"),
        (632, "ENERGY_STATUS", "an energy status"),
        (720, "THERMAL_READING", "a reading of a temperature"),
        (820, "SHIELD_STATUS", "a shield status"),
    ]
    for number, name, meaning in rows:
        yield Code(number, name, Severity.DEBUG, meaning, bulk=True)


def _own() -> Iterator[Code]:
    rows = [
        (440, "DUPLICATE_DROPPED", Severity.WARN, "a stream holds a recorded event once more"),
        (441, "STREAM_GAP", Severity.INFO, "why sequences of a stream are not recorded"),
        (730, "REGISTRAR_START", Severity.INFO, "the registrar opened its store"),
        (731, "REGISTRAR_STOP", Severity.INFO, "the registrar closed its store in good order"),
        (733, "SEGMENT_CLOSED", Severity.INFO, "a segment was closed; no byte of it changes again"),
        (
            734,
            "CLOCK_JUMPED",
            Severity.WARN,
            "the registrar's wall clock was set by a second or more",
        ),
        (732, "SEGMENTS_DROPPED", Severity.INFO, "segments past their age or size were dropped"),
        (920, "POISON_MESSAGE", Severity.ERROR, "a message that is no event was quarantined"),
        (921, "ID_CONFLICT", Severity.CRITICAL, "one event id came with two payloads"),
        (922, "STREAM_ROLLBACK", Severity.CRITICAL, "a stream lost messages that were recorded"),
    ]
    yield from (Code(*row, own=True) for row in rows)


def _table() -> dict[int, Code]:
    codes = sorted((*_given(), *_added(), *_readings(), *_own()), key=lambda code: code.number)
    return {code.number: code for code in codes}


CODES: Final = _table()
"""Every known code by its number, in ascending order."""

UNKNOWN_TYPE: Final = 299
"""The code of an event that no rule matches."""
