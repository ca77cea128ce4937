"""Reads a scenario that has mistakes as far as it can be read, so that all of them are told.

What a mistake spoils is left out: an entry of a list or a threshold as a whole, elsewhere a
single key. Whatever of the rest then makes sense is looked at as if the file were good.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace

from pydantic import ValidationError

from twin.errors import Problem
from twin.scenario.language.model import Scenario
from twin.spec.locate import Fault
from twin.spec.parse import faults, validate_plain
from twin.spec.yaml import Document, KeyPath, Node, Plain

__all__ = ["Read", "read_scenario"]

ENTRIES = ("events", "expect", "rollbacks", "steady_state", "thresholds")
"""Sections in which one entry more or less changes the meaning of no other."""
REFERRED = ("consumers", "fleet", "observers", "phases", "services", "watch")
"""Sections whose entries are named elsewhere: of these, keys are left out."""
WHOLE, KEYS = dict.fromkeys(ENTRIES, 2), dict.fromkeys(REFERRED, 3)
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Read:
    """A scenario without what was wrong with it; None when too little is left.

    `document` is what `scenario` was read from, with the positions of the file; `spoilt` are
    the sections from which something is missing.
    """

    scenario: Scenario | None
    document: Document
    problems: frozenset[Problem]
    spoilt: frozenset[str] = frozenset()


def read_scenario(document: Document) -> Read:
    """Parse a document; the problems are those of its parts and of how they fit together."""
    if not isinstance(document.value, dict):
        text = "the file is empty" if document.value is None else "a scenario is a mapping"
        return Read(None, document, frozenset([document.problem((), text)]))
    problems: set[Problem] = set()
    spoilt: set[str] = set()
    for number in range(ROUNDS):
        try:
            scenario = validate_plain(Scenario, document.value)
        except ValidationError as error:
            found = faults(Scenario, document.value, error)
            fresh = [one for one in found if not (number and _is_echo(one[0], spoilt))]
            problems |= {document.problem(one.path, text, key=one.key) for one, text in fresh}
            rest = _without(document, [fault for fault, _ in fresh])
            if rest is None or len(fresh) < len(found):
                break
            spoilt |= {str(fault.path[0]) for fault, _ in fresh}
            document = rest
        else:
            return Read(scenario, document, frozenset(problems), frozenset(spoilt))
    return Read(None, document, frozenset(problems))


def _is_echo(fault: Fault, spoilt: Container[str]) -> bool:
    """Tell whether a fault comes of what has been left out here."""
    section = fault.path[0] if fault.path else ""
    return fault.missing is not None or (section in spoilt and section not in ENTRIES)


def _without(document: Document, found: Iterable[Fault]) -> Document | None:
    """Return the document without what is at fault; None where others refer to that."""
    cuts: list[KeyPath] = []
    for fault in found:
        path = fault.path
        if not path or (path[0] in REFERRED and len(path) < 3):
            return None
        cuts.append(path[: {**WHOLE, **KEYS}.get(str(path[0]), len(path))])
    return replace(document, root=_cut(document.root, cuts))


def _cut(node: Node, paths: list[KeyPath]) -> Node:
    children: dict[str | int, Node] = {}
    for key, child in node.children.items():
        inner = [path[1:] for path in paths if path[0] == key]
        if () not in inner:
            children[key] = _cut(child, inner) if inner else child
        elif key == "count":  # of a fleet, which makes no sense without
            children[key] = replace(child, value=1)
    if isinstance(node.value, list):
        rest = list(children.values())
        return replace(node, value=[one.value for one in rest], children=dict(enumerate(rest)))
    value: Plain = {str(key): child.value for key, child in children.items()}
    return replace(node, value=value, children=children)
