"""A store of electrical energy: the battery and the supercapacitor of every bot."""

import numpy as np

from twin.hardware.plane import Floats

__all__ = ["Store"]

SECONDS_PER_HOUR = 3600.0


class Store:
    """Energy with limits of charge and discharge power; no losses.

    All arrays are (n,). `soc_pct` is the charge in percent of what the working part holds;
    `charge_w` and `discharge_w` are the flows of the last tick. `charge_max_w`,
    `discharge_max_w` and `fraction` (of the cells that work, 0 to 1) hold for each bot; cells
    that fail take their charge with them.

    dSoC = (charge - discharge) dt / 3600 / capacity x 100.
    """

    def __init__(
        self,
        n: int,
        *,
        capacity_wh: float,
        soc_pct: float,
        charge_max_w: float,
        discharge_max_w: float,
    ) -> None:
        self._joules_per_point = capacity_wh * SECONDS_PER_HOUR / 100.0
        self.soc_pct = np.full(n, soc_pct)
        self.charge_max_w = np.full(n, charge_max_w)
        self.discharge_max_w = np.full(n, discharge_max_w)
        self.fraction = np.ones(n)
        self.charge_w, self.discharge_w = np.zeros((2, n))

    @property
    def energy_j(self) -> Floats:
        """Energy that is stored, in joules."""
        energy: Floats = self.soc_pct * self.fraction * self._joules_per_point
        return energy

    def sustained_w(self, dt_s: float) -> Floats:
        """Return the power that the stored energy could give for `dt_s`, limits aside."""
        power: Floats = self.energy_j / dt_s
        return power

    def available_w(self, dt_s: float) -> Floats:
        """Return the power that the store can give for `dt_s`."""
        power: Floats = np.minimum(self.sustained_w(dt_s), self.discharge_max_w)
        return power

    def charge(self, offered_w: Floats, dt_s: float) -> Floats:
        """Take what fits of the power offered for `dt_s`; return what is left of it."""
        if not offered_w.any():
            self.charge_w[:] = 0.0
            return offered_w
        room_j = (100.0 - self.soc_pct) * self.fraction * self._joules_per_point
        np.minimum(room_j / dt_s, self.charge_max_w, out=self.charge_w)
        np.minimum(self.charge_w, offered_w, out=self.charge_w)
        return offered_w - self.charge_w

    def discharge(self, wanted_w: Floats, dt_s: float) -> Floats:
        """Give what can be given of the power wanted for `dt_s`; return what is missing."""
        np.minimum(self.available_w(dt_s), wanted_w, out=self.discharge_w)
        return wanted_w - self.discharge_w

    def settle(self, dt_s: float) -> None:
        """Book the flows of this tick."""
        points = self.charge_w - self.discharge_w
        points *= dt_s / self._joules_per_point
        if not (self.fraction == 1.0).all():
            np.divide(points, self.fraction, out=points, where=self.fraction > 0)
        self.soc_pct += points
        np.clip(self.soc_pct, 0.0, 100.0, out=self.soc_pct)
