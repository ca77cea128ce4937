"""The consumers on the bus and the words that name them in payloads."""

from enum import IntEnum, IntFlag
from typing import Final

from twin.events.vocabulary import POWER_FAULTS, SHED_LOADS, SHED_REASONS, THROTTLED_LOADS
from twin.hardware.plane import Floats

__all__ = ["LOADS", "SOURCES", "Fault", "Load", "Shed", "ShedReason", "Throttled", "total_w"]


class Load(IntEnum):
    """Rows of the loads, in the order in which payloads name them."""

    BASE = 0
    MOTION = 1
    MCQPU = 2
    RADAR = 3
    TRANSPONDER = 4
    RCS = 5
    NBL = 6


LOADS: Final = tuple(load.name.lower() for load in Load)
SOURCES: Final = ("base", "dock")


def _bit(names: tuple[str, ...], name: str) -> int:
    return 1 << names.index(name)


class Shed(IntFlag):
    """Loads that are switched off, as a mask over `vocabulary.SHED_LOADS`."""

    RADAR = _bit(SHED_LOADS, "radar")
    TRANSPONDER = _bit(SHED_LOADS, "transponder")
    NBL = _bit(SHED_LOADS, "nbl")


class ShedReason(IntFlag):
    """Why, as a mask over `vocabulary.SHED_REASONS`."""

    LOW_SOC = _bit(SHED_REASONS, "low_soc")
    THERMAL_OVERHEAT = _bit(SHED_REASONS, "thermal_overheat")
    PDU_OVERCURRENT = _bit(SHED_REASONS, "pdu_overcurrent")
    NBL_BUDGET = _bit(SHED_REASONS, "nbl_budget")


class Throttled(IntFlag):
    """Loads that get less than they ask for, as a mask over `vocabulary.THROTTLED_LOADS`."""

    MOTION = _bit(THROTTLED_LOADS, "motion")
    RCS = _bit(THROTTLED_LOADS, "rcs")


class Fault(IntFlag):
    """Faults of the power plane, as a mask over `vocabulary.POWER_FAULTS`."""

    PDU_OVERCURRENT = _bit(POWER_FAULTS, "PDU_OVERCURRENT")
    BATTERY_CHARGE_LIMIT = _bit(POWER_FAULTS, "BATTERY_CHARGE_LIMIT")
    BATTERY_DISCHARGE_LIMIT = _bit(POWER_FAULTS, "BATTERY_DISCHARGE_LIMIT")
    BATTERY_EMPTY = _bit(POWER_FAULTS, "BATTERY_EMPTY")
    BUS_V_ZERO = _bit(POWER_FAULTS, "BUS_V_ZERO")
    POWER_BUS_OVERLOAD = _bit(POWER_FAULTS, "POWER_BUS_OVERLOAD")


def total_w(loads: Floats) -> Floats:
    """Sum the rows of `loads` (k, n) one after the other: the same for any number of bots."""
    summed: Floats = loads[0].copy()
    for load in loads[1:]:
        summed += load
    return summed
