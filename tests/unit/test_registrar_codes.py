"""The code table: a contract with everyone who reads the audit log."""

from pathlib import Path

import pytest

from twin.registrar.codes import CATEGORIES, CODES, Severity, category, code_range
from twin.registrar.tables import refresh

GIVEN = {
    100: "BOOT_START", 101: "BOOT_OK", 102: "BOOT_FAILED",
    110: "INIT_START", 111: "INIT_OK", 112: "INIT_FAILED",
    200: "SENSOR_IO_START", 201: "SENSOR_IO_OK", 202: "SENSOR_IO_FAILED",
    210: "RADAR_FRAME_RECEIVED", 211: "RADAR_TRACK_GENERATED",
    300: "ACTUATOR_START", 301: "ACTUATOR_OK", 302: "ACTUATOR_FAILED",
    400: "COMM_START", 401: "COMM_OK", 402: "COMM_FAILED",
    410: "NATS_CONNECTED", 411: "NATS_DISCONNECTED",
    500: "NAV_START", 501: "NAV_OK", 502: "NAV_FAILED",
    600: "POWER_START", 601: "POWER_OK", 602: "POWER_LOW", 603: "POWER_CRITICAL",
    700: "HEALTH_CHECK_START", 701: "HEALTH_CHECK_OK", 702: "HEALTH_CHECK_FAILED",
    800: "SECURITY_START", 801: "SECURITY_OK", 802: "SECURITY_VIOLATION",
    900: "CRITICAL_ERROR", 901: "SYSTEM_HALT", 910: "RECOVERY_START", 911: "RECOVERY_OK",
}  # fmt: skip


def test_the_platforms_codes_keep_their_numbers_and_names() -> None:
    """The codes that the platform gave are all there, unchanged, and marked as given."""
    assert {number: code.name for number, code in CODES.items() if code.given} == GIVEN


def test_names_and_numbers_are_unique_and_categorised() -> None:
    """Every code has a name of its own and lies in one of the nine named ranges."""
    assert len({code.name for code in CODES.values()}) == len(CODES)
    assert {category(number) for number in CODES} == set(CATEGORIES.values())
    assert all(isinstance(code.severity, Severity) for code in CODES.values())


def test_code_ranges_are_read_as_people_write_them() -> None:
    """`6xx` and `61x` name ranges; anything else is refused in plain words."""
    assert code_range("6xx") == (600, 699)
    assert code_range("61X") == (610, 619)
    for wrong in ("602", "xxx", "6x", "0xx", "6xxx", "x6x", "", "-xx"):
        with pytest.raises(ValueError, match="no range of codes"):
            code_range(wrong)


def test_the_documented_tables_are_current() -> None:
    """docs/registrar.md shows the codes and rules as they are."""
    page = Path(__file__).parents[2] / "docs" / "registrar.md"
    text = page.read_text(encoding="utf-8")
    assert "602 POWER_LOW" in text
    assert refresh(text) == text, "run: python -m twin.registrar.tables docs/registrar.md"
