"""CloudEvents 1.0 on NATS: the core specification and its NATS protocol binding.

In binary mode attributes travel as `ce-` headers (`ce-datacontenttype` too) and the payload
is the data; in structured mode the payload is a JSON document and `Content-Type` says so. The
platform's `ce_` spelling is read always and written on request. What does not conform is
described, never raised: `decode` returns a `NonConforming` with its findings.
"""

import base64
import binascii
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

import orjson

from twin.events.attributes import CloudEvent, canonical, faults, from_attributes
from twin.events.defects import Defect, Finding, InvalidEvent, NonConforming
from twin.events.headers import (
    HeaderError,
    header_block,
    header_lines,
    parse_headers,
    percent_decode,
    percent_encode,
)

__all__ = [
    "STRUCTURED",
    "CloudEvent",
    "Defect",
    "Finding",
    "HeaderError",
    "InvalidEvent",
    "NonConforming",
    "decode",
    "encode_binary",
    "encode_structured",
    "parse_headers",
]

STRUCTURED: Final = "application/cloudevents+json"
FORMATS: Final = (STRUCTURED, "application/cloudevents")
PREFIXES: Final = ("ce-", "ce_")
JSON_TYPE: Final = re.compile(
    r"[a-z0-9!#$&^_.+-]+/(?:[a-z0-9!#$&^_.+-]+\+)?json(?:\s*;.*)?", flags=re.IGNORECASE
)


def decode(headers: bytes | Mapping[str, str] | None, payload: bytes) -> CloudEvent | NonConforming:
    """Read a message: a header block or a mapping of headers (None: none) and its payload.

    Never raises for what a sender may have done wrong.
    """
    try:
        lines = _lines(headers)
    except HeaderError as error:
        return NonConforming((Finding(Defect.BROKEN_HEADERS, detail=str(error)),), {})
    if media := _event_format(lines):
        return _decode_structured(media, payload)
    return _decode_binary(lines, payload)


def _lines(headers: bytes | Mapping[str, str] | None) -> Collection[tuple[str, str]]:
    if headers is None:
        return ()
    return header_lines(headers) if isinstance(headers, bytes) else headers.items()


def _event_format(lines: Collection[tuple[str, str]]) -> str | None:
    """Return the media type of a content type header that says structured mode."""
    for name, value in lines:
        if len(name) == len("content-type") and name.lower() == "content-type":
            media = value.partition(";")[0].strip().lower()
            return media if media.startswith("application/cloudevents") else None
    return None


def _decode_binary(
    lines: Collection[tuple[str, str]], payload: bytes
) -> CloudEvent | NonConforming:
    found: dict[str, object] = {}
    findings: list[Finding] = []
    for header, raw in lines:
        if header[:3].lower() not in PREFIXES:
            continue
        name = header[3:].lower()
        try:
            value = percent_decode(raw)
        except HeaderError as error:
            findings.append(Finding(Defect.BAD_ENCODING, name, str(error)))
            continue
        if found.setdefault(name, value) != value:
            findings.append(Finding(Defect.CONFLICTING_ATTRIBUTE, name))
    if not found and not findings:
        return NonConforming((Finding(Defect.NOT_AN_EVENT),), found)
    return from_attributes(found, payload, findings)


def encode_binary(
    event: CloudEvent, *, underscore: bool = False, others: Iterable[tuple[str, str]] = ()
) -> bytes:
    """Return the header block of an event in binary mode; its payload is `event.data`.

    `others` are further headers, written as they are (`Nats-Msg-Id`). InvalidEvent refuses an
    event that breaks the specification, HeaderError a header that could end a line.
    """
    attributes = event.attributes()
    if found := faults(attributes):
        raise InvalidEvent(found)
    prefix = "ce_" if underscore else "ce-"
    lines = [(prefix + name, percent_encode(canonical(v))) for name, v in attributes.items()]
    return header_block([*lines, *others])


def encode_structured(
    event: CloudEvent, others: Iterable[tuple[str, str]] = ()
) -> tuple[bytes, bytes]:
    """Return header block and payload of an event in structured mode.

    Data of a JSON type (the default) is embedded as it is and must be JSON; any other data
    travels in base64. InvalidEvent refuses what breaks the specification.
    """
    attributes = event.attributes()
    found = faults(attributes)
    document: dict[str, object] = dict(attributes)
    if event.data and _is_json(event.datacontenttype):
        try:
            orjson.loads(event.data)
        except orjson.JSONDecodeError as error:
            found.append(Finding(Defect.BAD_STRUCTURE, "data", str(error)))
        document["data"] = orjson.Fragment(event.data)
    elif event.data:
        document["data_base64"] = base64.b64encode(event.data).decode("ascii")
    if found:
        raise InvalidEvent(found)
    return header_block([("content-type", STRUCTURED), *others]), orjson.dumps(document)


def _decode_structured(media: str, payload: bytes) -> CloudEvent | NonConforming:
    if media not in FORMATS:
        return NonConforming((Finding(Defect.UNSUPPORTED_FORMAT, detail=media),), {})
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        return _broken(str(error))
    if not isinstance(document, dict):
        return _broken("not a JSON object")
    if "data" in document and "data_base64" in document:
        return _broken("both data and data_base64")
    try:
        data = _data(document)
    except (binascii.Error, TypeError, ValueError) as error:
        return _broken(f"data_base64: {error}")
    attributes = {k: v for k, v in document.items() if v is not None}
    return from_attributes(attributes, data)


def _data(document: dict[str, object]) -> bytes:
    """Take the data out of a structured event."""
    if (encoded := document.pop("data_base64", None)) is not None:
        if not isinstance(encoded, str):
            raise TypeError("not a string")
        return base64.b64decode(encoded, validate=True)
    if "data" not in document:
        return b""
    value, media = document.pop("data"), document.get("datacontenttype")
    if isinstance(value, str) and isinstance(media, str) and not _is_json(media):
        return value.encode()
    return orjson.dumps(value)


def _broken(detail: str) -> NonConforming:
    return NonConforming((Finding(Defect.BAD_STRUCTURE, "", detail),), {})


def _is_json(media: str | None) -> bool:
    return media is None or JSON_TYPE.fullmatch(media) is not None
