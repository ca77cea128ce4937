"""The power supervisor: which loads are switched off to save charge or to cool down."""

from typing import TYPE_CHECKING

import numpy as np

from twin.hardware.latch import Latch
from twin.hardware.loads import Load, Shed, ShedReason
from twin.hardware.plane import Bools, Codes, Floats
from twin.spec.params.power import NblParams, SupervisorParams

if TYPE_CHECKING:
    from twin.hardware.thermal import Thermal

__all__ = ["Shedding"]

RADIO_STAGES = 2


class Shedding:
    """Decides at the end of a tick what the next one has to do without. Arrays are (n,).

    At a low charge the radar goes first and the transponder one tick later; at the upper
    threshold they come back in reverse. A tripped PDU node takes both at once. The NBL needs
    its charge, a cool core, and neither core nor PDU tripped; once refused for charge or heat,
    it has to be better than the limit by a margin before it is allowed again (`nbl_allowed`;
    `nbl_hot` says that heat is what speaks against it).
    """

    def __init__(self, n: int, supervisor: SupervisorParams, nbl: NblParams) -> None:
        self._supervisor = supervisor
        self._stage: Codes = np.zeros(n, dtype=np.int8)
        self._hot: Bools = np.zeros(n, dtype=np.bool_)
        self.nbl_hot: Bools = np.zeros(n, dtype=np.bool_)
        below = float(np.nextafter(nbl.soc_min_pct, -np.inf))
        self._nbl_low = Latch(n, below, nbl.soc_min_pct + nbl.soc_margin_pct)
        beyond = float(np.nextafter(-nbl.core_max_degc, -np.inf))
        self._core = Latch(n, beyond, nbl.core_margin_k - nbl.core_max_degc)
        self.nbl_allowed: Bools = np.ones(n, dtype=np.bool_)
        self._everyone: Bools = np.ones(n, dtype=np.bool_)

    @property
    def radar_off(self) -> Bools:
        """Whether the radar has to be off."""
        return (self._stage >= 1) | self._hot

    @property
    def transponder_off(self) -> Bools:
        """Whether the transponder has to be off."""
        return (self._stage >= RADIO_STAGES) | self._hot

    def decide(self, soc_pct: Floats, thermal: "Thermal") -> None:
        """Look at charge and heat as they are now."""
        low = soc_pct <= self._supervisor.soc_shed_low_pct
        high = soc_pct >= self._supervisor.soc_shed_high_pct
        self._stage += low & (self._stage < RADIO_STAGES)
        self._stage -= high & (self._stage > 0)
        np.copyto(self._hot, thermal.pdu_tripped)
        self._nbl_low.update(soc_pct, self._everyone)
        self._core.update(-thermal.core_degc, self._everyone)
        np.logical_or(thermal.core_tripped, self._hot, out=self.nbl_hot)
        self.nbl_hot |= self._core.on
        np.logical_or(self.nbl_hot, self._nbl_low.on, out=self.nbl_allowed)
        np.logical_not(self.nbl_allowed, out=self.nbl_allowed)

    def apply(self, wanted: Floats) -> None:
        """Take what has to be off from `wanted` (rows of Load, n)."""
        wanted[Load.RADAR] *= ~self.radar_off
        wanted[Load.TRANSPONDER] *= ~self.transponder_off
        wanted[Load.NBL] *= self.nbl_allowed

    def reasons(self, nbl_active: Bools) -> Codes:
        """Return masks of ShedReason for what `apply` takes, the NBL's budget aside."""
        masks: Codes = (self._stage > 0) * np.int8(ShedReason.LOW_SOC)
        hot = self._hot | (self.nbl_hot & nbl_active)
        masks |= hot * np.int8(ShedReason.THERMAL_OVERHEAT)
        return masks

    def reason_of(self, load: Shed, bot: int) -> str:
        """Return the word for why a load of one bot is off, "" where the PDU cut it."""
        if load is Shed.NBL:
            if self.nbl_hot[bot]:
                return "thermal_overheat"
            return "nbl_budget" if self._nbl_low.on[bot] else ""
        needed = 1 if load is Shed.RADAR else RADIO_STAGES
        if self._stage[bot] >= needed:
            return "low_soc"
        return "thermal_overheat" if self._hot[bot] else ""
