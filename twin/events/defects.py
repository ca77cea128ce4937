"""In which ways a message fails to be a CloudEvent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

__all__ = ["Defect", "Finding", "InvalidEvent", "NonConforming"]


class Defect(StrEnum):
    """A kind of fault."""

    NOT_AN_EVENT = "not_an_event"
    """Neither `ce-` headers nor a content type of CloudEvents."""
    BROKEN_HEADERS = "broken_headers"
    MISSING_ATTRIBUTE = "missing_attribute"
    EMPTY_ATTRIBUTE = "empty_attribute"
    UNSUPPORTED_VERSION = "unsupported_version"
    BAD_NAME = "bad_name"
    BAD_TYPE = "bad_type"
    BAD_ENCODING = "bad_encoding"
    FORBIDDEN_CHARACTER = "forbidden_character"
    CONFLICTING_ATTRIBUTE = "conflicting_attribute"
    BAD_TIME = "bad_time"
    BAD_STRUCTURE = "bad_structure"
    """The payload of a structured event is no JSON event."""
    UNSUPPORTED_FORMAT = "unsupported_format"
    """A batch, or an event format other than JSON."""


class Finding(NamedTuple):
    """One fault, and the attribute that has it ("" where none does)."""

    defect: Defect
    attribute: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class NonConforming:
    """A message that is no conforming event: all that is wrong, and what could be read."""

    findings: tuple[Finding, ...]
    attributes: Mapping[str, object]

    @property
    def defects(self) -> frozenset[Defect]:
        """The kinds of its faults."""
        return frozenset(finding.defect for finding in self.findings)


class InvalidEvent(ValueError):
    """An event that must not be written: its attributes break the specification."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        texts = (f"{f.attribute}: {f.defect} {f.detail}".strip() for f in findings)
        super().__init__("; ".join(texts))
