"""The attributes of a CloudEvent and the rules that the core specification has for them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from datetime import date
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias, cast

from twin.events.defects import Defect, Finding, NonConforming

__all__ = ["TIME", "Attribute", "CloudEvent", "canonical", "faults", "from_attributes", "is_time"]

Attribute: TypeAlias = str | int | bool

SPECVERSION: Final = "1.0"
REQUIRED: Final = ("specversion", "id", "source", "type")
OPTIONAL: Final = ("datacontenttype", "dataschema", "subject", "time")
STANDARD: Final = (*REQUIRED, *OPTIONAL)
REQUIRED_SET: Final = frozenset(REQUIRED)
STANDARD_SET: Final = frozenset(STANDARD)
RESERVED: Final = frozenset(("data", "data_base64"))
ENDS: Final = "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
"""The last two code points of each plane, which are no characters."""
FORBIDDEN: Final = re.compile(f"[\0-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef{ENDS}]")
TIME: Final = (
    r"\d{4}-\d\d-\d\d[Tt](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?"
    r"(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)"
)
"""RFC 3339 as a pattern of ASCII text; whether there is such a day it does not tell."""

RFC3339: Final = re.compile(TIME, flags=re.ASCII)
SMALLEST, LARGEST = -(2**31), 2**31 - 1


class CloudEvent(NamedTuple):
    """An event. `time` is RFC 3339 as it was written; `data` the payload's bytes.

    Extensions are strings, 32-bit integers or booleans; binary mode turns all into strings.
    """

    id: str
    source: str
    type: str
    specversion: str = SPECVERSION
    datacontenttype: str | None = None
    dataschema: str | None = None
    subject: str | None = None
    time: str | None = None
    extensions: Mapping[str, Attribute] = MappingProxyType({})
    data: bytes = b""

    def attributes(self) -> dict[str, Attribute]:
        """Return all attributes that are set: required, optional, then extensions."""
        standard = {name: getattr(self, name) for name in STANDARD}
        present = {name: value for name, value in standard.items() if value is not None}
        return {**present, **self.extensions}


def faults(attributes: Mapping[str, object]) -> list[Finding]:
    """Return what the specification has against these attributes."""
    found: list[Finding] = []
    if not attributes.keys() >= REQUIRED_SET:
        missing = (name for name in REQUIRED if name not in attributes)
        found += [Finding(Defect.MISSING_ATTRIBUTE, name) for name in missing]
    if "" in attributes.values():
        empty = (name for name in STANDARD if attributes.get(name) == "")
        found += [Finding(Defect.EMPTY_ATTRIBUTE, name) for name in empty]
    if not _are_names(attributes.keys()):
        found += [Finding(Defect.BAD_NAME, name) for name in attributes if not _are_names({name})]
    texts = [value for value in attributes.values() if isinstance(value, str)]
    if len(texts) != len(attributes) or not "".join(texts).isprintable():
        found += _faults_of_values(attributes)
    version, time = attributes.get("specversion"), attributes.get("time")
    if version and version != SPECVERSION:
        found.append(Finding(Defect.UNSUPPORTED_VERSION, "specversion", str(version)))
    if time and not is_time(str(time)):
        found.append(Finding(Defect.BAD_TIME, "time", str(time)))
    return found


def _are_names(names: Set[str]) -> bool:
    """Tell whether all are made of a-z and 0-9, none is empty and none is reserved."""
    text = "".join(names)
    fine = text.isascii() and text.isalnum() and text == text.lower()
    return fine and "" not in names and RESERVED.isdisjoint(names)


def _faults_of_values(attributes: Mapping[str, object]) -> Iterator[Finding]:
    for name, value in attributes.items():
        if isinstance(value, str):
            if FORBIDDEN.search(value):
                yield Finding(Defect.FORBIDDEN_CHARACTER, name)
        elif name in STANDARD or not isinstance(value, int) or not SMALLEST <= value <= LARGEST:
            yield Finding(Defect.BAD_TYPE, name, type(value).__name__)


def is_time(text: str) -> bool:
    """Tell whether a text is RFC 3339."""
    if not RFC3339.fullmatch(text):
        return False
    try:
        date.fromisoformat(text[:10])
    except ValueError:
        return False
    return True


def from_attributes(
    attributes: Mapping[str, object], data: bytes, findings: Iterable[Finding] = ()
) -> CloudEvent | NonConforming:
    """Return the event of these attributes, or what is wrong with it."""
    found = (*findings, *faults(attributes))
    if found:
        return NonConforming(found, attributes)
    sound = cast("Mapping[str, str]", attributes)
    return CloudEvent(
        sound["id"],
        sound["source"],
        sound["type"],
        SPECVERSION,
        sound.get("datacontenttype"),
        sound.get("dataschema"),
        sound.get("subject"),
        sound.get("time"),
        {name: value for name, value in sound.items() if name not in STANDARD_SET},
        data,
    )


def canonical(value: Attribute) -> str:
    """Return the canonical string of an attribute's value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
