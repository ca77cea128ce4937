"""The power distribution unit: loads are cut until the bus can carry them."""

import numpy as np

from twin.hardware.loads import Load
from twin.hardware.plane import Bools, Floats

__all__ = ["Pdu"]

ROUNDING_W = 1e-9


class Pdu:
    """Cuts in the documented order: NBL, radar, transponder, motion, RCS; then it is a fault.

    All arrays are (n,). `radar_cut` and `transponder_cut` say which loads are off because the
    bus could not carry them; they return when they fit with the margin to spare, so that a
    load which fits only while it is off does not flutter. The NBL gets nothing while any other
    load is cut. `excess_w` is what is still too much
    after every cut, `motion_throttled` and `rcs_throttled` who got less than they asked for,
    `nbl_budget_w` what is left for the NBL.
    """

    def __init__(self, n: int, *, restore_margin_w: float, nbl_max_w: float) -> None:
        self._margin_w, self._nbl_max_w = restore_margin_w, nbl_max_w
        self._flags: Bools = np.zeros((4, n), dtype=np.bool_)
        self.radar_cut, self.transponder_cut, self.motion_throttled, self.rcs_throttled = (
            self._flags
        )
        self.excess_w, self.nbl_budget_w = np.zeros((2, n))
        self.calm = True
        """Whether nothing but the NBL has been cut."""

    def fit(self, loads: Floats, limit_w: Floats) -> None:
        """Cut `loads` (rows of Load, n) in place until their sum is at most `limit_w` (n,)."""
        over = loads[Load.BASE] - limit_w
        for load in (Load.MCQPU, Load.MOTION, Load.RCS, Load.RADAR, Load.TRANSPONDER):
            over += loads[load]
        if not self.calm or over.max(initial=-np.inf) > 0.0:
            over = self._cut(loads, over)
        np.clip(-over, 0.0, self._nbl_max_w, out=self.nbl_budget_w)
        if not self.calm:
            self.nbl_budget_w *= ~self._flags.any(axis=0)
        np.minimum(loads[Load.NBL], self.nbl_budget_w, out=loads[Load.NBL])

    def _cut(self, loads: Floats, over: Floats) -> Floats:
        over = self._switch(self.radar_cut, loads[Load.RADAR], over)
        over = self._switch(self.transponder_cut, loads[Load.TRANSPONDER], over)
        over = self._throttle(self.motion_throttled, loads[Load.MOTION], over)
        over = self._throttle(self.rcs_throttled, loads[Load.RCS], over)
        np.multiply(over, over > ROUNDING_W, out=self.excess_w)
        self.calm = not (self._flags.any() or self.excess_w.any())
        return over

    def _switch(self, cut: Bools, load: Floats, over: Floats) -> Floats:
        """Cut a load that does not fit, or not with the margin; return what is still over."""
        threshold = np.where(cut, -self._margin_w, ROUNDING_W)
        cut[:] = (over > threshold) & (load > 0)
        over = over - load * cut
        load *= ~cut
        return over

    def _throttle(self, throttled: Bools, load: Floats, over: Floats) -> Floats:
        taken = np.minimum(np.maximum(over, 0.0), load)
        throttled[:] = taken > ROUNDING_W
        load -= taken
        return over - taken
