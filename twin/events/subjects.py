"""The grammar of subjects: layouts, prefixes, keys.

A *logical* subject is what the platform (or its fleet layout) knows; a *wire* subject is
what the broker sees, which on somebody else's server begins with a prefix of ours.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "BOT_ID",
    "FLEET_ROOT",
    "PLATFORM_ROOT",
    "Layout",
    "SubjectSpace",
    "covers",
    "meet",
    "subject_key",
]

BOT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
PLATFORM_ROOT = "qiki."
FLEET_ROOT = "qiki.fleet.v1."


class Layout(StrEnum):
    """How bots share the subject space; see docs/decisions.md, Subjects."""

    PLATFORM = "platform"
    FLEET = "fleet"


def subject_key(subject: str, bot: str) -> str:
    """Return the part of a logical subject that names its channel, the same in both layouts."""
    fleet = f"{FLEET_ROOT}{bot}."
    if subject.startswith(fleet):
        return subject.removeprefix(fleet)
    return subject.removeprefix(PLATFORM_ROOT)


@dataclass(frozen=True, slots=True)
class SubjectSpace:
    """Where a run lives on a server: its layout, and a prefix ("" on a server of our own)."""

    layout: Layout = Layout.PLATFORM
    prefix: str = ""

    def subject(self, bot: str, platform_subject: str) -> str:
        """Return the logical subject on which `bot` publishes what the platform calls so."""
        if self.layout is Layout.PLATFORM:
            return platform_subject
        return f"{FLEET_ROOT}{bot}.{platform_subject.removeprefix(PLATFORM_ROOT)}"

    def pattern(self, platform_subject: str) -> str:
        """Return the logical pattern that matches `platform_subject` of every bot."""
        return self.subject("*", platform_subject)

    def wire(self, logical: str) -> str:
        """Return the subject as the broker sees it."""
        return f"{self.prefix}.{logical}" if self.prefix else logical

    def logical(self, wire: str) -> str:
        """Undo `wire`; a subject outside the prefix is returned as it is."""
        return wire.removeprefix(f"{self.prefix}.") if self.prefix else wire

    def stream(self, name: str) -> str:
        """Return a stream's name on the server."""
        return f"{self.prefix.upper().replace('.', '_')}_{name}" if self.prefix else name


def covers(pattern: str, subject: str) -> bool:
    """Tell whether everything that `subject` (itself perhaps a pattern) matches fits `pattern`."""
    have, want = pattern.split("."), subject.split(".")
    for index, part in enumerate(have):
        if part == ">":
            return len(want) > index
        if index >= len(want) or want[index] == ">" or part not in ("*", want[index]):
            return False
    return len(have) == len(want)


def meet(one: str, other: str) -> bool:
    """Tell whether a subject could match both patterns."""
    ones, others = one.split("."), other.split(".")
    for a, b in zip(ones, others, strict=False):
        if ">" in (a, b):
            return True
        if a != b and "*" not in (a, b):
            return False
    return len(ones) == len(others)
