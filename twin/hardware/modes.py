"""What a bot is doing: booting, idle, active, in error, safe or shut down."""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from twin.errors import UsageError
from twin.hardware.loads import Fault
from twin.hardware.plane import Bools, Codes, Edge, Ints, Range
from twin.hardware.post import Answer, Device
from twin.hardware.shard import Shard
from twin.spec.params.modes import ModesParams

if TYPE_CHECKING:
    from twin.hardware.assembly import Hardware

__all__ = ["Mode", "Modes"]

FLAG: Final = Range(0.0, 1.0)


class Mode(IntEnum):
    """Modes of the bot's state machine."""

    BOOTING = 0
    IDLE = 1
    ACTIVE = 2
    ERROR = 3
    SAFE_MODE = 4
    SHUTDOWN = 5


class Modes:
    """`mode` (n,) holds Mode codes, `running` (n,) tells whose devices run.

    BOOTING -> IDLE, or ERROR if a device has an error; ERROR -> IDLE when all are well again.
    IDLE <-> ACTIVE by what the bot does. SAFE_MODE while something is critical (charge, a
    tripped core, PDU or battery, an overcurrent), left after some good ticks in a row.
    SHUTDOWN, and a safe mode that was asked for, last until another mode is asked for.

    A bot boots at the start, when power returns to a dead bus, and when `reboot` is set (the
    plane clears it). `post_status` (n, devices) holds Answer codes in the order of `devices`:
    unknown until the self test has asked, then what is true in each tick. Edges: boot_start;
    then boot_ok or boot_failed; mode, subject fsm.
    """

    name = "modes"
    startable: Mapping[str, Range] = MappingProxyType({})
    inputs: Mapping[str, Range] = MappingProxyType({"reboot": FLAG})

    def __init__(self, shard: Shard, params: ModesParams, devices: Sequence[Device]) -> None:
        n = shard.n
        self._params = params
        self.devices = tuple(devices)
        self.mode: Codes = np.full(n, Mode.BOOTING, dtype=np.int8)
        self.running: Bools = np.zeros(n, dtype=np.bool_)
        self.reboot = np.zeros(n)
        self._told: Codes = self.mode.copy()
        self._asked: Codes = np.full(n, -1, dtype=np.int8)
        self._good: Codes = np.zeros(n, dtype=np.int8)
        self._off: Bools = np.ones(n, dtype=np.bool_)
        self._held: Bools = np.zeros(n, dtype=np.bool_)
        self._boot_s = np.zeros(n)
        self._post: Codes = np.zeros((len(self.devices), n), dtype=np.int8)
        self.post_status = self._post.T

    def request(self, bots: Ints, mode: str) -> None:
        """Ask for IDLE, ACTIVE, SAFE_MODE or SHUTDOWN at the next tick; BOOTING boots again."""
        if mode not in Mode.__members__ or mode == Mode.ERROR.name:
            raise UsageError(f"no mode that can be asked for is called {mode!r}")
        self._asked[bots] = Mode[mode]

    def all_systems_go(self) -> Bools:
        """Return whether every device of a bot (n,) has answered OK."""
        go: Bools = (self._post == Answer.OK).all(axis=0)
        return go

    def message(self, hw: "Hardware", bot: int, device: int) -> str | None:
        """Return what a device says that is not OK."""
        answer = Answer(int(self._post[device, bot]))
        return self.devices[device].message(hw, bot, answer)

    def step(self, hw: "Hardware", dt_s: float) -> None:
        """Boot, ask the devices, and decide on the mode."""
        started = self._start(hw)
        self._boot_s += dt_s * ((self.mode == Mode.BOOTING) & ~self._off & ~started)
        failed = self._ask_devices(hw)
        booted = self._finish_boot(hw, failed)
        self._decide(hw, failed, (self.mode != Mode.BOOTING) & ~booted)
        np.logical_and(self.mode != Mode.BOOTING, self.mode != Mode.SHUTDOWN, out=self.running)
        self._report(hw)

    def _start(self, hw: "Hardware") -> Bools:
        """Go dark with the bus, start to boot when it is back; return who starts now (n,)."""
        dead = hw.power.bus_dead
        again = (self.reboot > 0) | (self._asked == Mode.BOOTING)
        starts: Bools = (self._off | again) & ~dead
        if dead.any() or starts.any():
            reset = dead | starts
            self.mode[reset] = Mode.BOOTING
            self._told[reset] = Mode.BOOTING
            self._post[:, reset] = Answer.UNKNOWN
            self._boot_s[reset] = 0.0
            self._held[reset] = False
            self._asked[reset] = -1
            self._off[:] = dead
            for bot in np.flatnonzero(starts).tolist():
                hw.edges.append(Edge(bot, "boot_start", self.name, "bios", "off", "booting"))
        self.reboot[:] = 0.0
        return starts

    def _ask_devices(self, hw: "Hardware") -> Bools:
        """Ask every device of the bots that are far enough; return who has an error (n,)."""
        asks = (self.mode != Mode.BOOTING) | (self._boot_s >= self._params.post_s)
        asks &= ~self._off
        failed: Bools = np.zeros(hw.n, dtype=np.bool_)
        for device, answers in zip(self.devices, self._post, strict=True):
            np.copyto(answers, asks)
            if (found := device.check(hw)) is None:
                continue
            for hurt, answer in zip(found, (Answer.DEGRADED, Answer.ERROR), strict=True):
                if hurt.any():
                    np.copyto(answers, answer, where=hurt & asks)
            failed |= found[1] & asks
        return failed

    def _finish_boot(self, hw: "Hardware", failed: Bools) -> Bools:
        """Let boots end that are due; return which did (n,)."""
        late = self._boot_s >= self._params.boot_s
        due: Bools = (self.mode == Mode.BOOTING) & ~self._off & late
        if due.any():
            for bot in np.flatnonzero(due).tolist():
                words = ("boot_failed", "error") if failed[bot] else ("boot_ok", "ok")
                hw.edges.append(Edge(bot, words[0], self.name, "bios", "booting", words[1]))
            self.mode[due] = np.where(failed[due], Mode.ERROR, Mode.IDLE)
        return due

    def _decide(self, hw: "Hardware", failed: Bools, settled: Bools) -> None:
        """Make at most one transition for each bot that is `settled`."""
        busy = self._busy(hw)
        calm = ((self.mode == Mode.IDLE) | (self.mode == Mode.ACTIVE)) & settled
        healed = (self.mode == Mode.ERROR) & ~failed & settled
        safe = (self.mode == Mode.SAFE_MODE) & settled
        unsafe = self._critical(hw) | self._held
        self._good += 1
        self._good *= safe & ~unsafe
        np.copyto(self.mode, Mode.IDLE, where=calm)
        np.copyto(self.mode, Mode.ACTIVE, where=calm & busy)
        np.copyto(self.mode, Mode.SAFE_MODE, where=calm & unsafe)
        np.copyto(self.mode, Mode.ERROR, where=calm & failed)
        recovered = self._good >= self._params.safe_good_ticks
        np.copyto(self.mode, Mode.IDLE, where=healed | recovered)
        if self._asked.max(initial=-1) >= 0:
            self._obey(settled)

    def _critical(self, hw: "Hardware") -> Bools:
        thermal, power = hw.thermal, hw.power
        hot = thermal.core_tripped | thermal.pdu_tripped | thermal.battery_tripped
        overcurrent = power.faults & int(Fault.PDU_OVERCURRENT) != 0
        critical: Bools = hot | power.critical | overcurrent
        return critical

    def _busy(self, hw: "Hardware") -> Bools:
        """Return who moves or burns; a bot stays active until it is much slower."""
        least = np.where(self.mode == Mode.ACTIVE, 0.5, 1.0) * self._params.active_mps
        busy: Bools = (hw.motion.speed_mps > least) | (hw.propulsion.power_w > 0)
        return busy

    def _obey(self, settled: Bools) -> None:
        """Carry out what was asked for."""
        wakes = (self._asked == Mode.IDLE) | (self._asked == Mode.ACTIVE)
        self._held |= (self._asked == Mode.SAFE_MODE) & settled
        self._held &= ~(wakes & settled)
        self.mode[(self.mode == Mode.SHUTDOWN) & wakes & settled] = Mode.IDLE
        self.mode[(self._asked == Mode.SHUTDOWN) & settled] = Mode.SHUTDOWN
        self._asked[settled] = -1

    def _report(self, hw: "Hardware") -> None:
        changed = self.mode != self._told
        for bot in np.flatnonzero(changed).tolist():
            before, after = Mode(self._told[bot]).name, Mode(self.mode[bot]).name
            hw.edges.append(Edge(bot, "mode", self.name, "fsm", before, after))
        np.copyto(self._told, self.mode)
