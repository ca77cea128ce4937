"""The radar: noise, detection probability, false alarms, bands, and when it is off."""

import numpy as np
import pytest
from flight_rig import fly, flying, record
from scipy import stats

from twin.hardware.assembly import Hardware
from twin.hardware.health import Reason, Status
from twin.hardware.plane import Floats
from twin.hardware.radar import LR, SR, bearing_of

SCAN_TICKS = 40
RESOLUTION_M, BEAM_DEG, DOPPLER_MPS = 15.0, 3.0, 1.0


def scans(hw: Hardware, ticks: int = SCAN_TICKS) -> tuple[list[Floats], list[Floats]]:
    """Return histories of what the radar shows, and of the truth about the same objects."""
    radar, around = hw.radar, hw.surroundings
    shown = [radar.range_m, radar.bearing_deg, radar.elev_deg, radar.vr_mps, radar.snr_db]
    truth = [around.distance_m, around.relative_m, around.relative_mps, around.ground_m]
    planes = (hw.suite, hw.motion, hw.surroundings, hw.radar)
    history = record(hw, planes, [*shown, radar.detected, *truth], ticks)
    return history[:6], history[6:]


def true_polar(truth: list[Floats]) -> tuple[Floats, Floats, Floats, Floats]:
    """Return range, bearing, elevation and radial speed of the objects."""
    distance, place, pace, ground = truth
    bearing = np.degrees(np.arctan2(place[:, 0], place[:, 1])) % 360
    elev = np.degrees(np.arctan2(place[:, 2], ground))
    return distance, bearing, elev, (place * pace).sum(axis=1) / distance


@pytest.fixture(scope="module")
def fleet() -> Hardware:
    """Many bots with six objects each, from close by to far away, and no false alarms."""
    return flying(250, {"contacts.count": 6, "radar.false_alarms_per_scan": 0.0})


def test_noise_is_what_the_measured_snr_says(fleet: Hardware) -> None:
    """Each error over its standard deviation is standard normal: chi-square of its squares."""
    shown, truth = scans(fleet)
    detected = shown[5][:, :6]
    amplitude = 10 ** (shown[4][:, :6][detected] / 20)
    angle = BEAM_DEG / 1.6
    for reading, true, scale in zip(
        shown, true_polar(truth), (RESOLUTION_M, angle, angle, DOPPLER_MPS), strict=False
    ):
        off = (reading[:, :6] - true)[detected]
        if scale is angle:
            off = (off + 180) % 360 - 180
        ratio = off / (scale / (np.sqrt(2) * amplitude))
        seen = ratio[: len(ratio) // 2]
        square = float((seen**2).sum())
        assert stats.chi2.ppf(0.0005, len(seen)) < square < stats.chi2.ppf(0.9995, len(seen))
        assert stats.kstest(seen[:5000], "norm").pvalue > 1e-4


def expected_snr(hw: Hardware, distance: Floats) -> Floats:
    """Return the radar equation: 20 dB at 5000 m for 1 dBsm, falling with the fourth power."""
    gain = 10 ** ((20.0 - 1.0 + hw.surroundings.rcs_dbsm) / 10)
    return gain * (5000.0 / distance) ** 4


def test_detection_probability_falls_with_range(fleet: Hardware) -> None:
    """Counts of detections agree with North's approximation in every part of the curve."""
    shown, truth = scans(fleet)
    snr = expected_snr(fleet, truth[0])
    margin = np.sqrt(2) * (np.sqrt(snr + 0.5) - np.sqrt(-np.log(1e-6)))
    expected = stats.norm.cdf(margin) * (truth[0] < 50_000)
    assert ((expected > 0.1) & (expected < 0.9)).sum() > 500
    for low, high in ((0.0, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 1.01)):
        part = (expected >= low) & (expected < high)
        sigma = np.sqrt((expected * (1 - expected))[part].sum())
        found = shown[5][:, :6][part].sum()
        assert abs(found - expected[part].sum()) < 4 * sigma + 1


def test_snr_follows_the_radar_equation(fleet: Hardware) -> None:
    """The mean reported SNR of strong echoes is that of the equation."""
    shown, truth = scans(fleet, 10)
    snr = expected_snr(fleet, truth[0])
    strong = shown[5][:, :6] & (snr > 200)
    off = shown[4][:, :6][strong] - 10 * np.log10(snr[strong] + 0.5)
    assert abs(off.mean()) < 0.05


def test_bands_split_at_short_range(fleet: Hardware) -> None:
    """Up to 5000 m is SR, beyond is LR; both occur."""
    scans(fleet, 1)
    seen = fleet.radar.detected
    band, distance = fleet.radar.band[seen], fleet.radar.range_m[seen]
    assert np.array_equal(band == SR, distance <= 5000)
    assert {LR, SR} == set(band.tolist())


def test_values_keep_to_the_contract(fleet: Hardware) -> None:
    """Range and SNR are not negative, bearing is in [0, 360) and elevation in [-90, 90]."""
    scans(fleet, 3)
    seen, radar = fleet.radar.detected, fleet.radar
    bearing = radar.bearing_deg[seen]
    assert np.all((bearing >= 0) & (np.round(bearing, 3) < 360))
    assert np.all(np.abs(radar.elev_deg[seen]) <= 90)
    assert np.all((radar.range_m[seen] >= 0) & (radar.snr_db[seen] >= 0))


def test_the_cartesian_measurement_is_the_polar_one(fleet: Hardware) -> None:
    """Both forms of a detection agree within the second order of its angular noise."""
    scans(fleet, 1)
    seen, radar = fleet.radar.detected, fleet.radar
    x, y, z = radar.relative_m[:, seen]
    distance, bearing = radar.range_m[seen], np.radians(radar.bearing_deg[seen])
    elev = np.radians(radar.elev_deg[seen])
    flat = distance * np.cos(elev)
    off = np.stack((x - flat * np.sin(bearing), y - flat * np.cos(bearing), z))
    off[2] -= distance * np.sin(elev)
    assert np.all(np.abs(off).max(axis=0) < 1e-3 * distance + 0.01)


def test_a_bearing_just_west_of_north_does_not_round_to_360() -> None:
    """What three decimals would write as 360.000 becomes 0."""
    x, y = np.array([-1e-9, -1e-3, 1e-9]), np.ones(3)
    assert np.round(bearing_of(x, y, np.zeros(3)), 3).tolist() == [0.0, 359.943, 0.0]


def test_false_alarms_come_at_their_rate() -> None:
    """Without objects, detections are false alarms: as many as asked for, above the threshold."""
    hw = flying(300, {"contacts.count": 0, "radar.false_alarms_per_scan": 0.05})
    shown, _ = scans(hw, 200)
    alarms = shown[5][:, 0]
    assert alarms.sum() == pytest.approx(0.05 * alarms.size, rel=0.07)
    assert shown[4][:, 0][alarms].min() >= 10 * np.log10(-np.log(1e-6))
    assert stats.kstest(shown[1][:, 0][alarms] / 360, "uniform").pvalue > 1e-4


def test_false_alarms_follow_each_other_nowhere(fleet: Hardware) -> None:
    """A fleet that asked for none has none."""
    assert not scans(fleet, 20)[0][5][:, 6].any()


@pytest.mark.parametrize(
    ("inputs", "status", "reason"),
    [
        ({"radar.enabled": 0.0}, Status.DISABLED, Reason.SWITCHED_OFF),
        ({"radar.failed": 1.0}, Status.FAILED, Reason.FAILED),
        ({"radar.dropout": 1.0}, Status.FAILED, Reason.DROPOUT),
    ],
)
def test_a_radar_that_is_off_detects_nothing_and_says_why(
    inputs: dict[str, float], status: Status, reason: Reason
) -> None:
    """No detections, and a status with its reason; the neighbour's radar goes on."""
    hw = flying(2)
    for name, value in inputs.items():
        hw.set_input(name, np.array(value), np.array([True, False]))
    fly(hw, 2)
    assert hw.radar.detections.tolist()[0] == 0
    assert hw.radar.detections[1] > 0
    assert (hw.radar.status[0], hw.radar.reason[0]) == (status, reason)
    assert hw.radar.status[1] == Status.OK


def test_a_shed_radar_is_unpowered_with_reason_shed() -> None:
    """Low charge sheds the radar: nothing is detected, and the reason is not a failure."""
    hw = flying(1, None, {"power.soc_pct": 15.0})
    assert not hw.power.radar_on[0]
    assert hw.radar.detections[0] == 0
    assert hw.radar.reasons[0] == "shed"
    assert hw.radar.status[0] == Status.DISABLED


def test_a_booting_bot_sees_nothing() -> None:
    """Until the devices run there is no scan."""
    hw = flying(1, boot=False)
    hw.step(0.0)
    assert hw.radar.detections[0] == 0
    assert hw.radar.reasons[0] == "booting"


def test_a_stuck_radar_repeats_its_scan() -> None:
    """Every detection is the one of the moment at which it stuck; it says so."""
    hw = flying(5)
    hw.set_input("radar.stuck", np.array(1.0))
    before = hw.radar.range_m.copy(), hw.radar.detected.copy()
    fly(hw, 5)
    assert np.array_equal(hw.radar.detected, before[1])
    assert np.array_equal(hw.radar.range_m, before[0])
    assert set(hw.radar.reasons) == {"stuck"}
    hw.set_input("radar.stuck", np.array(0.0))
    fly(hw, 1)
    assert not np.array_equal(hw.radar.range_m, before[0])
    assert hw.radar.status.max() == Status.OK


def test_a_biased_radar_measures_too_far() -> None:
    """The bias is added to every range."""
    plain, biased = flying(20), flying(20)
    biased.set_input("radar.bias", np.array(500.0))
    fly(plain, 1)
    fly(biased, 1)
    seen = plain.radar.detected & biased.radar.detected
    assert (biased.radar.range_m - plain.radar.range_m)[seen] == pytest.approx(500.0)


def test_group_mates_see_each_other_and_nobody_else() -> None:
    """A peer slot holds a bot of the own group, at its true place, with its transponder's name."""
    overrides = {"contacts.count": 0, "radar.peers": 2, "radar.false_alarms_per_scan": 0.0}
    hw = flying(5, overrides, groups=["red", "red", "", "blue", "red"])
    assert hw.surroundings.present.sum(axis=0).tolist() == [2, 2, 0, 0, 2]
    assert hw.radar.detections.tolist() == [2, 2, 0, 0, 2]
    mate = hw.motion.position_m[1] - hw.motion.position_m[0]
    assert hw.surroundings.relative_m[:, 0, 0] == pytest.approx(mate)
    names = [hw.surroundings.identities[i] for i in hw.surroundings.identity[:, 0]]
    assert names == ["XPDR-bot-1", "XPDR-bot-4"]


def test_contacts_belong_to_the_bot() -> None:
    """A bot has the same objects in any fleet, and its neighbour has others."""
    alone, many = flying(names=["x"]), flying(names=["a", "x", "b"])
    assert np.array_equal(
        alone.surroundings.relative_m[..., 0], many.surroundings.relative_m[..., 1]
    )
    assert not np.allclose(many.surroundings.distance_m[:, 0], many.surroundings.distance_m[:, 2])


def test_objects_turn_back_at_the_end_of_their_line() -> None:
    """Over an hour no object runs away, and none moves faster than the params allow."""
    hw = flying(20, {"contacts.far_m": 20000.0})
    for _ in range(360):
        hw.surroundings.step(hw, 10.0)
        assert hw.surroundings.distance_m.max() < 30000
        assert np.linalg.norm(hw.surroundings.relative_mps, axis=0).max() < 15.5
