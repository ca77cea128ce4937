"""NATS header blocks: `NATS/1.0`, lines of `Name: value`, each ended by CR LF.

Written blocks end after their last line, as `Event.headers` does: whoever sends one appends
the closing empty line. Read blocks may have it or not. Nothing that could end a line early
(CR, LF, NUL) passes in either direction.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote, unquote_to_bytes

__all__ = [
    "HeaderError",
    "attribute",
    "header_block",
    "header_lines",
    "parse_headers",
    "percent_decode",
    "percent_encode",
    "readable_headers",
]

VERSION: Final = "NATS/1.0"
NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
START: Final = re.compile(r"NATS/1\.0(?: [^\r\n]*)?(?:\r\n|\Z)")
LINE: Final = re.compile(rf"\r\n({NAME.pattern}):[ \t]*([^\r\n\0]*)")
VALUE: Final = re.compile(r"[\x20-\x7e\t]*")
PLAIN: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
NOT_PLAIN: Final = re.compile(r'[^\x21-\x7e]|["%]')
HALF_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
ESCAPED: Final = re.compile(r"\\(.)")


class HeaderError(ValueError):
    """The header block or value cannot be read, or must not be written."""


def header_block(lines: Iterable[tuple[str, str]]) -> bytes:
    """Return the block of the given names and values; HeaderError refuses unsafe ones."""
    block = [VERSION]
    for name, value in lines:
        if not NAME.fullmatch(name):
            raise HeaderError(f"{name!r} is no header name")
        if not VALUE.fullmatch(value):
            raise HeaderError(f"the value of {name} has characters that a header must not have")
        block.append(f"{name}: {value}")
    return "\r\n".join((*block, "")).encode("ascii")


def header_lines(block: bytes) -> list[tuple[str, str]]:
    """Return names and values in order, as they are written; HeaderError for what is no block."""
    try:
        text = block.decode("ascii").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise HeaderError("the header block is not ASCII") from error
    if not START.match(text):
        raise HeaderError(f"the header block does not begin with {VERSION}")
    lines: list[tuple[str, str]] = LINE.findall(text)
    if "\0" in text or not text.count("\r") == text.count("\n") == len(lines):
        raise HeaderError("a line of the header block is not `Name: value`")
    return lines


def parse_headers(block: bytes) -> dict[str, str]:
    """Return the headers as written, without decoding values; the first of equal names counts."""
    return dict(reversed(header_lines(block)))


def readable_headers(block: bytes) -> dict[str, str]:
    """Return the headers of somebody's message: none where there is no block, or a broken one."""
    try:
        return parse_headers(block)
    except HeaderError:
        return {}


def attribute(headers: Mapping[str, str], name: str) -> str:
    """Return an attribute of an event as it is written, in either spelling; "" without it."""
    return headers.get(f"ce-{name}") or headers.get(f"ce_{name}", "")


def percent_encode(text: str) -> str:
    """Encode space, double quote, percent and all but printable ASCII; no lone surrogates."""
    if not NOT_PLAIN.search(text):
        return text
    try:
        return quote(text, safe=PLAIN)
    except UnicodeEncodeError as error:
        raise HeaderError("a lone surrogate has no UTF-8") from error


def percent_decode(value: str) -> str:
    """Undo double quotes, then percent-encoding, once; HeaderError where that gives no text."""
    if value.isascii() and "%" not in value and '"' not in value:
        return value
    if not value.isascii():
        raise HeaderError("a character outside ASCII is not percent-encoded")
    if '"' in value:
        value = QUOTED.sub(lambda found: ESCAPED.sub(r"\1", found[1]), value)
    if HALF_ESCAPE.search(value):
        raise HeaderError("a percent sign without two hexadecimal digits")
    try:
        return unquote_to_bytes(value).decode("utf-8")
    except UnicodeDecodeError as error:
        raise HeaderError("a percent-encoded sequence is not UTF-8") from error
