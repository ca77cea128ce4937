"""What the power plane reports: charge, shed loads and faults, each change once."""

from typing import TYPE_CHECKING, Final

import numpy as np

from twin.hardware.latch import Latch
from twin.hardware.loads import Fault, Shed
from twin.hardware.plane import Codes, Edge
from twin.hardware.shedding import Shedding
from twin.spec.params.power import SupervisorParams

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["PowerLog"]

SHED_ORDER: Final = (Shed.NBL, Shed.RADAR, Shed.TRANSPONDER)
FAULT_KINDS: Final = {
    Fault.PDU_OVERCURRENT: "pdu_overcurrent",
    Fault.POWER_BUS_OVERLOAD: "pdu_fault",
}


class PowerLog:
    """Remembers what each bot has reported. A bot on a dead bus reports nothing.

    Edges: power_low and power_critical (subject battery; normal -> low -> cleared), load_shed
    and load_restored (subject radar, transponder or nbl; on -> shed -> on, or off where nobody
    wants the load any more), pdu_overcurrent and pdu_fault (subject the fault; ok -> raised ->
    cleared).
    """

    def __init__(self, n: int, supervisor: SupervisorParams) -> None:
        self._low = Latch(n, supervisor.soc_shed_low_pct, supervisor.soc_shed_high_pct)
        self._critical = Latch(n, supervisor.soc_critical_pct, supervisor.soc_critical_clear_pct)
        self.low, self.critical = self._low.on, self._critical.on
        self._shed: Codes = np.zeros(n, dtype=np.int8)
        self._faults: Codes = np.zeros(n, dtype=np.int8)

    def report(self, hw: "Hardware", shedding: Shedding, shed: Codes) -> None:
        """Append what changed to the edges; `shed` are masks of Shed as they stand now."""
        live = ~hw.power.bus_dead
        self._report_charge(hw, self._low, "low", live)
        self._report_charge(hw, self._critical, "critical", live)
        changed = (shed != self._shed) & live
        if changed.any():
            for bot in np.flatnonzero(changed).tolist():
                self._report_loads(hw, shedding, bot, int(shed[bot]))
            np.copyto(self._shed, shed, where=changed)
        self._report_faults(hw, live)

    def _report_charge(self, hw: "Hardware", latch: Latch, word: str, live: np.ndarray) -> None:
        changed = latch.update(hw.power.soc_pct, live)
        for bot in np.flatnonzero(changed).tolist():
            before, after = ("normal", word) if latch.on[bot] else (word, "cleared")
            hw.edges.append(
                Edge(bot, f"power_{word}", "power", "battery", before, after, _charge(hw, bot))
            )

    def _report_loads(self, hw: "Hardware", shedding: Shedding, bot: int, shed: int) -> None:
        told = int(self._shed[bot])
        for load in SHED_ORDER:
            if load & shed & ~told:
                reason = shedding.reason_of(load, bot) or "pdu_overcurrent"
                edge = Edge(bot, "load_shed", "power", _name(load), "on", "shed", _charge(hw, bot))
                hw.edges.append(edge._replace(reason=reason))
        for load in reversed(SHED_ORDER):
            if load & told & ~shed:
                idle = load is Shed.NBL and not hw.power.nbl_active[bot]
                edge = Edge(bot, "load_restored", "power", _name(load), "shed", "on")
                after = "off" if idle else "on"
                hw.edges.append(edge._replace(after=after, values=_charge(hw, bot)))

    def _report_faults(self, hw: "Hardware", live: np.ndarray) -> None:
        for fault, kind in FAULT_KINDS.items():
            changed = ((hw.power.faults ^ self._faults) & int(fault) != 0) & live
            if not changed.any():
                continue
            for bot in np.flatnonzero(changed).tolist():
                raised = bool(hw.power.faults[bot] & fault)
                words = ("ok", "raised") if raised else ("raised", "cleared")
                values = (("bus_a", float(hw.power.bus_a[bot])),)
                hw.edges.append(Edge(bot, kind, "power", fault.name or "", *words, values))
            self._faults ^= changed * np.int8(fault)


def _name(load: Shed) -> str:
    return (load.name or "").lower()


def _charge(hw: "Hardware", bot: int) -> tuple[tuple[str, float], ...]:
    return (("soc_pct", float(hw.power.soc_pct[bot])),)
