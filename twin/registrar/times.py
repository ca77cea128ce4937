"""Times as text and as nanoseconds since 1970, without losing digits on the way."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from twin.events.attributes import is_time

__all__ = ["EventTimes", "format_ns", "parse_ns"]

_SECOND = 1_000_000_000
_TO_SECOND: Final = len("YYYY-MM-DDTHH:MM:SS")
_DAY: Final = "1970-01-01T00:00:00"
_REMEMBERED: Final = 4096
_FURTHEST: Final = (1 << 63) - 2 * 86400 * _SECOND
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


class EventTimes:
    """Reads times of events, of which many share a second, and many a fraction of it."""

    def __init__(self) -> None:
        self._seconds = _Seconds()
        self._rests = _Rests()

    def read(self, texts: Iterable[str]) -> list[int]:
        """Return RFC 3339 times as nanoseconds since 1970.

        ValueError if one is no event's time, or not safely within what the store can keep.
        """
        seconds, rests = self._seconds, self._rests
        return [seconds[text[:_TO_SECOND]] + rests[text[_TO_SECOND:]] for text in texts]


class _Seconds(dict[str, int]):
    """By `YYYY-MM-DDTHH:MM:SS`, as if it were UTC."""

    def __missing__(self, text: str) -> int:
        time_ns = _event_ns(f"{text}Z")
        if abs(time_ns) > _FURTHEST:
            raise ValueError(text)
        return _remember(self, text, time_ns)


class _Rests(dict[str, int]):
    """By what follows the seconds: a fraction, which adds, and an offset, which takes away."""

    def __missing__(self, text: str) -> int:
        return _remember(self, text, _event_ns(f"{_DAY}{text}"))


def _event_ns(text: str) -> int:
    if not is_time(text):
        raise ValueError(text)
    return parse_ns(text)


def _remember(known: dict[str, int], text: str, time_ns: int) -> int:
    if len(known) >= _REMEMBERED:
        known.clear()
    known[text] = time_ns
    return time_ns
