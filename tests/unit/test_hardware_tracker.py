"""The tracker and its guard: the life of a track, the two bands, and alerts."""

import numpy as np
import pytest
from flight_rig import fly, flying, look

from twin.hardware.assembly import Hardware
from twin.hardware.contacts import Iff, Kind, Xpdr
from twin.hardware.plane import Edge
from twin.hardware.radar import LR, SR
from twin.hardware.tracker import TrackStatus

FREE, NEW, TRACKED, LOST, COASTING = 0, 1, 2, 3, 4
CLEAR = {"radar.false_alarms_per_scan": 0.0}
NEAR = {**CLEAR, "contacts.count": 1, "contacts.passing_m": 100.0}
UNKNOWN = {"contacts.transponder_fraction": 0.0, "contacts.foe_fraction": 0.0}
NOBODY = {**UNKNOWN, "contacts.spoof_fraction": 0.0}


def test_the_life_of_a_track() -> None:
    """NEW on the first hit, TRACKED on the second; COASTING twice, LOST on the third miss."""
    hw = flying(1, NEAR, boot=False)
    seen = []
    for tick in range(12):
        hw.set_input("radar.dropout", np.array(float(5 <= tick < 9)))
        hw.step(1.0)
        seen.append(int(hw.tracker.status[0, 0]))
    first = seen.index(NEW)
    assert seen[first:5] == [NEW, *[TRACKED] * (4 - first)]
    assert seen[5:] == [COASTING, COASTING, LOST, FREE, NEW, TRACKED, TRACKED]
    assert hw.tracker.serial[0, 0] == 2


def test_a_coasting_track_comes_back() -> None:
    """One miss costs quality, and the next hit brings the same track back."""
    hw = flying(1, NEAR)
    serial, quality = hw.tracker.serial[0, 0], hw.tracker.quality[0, 0]
    hw.set_input("radar.dropout", np.array(1.0))
    fly(hw, 1)
    assert hw.tracker.status[0, 0] == COASTING
    assert hw.tracker.misses[0, 0] == 1
    assert hw.tracker.quality[0, 0] == pytest.approx(quality * 2 / 3, rel=0.01)
    hw.set_input("radar.dropout", np.array(0.0))
    fly(hw, 1)
    assert (hw.tracker.status[0, 0], hw.tracker.serial[0, 0]) == (TRACKED, serial)
    assert hw.tracker.misses[0, 0] == 0


def test_a_coasting_track_is_predicted() -> None:
    """While the radar is blind for two scans the track stays near the truth."""
    hw = flying(40, NEAR)
    fly(hw, 20)
    hw.set_input("radar.dropout", np.array(1.0))
    fly(hw, 2)
    off = hw.tracker.relative_m[:, 0] - hw.surroundings.relative_m[:, 0]
    assert np.all(hw.tracker.status[0] == COASTING)
    assert np.quantile(np.linalg.norm(off, axis=0) / hw.surroundings.distance_m[0], 0.95) < 0.05


def test_filtering_beats_single_hits() -> None:
    """The filtered position of a steady track is better than the measured one."""
    hw = flying(100, {**CLEAR, "contacts.speed_max_mps": 0.0})
    errors = {"hit": 0.0, "track": 0.0}
    fly(hw, 20)
    for _ in range(10):
        hw.step(1.0)
        truth = hw.surroundings.relative_m
        good = (hw.tracker.status[:2] == TRACKED) & hw.radar.detected[:2]
        for name, place in (("hit", hw.radar.relative_m), ("track", hw.tracker.relative_m)):
            errors[name] += float(((place[:, :2] - truth)[:, good] ** 2).sum())
    assert errors["track"] < 0.8 * errors["hit"]


def test_a_tick_of_no_time_changes_no_speed() -> None:
    """Two scans at one instant refine the place of a track, and leave its velocity alone."""
    hw = flying(10, CLEAR)
    fly(hw, 5)
    tracked = hw.tracker.status == TRACKED
    before = hw.tracker.velocity_mps[:, tracked].copy()
    hw.step(0.0)
    assert np.allclose(hw.tracker.velocity_mps[:, tracked], before, atol=1e-4)


def test_false_alarms_are_never_confirmed() -> None:
    """Two alarms in a row lie apart: each is a new track, and is given up."""
    hw = flying(200, {"contacts.count": 0, "radar.false_alarms_per_scan": 0.3})
    statuses = set()
    for _ in range(60):
        look(hw)
        statuses |= set(hw.tracker.status[0].tolist())
    assert statuses == {FREE, NEW, LOST}
    assert hw.tracker.serial.max() > 5


def test_serials_are_dense_for_each_bot() -> None:
    """The tracks of a bot are numbered from 1 without gaps, across its slots."""
    hw = flying(30, {"radar.false_alarms_per_scan": 0.2}, boot=False)
    born: list[set[int]] = [set() for _ in range(30)]
    for _ in range(45):
        hw.step(1.0)
        for slot, bot in zip(*np.nonzero(hw.tracker.status == NEW), strict=True):
            born[bot].add(int(hw.tracker.serial[slot, bot]))
    assert all(serials == set(range(1, len(serials) + 1)) for serials in born)
    assert max(map(len, born)) > 5


def test_long_range_tracks_carry_no_identity() -> None:
    """What an object is and says is known in SR, blank in LR, and learnt on the way in."""
    border = {"contacts.count": 2, "contacts.near_m": 5000.0, "contacts.far_m": 5001.0}
    hw = flying(60, {**CLEAR, **border, "contacts.transponder_fraction": 0.85})
    tracker, crossings, kept = hw.tracker, 0, 0
    for _ in range(400):
        band, serial = tracker.band[1].copy(), tracker.serial[1].copy()
        look(hw)
        live = tracker.status != FREE
        far, near = live & (tracker.band == LR), live & (tracker.band == SR)
        for blank in (tracker.kind, tracker.iff, tracker.mode, tracker.identity + 1):
            assert not blank[far].any()
        objects = near[:2]
        assert np.array_equal(tracker.kind[:2][objects], hw.surroundings.kind[objects])
        assert np.array_equal(tracker.identity[:2][objects], hw.surroundings.identity[objects])
        crossed = (tracker.band[1] != band) & (tracker.status[1] == TRACKED)
        crossings += int(crossed.sum())
        kept += int((crossed & (tracker.serial[1] == serial)).sum())
    assert crossings > 20
    assert kept > 0.9 * crossings


def test_the_bands_fuse_within_limits_only() -> None:
    """With the tightest limits an object that changes its band becomes another track."""
    border = {"contacts.count": 2, "contacts.near_m": 5000.0, "contacts.far_m": 5001.0}
    tight = {"tracker.fusion_bearing_deg": 1e-6}
    hw = flying(60, {**CLEAR, **border, **tight})
    tracker = hw.tracker
    for _ in range(300):
        band, serial = tracker.band[1].copy(), tracker.serial[1].copy()
        look(hw)
        crossed = (tracker.band[1] != band) & (tracker.status[1] == TRACKED)
        assert not (crossed & (tracker.serial[1] == serial)).any()
    assert tracker.serial[1].max() > 1


def test_quality_is_one_for_a_strong_steady_track() -> None:
    """Quality is the SNR over 20 dB, at most 1, while nothing is missed."""
    hw = flying(50, CLEAR)
    fly(hw, 5)
    tracked = (hw.tracker.status == TRACKED) & (hw.tracker.misses == 0)
    expected = np.minimum(hw.tracker.snr_db[tracked] / 20, 1)
    assert np.allclose(hw.tracker.quality[tracked], expected)


def alerts(edges: list[Edge]) -> list[Edge]:
    """Return the guard's edges."""
    return [edge for edge in edges if edge.kind == "radar_guard"]


def test_the_guard_alerts_once_per_approach() -> None:
    """Objects that pass within 70 m alert once each time, those that stay out never."""
    hw = flying(60, {**NEAR, **NOBODY, "motion.behaviour": "hold", "contacts.passing_m": 60.0})
    closest, entered = np.full(60, np.inf), np.zeros(60)
    inside, told = np.zeros(60, dtype=bool), []
    for _ in range(500):
        told += [(hw.time_s, edge) for edge in alerts(look(hw))]
        distance = hw.surroundings.distance_m[0]
        np.minimum(closest, distance, out=closest)
        entered += (distance < 68) & ~inside
        inside = np.where(inside, distance < 77, distance < 68)
    counts = np.bincount([edge.bot for _, edge in told], minlength=60)
    assert (counts > 0).sum() > 10
    assert not counts[closest > 75].any()
    assert np.all(counts[closest < 60] >= 1)
    assert np.all(counts <= entered + 1)
    for _, edge in told:
        values = dict(edge.values)
        assert edge.subject == "unknown"
        assert values["range_m"] < 70
        assert values["iff"] == Iff.UNKNOWN


@pytest.mark.parametrize(
    ("fractions", "rule", "limit_m", "mode"),
    [
        ({"contacts.foe_fraction": 1.0}, "foe", 150, Xpdr.OFF),
        ({"contacts.spoof_fraction": 1.0}, "spoof", 500, Xpdr.SPOOF),
    ],
)
def test_each_kind_has_its_own_rule(
    fractions: dict[str, float], rule: str, limit_m: float, mode: Xpdr
) -> None:
    """A foe alerts below 150 m and a spoofer below 500 m, with what is known of it."""
    hw = flying(60, {**NEAR, **NOBODY, **fractions})
    told = alerts(look(hw, 300))
    assert len(told) > 5
    for edge in told:
        values = dict(edge.values)
        assert (edge.subject, values["transponder_mode"]) == (rule, mode)
        assert values["range_m"] < limit_m
    assert max(dict(edge.values)["range_m"] for edge in told) > limit_m * 0.9


def at_distance(hw: Hardware, distance_m: float) -> int:
    """Let bots coast until they are so far east of their object; return the number of alerts."""
    told = 0
    for _ in range(200):
        gap = distance_m - float(-hw.surroundings.relative_m[0, 0, 0])
        if abs(gap) < 0.5:
            return told
        hw.start({"motion.vx_mps": np.clip(gap, -10.0, 10.0)})
        told += len(alerts(look(hw)))
    raise AssertionError(distance_m)


def test_the_guard_is_armed_again_beyond_the_hysteresis_only() -> None:
    """Leaving the range by less than the hysteresis and coming back is one approach, not two."""
    still = {"contacts.speed_max_mps": 0.0, "motion.behaviour": "coast"}
    rule = {"tracker.guard_cooldown_s": 0.0, "tracker.guard_unknown.hysteresis_m": 40.0}
    hw = flying(1, {**NEAR, **NOBODY, **still, **rule})
    place = hw.surroundings.relative_m[:, 0, 0] + hw.motion.position_m[0]
    hw.start({f"motion.{axis}_m": place[i] + 160.0 * (i == 0) for i, axis in enumerate("xyz")})
    hw.start({f"motion.v{axis}_mps": np.array(0.0) for axis in "xyz"})
    look(hw, 6)
    counts = [at_distance(hw, distance) for distance in (60, 100, 60, 125, 60)]
    assert counts == [1, 0, 0, 0, 1]


def test_friends_raise_no_alarm() -> None:
    """Objects with an honest transponder may come as near as they like."""
    hw = flying(60, {**NEAR, **NOBODY, "contacts.transponder_fraction": 1.0})
    assert alerts(look(hw, 300)) == []


def test_a_rule_keeps_quiet_for_its_cooldown() -> None:
    """The same rule of the same bot never alerts twice within 60 s."""
    many = {**CLEAR, **NOBODY, "contacts.count": 7, "contacts.passing_m": 20.0}
    hw = flying(30, {**many, "motion.behaviour": "hold"})
    last = np.full(30, -np.inf)
    again = 0
    for _ in range(600):
        for edge in alerts(look(hw)):
            assert hw.time_s - last[edge.bot] >= 60
            again += int(np.isfinite(last[edge.bot]))
            last[edge.bot] = hw.time_s
    assert again > 5


def test_a_switched_off_radar_loses_all_tracks() -> None:
    """After three scans without radar there is no track left."""
    hw = flying(10)
    hw.set_input("radar.enabled", np.array(0.0))
    fly(hw, 5)
    assert not hw.tracker.status.any()
    assert not hw.tracker.track_count.any()


def test_a_bot_without_perception_has_no_tracks() -> None:
    """With its component switched off in the spec the tracker holds nothing."""
    hw = flying(3, {"rlsm.enabled": False})
    fly(hw, 3)
    assert hw.radar.detections.any()
    assert not hw.tracker.status.any()


def test_codes_are_those_of_the_contract() -> None:
    """Status, kind, iff and mode carry the numbers of the payload."""
    assert [status.value for status in TrackStatus] == [0, 1, 2, 3, 4]
    assert [TrackStatus(code).name for code in (1, 2, 3, 4)] == [
        "NEW",
        "TRACKED",
        "LOST",
        "COASTING",
    ]
    assert [kind.name for kind in Kind][1:] == ["DRONE", "SHIP", "STATION", "ASTEROID", "DEBRIS"]


def test_what_a_coasting_track_says_agrees_with_where_it_is() -> None:
    """Range, bearing and elevation are those of the predicted place."""
    hw = flying(40, NEAR)
    fly(hw, 20)
    hw.set_input("radar.dropout", np.array(1.0))
    fly(hw, 2)
    x, y, z = hw.tracker.relative_m[:, 0]
    distance = np.sqrt(x**2 + y**2 + z**2)
    assert np.ptp(z) > 1
    assert hw.tracker.range_m[0] == pytest.approx(distance, rel=1e-6)
    assert hw.tracker.elev_deg[0] == pytest.approx(np.degrees(np.arcsin(z / distance)), rel=1e-6)
    assert hw.tracker.bearing_deg[0] == pytest.approx(np.degrees(np.arctan2(x, y)) % 360, rel=1e-6)


def test_a_track_that_is_stale_has_no_quality() -> None:
    """Silent for longer than the stale time, a track that still coasts is worth nothing."""
    hw = flying(5, {**NEAR, "rlsm.drop_misses": 20, "rlsm.stale_s": 3.0})
    fly(hw, 5)
    hw.set_input("radar.dropout", np.array(1.0))
    fly(hw, 3)
    assert np.all(hw.tracker.quality[0] > 0)
    fly(hw, 2)
    assert np.all(hw.tracker.status[0] == COASTING)
    assert np.all(hw.tracker.quality[0] == 0)
