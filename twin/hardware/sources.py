"""Where power comes from: the solar input, and a station over the dock bridge."""

from typing import TYPE_CHECKING

import numpy as np

from twin.hardware.plane import Bools
from twin.spec.params.power import DockBridgeParams

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["Sources"]

INSTANT_S = 1e-9


class Sources:
    """All arrays (n,). Dock power is min(Pmax, Imax V_station) x ramp, with a soft start."""

    def __init__(self, n: int, base_in_w: float, dock: DockBridgeParams) -> None:
        self._base_in_w, self._dock = base_in_w, dock
        self.sunlight, self.dock_ok, self.dock_on = np.ones((3, n))
        self.base_w, self.dock_w, self.total_w, self.dock_v, self.dock_a = np.zeros((5, n))
        self.ramp_pct = np.zeros(n)
        self.connected: Bools = np.zeros(n, dtype=np.bool_)
        self._full_w = min(dock.dock_max_w, dock.dock_max_a * dock.dock_v)

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Set what every source gives in this tick."""
        np.multiply(self.sunlight, self._base_in_w, out=self.base_w)
        if hw.docking.bridge_open.any() or self.connected.any():
            self._ramp(hw, dt_s)
        np.add(self.base_w, self.dock_w, out=self.total_w)

    def _ramp(self, hw: "Hardware", dt_s: float) -> None:
        np.copyto(self.connected, hw.docking.bridge_open)
        passes = self.connected & (self.dock_on > 0) & (self.dock_ok > 0)
        passes &= ~hw.thermal.dock_bridge_tripped
        self.ramp_pct += 100.0 * (dt_s / max(self._dock.soft_start_s, INSTANT_S))
        np.minimum(self.ramp_pct, 100.0, out=self.ramp_pct)
        self.ramp_pct *= passes
        np.multiply(self.ramp_pct, self._full_w / 100.0, out=self.dock_w)
        np.multiply(self.connected, self._dock.dock_v, out=self.dock_v)
        np.multiply(self.dock_w, 1.0 / max(self._dock.dock_v, INSTANT_S), out=self.dock_a)
