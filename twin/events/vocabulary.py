"""The closed vocabularies of payloads. Views refer to a name by its index here.

A set is a bit mask (bit i: the i-th name is a member), a state is a code (i: the i-th name).
"""

from enum import StrEnum

__all__ = [
    "ANTENNA_STATES",
    "LINK_STATES",
    "POWER_FAULTS",
    "SHED_LOADS",
    "SHED_REASONS",
    "SHIELD_STATES",
    "STATUSES",
    "TEMP_STATES",
    "THROTTLED_LOADS",
    "XPDR_MODES",
    "StateKind",
]

SHED_LOADS = ("radar", "transponder", "nbl")
SHED_REASONS = ("low_soc", "thermal_overheat", "pdu_overcurrent", "nbl_budget")
THROTTLED_LOADS = ("motion", "rcs")
POWER_FAULTS = (
    "PDU_OVERCURRENT",
    "BATTERY_CHARGE_LIMIT",
    "BATTERY_DISCHARGE_LIMIT",
    "BATTERY_EMPTY",
    "BUS_V_ZERO",
    "POWER_BUS_OVERLOAD",
)
TEMP_STATES = ("normal", "hot", "critical")
"""Of the battery and the supercap: below warn, from warn, tripped."""

STATUSES = ("ok", "degraded", "failed", "disabled")
"""How far a reading can be trusted; from `failed` on there is no value."""

XPDR_MODES = ("OFF", "ON", "SILENT", "SPOOF")
LINK_STATES = ("online", "inactive", "blocked")
ANTENNA_STATES = ("ok", "degraded", "failed")
SHIELD_STATES = ("nominal", "low", "critical", "disabled")


class StateKind(StrEnum):
    """What a state event is about, as far as known here: an edge may have another kind.

    The registrar's rules turn kinds into codes.
    """

    BOOT_START = "boot_start"
    BOOT_OK = "boot_ok"
    BOOT_FAILED = "boot_failed"
    SENSOR_IO_OK = "sensor_io_ok"
    SENSOR_IO_FAILED = "sensor_io_failed"
    POWER_LOW = "power_low"
    POWER_CRITICAL = "power_critical"
    MODE = "mode"
    DOCK = "dock"
    COMMS = "comms"
    LOAD_SHED = "load_shed"
    LOAD_RESTORED = "load_restored"
    PDU_OVERCURRENT = "pdu_overcurrent"
    PDU_FAULT = "pdu_fault"
    RADIATION = "radiation"
    SHIELD = "shield"
    EVENT_SHED = "event_shed"
