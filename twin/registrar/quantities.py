"""Sizes and ages as people write them: 500M, 7d."""

import re
from typing import Final

from twin.errors import UsageError

__all__ = ["parse_age", "parse_size"]

SIZES: Final = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
AGES: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_size(option: str, text: str) -> int:
    """Return bytes; UsageError, which names the option, for what is no size above 0."""
    return _product(option, text, SIZES, "a size as 500M, 2G")


def parse_age(option: str, text: str) -> int:
    """Return seconds; UsageError for what is no age above 0."""
    return _product(option, text, AGES, "an age as 90s, 12h, 7d")


def _product(option: str, text: str, units: dict[str, int], wanted: str) -> int:
    found = re.fullmatch(r"(\d{1,12})([A-Za-z]?)", text)
    number = int(found[1]) * units.get(found[2], 0) if found else 0
    if not number:
        raise UsageError(f"{option} takes {wanted}, not '{text}'")
    return number
