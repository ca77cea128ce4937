"""Shields: thresholds with hysteresis, damage, recovery, power."""

import numpy as np
import pytest
from flight_rig import fly, flying

from twin.events.vocabulary import SHIELD_STATES
from twin.hardware.assembly import Hardware

ALONE = {"contacts.count": 0}
NOMINAL, LOW, CRITICAL, DISABLED = range(4)


def states(hw: Hardware, seconds: int) -> list[str]:
    """Return the states that were reported."""
    return [edge.after for edge in fly(hw, seconds) if edge.kind == "shield"]


def test_damage_goes_through_the_thresholds_and_back() -> None:
    """Low below 30 %, critical below 10 %, left a little above: one edge for each change."""
    hw = flying(1, ALONE)
    hw.set_input("shields.damage_pct_per_s", np.array(2.5))
    seen = []
    for _ in range(60):
        for state in states(hw, 1):
            seen.append((state, float(hw.shields.strength_pct[0])))
    hw.set_input("shields.damage_pct_per_s", np.array(0.0))
    for _ in range(80):
        for state in states(hw, 1):
            seen.append((state, float(hw.shields.strength_pct[0])))
    assert [state for state, _ in seen] == ["low", "critical", "low", "nominal"]
    low, critical, up, nominal = (strength for _, strength in seen)
    assert 28 <= low < 30
    assert 8 <= critical < 10
    assert 12 <= up < 13
    assert 32 <= nominal < 33


def test_strength_stays_between_nothing_and_full() -> None:
    """Neither damage nor recovery goes beyond."""
    hw = flying(2, ALONE)
    hw.set_input("shields.damage_pct_per_s", np.array([50.0, 0.0]))
    fly(hw, 10)
    assert hw.shields.strength_pct.tolist() == [0.0, 100.0]


def test_recovery_takes_power() -> None:
    """Full shields draw the holding power, recovering ones more, and all are part of base load."""
    hw = flying(2, ALONE, {"shields.strength_pct": 50.0})
    hw.start({"shields.strength_pct": np.array([50.0, 100.0])})
    fly(hw, 1)
    assert hw.shields.power_w == pytest.approx([8 + 2 * 0.505, 2.0])


def test_shields_without_power_are_disabled() -> None:
    """A dead bus or the switch takes them down; they do not recover meanwhile."""
    hw = flying(3, ALONE, {"shields.strength_pct": 40.0})
    hw.set_input("shields.enabled", np.array([1.0, 0.0, 1.0]))
    hw.set_input("power.cell_fraction", np.array([0.0, 1.0, 1.0]))
    hw.set_input("power.supercap_ok", np.array([0.0, 1.0, 1.0]))
    fly(hw, 3)
    before = hw.shields.strength_pct.copy()
    fly(hw, 3)
    assert [SHIELD_STATES[state] for state in hw.shields.state] == [
        "disabled",
        "disabled",
        "nominal",
    ]
    gained = hw.shields.strength_pct - before
    assert gained == pytest.approx([0.0, 0.0, 1.5])
    assert hw.shields.power_w[:2].tolist() == [0.0, 0.0]
