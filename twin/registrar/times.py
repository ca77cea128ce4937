"""Times as text and as nanoseconds since 1970, without losing digits on the way."""

import re
from datetime import UTC, datetime
from functools import lru_cache

__all__ = ["format_ns", "parse_ns"]

_SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d)?)(?:\.(\d+))?([Zz]|[-+]\d\d:\d\d)?)?", re.ASCII
)


def parse_ns(text: str) -> int:
    """Return an RFC 3339 time as nanoseconds since 1970; ValueError when it is none.

    More than nine digits of a second are cut off; a time without offset is UTC, a date alone
    its midnight.
    """
    digits = text[20:-1]
    if text[19:20] == "." and text[-1] == "Z" and digits.isdecimal() and digits.isascii():
        return _utc_seconds(text[:19]) * _SECOND + int(digits.ljust(9, "0")[:9])
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is no time; write for example 2026-01-01T12:00:00Z")
    date, clock, fraction, offset = match.groups()
    leap = clock is not None and clock.endswith(":60")
    if clock is not None and leap:
        clock = f"{clock[:-2]}59"
    zone = "+00:00" if offset in (None, "Z", "z") else offset
    seconds = _seconds(f"{date}T{clock or '00:00'}{zone}")
    nanoseconds = int(fraction.ljust(9, "0")[:9]) if fraction else 0
    return (seconds + leap) * _SECOND + nanoseconds


def format_ns(time_ns: int) -> str:
    """Return nanoseconds since 1970 as RFC 3339 in UTC with as many digits as are needed."""
    seconds, fraction = divmod(time_ns, _SECOND)
    digits = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{digits}Z"


@lru_cache(maxsize=4096)
def _utc_seconds(text: str) -> int:
    """Return the seconds of exactly `YYYY-MM-DDTHH:MM:SS`."""
    return parse_ns(f"{text}Z") // _SECOND


@lru_cache(maxsize=4096)
def _seconds(text: str) -> int:
    since = datetime.fromisoformat(text) - _EPOCH
    return since.days * 86400 + since.seconds
