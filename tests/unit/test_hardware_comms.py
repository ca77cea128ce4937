"""The datalink: its state by mode, power, heat and malfunctions; latency, loss, bandwidth."""

import numpy as np
import pytest
from hardware_rig import booted, run, told

from twin.hardware.assembly import Hardware
from twin.hardware.comms import Link, XpdrMode
from twin.hardware.docking import Dock


def link(hw: Hardware) -> tuple[str, bool]:
    """Return the state of the link of bot 0, and whether it is up."""
    return Link(hw.comms.link_state[0]).name, bool(hw.comms.link_up[0])


def quality(hw: Hardware) -> tuple[float, float, float]:
    """Return latency in ms, loss in percent, rate in kbit/s."""
    comms = hw.comms
    return (
        float(comms.latency_ms[0]),
        float(comms.packet_loss_pct[0]),
        float(comms.data_rate_kbps[0]),
    )


@pytest.mark.parametrize(
    ("mode", "state", "expected"),
    [
        (XpdrMode.ON, ("ONLINE", True), (80.0, 0.0, 192.0)),
        (XpdrMode.SPOOF, ("ONLINE", True), (80.0, 0.0, 96.0)),
        (XpdrMode.SILENT, ("INACTIVE", False), (900.0, 15.0, 0.0)),
        (XpdrMode.OFF, ("INACTIVE", False), (900.0, 15.0, 0.0)),
    ],
)
def test_link_follows_the_transponder_mode(
    mode: XpdrMode, state: tuple[str, bool], expected: tuple[float, float, float]
) -> None:
    """ON and SPOOF carry data, SILENT and OFF do not."""
    hw = booted()
    hw.set_input("comms.xpdr_mode", np.array(float(mode)))
    run(hw, 2)
    assert link(hw) == state
    assert quality(hw) == expected
    assert hw.power.transponder_on[0] == (mode is not XpdrMode.OFF)


@pytest.mark.parametrize(
    ("queued", "soc", "latency_ms", "loss_pct"),
    [
        (0, 36.0, 80.0, 0.0),
        (50, 80.0, 580.0, 0.0),
        (1000, 80.0, 1880.0, 0.0),
        (0, 30.5, 80 + 3 * 4.5, 0.0),
        (10, 40.0, 180.0, 0.0),
    ],
)
def test_latency_grows_with_queue_and_low_charge(
    queued: int, soc: float, latency_ms: float, loss_pct: float
) -> None:
    """10 ms for each queued item up to 1800 ms, 3 ms for each point of charge below 35 %."""
    hw = booted(start={"power.soc_pct": soc})
    hw.comms.queued_items[:] = queued
    run(hw, 1)
    assert quality(hw)[:2] == pytest.approx((latency_ms, loss_pct), abs=1e-2)


def test_loss_grows_below_twenty_percent_of_charge() -> None:
    """A docked bot with 10 % charge loses half of 25 %, as its bridge keeps it online."""
    hw = booted(start={"power.soc_pct": 10.0, "power.supercap_soc_pct": 50.0})
    hw.docking.state[:] = Dock.BRIDGE_OPEN
    run(hw, 1)
    assert link(hw) == ("ONLINE", True)
    assert quality(hw)[1] == pytest.approx(12.5, abs=0.01)


def test_a_shed_transponder_blocks_the_link_once() -> None:
    """Low charge takes the link down, charge brings it back; each is one edge."""
    hw = booted(start={"power.soc_pct": 25.0})
    hw.power.soc_pct[:] = 19.0
    assert told(run(hw, 5), "comms") == [("comms", "link", "blocked")]
    assert link(hw) == ("BLOCKED", False)
    assert quality(hw) == (1600.0, 35.0, 0.0)
    assert np.isnan(hw.comms.rssi_dbm[0])
    hw.power.soc_pct[:] = 31.0
    assert told(run(hw, 5), "comms") == [("comms", "link", "online")]


@pytest.mark.parametrize(
    ("name", "value"), [("comms.blackout", 1.0), ("comms.antenna_fraction", 0.0)]
)
def test_malfunctions_block_the_link(name: str, value: float) -> None:
    """A blackout or a lost antenna takes the link down until it is healed."""
    hw = booted(2)
    healthy = hw.read(name)[0]
    hw.set_input(name, np.array(value), np.array([0]))
    run(hw, 2)
    assert hw.comms.link_up.tolist() == [False, True]
    hw.set_input(name, np.array(healthy))
    run(hw, 2)
    assert hw.comms.link_up.all()


def test_malfunctions_worsen_the_link() -> None:
    """Extra latency, extra loss and lost bandwidth add to what the bot has anyway."""
    hw = booted()
    for name, value in (("extra_latency_ms", 400.0), ("extra_loss_pct", 7.0)):
        hw.set_input(f"comms.{name}", np.array(value))
    hw.set_input("comms.rate_fraction", np.array(0.5))
    run(hw, 1)
    assert quality(hw) == (480.0, 7.0, 96.0)


def test_the_link_remembers_when_it_was_up() -> None:
    """The time of the last contact stands still while the link is down."""
    hw = booted()
    run(hw, 3)
    assert hw.comms.last_seen_s[0] == hw.time_s
    before = hw.time_s
    hw.set_input("comms.blackout", np.array(1.0))
    run(hw, 3)
    assert hw.comms.last_seen_s[0] == before


def test_a_link_is_up_while_the_bot_boots() -> None:
    """The transponder needs no computer: boot_start gets out at once."""
    hw = booted()
    hw.set_input("modes.reboot", np.array(1.0))
    assert told(run(hw, 1)) == [("boot_start", "bios", "booting")]
    assert link(hw) == ("ONLINE", True)


def test_the_signal_fades_with_the_packets() -> None:
    """Losing half of the packets costs half of the fading of 20 dB, in signal and in SNR."""
    hw = booted()
    clear = hw.comms.rssi_dbm[0], hw.comms.snr_db[0]
    hw.set_input("comms.extra_loss_pct", np.array(50.0))
    run(hw, 1)
    assert hw.comms.rssi_dbm[0] == pytest.approx(clear[0] - 10.0)
    assert hw.comms.snr_db[0] == pytest.approx(clear[1] - 10.0)
