"""YAML text to plain values that remember where they were written.

Scalars follow the core schema of YAML 1.2, not the 1.1 of PyYAML: only `true` and `false`
are booleans (`no`, `on`, `y` are text), `12:30` and `1_000` are text, `1e3` is a float,
`0o17` and `0x1F` are integers. Refused, because they hide mistakes or cost memory: duplicate
keys, keys that are not text, merge keys (`<<`), tags other than `!!str`, integers with
leading zeros (YAML 1.1 reads `012` as ten) or beyond 64 bits, several documents, `%YAML 1.1`,
files over 1 MiB, nesting over 64, more than 100,000 nodes after aliases are expanded.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn, TypeAlias

import yaml

from twin.errors import InputError, Problem

__all__ = ["Document", "KeyPath", "Node", "Plain", "read_document", "read_text", "scalar"]

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"
KeyPath: TypeAlias = tuple[str | int, ...]

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_NODES = 100_000

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STR_TAGS = frozenset({"!", "tag:yaml.org,2002:str"})
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_INFINITY = re.compile(r"[-+]?\.(inf|Inf|INF)")
_WORDS: Mapping[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it begins; line and column count from 1.

    `size` counts its nodes and `height` its levels, aliases expanded. `file` is given where
    it is another than the document's, `origin` where the value is not from a file at all.
    """

    value: Plain
    line: int
    column: int
    size: int = 1
    height: int = 0
    keys: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    children: Mapping[str | int, "Node"] = field(default_factory=dict)
    file: str | None = None
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: `root` with positions, `file` as it is named in messages."""

    file: str
    root: Node

    @property
    def value(self) -> Plain:
        """The document as plain Python values."""
        return self.root.value

    def position(self, path: KeyPath, *, key: bool = False) -> tuple[int, int]:
        """Return (line, column) of the value at `path`, or with `key` of its key.

        Where the path leaves the document, the position of the last part that exists.
        """
        return self._place(path, key=key)[1:]

    def problem(self, path: KeyPath, message: str, *, key: bool = False) -> Problem:
        """Return a Problem at the value (or key) at `path`; it says where a value came from."""
        origin = self._origin(path)
        return Problem(*self._place(path, key=key), f"{message} ({origin})" if origin else message)

    def _origin(self, path: KeyPath) -> str:
        node = self.root
        for step in path:
            if step not in node.children:
                return ""
            node = node.children[step]
        return node.origin

    def _place(self, path: KeyPath, *, key: bool) -> tuple[str, int, int]:
        node, place = self.root, (self.file, self.root.line, self.root.column)
        for step in path:
            if step not in node.children:
                break
            child = node.children[step]
            place = (child.file or self.file, child.line, child.column)
            if key and isinstance(step, str):
                place = (child.file or self.file, *node.keys[step])
            node = child
        return place


def read_document(path: str | Path, name: str | None = None) -> Document:
    """Read a file; raises InputError with every Problem found. `name` replaces it in messages."""
    file = name or str(path)
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError([Problem(file, 0, 0, f"cannot be read: {error.strerror}")]) from error
    except ValueError as error:
        raise InputError([Problem(file, 0, 0, f"is not a path: {error}")]) from error
    if len(data) > MAX_BYTES:
        raise InputError([Problem(file, 0, 0, f"is larger than {MAX_BYTES} bytes")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise InputError([Problem(file, line, column, "is not UTF-8 text")]) from error
    return read_text(text, file)


def read_text(text: str, file: str = "<text>") -> Document:
    """Parse YAML text; raises InputError with every Problem found."""
    if len(text) > MAX_BYTES:
        raise InputError([Problem(file, 0, 0, f"is larger than {MAX_BYTES} characters")])
    if bad := _UNPRINTABLE.search(text):
        line, column = _line_column(text, bad.start())
        message = f"the character U+{ord(bad.group()):04X} is not allowed in YAML"
        raise InputError([Problem(file, line, column, message)])
    return _Builder(file, text).document()


def scalar(text: str) -> bool | int | float | str | None:
    """Return the value of a plain scalar under the core schema; ValueError says what is refused."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return _integer(text)
    if _BASED.fullmatch(text):
        return _within_64_bits(int(text, 0), text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITY.fullmatch(text):
        return -math.inf if text.startswith("-") else math.inf
    return text


def _integer(text: str) -> int:
    digits = text.lstrip("+-")
    if len(digits) > 1 and digits.startswith("0"):
        raise ValueError(
            f"{_short(text)} has a leading zero, which YAML versions read differently: "
            "write the number without it, or quote it if it is text"
        )
    if len(digits) > 19:
        raise ValueError(f"the number {_short(text)} does not fit into 64 bits")
    return _within_64_bits(int(text), text)


def _within_64_bits(number: int, text: str) -> int:
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError(f"the number {_short(text)} does not fit into 64 bits")
    return number


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


def _line_column(text: str, index: int) -> tuple[int, int]:
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


class _Stop(Exception):
    """Nothing after this place can be read."""


class _Builder:
    """Builds nodes from the parser's events, collecting problems on the way."""

    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._text = text
        self._problems: list[Problem] = []
        self._anchors: dict[str, Node | None] = {}
        self._nodes = 0

    def document(self) -> Document:
        try:
            root = self._read(iter(yaml.parse(self._text, Loader=_LOADER)))
        except yaml.MarkedYAMLError as error:
            self._syntax(error)
        except yaml.YAMLError as error:
            self._problems.append(Problem(self._file, 0, 0, f"is not YAML: {error}"))
        except _Stop:
            pass
        if self._problems:
            raise InputError(self._problems)
        return Document(self._file, root)

    def _read(self, events: Iterator[yaml.Event]) -> Node:
        next(events)
        start = next(events)
        if isinstance(start, yaml.StreamEndEvent):
            return Node(None, 1, 1)
        if getattr(start, "version", None) not in (None, (1, 2)):
            self._stop(start, "only YAML 1.2 is read here: remove the %YAML line")
        root = self._node(next(events), events, 0)
        next(events)
        after = next(events)
        if not isinstance(after, yaml.StreamEndEvent):
            self._stop(after, "a second document begins here; one file holds one document")
        return root

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        self._count(event, 1)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = None
        self._check_depth(event, depth)
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, events, depth)
        else:
            node = self._mapping(event, events, depth)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _alias(self, event: yaml.AliasEvent, depth: int) -> Node:
        if event.anchor not in self._anchors:
            self._stop(event, f"the alias *{event.anchor} has no anchor before it")
        target = self._anchors[event.anchor]
        if target is None:
            self._stop(event, f"the alias *{event.anchor} contains itself")
        self._check_depth(event, depth + target.height)
        self._count(event, target.size)
        line, column = _place(event)
        return replace(target, line=line, column=column)

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        line, column = _place(event)
        self._refuse_tag(event, _STR_TAGS)
        if not event.implicit[0] or event.tag in _STR_TAGS:
            return Node(event.value, line, column)
        try:
            return Node(scalar(event.value), line, column)
        except ValueError as error:
            self._add(event, str(error))
            return Node(event.value, line, column)

    def _sequence(
        self, event: yaml.SequenceStartEvent, events: Iterator[yaml.Event], depth: int
    ) -> Node:
        self._refuse_tag(event, frozenset())
        items: list[Node] = []
        while not isinstance(item := next(events), yaml.SequenceEndEvent):
            items.append(self._node(item, events, depth + 1))
        return Node(
            [item.value for item in items],
            *_place(event),
            size=1 + sum(item.size for item in items),
            height=1 + max((item.height for item in items), default=0),
            children=dict(enumerate(items)),
        )

    def _mapping(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
        self._refuse_tag(event, frozenset())
        keys: dict[str, tuple[int, int]] = {}
        children: dict[str | int, Node] = {}
        size = 1
        while not isinstance(first := next(events), yaml.MappingEndEvent):
            key = self._node(first, events, depth + 1)
            child = self._node(next(events), events, depth + 1)
            size += key.size + child.size
            if self._key_is_good(first, key, keys):
                keys[str(key.value)] = (key.line, key.column)
                children[str(key.value)] = child
        value = {str(key): child.value for key, child in children.items()}
        height = 1 + max((child.height for child in children.values()), default=0)
        return Node(value, *_place(event), size, height, keys, children)

    def _key_is_good(
        self, event: yaml.Event, key: Node, keys: Mapping[str, tuple[int, int]]
    ) -> bool:
        if not isinstance(key.value, str):
            self._add(event, f"the key {_key_text(key.value)} is not text: put it in quotes")
        elif key.value == "<<" and not getattr(event, "style", None):
            self._add(event, "merge keys (<<) are not part of YAML 1.2: write the keys out")
        elif key.value in keys:
            first = keys[key.value][0]
            self._add(event, f"the key {key.value!r} is already set in line {first}")
        else:
            return True
        return False

    def _refuse_tag(self, event: yaml.Event, allowed: frozenset[str]) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None and tag not in allowed:
            self._add(event, f"the tag {_short(tag)} is not supported")

    def _count(self, event: yaml.Event, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            self._stop(event, f"the file has more than {MAX_NODES} values (aliases expanded)")

    def _check_depth(self, event: yaml.Event, depth: int) -> None:
        if depth > MAX_DEPTH:
            self._stop(event, f"is nested deeper than {MAX_DEPTH} levels")

    def _add(self, event: yaml.Event, message: str) -> None:
        self._problems.append(Problem(self._file, *_place(event), message))

    def _stop(self, event: yaml.Event, message: str) -> NoReturn:
        self._add(event, message)
        raise _Stop

    def _syntax(self, error: yaml.MarkedYAMLError) -> None:
        mark = error.problem_mark or error.context_mark
        if mark is None:
            line, column = 0, 0
        else:
            line, column = mark.line + 1, mark.column + 1
        message = " ".join(part for part in (error.problem, error.context) if part)
        if "'\\t'" in message or self._tab_at(line, column):
            message = "a tab cannot indent YAML: use spaces"
        self._problems.append(Problem(self._file, line, column, f"is not YAML: {message}"))

    def _tab_at(self, line: int, column: int) -> bool:
        lines: Sequence[str] = self._text.split("\n")
        return 0 < line <= len(lines) and lines[line - 1][column - 1 : column] == "\t"


def _place(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (0, 0) if mark is None else (mark.line + 1, mark.column + 1)


def _key_text(value: Plain) -> str:
    if isinstance(value, list | dict):
        return "of several values"
    return json.dumps(value)
