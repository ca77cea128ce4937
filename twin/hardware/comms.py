"""The datalink of a bot and the transponder mode that it follows."""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from twin.events.vocabulary import LINK_STATES, XPDR_MODES
from twin.hardware.plane import POSITIVE, Bools, Codes, Edge, Floats, Range
from twin.hardware.shard import Shard
from twin.spec.params.comms import CommsParams, TransponderParams

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["Comms", "Link", "XpdrMode"]

FRACTION: Final = Range(0.0, 1.0)
PERCENT: Final = Range(0.0, 100.0)


class Link(IntEnum):
    """State of the link, as `vocabulary.LINK_STATES`."""

    ONLINE = LINK_STATES.index("online")
    INACTIVE = LINK_STATES.index("inactive")
    BLOCKED = LINK_STATES.index("blocked")


class XpdrMode(IntEnum):
    """Mode of the transponder, as `vocabulary.XPDR_MODES`."""

    OFF = XPDR_MODES.index("OFF")
    ON = XPDR_MODES.index("ON")
    SILENT = XPDR_MODES.index("SILENT")
    SPOOF = XPDR_MODES.index("SPOOF")


class Comms:
    """All arrays (n,). `link_up` says whether an event leaves the bot; else it has to wait.

    Online with the transponder ON or SPOOF: latency 80 ms + 10 ms per queued item (at most
    1800) + 3 ms per point of charge below 35 %, loss from 0 at 20 % charge to 25 % at 0,
    192 or 96 kbit/s. Inactive (OFF, SILENT): 900 ms, 15 %. Blocked (no power, shed by charge
    or heat, blackout, antenna lost): 1600 ms, 35 %. An open dock bridge carries data whatever
    the radio does. Edges: comms, subject link, between the words of LINK_STATES.

    `queued_items` is set by whoever keeps the outbox; `xpdr_mode` by commands (XpdrMode).
    Malfunctions: `blackout` (0 or 1), `extra_loss_pct`, `extra_latency_ms`, `rate_fraction`
    (share of the bandwidth), `antenna_fraction` (1 well, 0 lost; between, packets are lost).
    """

    name = "comms"
    startable: Mapping[str, Range] = MappingProxyType({"xpdr_mode": Range(0, 3)})
    inputs: Mapping[str, Range] = MappingProxyType(
        {
            "blackout": FRACTION,
            "extra_loss_pct": PERCENT,
            "extra_latency_ms": POSITIVE,
            "rate_fraction": FRACTION,
            "antenna_fraction": FRACTION,
            "xpdr_mode": Range(0, 3),
        }
    )

    def __init__(
        self, shard: Shard, params: CommsParams, transponder: TransponderParams, *, fitted: bool
    ) -> None:
        n = shard.n
        self._params, self._fitted = params, fitted
        self.xpdr_mode = np.full(n, float(XpdrMode[transponder.mode]))
        self.queued_items, self.blackout, self.extra_loss_pct = np.zeros((3, n))
        self.extra_latency_ms = np.zeros(n)
        self.rate_fraction, self.antenna_fraction = np.ones((2, n))
        self.link_up: Bools = np.ones(n, dtype=np.bool_)
        self.switched_on: Bools = self.xpdr_mode != XpdrMode.OFF
        self.enabled: Bools = np.full(n, fitted)
        self.link_state: Codes = np.zeros(n, dtype=np.int8)
        self.antenna_status: Codes = np.zeros(n, dtype=np.int8)
        self.plane_profile: Codes = self.xpdr_mode.astype(np.int8)
        self._told: Codes = self.link_state.copy()
        self.latency_ms, self.packet_loss_pct, self.tx_power_w = np.zeros((3, n))
        self.data_rate_kbps, self.rssi_dbm, self.snr_db = np.zeros((3, n))
        self.last_seen_s = np.full(n, np.nan)

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Find the state of the link and what it is worth."""
        self._find_state(hw)
        self._find_quality(hw)
        np.copyto(self.last_seen_s, hw.time_s + dt_s, where=self.link_up)
        self._report(hw)

    def _find_state(self, hw: "Hardware") -> None:
        if not self._fitted:
            return
        np.not_equal(self.xpdr_mode, XpdrMode.OFF, out=self.switched_on)
        np.copyto(self.plane_profile, self.xpdr_mode, casting="unsafe")
        speaks = (self.xpdr_mode == XpdrMode.ON) | (self.xpdr_mode == XpdrMode.SPOOF)
        blocked = (self.blackout > 0) | (self.antenna_fraction <= 0)
        blocked |= self.switched_on & ~hw.power.transponder_on
        self.link_state[:] = np.where(speaks, int(Link.ONLINE), int(Link.INACTIVE))
        self.link_state[blocked] = Link.BLOCKED
        self.link_state[hw.docking.bridge_open] = Link.ONLINE
        self.link_state[hw.power.bus_dead] = Link.BLOCKED
        np.equal(self.link_state, Link.ONLINE, out=self.link_up)
        np.copyto(self.antenna_status, self.antenna_fraction < 1)
        self.antenna_status += self.antenna_fraction <= 0

    def _find_quality(self, hw: "Hardware") -> None:
        p, up = self._params, self.link_up
        self.latency_ms[:], self.packet_loss_pct[:] = self._online(hw.power.soc_pct)
        if not up.all():
            for state, link in ((Link.INACTIVE, p.inactive), (Link.BLOCKED, p.blocked)):
                where = self.link_state == state
                self.latency_ms[where] = link.latency_ms
                self.packet_loss_pct[where] = link.loss_pct
        spoofs = self.xpdr_mode == XpdrMode.SPOOF
        rate = np.where(spoofs, p.rate_spoof_kbps, p.rate_kbps)
        np.multiply(rate * up, self.rate_fraction, out=self.data_rate_kbps)
        np.multiply(up, p.tx_power_w, out=self.tx_power_w)
        np.multiply(self.packet_loss_pct, -p.fading_db / 100, out=self.rssi_dbm)
        self.rssi_dbm += p.rssi_dbm
        np.copyto(self.rssi_dbm, np.nan, where=~up)
        np.subtract(self.rssi_dbm, p.noise_dbm, out=self.snr_db)

    def _online(self, soc_pct: Floats) -> tuple[Floats, Floats]:
        """Return latency in ms and loss in percent of a link that is online."""
        p = self._params
        latency = np.minimum(p.latency_per_item_ms * self.queued_items, p.latency_queue_max_ms)
        latency += p.latency_ms
        latency += self.extra_latency_ms
        latency += p.latency_per_soc_ms * np.maximum(p.latency_soc_pct - soc_pct, 0.0)
        loss = np.maximum(p.loss_soc_pct - soc_pct, 0.0) * (p.loss_max_pct / p.loss_soc_pct)
        loss += self.extra_loss_pct
        loss += 100.0 * (1.0 - self.antenna_fraction)
        return latency, np.minimum(loss, 100.0)

    def _report(self, hw: "Hardware") -> None:
        changed = (self.link_state != self._told) & ~hw.power.bus_dead
        for bot in np.flatnonzero(changed).tolist():
            words = LINK_STATES[self._told[bot]], LINK_STATES[self.link_state[bot]]
            hw.edges.append(Edge(bot, "comms", self.name, "link", *words))
        np.copyto(self._told, self.link_state, where=changed)
