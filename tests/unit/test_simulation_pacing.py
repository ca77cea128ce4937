"""Pacing: what is meant to happen when on the wall clock, and how late it was."""

import pytest

from twin.simulation.pacing import Pacer


class Wall:
    """A wall clock that a test turns by hand."""

    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


def test_realtime_intends_the_same_distance_from_the_start() -> None:
    """At speed 1 a simulated nanosecond is a wall nanosecond, exactly."""
    pacer = Pacer(1.0, 1_700_000_000_000_000_001)
    assert pacer.intended_ns(86_400_000_000_007) == 1_700_086_400_000_000_008


def test_x10_needs_a_tenth_of_the_wall_time() -> None:
    """At speed 10 a moment comes ten times sooner."""
    wall = Wall(1000)
    pacer = Pacer(10.0, 1000, wall)
    assert (pacer.early_ns(50_000), pacer.due(50_000)) == (5000, False)
    wall.now_ns = 6000
    assert (pacer.early_ns(50_000), pacer.due(50_000)) == (0, True)


def test_slip_is_what_came_too_late_and_the_worst_is_kept() -> None:
    """Being early is no slip; the largest delay stays on record."""
    wall = Wall(0)
    pacer = Pacer(1.0, 0, wall)
    slips = []
    for now_ns in (1_000_000, 9_000_000, 3_000_000):
        wall.now_ns = now_ns
        slips.append(pacer.slip_us(2_000_000))
    assert slips == [0, 7000, 1000]
    assert (pacer.worst_slip_us, pacer.instants) == (7000, 3)


def test_as_fast_as_possible_is_always_due_and_never_late() -> None:
    """Without a speed every moment is intended for now."""
    wall = Wall(5)
    pacer = Pacer(None, 0, wall)
    wall.now_ns = 77
    assert pacer.fast
    assert (pacer.intended_ns(10**18), pacer.due(10**18), pacer.slip_us(1)) == (77, True, 0)


def test_time_cannot_stand_still() -> None:
    """A speed of zero is refused."""
    with pytest.raises(ValueError, match="positive"):
        Pacer(0.0, 0)
