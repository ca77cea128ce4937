"""Durations as users write them: `400ms`, `10s`, `1m30s`; nanoseconds inside."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer

__all__ = ["NS_PER_S", "Duration", "format_duration", "parse_duration"]

NS_PER_S = 1_000_000_000
UNITS = {"us": 1_000, "ms": 1_000_000, "s": NS_PER_S, "m": 60 * NS_PER_S, "h": 3600 * NS_PER_S}
PART = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h)")
LONGEST_NS = 7 * 24 * UNITS["h"]


def parse_duration(text: object) -> int:
    """Return nanoseconds for `1m30s`, `400ms`, `2.5s`; at most seven days."""
    if isinstance(text, int) and not isinstance(text, bool) and text == 0:
        return 0
    if not isinstance(text, str) or not text or PART.sub("", text):
        raise ValueError(
            f"{text!r} is no duration: write a number with us, ms, s, m or h, as in 400ms or 1m30s"
        )
    total = round(sum(float(number) * UNITS[unit] for number, unit in PART.findall(text)))
    if total > LONGEST_NS:
        raise ValueError(f"{text!r} is longer than seven days")
    return total


def format_duration(ns: int) -> str:
    """Return a notation that `parse_duration` reads back as `ns`."""
    for unit in ("h", "m", "s", "ms", "us"):
        if ns % UNITS[unit] == 0:
            return f"{ns // UNITS[unit]}{unit}"
    return f"{ns / 1000}us"


Duration = Annotated[
    int,
    BeforeValidator(parse_duration, json_schema_input_type=str),
    PlainSerializer(format_duration, when_used="json"),
    Field(description="A duration such as 400ms, 10s or 1m30s."),
]
