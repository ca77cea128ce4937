"""What the platform's commands do to a bot's hardware, by name.

The names are given, the parameters are not: those below are assumed.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from twin.hardware.assembly import Hardware
from twin.hardware.comms import XpdrMode
from twin.hardware.plane import Ints
from twin.spec.units import Percent, Seconds, Watts

__all__ = ["CONTROLS", "PROTOCOLS", "Parameters"]


class Parameters(BaseModel):
    """Parameters of one command; most have none."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def act(self, hw: Hardware, bots: Ints) -> None:
        """Carry the command out."""


class DockEngage(Parameters):
    """Fly to the station and dock."""

    port: Literal["A", "B"] = "A"

    def act(self, hw: Hardware, bots: Ints) -> None:
        """Begin the approach."""
        hw.docking.engage(bots, self.port)


class DockRelease(Parameters):
    """Let go of the station."""

    def act(self, hw: Hardware, bots: Ints) -> None:
        """Detach."""
        hw.docking.release(bots)


class RcsFire(Parameters):
    """Burn along an axis of the body."""

    axis: Literal["forward", "aft", "port", "starboard", "up", "down"]
    pct: Percent = 100.0
    duration_s: Seconds = Field(default=1.0, le=3600)

    def act(self, hw: Hardware, bots: Ints) -> None:
        """Open the thrusters."""
        hw.propulsion.burn(bots, self.axis, self.pct, self.duration_s)


class RcsStop(Parameters):
    """Close all thrusters."""

    def act(self, hw: Hardware, bots: Ints) -> None:
        """Close them."""
        hw.propulsion.stop(bots)


class XpdrSet(Parameters):
    """Set the mode of the transponder."""

    mode: Literal["OFF", "ON", "SILENT", "SPOOF"]

    def act(self, hw: Hardware, bots: Ints) -> None:
        """Set it."""
        hw.comms.xpdr_mode[bots] = XpdrMode[self.mode]


class DockOn(Parameters):
    """Take power from the dock."""

    def act(self, hw: Hardware, bots: Ints) -> None:
        """Close the switch."""
        hw.power.dock_on[bots] = 1.0


class DockOff(Parameters):
    """Take no power from the dock."""

    def act(self, hw: Hardware, bots: Ints) -> None:
        """Open the switch."""
        hw.power.dock_on[bots] = 0.0


class NblOn(Parameters):
    """Switch the NBL payload on."""

    def act(self, hw: Hardware, bots: Ints) -> None:
        """Switch it on."""
        hw.power.nbl_on[bots] = 1.0


class NblOff(Parameters):
    """Switch the NBL payload off."""

    def act(self, hw: Hardware, bots: Ints) -> None:
        """Switch it off."""
        hw.power.nbl_on[bots] = 0.0


class NblSetMax(Parameters):
    """Set how much power the NBL payload asks for."""

    max_power_w: Watts

    def act(self, hw: Hardware, bots: Ints) -> None:
        """Set it; the plane keeps it within the limit of the spec."""
        hw.power.nbl_set_w[bots] = self.max_power_w


class Wake(Parameters):
    """End a shutdown or a safe mode that was asked for."""

    def act(self, hw: Hardware, bots: Ints) -> None:
        """Ask for IDLE."""
        hw.modes.request(bots, "IDLE")


class Pause(Parameters):
    """Go to safe mode and stay there."""

    def act(self, hw: Hardware, bots: Ints) -> None:
        """Ask for it."""
        hw.modes.request(bots, "SAFE_MODE")


class Shutdown(Parameters):
    """Shut down."""

    def act(self, hw: Hardware, bots: Ints) -> None:
        """Ask for it."""
        hw.modes.request(bots, "SHUTDOWN")


class Reset(Parameters):
    """Boot again."""

    def act(self, hw: Hardware, bots: Ints) -> None:
        """Ask for it."""
        hw.modes.request(bots, "BOOTING")


CONTROLS: Mapping[str, type[Parameters]] = MappingProxyType(
    {
        "sim.start": Wake,
        "sim.pause": Pause,
        "sim.stop": Shutdown,
        "sim.reset": Reset,
        "sim.dock.engage": DockEngage,
        "sim.dock.release": DockRelease,
        "sim.rcs.fire": RcsFire,
        "sim.rcs.stop": RcsStop,
        "sim.xpdr.mode": XpdrSet,
        "power.dock.on": DockOn,
        "power.dock.off": DockOff,
        "power.nbl.on": NblOn,
        "power.nbl.off": NblOff,
        "power.nbl.set_max": NblSetMax,
    }
)
"""The control commands by name."""

PROTOCOLS: Mapping[tuple[str, str], type[Parameters]] = MappingProxyType(
    {
        ("dock", "start"): DockEngage,
        ("dock", "abort"): DockRelease,
        ("safe", "start"): Pause,
        ("safe", "abort"): Wake,
        ("burn", "start"): RcsFire,
        ("burn", "abort"): RcsStop,
    }
)
"""Procedures by name, and what starts and aborts them."""
