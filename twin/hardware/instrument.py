"""What all sensors share: being on, having no value for a reason, and ways to go wrong."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from twin.hardware.health import STATUS_OF, Reason, Reasons, Status
from twin.hardware.lottery import Lottery
from twin.hardware.plane import ANY, POSITIVE, Bools, Edge, Floats, Ints, Range
from twin.hardware.shard import Shard

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["FAULT_INPUTS", "Instrument"]

FLAG: Final = Range(0.0, 1.0)
DROPOUT_LANE: Final = 255
FULL_SCALE: Final = 1e8
"""What no reading goes beyond, however wrong the sensor is."""
FAULT_INPUTS: Final[Mapping[str, Range]] = MappingProxyType(
    {
        "enabled": FLAG,
        "failed": FLAG,
        "stuck": FLAG,
        "dropout": FLAG,
        "bias": ANY,
        "drift_per_s": ANY,
        "noise": POSITIVE,
    }
)

_SWITCH: Final[Mapping[str, Range]] = MappingProxyType({"enabled": FLAG})
_NOTHING: Final[Mapping[str, Range]] = MappingProxyType({})


class Instrument:
    """One sensor of every bot: on or off, its health, its malfunctions.

    Inputs (n,), all 0 when well: `failed` and `stuck` (0 or 1), `dropout` (probability of
    losing a sample), `bias`, `drift_per_s` and `noise` (standard deviation) in the unit of the
    reading, the same for each of its axes. `enabled` (n,) is 0 or 1.

    `status` and `reason` (n,) hold Status and Reason codes. A stuck, drifting, biased or noisy
    sensor still gives numbers and is DEGRADED; one without a value holds nan. Failing and
    coming back are edges, sensor_io_failed and sensor_io_ok. A sensor that is not `fitted` (by
    the spec) takes no inputs and is switched off for good.
    """

    name: ClassVar[str]

    def __init__(self, shard: Shard, axes: int, *, fitted: bool) -> None:
        n, self.fitted = shard.n, fitted
        self.lottery = Lottery(shard, self.name)
        self.inputs: Mapping[str, Range] = FAULT_INPUTS if fitted else _NOTHING
        self.startable: Mapping[str, Range] = _SWITCH if fitted else _NOTHING
        self.enabled = np.full(n, float(fitted))
        self._inputs = np.zeros((6, n))
        self.failed, self.stuck, self.dropout = self._inputs[:3]
        self.bias, self.drift_per_s, self.noise = self._inputs[3:]
        self._drifted = np.zeros(n)
        self._held = np.full((axes, n), np.nan)
        self._holds: Bools = np.zeros(n, dtype=np.bool_)
        self._broken: Bools = np.zeros(n, dtype=np.bool_)
        self._upset = False
        reason = Reason.NONE if fitted else Reason.SWITCHED_OFF
        self.reason: Ints = np.full(n, reason, dtype=np.int64)
        self.status = STATUS_OF[self.reason]
        self.reasons = Reasons(self.reason)

    def sense(
        self, hw: "Hardware", values: Floats, dt_s: float, *, idle: Ints | None = None
    ) -> None:
        """Turn true `values` (axes, n) in place into what the sensor shows; judge its health.

        `idle` (n,) gives Reasons of the sensor's own why it does not run, None: as all devices
        of the bot. Bots without a value get nan on every axis.
        """
        self.lottery.next_tick()
        idle = hw.readiness.idle if idle is None else idle
        faulty = bool(self._inputs.any())
        if not (faulty or self._upset or idle is not None) and self.enabled.all():
            return
        self.reason[:] = 0
        if faulty:
            self._distort(values, dt_s)
        else:
            self._drifted[:] = 0.0
            self._holds[:] = False
        if idle is not None:
            np.copyto(self.reason, idle, where=idle > 0)
        self.reason[self.enabled == 0] = Reason.SWITCHED_OFF
        self._judge(values)
        self._report(hw)
        self._upset = bool(self.status.any())

    def lack(self, values: Floats, where: Bools, reason: Reason) -> None:
        """Take away the values of bots for a reason of the sensor's own, for this tick.

        Comes after `sense`, which may have found a graver reason.
        """
        if not self._upset:
            self.reason[:] = 0
            self.status[:] = 0
        chosen = where & (self.status <= Status.DEGRADED)
        np.copyto(self.reason, int(reason), where=chosen)
        np.copyto(self.status, STATUS_OF[reason], where=chosen)
        np.copyto(values, np.nan, where=chosen)
        self._upset = bool(self.status.any())

    def see(self, values: Floats, bots: Ints) -> None:
        """Say NO_TARGET where there is no value and nothing is wrong: but for these bots.

        A stuck sensor goes on showing what it showed.
        """
        if self._upset:
            self.lack(values, np.isnan(values[0]), Reason.NO_TARGET)
        else:
            self.reason.fill(Reason.NO_TARGET)
            self.reason[bots] = 0

    def _distort(self, values: Floats, dt_s: float) -> None:
        self._drifted += self.drift_per_s * dt_s
        self._drifted *= self.drift_per_s != 0
        values += self.bias + self._drifted
        if self.noise.any():
            for axis in range(len(values)):
                values[axis] += self.lottery.normals(2 * axis) * self.noise
        np.clip(values, -FULL_SCALE, FULL_SCALE, out=values)
        stuck = self.stuck > 0
        np.copyto(self._held, values, where=~self._holds)
        np.copyto(values, self._held, where=stuck)
        self._holds[:] = stuck
        for cause, reason in (
            (self.noise, Reason.NOISE),
            (self.bias, Reason.BIAS),
            (self.drift_per_s, Reason.DRIFT),
            (self.stuck, Reason.STUCK),
        ):
            self.reason[cause != 0] = reason
        if self.dropout.any():
            self.reason[self.lottery.uniforms(DROPOUT_LANE) < self.dropout] = Reason.DROPOUT
        self.reason[self.failed > 0] = Reason.FAILED

    def _judge(self, values: Floats) -> None:
        self.status[:] = STATUS_OF[self.reason]
        np.copyto(values, np.nan, where=self.status >= Status.FAILED)

    def _report(self, hw: "Hardware") -> None:
        """Tell of sensors that failed or came back; one that is off does neither."""
        broken = np.where(
            self.status == Status.DISABLED, self._broken, self.reason == Reason.FAILED
        )
        for bot in np.flatnonzero(broken != self._broken).tolist():
            kind = "sensor_io_failed" if broken[bot] else "sensor_io_ok"
            words = ("ok", "failed") if broken[bot] else ("failed", "ok")
            hw.edges.append(Edge(bot, kind, self.name, "sensor", *words))
        self._broken = broken
