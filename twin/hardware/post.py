"""The power-on self test: what each device of a bot answers when the BIOS asks it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from twin.hardware.health import WORDS, Status
from twin.hardware.instrument import Instrument
from twin.hardware.loads import Fault
from twin.hardware.plane import Bools

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["Answer", "Device", "device"]


class Answer(IntEnum):
    """A device's answer, as in the BIOS status payload."""

    UNKNOWN = 0
    OK = 1
    DEGRADED = 2
    ERROR = 3


Check = Callable[["Hardware"], "tuple[Bools, Bools] | None"]
"""Tells whose device is degraded and whose has an error, each (n,); None if all are well."""


@dataclass(frozen=True, slots=True)
class Device:
    """One device that the self test asks: the component's name, and how to ask it."""

    id: str
    name: str
    check: Check

    def message(self, hw: "Hardware", bot: int, answer: Answer) -> str | None:
        """Return what a device of one bot says when it is not OK."""
        if answer is Answer.OK:
            return None
        part = getattr(hw, INSTRUMENTS.get(self.id, ""), None)
        if isinstance(part, Instrument) and answer is not Answer.UNKNOWN:
            return WORDS[int(part.reason[bot])]
        return answer.name.lower()


INSTRUMENTS: Final = {
    "sensor_imu": "imu",
    "sensor_thermal": "thermometers",
    "sensor_radiation": "radiation",
    "sensor_docking": "docking_sensor",
    "sensor_proximity": "proximity",
    "sensor_solar": "solar",
    "sensor_star_tracker": "star_tracker",
    "radar_360": "radar",
    "lidar": "lidar",
    "spectrometer": "spectrometer",
    "magnetometer": "magnetometer",
}
"""Components that are instruments, and the planes behind them."""


def device(component: str) -> Device | None:
    """Return the device that a component is to the self test; None for one that is never asked."""
    if component in INSTRUMENTS:
        check = _ask_instrument(INSTRUMENTS[component])
    elif component in CHECKS:
        check = CHECKS[component]
    else:
        return None
    return Device(component, component.replace("_", " "), check)


def _ask_instrument(plane: str) -> Check:
    def check(hw: "Hardware") -> tuple[Bools, Bools] | None:
        instrument: Instrument = getattr(hw, plane)
        if not instrument.status.any():
            return None
        seen = instrument.status != Status.OK  # a failure shows once the sensor was read
        broken = seen & (instrument.failed > 0) & (instrument.enabled > 0)
        return instrument.status == Status.DEGRADED, broken

    return check


def _ask_power(hw: "Hardware") -> tuple[Bools, Bools]:
    power = hw.power
    hurt = (power.cell_fraction < 1) | (power.charger_ok <= 0) | (power.discharge_fraction < 1)
    return hurt | (power.supercap_ok <= 0), power.cell_fraction <= 0


def _ask_pdu(hw: "Hardware") -> tuple[Bools, Bools]:
    return hw.thermal.pdu_tripped, hw.power.faults & int(Fault.POWER_BUS_OVERLOAD) != 0


def _ask_computer(hw: "Hardware") -> tuple[Bools, Bools]:
    return hw.thermal.core_tripped, _nobody(hw)


def _ask_propulsion(hw: "Hardware") -> tuple[Bools, Bools]:
    thrusters = hw.propulsion
    stuck = (thrusters.stuck_open > 0) | (thrusters.stuck_closed > 0)
    return stuck | (thrusters.propellant_kg <= 0), _nobody(hw)


def _ask_docking(hw: "Hardware") -> tuple[Bools, Bools]:
    return hw.docking.latch_ok <= 0, _nobody(hw)


def _ask_antenna(hw: "Hardware") -> tuple[Bools, Bools]:
    return hw.comms.antenna_fraction < 1, _nobody(hw)


def _nobody(hw: "Hardware") -> Bools:
    return np.zeros(hw.n, dtype=np.bool_)


CHECKS: Final[dict[str, Check]] = {
    "power": _ask_power,
    "pdu": _ask_pdu,
    "mcqpu": _ask_computer,
    "propulsion": _ask_propulsion,
    "docking": _ask_docking,
    "antenna_xpdr": _ask_antenna,
}
